"""Words of a text, each left out in turn."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from headstart.core.types import FloatArray
from headstart.explain.occlusion import Hidden, rounded

MOST = 48
"""Parts of a text; a longer text is cut into so many runs of words."""

_WORD = re.compile(r"\s*\S+")


def hidden(text: str, typical: Mapping[str, Any]) -> Hidden:
    """Return a text with each of its words (of a long text: each run of words) left out."""
    words = parts(text)
    versions = ["".join(words[:i] + words[i + 1 :]) for i in range(len(words))]

    def told(falls: FloatArray) -> dict[str, Any]:
        weights = zip(words, falls.tolist(), strict=True)
        return {"tokens": [{"text": word, "weight": rounded(fall, 4)} for word, fall in weights]}

    return Hidden(text, versions, told)


def parts(text: str) -> list[str]:
    """Cut a text into words with the blanks before them; joined they are the text.

    Writing without blanks (Chinese, Japanese) is cut into single characters.
    """
    words = _WORD.findall(text)
    if len(words) < 4 and len(text) > 12 * max(len(words), 1):
        words = list(text)
    if not words:
        return [text] if text else []
    rest = text[len("".join(words)) :]
    words[-1] += rest
    if len(words) <= MOST:
        return words
    cuts = [round(i * len(words) / MOST) for i in range(MOST + 1)]
    return ["".join(words[a:b]) for a, b in pairwise(cuts)]
