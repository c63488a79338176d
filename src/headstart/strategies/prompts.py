"""Prompts: sentences that say what a class is, and the mean of their features."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, Modality
from headstart.strategies.class_features import unit_length

TEMPLATES: dict[Modality, tuple[str, ...]] = {
    "text": ("{}", "this is about {}", "a text about {}", "a message about {}", "The topic is {}."),
    "image": ("a photo of a {}.", "a picture of a {}.", "an image of a {}.", "a {}."),
}
"""Sentences around a class name (CLIP's ensemble in small: Radford et al., ICML 2021)."""
DESCRIBED = ("{}", "{name}: {}")
"""Sentences around a description."""
_ARTICLE = re.compile(r"\ba (?=(?:an?|the|some|my|our|one|two|three|[A-Z]\w*[A-Z])\b)")
_VOWEL = re.compile(r"\ba (?=[aeiou])", re.IGNORECASE)


def spoken(name: str) -> str:
    """Return a class name as people say it: ``card_lost`` and ``CardLost`` are ``card lost``.

    Examples
    --------
    >>> spoken("pay-my_bill"), spoken("CardLost"), spoken("NASA"), spoken("a cup of tea")
    ('pay my bill', 'card lost', 'NASA', 'a cup of tea')
    """
    parted = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", name)
    if parted != name:
        parted = parted.lower()
    words = re.sub(r"[_\-/]+", " ", parted) if " " not in name.strip() else name
    return " ".join(words.split()) or name


def prompts_of(
    names: Sequence[str],
    descriptions: Sequence[Sequence[str]],
    modality: Modality,
    templates: Sequence[str] | None = None,
) -> list[list[str]]:
    """Return the sentences that say what each class is.

    Parameters
    ----------
    names : sequence of str, length k
    descriptions : sequence of sequence of str, length k
        Where a class has some they are used, with its name and without, in place of templates.
    modality : {"image", "text"}
    templates : sequence of str, optional
        Each with ``{}`` where the name goes.

    Raises
    ------
    OptionError
        A template has no place for the name.

    Examples
    --------
    >>> prompts_of(["card_lost"], [()], "text", ["about {}"])
    [['about card lost']]
    """
    used = tuple(templates) if templates else TEMPLATES[modality]
    wrong = [template for template in used if "{}" not in template]
    if wrong:
        raise OptionError(
            "a template needs a place for the class", where="templates", got=wrong, allowed='"{}"'
        )
    made = []
    for name, texts in zip(names, descriptions, strict=True):
        word = spoken(name)
        if texts:
            made.append(
                [each.replace("{name}", word).replace("{}", t) for t in texts for each in DESCRIBED]
            )
        else:
            made.append([_grammatical(each.replace("{}", word)) for each in used])
    return made


def _grammatical(sentence: str) -> str:
    """Return a sentence without a doubled article, and with ``an`` before a vowel."""
    return _VOWEL.sub("an ", _ARTICLE.sub("", sentence))


def ensemble(features: FloatArray, counts: Sequence[int]) -> FloatArray:
    """Return a class's direction: the mean of its prompts' features, each of length 1.

    Parameters
    ----------
    features : ndarray of shape (sum of counts, d)
    counts : sequence of int, length k
        How many prompts each class has.

    Returns
    -------
    ndarray of shape (k, d), float64
        Of length 1.
    """
    rows = unit_length(np.asarray(features, dtype=np.float64))
    ends = np.cumsum(counts)
    means = [rows[end - count : end].mean(axis=0) for end, count in zip(ends, counts, strict=True)]
    return unit_length(np.stack(means))
