"""Error rates against jiwer, and what normalising may and may not change."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluate.edit_distance import CER, WER, edits, normalised

WORDS = st.lists(st.sampled_from(["uno", "due", "tre", "a", "b", "é"]), max_size=8)
FEW = settings(deadline=None, derandomize=True, max_examples=60)


@FEW
@given(WORDS.filter(bool), WORDS)
def test_word_errors_are_those_of_jiwer(true: list[str], said: list[str]) -> None:
    truth, text = " ".join(true), " ".join(said)
    table = WER.of([truth], [text])
    assert table[0].tolist() == [round(jiwer.wer(truth, text) * len(true)), len(true)]
    assert WER.total(table) == pytest.approx(jiwer.wer(truth, text), abs=1e-12)
    assert CER.total(CER.of([truth], [text])) == pytest.approx(jiwer.cer(truth, text), abs=1e-12)


def test_rates_over_several_texts_are_those_of_jiwer() -> None:
    truth = ["il numero e ventuno", "sabato", "la casa"]
    said = ["numero e vent uno", "", "la casa bella e grande"]
    assert WER.total(WER.of(truth, said)) == pytest.approx(jiwer.wer(truth, said), abs=1e-12)
    assert CER.total(CER.of(truth, said)) == pytest.approx(jiwer.cer(truth, said), abs=1e-12)


def test_what_is_said_where_nothing_is_true_counts_as_insertions() -> None:
    assert WER.of([""], ["grazie a tutti"]).tolist() == [[3.0, 0.0]]
    assert np.isnan(WER.total(WER.of(["", "..."], ["grazie", ""])))
    both = WER.of(["", "uno due"], ["grazie", "uno due"])
    assert WER.total(both) == 0.5


def test_capitals_punctuation_and_blanks_count_nothing() -> None:
    assert WER.of(["Premi  uno, per favore!"], ["premi uno per FAVORE"])[0, 0] == 0
    assert normalised("«Dell’anno»\u200b 2\u00a0000 – ﬁne…") == "dell anno 2 000 fine"
    assert normalised("STRASSE") == normalised("straße")


def test_letters_marks_and_digits_stay() -> None:
    assert normalised("हिन्दी में 21") == "हिन्दी में 21"
    assert normalised("cafe\u0301") == "café"
    assert WER.of(["21"], ["twenty one"])[0].tolist() == [2.0, 1.0]


@FEW
@given(st.text(max_size=30))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalised(text)
    assert normalised(once) == once
    assert once == " ".join(once.split())


@FEW
@given(st.text("ab", max_size=9), st.text("ab", max_size=9), st.text("ab", max_size=9))
def test_edits_are_a_distance(a: str, b: str, c: str) -> None:
    assert edits(a, b) == edits(b, a)
    assert (edits(a, b) == 0) == (a == b)
    assert edits(a, c) <= edits(a, b) + edits(b, c)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))
