"""A measured shift in plain English."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headstart.evaluate.shift import Shift

MOST_NAMED = 5
_VERDICT = {
    "none": "No shift was found.",
    "covariate": "Covariate shift: the features of the target differ from those of the source.",
    "label": "Label shift: the classes have other shares in the target, and that explains all.",
    "covariate and label": (
        "Features and class shares both differ, and the one does not explain the other."
    ),
    "conditional suspected": (
        "Conditional shift suspected: the source model errs on the target in a way that neither "
        "other rows nor other class shares explain."
    ),
}


def in_words(shift: Shift) -> tuple[str, ...]:
    """Return a measured shift as sentences, the verdict first."""
    lines = [_VERDICT[shift.verdict], _domains(shift)]
    if shift.features:
        lines.append(_features(shift))
    lines += [] if shift.numbers else _classes(shift)
    if shift.errors is not None:
        lines += _errors(shift)
    if any(shift.copies):
        ours, theirs, both = shift.copies
        lines.append(
            f"Copies: {ours} repeated rows of the source and {theirs} of the target were counted "
            f"once; {both} rows are in both domains."
        )
    if shift.numbers and shift.n_labels:
        lines.append(
            "Whether like rows have other numbers in the target is not tested here: its labels "
            "compare the candidates."
        )
    if shift.n_labels == 0:
        lines.append(
            "Not known without target labels: whether the same row has another label there "
            "(conditional shift). Rows alone never show it; labels of some of them would."
        )
    return tuple(lines)


def p_words(value: float) -> str:
    """Return a p-value as people read it.

    Examples
    --------
    >>> p_words(0.0), p_words(0.04)
    ('p < 0.001', 'p = 0.040')
    """
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _domains(shift: Shift) -> str:
    apart = f"MMD^2 {shift.mmd:.4f}, {p_words(shift.mmd_p)}"
    if shift.auc is None or shift.auc_p is None:
        return (
            f"{shift.n_source} source and {shift.n_target} target rows are too few for a "
            f"classifier of the domains ({apart})."
        )
    if shift.auc.low > 0.95:
        told = "nearly always: hardly a row of the one lies where rows of the other do"
    elif shift.auc_p > 0.05:
        told = "no better than by guessing"
    else:
        told = "better than by guessing"
    numbers = f"AUC {shift.auc}, {p_words(shift.auc_p)}; {apart}"
    return f"A classifier tells the domains apart {told} ({numbers})."


def _features(shift: Shift) -> str:
    moved = [one for one in shift.features if one.p_adjusted <= 0.05]
    total = len(shift.features)
    if not moved:
        return f"None of {total} columns differs by itself (Holm-corrected 5 %)."
    moved.sort(key=lambda one: -abs(one.difference))
    named = ", ".join(f"{one.name} ({one.difference:+.2f})" for one in moved[:MOST_NAMED])
    more = f" and {len(moved) - MOST_NAMED} more" if len(moved) > MOST_NAMED else ""
    return (
        f"{len(moved)} of {total} columns differ by themselves (Holm-corrected 5 %; difference in "
        f"standard deviations or share): {named}{more}."
    )


def _classes(shift: Shift) -> list[str]:
    label = shift.label
    if label is None:
        return ["Class shares: not compared, the source has too few rows or one class."]
    if label.counted:
        lines = [f"Class shares by {shift.n_labels} target labels: {_differ(label.p)}."]
    else:
        lines = [f"Shares of predicted classes: {_differ(label.p)}."]
    if not label.shares:
        lines.append("The source model confuses too many classes to estimate the target's shares.")
    elif label.p <= 0.05 and not shift.shares_told:
        lines.append(
            "How frequent the classes are in the target is not told: it could be read off the "
            "predictions only if nothing else had changed."
        )
    elif label.p <= 0.05:
        moved = sorted(label.shares, key=lambda one: -abs(one.target - one.source))[:MOST_NAMED]
        named = ", ".join(
            f"{one.name} {one.source:.2f} -> {one.target:.2f} [{one.low:.2f}, {one.high:.2f}]"
            for one in moved
        )
        kind = "Shares" if label.counted else "Estimated shares"
        lines.append(f"{kind}: {named}.")
    if label.p <= 0.05 and label.fit_p is not None and label.rest_p is not None:
        says = "explain" if label.explains else "do not explain"
        lines.append(
            f"Other class shares alone {says} what is seen (mixture of class scores "
            f"{p_words(label.fit_p)}, rest {p_words(label.rest_p)})."
        )
    return lines


def _differ(p: float) -> str:
    return f"they differ ({p_words(p)})" if p <= 0.05 else f"no difference found ({p_words(p)})"


def _errors(shift: Shift) -> list[str]:
    errors = shift.errors
    if errors is None:
        return []
    lines = [
        f"The source model is right on {errors.source:.3f} of held-out source rows and on "
        f"{errors.target:.3f} of {errors.n} labelled target rows: a drop of {errors.drop:+.3f} "
        f"[{errors.low:+.3f}, {errors.high:+.3f}]."
    ]
    if errors.at_same_features is None:
        lines.append(
            f"Only {errors.comparable:.0%} of the labelled target rows have like rows in the "
            "source, so whether like rows have other labels cannot be told."
        )
    else:
        lines.append(f"Among like rows the drop is {errors.at_same_features:+.3f}.")
    if errors.at_same_classes is not None:
        lines.append(f"Within the same classes the drop is {errors.at_same_classes:+.3f}.")
    return lines
