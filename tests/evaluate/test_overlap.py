"""chrF and BLEU against sacrebleu; ROUGE by its definition, and against rouge-score."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.evaluate.overlap import BLEU, CHRF, ROUGE_1, ROUGE_2, ROUGE_L, bleu_words

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat.",
    "1,000",
    "3-4",
    "Don't",
    "(so)",
    "&amp;",
    "\u00e9t\u00e9",
]
texts = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
pairs = st.lists(st.tuples(texts.filter(bool), texts), min_size=1, max_size=5)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(pairs)
def test_sums_give_the_corpus_scores_of_sacrebleu(rows) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    truth, said = [one for one, _ in rows], [two for _, two in rows]
    chrf = sacrebleu.corpus_chrf(said, [truth]).score / 100
    assert CHRF.total(CHRF.of(truth, said)) == pytest.approx(chrf)
    bleu = sacrebleu.corpus_bleu(said, [truth]).score / 100
    assert BLEU.total(BLEU.of(truth, said)) == pytest.approx(bleu, abs=1e-9)
    tokenizer = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    for one in (*truth, *said):
        assert bleu_words(one) == tokenizer(one).split()


def _rouge(truth: str, said: str, n: int) -> float:
    """Return ROUGE-n by its definition: common n-grams, each as often as in both."""

    def grams(text):
        words = "".join(x.lower() if x.isalnum() else " " for x in text).split()
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    want, got = grams(truth), grams(said)
    if not want or not got:
        return 0.0
    same = sum(min(want.count(one), got.count(one)) for one in set(want))
    return 2 * same / (len(want) + len(got))


def _longest(first: list[str], second: list[str]) -> int:
    if not first or not second:
        return 0
    if first[-1] == second[-1]:
        return 1 + _longest(first[:-1], second[:-1])
    return max(_longest(first[:-1], second), _longest(first, second[:-1]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(texts.filter(lambda one: len(one) < 40), texts.filter(lambda one: len(one) < 40))
def test_rouge_is_its_definition(truth, said) -> None:
    assert ROUGE_1.total(ROUGE_1.of([truth], [said])) == pytest.approx(_rouge(truth, said, 1))
    assert ROUGE_2.total(ROUGE_2.of([truth], [said])) == pytest.approx(_rouge(truth, said, 2))
    words = [
        "".join(x.lower() if x.isalnum() else " " for x in one).split() for one in (truth, said)
    ]
    count = len(words[0]) + len(words[1])
    want = 2 * _longest(*words) / count if all(words) else 0.0
    assert ROUGE_L.total(ROUGE_L.of([truth], [said])) == pytest.approx(want)


def test_rouge_is_that_of_rouge_score() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer")
    scores = scorer.RougeScorer(["rouge1", "rouge2", "rougeL"])
    truth, said = "The cat sat on the mat, twice.", "the mat sat on the cat"
    found = scores.score(truth, said)
    for measure, name in ((ROUGE_1, "rouge1"), (ROUGE_2, "rouge2"), (ROUGE_L, "rougeL")):
        assert measure.total(measure.of([truth], [said])) == pytest.approx(found[name].fmeasure)


def test_bleu_of_nothing_said_is_0_and_a_bootstrap_takes_many_sums_at_once() -> None:
    truth, said = ["the cat sat on the mat", "a cat", "so"], ["the cat sat on a mat", "", "so"]
    for measure in (BLEU, CHRF, ROUGE_L):
        table = measure.of(truth, said)
        weights = np.array([[1.0, 0.0, 2.0], [1.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
        values = measure.compiled(table)(weights)
        for column in range(3):
            again = measure.total(np.repeat(table, weights[:, column].astype(int), axis=0))
            assert values[column] == pytest.approx(again)
    assert BLEU.total(BLEU.of(["a b"], [""])) == 0.0
