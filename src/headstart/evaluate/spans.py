"""Measures of tagged words: F1 of whole spans, and the share of words with the right tag."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.core.types import FloatArray
from headstart.evaluate.additive import Measure
from headstart.evaluate.metrics import SEQUENCE_METRICS

OUTSIDE = "O"
BEGINS, INSIDE = frozenset("BSU"), frozenset("IEL")
ENDS = frozenset("ESLU")
Span = tuple[str, int, int]


def split_tag(tag: str) -> tuple[str, str]:
    """Return the prefix of a tag and its type; an empty prefix for a plain tag.

    Examples
    --------
    >>> split_tag("B-PER"), split_tag("O"), split_tag("NNP")
    (('B', 'PER'), ('O', ''), ('', 'NNP'))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if len(tag) > 2 and tag[1] == "-" and (tag[0] in BEGINS or tag[0] in INSIDE):
        return tag[0], tag[2:]
    return "", tag


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Return the spans of a sentence as (type, first word, last word), as ``conlleval`` reads them.

    A span begins at ``B-``, ``S-`` and ``U-``, and at ``I-``, ``E-`` or ``L-`` after a word of
    another type, after the end of a span or after ``O``; so IOB1, IOB2, IOBES and BILOU are all
    understood. A word with a plain tag is a span of its own.

    Parameters
    ----------
    tags : sequence of str

    References
    ----------
    Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task", CoNLL 2003.

    Examples
    --------
    >>> spans_of(["B-PER", "I-PER", "O", "I-LOC", "B-LOC"])
    [('PER', 0, 1), ('LOC', 3, 3), ('LOC', 4, 4)]
    """
    found: list[Span] = []
    first, kind, going = 0, "", False
    for place, tag in enumerate(tags):
        prefix, name = split_tag(tag)
        goes_on = going and prefix in INSIDE and name == kind
        if going and not goes_on:
            found.append((kind, first, place - 1))
        if not goes_on:
            going = prefix != OUTSIDE
            first, kind = place, name
        if going and (prefix in ENDS or not prefix):
            found.append((kind, first, place))
            going = False
    if going:
        found.append((kind, first, len(tags) - 1))
    return found


def _span_statistics(truth: Sequence[str], said: Sequence[str]) -> tuple[float, float]:
    true, found = set(spans_of(truth)), set(spans_of(said))
    return 2.0 * len(true & found), float(len(true) + len(found))


def _token_statistics(truth: Sequence[str], said: Sequence[str]) -> tuple[float, float]:
    right = sum(one == other for one, other in zip(truth, said, strict=False))
    return float(right), float(max(len(truth), len(said)))


def share(sums: FloatArray) -> FloatArray:
    """Return the first row of (2, b) sums over the second; NaN where that is 0."""
    return np.divide(
        sums[0], sums[1], out=np.full(sums.shape[1], np.nan), where=np.asarray(sums[1] > 0)
    )


SPAN_F1 = Measure(SEQUENCE_METRICS["span_f1"], _span_statistics, share)
TOKEN_ACCURACY = Measure(SEQUENCE_METRICS["token_accuracy"], _token_statistics, share)
