"""How a target domain differs from its source: numbers with intervals, and a verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from headstart.core.errors import DataError
from headstart.core.missing import is_missing
from headstart.core.types import AnyArray, FloatArray, IntArray, Score
from headstart.evaluate.shift_domain import (
    EXTRA,
    SOURCE,
    TARGET,
    Sample,
    domain_auc,
    domain_scores,
    draw,
    mmd,
)
from headstart.evaluate.shift_errors import ErrorShift, error_shift
from headstart.evaluate.shift_features import FeatureShift, feature_shifts, read, table_columns
from headstart.evaluate.shift_labels import LabelShift, label_shift, source_scores
from headstart.evaluate.shift_words import in_words

Verdict = Literal["none", "covariate", "label", "covariate and label", "conditional suspected"]
"""What kind of shift the tests see.

none
    No test finds a difference. With few rows that says little: see the interval of the area.
covariate
    The features differ; the shares of the (predicted) classes do not.
label
    The shares of the classes differ, and rows of the source with those shares look like the target.
covariate and label
    Features and (predicted) shares both differ, and the one does not account for the other. Without
    target labels a pure covariate shift that moves predictions looks the same.
conditional suspected
    Only with target labels: the source model errs otherwise on the target than on source rows of
    the same likeness and confidence, and otherwise than within the same classes. So the labels of
    like rows, or the rows of like labels, changed.

Without labels a conditional shift cannot be told: rows alone never show what their labels are.
"""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LEVEL = 0.05


@dataclass(frozen=True)
class Shift:
    """How a target differs from its source.

    Parameters
    ----------
    verdict : str
        One of ``VERDICTS``.
    n_source, n_target, n_labels : int
        Rows of both domains, and labelled rows of the target.
    auc : Score or None
        Area under the curve of a classifier that tells both domains apart: 0.5 is not at all, 1.0
        entirely. None with fewer than 10 rows a side.
    auc_p : float or None
        One-sided against 0.5, by DeLong's variance over the folds, widened for their dependence.
    mmd, mmd_p : float
        Unbiased squared maximum mean discrepancy, and its permutation p-value.
    label : LabelShift or None
        None where the source has one class, or hardly a row.
    errors : ErrorShift or None
        Only with target labels.
    features : tuple of FeatureShift
        Of each column, most certain first; empty for features without names.
    copies : (int, int, int)
        Repeated rows left out of the source and of the target, and rows that are in both.
    numbers : bool
        The labels are numbers: only rows are compared, and ``label`` and ``errors`` are None.
    """

    verdict: Verdict
    n_source: int
    n_target: int
    n_labels: int
    auc: Score | None
    auc_p: float | None
    mmd: float
    mmd_p: float
    label: LabelShift | None
    errors: ErrorShift | None
    features: tuple[FeatureShift, ...]
    copies: tuple[int, int, int]
    numbers: bool = False

    def sentences(self) -> tuple[str, ...]:
        """Return what was found, and what cannot be known, in plain English."""
        return in_words(self)

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    @property
    def shares_told(self) -> bool:
        """Whether shares of the classes in the target mean anything: counted, or all that moved.

        Shares that are estimated from predictions are those of the classes only where other shares
        explain the whole shift.
        """
        label = self.label
        return (
            label is not None and bool(label.shares) and (label.counted or self.verdict == "label")
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain data, the sentences with it."""
        plain = {**asdict(self), "sentences": list(self.sentences())}
        plain["copies"] = list(self.copies)
        plain["features"] = [asdict(one) for one in self.features]
        if self.label is not None:
            plain["label"]["explains"] = self.label.explains
            plain["label"]["shares_told"] = self.shares_told
            plain["label"]["shares"] = [asdict(one) for one in self.label.shares]
        return plain


def measure_shift(
    X: Any,
    y: Any,
    X_target: Any,
    y_target: Any = None,
    *,
    names: Sequence[str] | None = None,
    columns: tuple[Any, Any] | None = None,
    numbers: bool = False,
    seed: int = 0,
) -> Shift:
    """Measure how the rows of a target differ from those of a labelled source.

    At most 4,000 rows a side are looked at (a seeded sample), so 100,000 rows take no longer.
    A verdict other than "none" takes a p-value below 5 % after Holm's correction over the tests.

    Parameters
    ----------
    X : array of shape (n, d) or data frame
    y : sequence of n labels
    X_target : array of shape (m, d) or data frame
    y_target : sequence of length m, optional
        Labels of the target; None, NaN or pandas' NA where there is none.
    names : sequence of d str, optional
        Of the columns of a table: each is then tested by itself. A data frame brings its own.
    columns : (DataFrame, DataFrame), optional
        Both domains as they were before they became numbers, row by row: then each of these columns
        is tested once, its missing cells with it, in place of those of X.
    numbers : bool
        The labels are numbers and not classes: only rows are compared.
    seed : int

    Raises
    ------
    DataError
        The domains have no rows, other columns or NaN; labels or columns that do not fit the
        rows.

    References
    ----------
    Rabanser, Guennemann & Lipton, "Failing loudly", NeurIPS 2019; Lipton et al., ICML 2018;
    Gretton et al., JMLR 2012.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 3)), rng.integers(0, 2, 200)
    >>> measure_shift(X, y, rng.normal(size=(200, 3)) + [1, 0, 0]).verdict
    'covariate'
    """
    source, target, own = read(X, X_target, names)
    classes, codes, known, truth = _labels(y, len(source), y_target, len(target), numbers)
    rng = np.random.default_rng(seed)
    sample = draw(source, target, known, rng)
    ours, theirs = sample.of(SOURCE), sample.of(TARGET)
    likeness = domain_scores(sample)
    auc, auc_p = (None, None) if likeness is None else domain_auc(sample, likeness)
    apart, apart_p = mmd(sample.rows[ours], sample.rows[theirs], rng)
    features: tuple[FeatureShift, ...] = ()
    rows = sample.origin[ours], sample.origin[theirs]
    if columns is not None:
        given = table_columns(columns, (len(source), len(target)), *rows)
        features = feature_shifts(given, np.arange(len(ours)), np.arange(len(theirs)))
    elif own is not None:
        features = feature_shifts(own, *rows)
    label, errors = None, None
    if not numbers:
        label, errors = _labelled(sample, classes, codes, known, truth, likeness, rng)
    found = _found(auc_p, apart_p, features, label, errors)
    return Shift(
        _verdict(found, label),
        len(source),
        len(target),
        len(known),
        auc,
        auc_p,
        apart,
        apart_p,
        label,
        errors,
        features,
        sample.copies,
        numbers,
    )


def _labelled(
    sample: Sample,
    classes: AnyArray,
    codes: IntArray,
    known: IntArray,
    truth: IntArray,
    likeness: FloatArray | None,
    rng: np.random.Generator,
) -> tuple[LabelShift | None, ErrorShift | None]:
    """Return what needs a source model."""
    of_row = np.full(len(sample.side), -1)
    ours = sample.of(SOURCE)
    of_row[ours] = codes[sample.origin[ours]]
    scores = source_scores(sample, of_row, classes)
    if scores is None:
        return None, None
    place = dict(zip(known.tolist(), truth.tolist(), strict=True))
    theirs = np.flatnonzero((sample.side == TARGET) | (sample.side == EXTRA))
    rows = np.array([at for at in theirs if int(sample.origin[at]) in place], dtype=np.int64)
    # without copies, as the source: else a class whose rows are copied would seem more frequent
    real = np.array([place[int(sample.origin[at])] for at in rows], dtype=np.int64)
    label = label_shift(sample, scores, real if len(real) else None, rng)
    if not len(rows):
        return label, None
    return label, error_shift(sample, scores, likeness, rows, real)


def _found(
    auc_p: float | None,
    apart_p: float,
    features: tuple[FeatureShift, ...],
    label: LabelShift | None,
    errors: ErrorShift | None,
) -> set[str]:
    """Return which tests find a difference, by Holm at 5 %."""
    tests = {"mmd": apart_p}
    if auc_p is not None:
        tests["auc"] = auc_p
    if features:
        tests["features"] = features[0].p_adjusted
    if label is not None:
        tests["label"] = label.p
    if errors is not None and errors.p is not None:
        tests["errors"] = errors.p
    found: set[str] = set()
    for rank, name in enumerate(sorted(tests, key=lambda one: tests[one])):
        if tests[name] * (len(tests) - rank) > LEVEL:
            break
        found.add(name)
    return found


def _verdict(found: set[str], label: LabelShift | None) -> Verdict:
    if "errors" in found:
        return "conditional suspected"
    if "label" in found and label is not None:
        return "label" if label.explains else "covariate and label"
    return "covariate" if found else "none"


def _labels(
    y: Any, n: int, y_target: Any, m: int, numbers: bool
) -> tuple[AnyArray, IntArray, IntArray, IntArray]:
    """Return classes, classes of the source's rows, which target rows are known, their classes.

    Numbers have no classes.
    """
    ours = [_plain(label) for label in y]
    if len(ours) != n:
        raise DataError(
            "labels and rows differ in number", where="y", got=len(ours), allowed=f"{n}"
        )
    if any(label is None for label in ours):
        raise DataError("a row of the source without a label", where="y", got=None)
    theirs = [None] * m if y_target is None else [_plain(label) for label in y_target]
    if len(theirs) != m:
        raise DataError(
            "labels of the target and its rows differ in number",
            where="y_target",
            got=len(theirs),
            allowed=f"{m}",
            hint="give None for a row without a label",
        )
    if numbers:
        known = np.array([at for at, one in enumerate(theirs) if one is not None], dtype=np.int64)
        return np.array([]), np.zeros(n, np.int64), known, np.zeros(len(known), np.int64)
    names = sorted({label for label in [*ours, *theirs] if label is not None}, key=_order)
    code = {name: at for at, name in enumerate(names)}
    known = np.array([at for at, label in enumerate(theirs) if label is not None], dtype=np.int64)
    return (
        np.array([str(name) for name in names]),
        np.array([code[label] for label in ours], dtype=np.int64),
        known,
        np.array([code[theirs[at]] for at in known], dtype=np.int64),
    )


def _plain(label: Any) -> Any:
    value = label.item() if isinstance(label, np.generic) else label
    return None if is_missing(value) else value


def _order(value: Any) -> tuple[str, Any]:
    return ("", value) if isinstance(value, (int, float)) else (type(value).__name__, value)
