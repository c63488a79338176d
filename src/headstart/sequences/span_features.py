"""Candidate answers in a text, and what speaks for each: as SQuAD's own baseline does it.

A candidate is a run of words within a sentence. What speaks for it: how its sentence and its
neighbourhood overlap with the question (weighted, as in a sliding window), its length, and what
kinds of words it begins with, ends with and stands between, each with the question's own word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.sequences.question_files import Question
from headstart.sequences.word_features import shape_of

_WORD = re.compile(r"\w+(?:[-'\u2019.,]\w+)*|[^\w\s]")
_ENDS = frozenset(".!?\u3002")
ASKING = ("who", "when", "where", "what", "which", "why", "how many", "how much", "how", "whose")
_COMMON = (
    "a an the of in on at to for by with and or is are was were be been do does did have has had "
    "it its he she they his her their this that these those as from what which who when where why "
    "how many much whom whose"
)
COMMON = frozenset(_COMMON.split())
WINDOW = 6
NUMBERS = 9
NULL = "null"


@dataclass(frozen=True, eq=False)
class Candidates:
    """The candidates of one question.

    Parameters
    ----------
    first, last : ndarray of shape (m,)
        Words; both -1 for "no answer".
    hashes : ndarray of shape (m, h), int64
        Hashed features.
    numbers : ndarray of shape (m, NUMBERS)
        Overlaps and length.
    offsets : ndarray of shape (words, 2)
        Characters of each word.
    sentence : ndarray of shape (words,)
        The sentence of each word.
    """

    first: IntArray
    last: IntArray
    hashes: IntArray
    numbers: FloatArray
    offsets: IntArray
    sentence: IntArray


def words_at(text: str) -> tuple[list[str], IntArray]:
    """Return the words and signs of a text, and the characters of each, (n, 2)."""
    found = list(_WORD.finditer(text))
    spans = np.asarray([one.span() for one in found], dtype=np.int64).reshape(-1, 2)
    return [one.group() for one in found], spans


def sentences_of(words: Sequence[str], offsets: IntArray, text: str) -> IntArray:
    """Return the sentence of each word: one ends with a full stop before a blank, or a new line."""
    made, number = [], 0
    for at, word in enumerate(words):
        made.append(number)
        gap = text[offsets[at, 1] : offsets[at + 1, 0]] if at + 1 < len(words) else ""
        number += (word in _ENDS and bool(gap)) or "\n" in gap
    return np.asarray(made, dtype=np.int64)


def asking_of(question: str) -> str:
    """Return the question's own word: who, when, how many; empty if there is none."""
    words = f" {question.lower()} "
    found = [(words.find(f" {one} "), -len(one), one) for one in ASKING if f" {one} " in words]
    return min(found)[2] if found else ""


def _codes(facts: Sequence[str]) -> IntArray:
    return np.asarray([crc32(one.encode("utf-8", "replace")) for one in facts], dtype=np.int64)


def candidates_of(asked: Question, longest: int, *, null: bool) -> Candidates:
    """Return the candidates of a question.

    Parameters
    ----------
    asked : Question
    longest : int
        Words of a candidate at most.
    null : bool
        Whether "no answer" is one.
    """
    words, offsets = words_at(asked.context)
    sentence = sentences_of(words, offsets, asked.context)
    first, last = _spans(words, sentence, longest)
    asking = asking_of(asked.question)
    hashes = _hashes(words, first, last, asking)
    numbers = _numbers(words, sentence, first, last, asked.question)
    if null or not len(first):
        none = _codes([NULL, f"{NULL}|{asking}"] + [NULL] * (hashes.shape[1] - 2))
        best = numbers.max(axis=0, initial=0.0) * 0.0
        best[-1] = numbers[:, 0].max(initial=0.0)  # how well the best sentence fits the question
        first, last = np.append(first, -1), np.append(last, -1)
        hashes = np.vstack([hashes, none])
        numbers = np.vstack([numbers, best])
    return Candidates(first, last, hashes, numbers, offsets, sentence)


def _spans(words: Sequence[str], sentence: IntArray, longest: int) -> tuple[IntArray, IntArray]:
    """Return first and last words: in one sentence, no sign at an end, no common word last."""
    n = len(words)
    plain = np.asarray([word[0].isalnum() or word in "$\u20ac\u00a3#%" for word in words], bool)
    full = plain & np.asarray([word.lower() not in COMMON for word in words], dtype=bool)
    firsts, lasts = [], []
    for more in range(min(longest, n)):
        at = np.arange(n - more)
        fits = plain[at] & full[at + more] & (sentence[at] == sentence[at + more])
        firsts.append(at[fits])
        lasts.append(at[fits] + more)
    if not firsts:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(firsts), np.concatenate(lasts)


def _hashes(words: Sequence[str], first: IntArray, last: IntArray, asking: str) -> IntArray:
    lower = [word.lower() for word in words]
    shapes = [_short(word) for word in words]
    edge = ["", *lower, ""]
    parts = {
        "fs": (_codes([f"fs{one}|{asking}" for one in shapes]), first),
        "ls": (_codes([f"ls{one}|{asking}" for one in shapes]), last),
        "fw": (_codes([f"fw{one}|{asking}" for one in lower]), first),
        "lw": (_codes([f"lw{one}|{asking}" for one in lower]), last),
        "before": (_codes([f"b{one}|{asking}" for one in edge]), first),
        "after": (_codes([f"a{one}|{asking}" for one in edge]), last + 2),
        "beside": (_codes([f"B{one}" for one in edge]), first),
        "beyond": (_codes([f"A{one}" for one in edge]), last + 2),
    }
    made = [codes[at] for codes, at in parts.values()]
    size = _codes([f"n{more}|{asking}" for more in range(len(words) + 1)])
    made.append(size[(last - first).clip(max=12)])
    made.append((made[0] * 31 + made[1]) & 0xFFFFFFFF)  # shapes of both ends together
    return np.stack(made, axis=1) if len(first) else np.zeros((0, 10), dtype=np.int64)


def _short(word: str) -> str:
    return re.sub(r"(.)\1+", r"\1", shape_of(word))[:6]


def _numbers(
    words: Sequence[str], sentence: IntArray, first: IntArray, last: IntArray, question: str
) -> FloatArray:
    """Return overlaps with the question: of sentence, window, span; distance; length."""
    if not len(first):
        return np.zeros((0, NUMBERS))
    lower = [word.lower() for word in words]
    asked = {word.lower() for word in words_at(question)[0]} - COMMON
    asked = {word for word in asked if word[0].isalnum()}
    counts: dict[str, int] = {}
    for word in lower:
        counts[word] = counts.get(word, 0) + 1
    stems = {word[:5] for word in asked}
    weight = np.asarray([np.log(1 + 1 / counts[word]) if word in asked else 0.0 for word in lower])
    loose = np.asarray([float(word[:5] in stems and word not in COMMON) for word in lower])
    total = np.log(2) * max(len(asked), 1)
    by_sentence = np.bincount(sentence, weights=weight) / total
    loosely = np.bincount(sentence, weights=loose) / max(len(asked), 1)
    sums = np.concatenate([[0.0], np.cumsum(weight)])
    left = sums[first] - sums[(first - WINDOW).clip(min=0)]
    right = sums[(last + 1 + WINDOW).clip(max=len(words))] - sums[last + 1]
    inside = sums[last + 1] - sums[first]
    hits = np.flatnonzero(weight)
    far = np.full(len(first), 30.0)
    if len(hits):
        at = np.searchsorted(hits, first)
        before = first - hits[(at - 1).clip(min=0)]
        after = hits[np.searchsorted(hits, last, side="right").clip(max=len(hits) - 1)] - last
        far = np.minimum(np.where(before > 0, before, 30), np.where(after > 0, after, 30))
    own = sentence[first]
    return np.stack(
        [
            by_sentence[own],
            by_sentence[own] - by_sentence.max(),
            loosely[own],
            left / total,
            right / total,
            inside / total,
            np.log1p(far.clip(max=30)) / 3,
            np.log1p(last - first) / 2,
            np.zeros(len(first)),
        ],
        axis=1,
    )


def matched(hashes: IntArray, known: AnyArray) -> Any:
    """Return a CSR matrix (m, len(known)) of ones where a candidate has a known feature."""
    from headstart.sequences.word_features import matrix

    counts = np.full(len(hashes), hashes.shape[1], dtype=np.int64)
    return matrix(hashes.ravel(), counts, known).astype(np.float32)
