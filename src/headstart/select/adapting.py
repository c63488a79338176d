"""Whether to adapt, and how: the guard of domain adaptation.

Adapting without target labels harms more often than it helps, so the source-only model is what is
handed back unless all of these hold:

1. held-out rows of the source show that there is something to transfer (shuffled labels do not);
2. a shift is there at all (``evaluate.shift``); where other class shares explain all of it, the
   shares alone are corrected, which has a test of its own;
3. going to the target and back (``select.circular``) the adapter keeps more of the source's labels
   than the same learner without adaptation, by more than a margin and beyond chance;
4. what it says of the target has not collapsed.

With labels of the target a paired test has the last word (``adapting_labels``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.core.errors import HeadstartError, OptionError, UnknownNameError
from headstart.core.missing import is_missing
from headstart.core.types import AnyArray, Decision, FloatArray, Gain, IntArray
from headstart.evaluate import Predictions, gain
from headstart.evaluate.shift import Shift, measure_shift
from headstart.evaluate.shift_words import p_words
from headstart.select.adapting_labels import (
    FEWEST,
    SOURCE_ONLY,
    Comparison,
    compare_on_labels,
    cross_predictions,
    distinct,
    mcnemar,
)
from headstart.select.circular import (
    CAP,
    FOLDS,
    CircularScore,
    capped,
    circular_score,
    collapse,
    split,
)

MARGIN = 0.05
LABEL_SHIFT = "label-shift-em"
MOST_SOURCE = 4000
"""Rows of the source that the comparison by labels learns from."""
FEWEST_ROWS = 30
"""Rows of the target below which nothing is adapted without labels: chance moves it more."""
Make = Callable[[], Any]


@dataclass(frozen=True)
class AdaptChoice:
    """What to do about a shift, and on what grounds.

    Parameters
    ----------
    name : str
        The chosen candidate, or source-only.
    decisions : tuple of Decision
    scores : dict of str to CircularScore
        Of source-only and of each candidate; empty where it did not come to that.
    comparison : Comparison or None
        With labels of the target: what they say.
    shift : Shift
    """

    name: str
    decisions: tuple[Decision, ...]
    scores: dict[str, CircularScore] = field(default_factory=dict)
    comparison: Comparison | None = None
    shift: Shift | None = None

    @property
    def adapts(self) -> bool:
        """Whether anything but source-only was chosen."""
        return self.name != SOURCE_ONLY


def choose_adapter(
    candidates: Mapping[str, Make],
    X: Any,
    y: Sequence[Any] | AnyArray,
    X_target: Any,
    y_target: Sequence[Any] | None = None,
    *,
    with_labels: Mapping[str, Make] | None = None,
    margin: float = MARGIN,
    seed: int = 0,
    cap: int = CAP,
    folds: int = FOLDS,
    most: int = MOST_SOURCE,
    label_folds: int = FOLDS,
    shift: Shift | None = None,
) -> AdaptChoice:
    """Choose an adapter, or none.

    Parameters
    ----------
    candidates : dict of str to callable
        Each returns an unfitted adapter that needs no target labels. ``"source-only"`` is the same
        learner without adaptation and must be among them.
    X : array of shape (n, d)
    y : sequence of n labels
    X_target : array of shape (m, d)
    y_target : sequence of length m, optional
        Labels of the target; None or NaN where there is none.
    with_labels : dict of str to callable, optional
        Candidates that learn from target labels, as target-only and pooled; they take part where
        at least 10 rows have one.
    margin : float, 0 to 1
        By how much the circular balanced accuracy must rise over source-only.
    seed : int
    cap : int
        Rows a side that circular validation looks at.
    folds : int
        Of circular validation.
    most, label_folds : int
        Rows a side that the comparison by labels learns from, and its folds.
    shift : Shift, optional
        Where it has been measured already.

    Returns
    -------
    AdaptChoice

    Raises
    ------
    UnknownNameError
        Source-only is not among the candidates.
    OptionError
        The margin is out of range.
    DataError
        As ``measure_shift``.

    Examples
    --------
    >>> from headstart.strategies import adaptation
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(0, 2, 200)
    >>> X = rng.normal(size=(200, 2)) + 3 * y[:, None]
    >>> two = {name: lambda n=name: adaptation.make(n) for name in ("source-only", "linear-ot")}
    >>> choose_adapter(two, X, y, rng.permutation(X) + 0.01 * rng.normal(size=X.shape)).name
    'source-only'
    """
    if SOURCE_ONLY not in candidates:
        raise UnknownNameError("candidate", SOURCE_ONLY, candidates)
    if not 0 <= margin < 1:
        raise OptionError("the margin must be a share", where="margin", got=margin, allowed="0.05")
    shift = measure_shift(X, y, X_target, y_target, seed=seed) if shift is None else shift
    source, target, labels = np.asarray(X), np.asarray(X_target), np.asarray(y)
    choice = _without_labels(candidates, source, labels, target, margin, seed, cap, folds, shift)
    known = _known(y_target)
    if len(known) < FEWEST or y_target is None:
        if len(known):
            why = f"{len(known)} labels of the target are too few to compare by (10 are needed)"
            return _with(choice, Decision("target labels not used to choose", why))
        return choice
    pool = {**candidates, **(with_labels or {})}
    return _by_labels(
        pool, choice, source, labels, target, y_target, known, seed, most, label_folds
    )


def _without_labels(
    candidates: Mapping[str, Make],
    X: FloatArray,
    y: AnyArray,
    target: FloatArray,
    margin: float,
    seed: int,
    cap: int,
    folds: int,
    shift: Shift,
) -> AdaptChoice:
    """Choose by the source's labels and the target's rows alone."""

    def stays(why: str, scores: dict[str, CircularScore] | None = None) -> AdaptChoice:
        decision = Decision("no adaptation", why, "--strategy NAME adapts all the same")
        return AdaptChoice(SOURCE_ONLY, (decision,), scores or {}, None, shift)

    if len(np.unique(y)) < 2:
        return stays("the source has one class")
    learnt = beats_constant(candidates[SOURCE_ONLY], X, y, seed=seed, cap=cap)
    if learnt.low <= 0:
        return stays(
            "on held-out source rows the source model is no better than the constant guess "
            f"(balanced accuracy {learnt.estimate:+.3f} [{learnt.low:+.3f}, {learnt.high:+.3f}]): "
            "there is nothing to transfer; are the labels in the order of the rows?"
        )
    if len(target) < FEWEST_ROWS:
        return stays(f"{len(target)} rows of the target are too few to adapt by")
    if shift.verdict == "none":
        return stays("no test finds a shift between source and target")
    if shift.verdict == "label" and LABEL_SHIFT in candidates:
        why = "other class shares explain all of the shift"
        decision = Decision(f"adapt by {LABEL_SHIFT}", why, "--strategy source-only does not adapt")
        return AdaptChoice(LABEL_SHIFT, (decision,), {}, None, shift)
    if set(candidates) == {SOURCE_ONLY, LABEL_SHIFT}:
        return stays("other class shares do not explain the shift, and nothing else was asked for")
    candidates = {name: make for name, make in candidates.items() if name != LABEL_SHIFT}
    scores = {
        name: circular_score(
            make, X, y, target, seed=seed, folds=folds, cap=cap, strict=name != SOURCE_ONLY
        )
        for name, make in candidates.items()
    }
    plain = scores[SOURCE_ONLY]
    ranked = sorted(
        (name for name in scores if name != SOURCE_ONLY and not scores[name].failed),
        key=lambda name: -scores[name].estimate,
    )
    if not ranked:
        return stays(_all_failed(scores), scores)
    best = ranked[0]
    rise = scores[best].estimate - plain.estimate
    words = (
        f"going to the target and back, {best} keeps {scores[best].estimate:.3f} of the source's "
        f"labels (balanced accuracy) and source-only {plain.estimate:.3f}"
        + (f" ({plain.failed})" if plain.failed else "")
    )
    if rise <= margin:
        return stays(f"{words}: the rise must be above {margin:.2f}", scores)
    p = mcnemar(scores[best].correct, plain.correct)
    if p > 0.05:
        return stays(f"{words}, on {len(plain.rows)} rows within chance (p = {p:.2f})", scores)
    why = _lost(candidates[best], X, y, target, seed, cap)
    if why:
        return stays(f"{best} collapsed: {why}", scores)
    decision = Decision(f"adapt by {best}", words, "--strategy source-only does not adapt")
    return AdaptChoice(best, (decision,), scores, None, shift)


def _all_failed(scores: Mapping[str, CircularScore]) -> str:
    failed = [f"{name}: {one.failed}" for name, one in scores.items() if name != SOURCE_ONLY]
    return "; ".join(failed[:3]) if failed else "there is no adapter to choose from"


def _lost(make: Make, X: FloatArray, y: AnyArray, target: FloatArray, seed: int, cap: int) -> str:
    """Say why the adapter, fitted to all (drawn) rows, collapses."""
    source, labels, rows, at = capped(X, y, target, seed=seed, cap=cap)
    try:
        model = make().fit(source[at], labels[at], rows)
        return collapse(model.predict(rows), labels[at])
    except (HeadstartError, ValueError, ArithmeticError) as error:
        return f"it cannot be fitted: {error}"


def beats_constant(
    make: Make, X: FloatArray, y: AnyArray, *, seed: int = 0, cap: int = CAP
) -> Gain:
    """Return the gain of the source model over the constant guess on held-out source rows.

    Balanced accuracy, 5 folds, at most ``cap`` rows, a 99 % interval.
    """
    source, labels, _, rows = capped(X, y, X[:1], seed=seed, cap=cap)
    truth = labels[rows]
    said = np.empty_like(truth)
    for train, held in split(truth, 5, seed):
        if len(np.unique(truth[train])) < 2:
            said[held] = truth[train][0]
            continue
        model = make().fit(source[rows[train]], truth[train])
        said[held] = model.predict(source[rows[held]])
    names, counts = np.unique(truth, return_counts=True)
    constant = np.repeat(names[counts.argmax()], len(truth))
    return gain(
        "balanced_accuracy",
        truth.astype(str),
        Predictions(said.astype(str)),
        Predictions(constant.astype(str)),
        name="majority",
        level=0.99,
        out_of_fold=True,
        seed=seed,
        n_boot=500,
    )


def _known(y_target: Sequence[Any] | None) -> IntArray:
    if y_target is None:
        return np.zeros(0, np.int64)
    return np.array(
        [at for at, label in enumerate(y_target) if not is_missing(label)],
        dtype=np.int64,
    )


def _with(choice: AdaptChoice, *more: Decision) -> AdaptChoice:
    decisions = (*choice.decisions, *more)
    return AdaptChoice(choice.name, decisions, choice.scores, choice.comparison, choice.shift)


def _by_labels(
    candidates: Mapping[str, Make],
    choice: AdaptChoice,
    X: FloatArray,
    y: AnyArray,
    target: FloatArray,
    y_target: Sequence[Any],
    known: IntArray,
    seed: int,
    most: int,
    folds: int,
) -> AdaptChoice:
    """Let the labels of the target decide; what they leave open stays as without them."""
    drawn, given, seen = drawn_labelled(target, y_target, known, seed, most)
    rows = capped(X, y, target, seed=seed, cap=most)[3]
    said = cross_predictions(
        candidates, X[rows], y[rows], drawn, given, seen, seed=seed, folds=folds
    )
    if SOURCE_ONLY not in said or len(said) < 2:
        why = "the candidates cannot be fitted with the labels of some folds"
        return _with(choice, Decision("target labels not used to choose", why))
    once = distinct(drawn[seen], learnt=X)
    if len(once) < FEWEST:
        why = (
            f"{len(once)} labelled rows that are neither copies nor in the source are too few to "
            f"compare by ({FEWEST} are needed)"
        )
        return _with(choice, Decision("target labels not used to choose", why))
    truth = [given[int(at)] for at in seen[once]]
    said = {name: one[once] for name, one in said.items()}
    compared = compare_on_labels(said, truth, seed=seed)
    name, decision = _decided(choice, compared)
    return AdaptChoice(name, (*choice.decisions, decision), choice.scores, compared, choice.shift)


def _decided(choice: AdaptChoice, compared: Comparison) -> tuple[str, Decision]:
    """Return what the labels of the target decide, and why."""
    names = [one.name for one in compared.candidates]
    if compared.settled is not None:
        one = compared.of(compared.settled)
        why = (
            f"{compared.n} target labels: right on {one.score.estimate:.3f}, "
            f"{one.gain.estimate:+.3f} [{one.gain.low:+.3f}, {one.gain.high:+.3f}] over source-only"
            f" (exact McNemar test, corrected for {len(names) - 1} candidates, "
            f"{p_words(one.p_adjusted)})"
        )
        if one.name == SOURCE_ONLY:
            why = f"{compared.n} target labels: every candidate is worse than source-only"
        return one.name, Decision(f"{one.name} by the target's labels", why)
    more = compared.labels_to_settle
    open_ = f"{compared.n} target labels settle nothing (best: {compared.best})" + (
        f"; about {more} would" if more else ""
    )
    if choice.adapts and choice.name in names:
        own = compared.of(choice.name)
        if own.gain.estimate < 0:
            why = f"{open_}, and {choice.name} is {own.gain.estimate:+.3f} on them"
            return SOURCE_ONLY, Decision("no adaptation", why)
    return choice.name, Decision(f"{choice.name} stays", open_)


def drawn_labelled(
    target: FloatArray, y_target: Sequence[Any], known: IntArray, seed: int, most: int
) -> tuple[FloatArray, list[Any], IntArray]:
    """Return at most ``most`` target rows with all their labelled ones (at most 1,000)."""
    rng = np.random.default_rng([seed, 2])
    if len(known) > 1000:
        known = np.sort(rng.choice(known, 1000, replace=False))
    given = [None] * len(target)
    for at in known:
        label = y_target[int(at)]
        given[int(at)] = label.item() if isinstance(label, np.generic) else label
    if len(target) <= most:
        return target, given, known
    others = np.setdiff1d(np.arange(len(target)), _known(y_target))
    size = min(len(others), max(0, most - len(known)))
    rows = np.sort(np.concatenate([known, rng.choice(others, size, replace=False)]))
    return target[rows], [given[int(at)] for at in rows], np.searchsorted(rows, known)
