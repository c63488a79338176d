"""Measures of texts against texts: chrF, BLEU and ROUGE, each a function of counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headstart.core.types import FloatArray
from headstart.evaluate.additive import Measure
from headstart.evaluate.metrics import SEQUENCE_METRICS
from headstart.evaluate.spans import share

CHARACTERS, WORDS = 6, 4
_RECALL = 2.0  # chrF weighs recall twice as much as precision
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_RULES = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
_WORD = re.compile(r"[^\W_]+")


def _grams(parts: Sequence[Any], n: int) -> Counter[Any]:
    return Counter(tuple(parts[i : i + n]) for i in range(len(parts) - n + 1))


def _chrf_statistics(truth: str, said: str) -> list[float]:
    """Return n-grams of characters said, true and common, for n of 1 to 6; blanks do not count."""
    true, found = "".join(truth.split()), "".join(said.split())
    made: list[float] = []
    for n in range(1, CHARACTERS + 1):
        want, got = _grams(true, n), _grams(found, n)
        made += [got.total() if want else 0.0, want.total(), (want & got).total()]
    return made


def _chrf(sums: FloatArray) -> FloatArray:
    said, true, same = sums[0::3], sums[1::3], sums[2::3]
    known = (said > 0) & (true > 0)
    orders = known.sum(axis=0).clip(min=1)
    precision = np.where(known, same / np.where(known, said, 1), 0.0).sum(axis=0) / orders
    recall = np.where(known, same / np.where(known, true, 1), 0.0).sum(axis=0) / orders
    under = _RECALL**2 * precision + recall
    value = (1 + _RECALL**2) * precision * recall / np.where(under > 0, under, 1)
    return np.asarray(np.where(true[0] > 0, value, np.nan))


def bleu_words(text: str) -> list[str]:
    """Cut a text as BLEU is usually counted: the international rules of ``mteval-v13a``."""
    line = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, sign in _ENTITIES:
        line = line.replace(name, sign)
    line = f" {line} "
    for rule, put in _RULES:
        line = rule.sub(put, line)
    return line.split()


def _bleu_statistics(truth: str, said: str) -> list[float]:
    true, found = bleu_words(truth), bleu_words(said)
    made: list[float] = [len(found), len(true)]
    for n in range(1, WORDS + 1):
        got = _grams(found, n)
        made += [(got & _grams(true, n)).total(), max(len(found) - n + 1, 0)]
    return made


def _bleu(sums: FloatArray) -> FloatArray:
    """Return BLEU with exponential smoothing of orders without a match (Chen and Cherry 2014)."""
    said, true = sums[0], sums[1]
    log, smooth = np.zeros(sums.shape[1]), np.ones(sums.shape[1])
    none = ~(sums[2::2] > 0).any(axis=0)
    for order in range(WORDS):
        same, total = sums[2 + 2 * order], sums[3 + 2 * order]
        empty = (same == 0) & (total > 0)
        smooth = np.where(empty, smooth * 2, smooth)
        share_of = np.where(empty, 1 / smooth, same) / np.where(total > 0, total, 1)
        none |= total == 0
        log += np.log(np.where(share_of > 0, share_of, 1.0))
    brevity = np.exp(np.minimum(1 - true / np.where(said > 0, said, 1), 0.0))
    value = np.where(none | (said == 0), 0.0, brevity * np.exp(log / WORDS))
    return np.asarray(np.where(true > 0, value, np.nan))


def rouge_words(text: str) -> list[str]:
    """Return the words of a text without capitals and signs."""
    return _WORD.findall(text.lower())


def _f1(same: float, said: int, true: int) -> float:
    return 2.0 * same / (said + true) if said and true else 0.0


def _rouge(n: int) -> Callable[[str, str], list[float]]:
    def statistics(truth: str, said: str) -> list[float]:
        want, got = _grams(rouge_words(truth), n), _grams(rouge_words(said), n)
        return [_f1((want & got).total(), got.total(), want.total()), 1.0]

    return statistics


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    numbers: dict[str, int] = {}
    one = np.asarray([numbers.setdefault(word, len(numbers)) for word in first], dtype=np.int64)
    row = np.zeros(len(first) + 1, dtype=np.int64)
    for word in second:
        hit = row[:-1] + (one == numbers.get(word, -1))
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], hit))
    return int(row[-1])


def _rouge_l(truth: str, said: str) -> list[float]:
    want, got = rouge_words(truth), rouge_words(said)
    return [_f1(common_length(want, got), len(got), len(want)), 1.0]


CHRF = Measure(SEQUENCE_METRICS["chrf"], _chrf_statistics, _chrf)
BLEU = Measure(SEQUENCE_METRICS["bleu"], _bleu_statistics, _bleu)
ROUGE_1 = Measure(SEQUENCE_METRICS["rouge_1"], _rouge(1), share)
ROUGE_2 = Measure(SEQUENCE_METRICS["rouge_2"], _rouge(2), share)
ROUGE_L = Measure(SEQUENCE_METRICS["rouge_l"], _rouge_l, share)
