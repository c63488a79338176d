"""F1 of spans against seqeval, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluate.spans import SPAN_F1, TOKEN_ACCURACY, spans_of

TAGS = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in ("PER", "LOC"))]
tagged = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=9),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(tagged)
def test_spans_and_f1_are_those_of_seqeval(pairs) -> None:
    sequence_labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    truth = [[one for one, _ in row] for row in pairs]
    said = [[other for _, other in row] for row in pairs]
    for row in truth:
        assert spans_of(row) == [tuple(one) for one in sequence_labeling.get_entities(row)]
    ours = SPAN_F1.total(SPAN_F1.of(truth, said))
    found = [{tuple(e) for e in sequence_labeling.get_entities(row)} for row in truth]
    other = [{tuple(e) for e in sequence_labeling.get_entities(row)} for row in said]
    hits = sum(len(a & b) for a, b in zip(found, other, strict=True))
    count = sum(map(len, found)) + sum(map(len, other))
    assert np.isnan(ours) if not count else ours == pytest.approx(2 * hits / count)
    exact = TOKEN_ACCURACY.total(TOKEN_ACCURACY.of(truth, said))
    flat = [one == two for row in pairs for one, two in row]
    assert exact == pytest.approx(np.mean(flat))


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([], []),
        (["I-PER", "I-PER"], [("PER", 0, 1)]),
        (["I-PER", "B-PER", "I-LOC"], [("PER", 0, 0), ("PER", 1, 1), ("LOC", 2, 2)]),
        (["B-X", "E-X", "I-X", "S-X"], [("X", 0, 1), ("X", 2, 2), ("X", 3, 3)]),
        (["B-X", "L-X", "U-X", "O"], [("X", 0, 1), ("X", 2, 2)]),
        (["DT", "NN", "NN"], [("DT", 0, 0), ("NN", 1, 1), ("NN", 2, 2)]),
    ],
)
def test_every_scheme_is_read(tags, spans) -> None:
    assert spans_of(tags) == spans


def test_of_plain_tags_the_f1_is_the_share_that_is_right() -> None:
    truth, said = [["DT", "NN", "VB"]], [["DT", "NN", "NN"]]
    assert SPAN_F1.total(SPAN_F1.of(truth, said)) == pytest.approx(2 / 3)
