"""Word and character error rates: how many edits lead from what was said to what is true.

Both texts are normalised first, so that capitals and punctuation, which nobody hears, count
nothing: see `normalised`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Sequence

import numpy as np

from headstart.core.types import FloatArray
from headstart.evaluate.additive import Measure
from headstart.evaluate.metrics import SEQUENCE_METRICS

_DROPPED = ("Cc", "Cf", "Cs", "Co", "Cn")


def normalised(text: str) -> str:
    """Return a text as error rates compare it, the same for every language.

    Unicode NFKC, case folded; punctuation and symbols (an apostrophe and a hyphen, too) are
    blanks, what is invisible is dropped, runs of blanks are one and those at the ends none.
    Letters, their marks and digits stay: "21" is another word than "twenty-one".

    Parameters
    ----------
    text : str

    Examples
    --------
    >>> normalised("  L'ora: VENTUNO e 21, ﬁne!")
    'l ora ventuno e 21 fine'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = []
    for letter in folded:
        category = unicodedata.category(letter)
        if letter.isspace() or category[0] in "PSZ":
            kept.append(" ")
        elif category not in _DROPPED:
            kept.append(letter)
    return unicodedata.normalize("NFKC", re.sub(r" +", " ", "".join(kept)).strip())


def edits(truth: Sequence[Hashable], said: Sequence[Hashable]) -> int:
    """Return the fewest substitutions, deletions and insertions between two sequences.

    Parameters
    ----------
    truth, said : sequences of length n and m
        The order of the two does not matter. O(n m) time, O(m) memory.

    References
    ----------
    Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals",
    Soviet Physics Doklady 1966.

    Examples
    --------
    >>> edits("kitten", "sitting"), edits(["a", "word"], [])
    (3, 2)
    """
    numbers: dict[Hashable, int] = {}
    first = [numbers.setdefault(one, len(numbers)) for one in truth]
    second = np.array([numbers.setdefault(one, len(numbers)) for one in said], dtype=np.int64)
    steps = np.arange(len(second) + 1)
    row = steps.copy()
    for place, one in enumerate(first, start=1):
        below = np.empty_like(row)
        below[0] = place
        below[1:] = np.minimum(row[1:] + 1, row[:-1] + (second != one))
        row = np.minimum.accumulate(below - steps) + steps  # insertions, one after another
    return int(row[-1])


def _words(truth: str, said: str) -> tuple[float, float]:
    true = normalised(str(truth)).split()
    return edits(true, normalised(str(said)).split()), len(true)


def _characters(truth: str, said: str) -> tuple[float, float]:
    true = normalised(str(truth))
    return edits(true, normalised(str(said))), len(true)


def _rate(sums: FloatArray) -> FloatArray:
    """Return errors over what is true; NaN where nothing is true, whatever was said."""
    wrong, true = sums
    known = true > 0
    return np.where(known, wrong / np.where(known, true, 1.0), np.nan)


WER = Measure(SEQUENCE_METRICS["wer"], _words, _rate)
CER = Measure(SEQUENCE_METRICS["cer"], _characters, _rate)
