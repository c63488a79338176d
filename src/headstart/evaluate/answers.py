"""Measures of answers that are a part of a text, by the rules of SQuAD."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from headstart.evaluate.additive import Measure
from headstart.evaluate.metrics import SEQUENCE_METRICS
from headstart.evaluate.spans import share

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SIGNS = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return an answer as it is compared: no capitals, signs, articles, or double blanks.

    Examples
    --------
    >>> normalised("The  U.S. Army!")
    'us army'
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_SIGNS)).split())


def word_f1(truth: str, said: str) -> float:
    """Return the F1 of the words of two answers, 0 to 1; where one is empty, whether both are."""
    true, found = normalised(truth).split(), normalised(said).split()
    if not true or not found:
        return float(true == found)
    same = (Counter(true) & Counter(found)).total()
    return 2.0 * same / (len(true) + len(found))


def _texts(truth: Sequence[Any]) -> list[str]:
    """Return the answers that are right: texts, or the texts of (text, start); none: no answer."""
    return [one if isinstance(one, str) else str(one[0]) for one in truth] or [""]


def _exact(truth: Sequence[Any], said: str) -> tuple[float, float]:
    return float(any(normalised(one) == normalised(said) for one in _texts(truth))), 1.0


def _overlap(truth: Sequence[Any], said: str) -> tuple[float, float]:
    return max(word_f1(one, said) for one in _texts(truth)), 1.0


EXACT_MATCH = Measure(SEQUENCE_METRICS["exact_match"], _exact, share)
ANSWER_F1 = Measure(SEQUENCE_METRICS["answer_f1"], _overlap, share)
