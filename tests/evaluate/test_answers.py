"""Exact match and F1 of answers: cases of SQuAD's rules, and the rules written once more."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluate.answers import ANSWER_F1, EXACT_MATCH, normalised


@pytest.mark.parametrize(
    ("truth", "said", "exact", "f1"),
    [
        (["Denver Broncos"], "the Denver Broncos!", 1, 1.0),
        (["the cat sat"], "cat sat down", 0, 0.8),
        (["a", "in 1932"], "1932", 0, 2 / 3),
        (["U.S."], "us", 1, 1.0),
        (["New-York"], "New York", 0, 0.0),
        ([], "", 1, 1.0),
        ([], "Rome", 0, 0.0),
        (["Rome"], "", 0, 0.0),
        ([("Rome", 4), ("in Rome", 1)], "In rome", 1, 1.0),
        (["go go go"], "go", 0, 0.5),
    ],
)
def test_cases_of_squad(truth, said, exact, f1) -> None:
    assert EXACT_MATCH.total(EXACT_MATCH.of([truth], [said])) == exact
    assert ANSWER_F1.total(ANSWER_F1.of([truth], [said])) == pytest.approx(f1)


def _script(prediction: str, truths: list[str]) -> tuple[float, float]:
    """Return (exact, f1) by the description of the official script, written independently."""

    def tokens(text: str) -> list[str]:
        text = "".join(sign for sign in text.lower() if sign not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", text).split()

    best_exact, best_f1 = 0.0, 0.0
    for truth in truths:
        want, got = tokens(truth), tokens(prediction)
        best_exact = max(best_exact, float(" ".join(want) == " ".join(got)))
        rest, same = list(want), 0
        for one in got:
            if one in rest:
                rest.remove(one)
                same += 1
        if not want or not got:
            f1 = float(want == got)
        elif not same:
            f1 = 0.0
        else:
            precision, recall = same / len(got), same / len(want)
            f1 = 2 * precision * recall / (precision + recall)
        best_f1 = max(best_f1, f1)
    return best_exact, best_f1


words = st.lists(
    st.sampled_from(["the", "a", "cat", "Cat,", "on", "U.S.", "1932", "-"]), max_size=5
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(words.map(" ".join), min_size=1, max_size=3), words.map(" ".join))
def test_any_answer_is_scored_as_the_script_does(truths, said) -> None:
    exact, f1 = _script(said, truths)
    assert EXACT_MATCH.total(EXACT_MATCH.of([truths], [said])) == exact
    assert ANSWER_F1.total(ANSWER_F1.of([truths], [said])) == pytest.approx(f1)


def test_what_is_normalised_stays_so() -> None:
    assert normalised(normalised("The  an U.S. (Army)")) == normalised("The  an U.S. (Army)")
