"""Which languages texts are in, told from a sample of them.

The model is that of py3langid: naive Bayes on sequences of bytes (Lui & Baldwin, langid.py, ACL
2012), 139 languages and a class of what is none. A text counts where the model is sure; texts too
short for that are read together.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SAMPLE = 300
"""Texts that are looked at."""
CHARACTERS = 400
"""Of each text, its first ones."""
SURE = 0.5
"""Probability from which a text counts as being in a language."""
SHARE = 0.05
"""Languages with a smaller share than this are not named."""
FEW, LARGE_SHARE = 3, 0.2
"""Nor are those of fewer texts than this, unless their share is large."""
POOLED = 2_000
"""Characters of short texts that are read together."""
NONE = "zxx"
_ALIKE = {"yue": "zh", "wuu": "zh", "ary": "ar", "arz": "ar", "pcm": "en", "nn": "no", "nb": "no"}
_ALIKE |= {"bs": "hr", "ms": "id", "an": "es", "ext": "es"}
# of ASCII alone: Chinese goes on behind a link or a number without a blank
_PLACES = re.compile(r"https?://[!-~]+|www\.[!-~]+|[!-~]*@[!-~]+|<[^<>]*>|[!-~]*[0-9_][!-~]*")
_SIGNS = re.compile(r"[!-&(-/:-@\[-`{-~\u2010-\u2018\u201c-\u2bff\U0001f000-\U0001faff]+")
_NAMES = """
ace Acehnese, af Afrikaans, am Amharic, ar Arabic, as Assamese, az Azerbaijani,
ba Bashkir, bcl Bikol, be Belarusian, bg Bulgarian, bn Bengali, br Breton, ca Catalan,
crh Crimean Tatar, cs Czech, cy Welsh, da Danish, de German, dz Dzongkha, el Greek, en English,
eo Esperanto, es Spanish, et Estonian, eu Basque, fa Persian, fi Finnish,
fo Faroese, fr French, fuv Fulfulde, fy Frisian, ga Irish, gcf Antillean Creole,
gcr Guianese Creole, gd Scottish Gaelic, gl Galician, gom Konkani, grc Ancient Greek, gu Gujarati,
gug Guarani, guw Gun, ha Hausa, hbo Biblical Hebrew, he Hebrew, hi Hindi, hr Croatian or Bosnian,
ht Haitian Creole, hu Hungarian, hy Armenian, id Indonesian or Malay, ig Igbo, is Icelandic,
it Italian, ja Japanese, jv Javanese, ka Georgian, kab Kabyle, kik Kikuyu, kk Kazakh, km Khmer,
kn Kannada, ko Korean, ku Kurdish, ky Kyrgyz, la Latin, lb Luxembourgish, lg Ganda, lij Ligurian,
ln Lingala, lo Lao, lt Lithuanian, ltg Latgalian, lv Latvian, mg Malagasy, mk Macedonian,
ml Malayalam, mn Mongolian, mr Marathi, mt Maltese, my Burmese, ne Nepali, nl Dutch, no Norwegian,
nso Northern Sotho, oc Occitan, om Oromo, or Odia, pa Punjabi, pl Polish, ps Pashto, pt Portuguese,
qu Quechua, ro Romanian, ru Russian, rw Kinyarwanda, sa Sanskrit, sd Sindhi,
sdh Southern Kurdish, se Northern Sami, si Sinhala, sk Slovak, sl Slovenian, sn Shona, so Somali,
sq Albanian, sr Serbian, st Sotho, su Sundanese, sv Swedish, sw Swahili, ta Tamil, te Telugu,
tg Tajik, th Thai, tk Turkmen, tl Tagalog, tr Turkish, tt Tatar, ug Uyghur, uk Ukrainian, ur Urdu,
uz Uzbek, uzs Southern Uzbek, vec Venetian, vi Vietnamese, vo Volapük, wa Walloon, xh Xhosa,
yi Yiddish, yo Yoruba, zh Chinese, zu Zulu
"""


@dataclass(frozen=True)
class Languages:
    """The languages of texts.

    Parameters
    ----------
    shares : mapping of code to float
        ISO 639 codes, the largest share first; of the texts that could be told, above 0, sum 1.
    told, looked : int
        Texts whose language could be told, of so many that were looked at.
    """

    shares: Mapping[str, float] = field(default_factory=dict)
    told: int = 0
    looked: int = 0

    @property
    def main(self) -> tuple[str, ...]:
        """The codes that are worth naming, the largest share first."""
        return tuple(
            code
            for code, share in self.shares.items()
            if share >= SHARE and (share * self.told >= FEW or share >= LARGE_SHARE)
        )

    def kept(self) -> dict[str, float]:
        """Return the main ones with their shares, as a bundle keeps them."""
        return {code: round(self.shares[code], 3) for code in self.main}

    def __bool__(self) -> bool:
        """Whether any text could be told."""
        return bool(self.shares)

    def __str__(self) -> str:
        """Return the main ones in words: ``"English (90 %) and Spanish (8 %)"``."""
        if not self.main:
            return "no language that can be told"
        if len(self.main) == 1:
            return name_of(self.main[0])
        return listed(f"{name_of(code)} ({self.shares[code]:.0%})" for code in self.main)


def detect(texts: Sequence[str], *, n: int = SAMPLE) -> Languages:
    """Tell which languages texts are in.

    Links, addresses, markup, numbers and signs are not looked at; nor is more than a sample, spread
    evenly. Texts of which the language is not clear (code, names, a single word) count for nothing,
    unless together they are clear. Languages that short texts do not tell apart go by one code:
    ``hr`` (also Bosnian), ``id`` (also Malay), ``no`` (both written forms), ``zh``, ``ar`` (all),
    ``es`` (also Aragonese, Extremaduran).

    Parameters
    ----------
    texts : sequence of str
    n : int
        How many are looked at, at most.

    Returns
    -------
    Languages

    References
    ----------
    Lui & Baldwin, langid.py: An Off-the-shelf Language Identification Tool, ACL 2012.

    Examples
    --------
    >>> from headstart.data import detect
    >>> print(detect(["Where is my parcel?", "Wo ist mein Paket?", "¿Dónde está mi paquete?"]))
    German (33%), English (33%) and Spanish (33%)
    >>> print(detect(["7 + 5", ":-)", ""]))
    no language that can be told
    """
    places = np.unique(np.linspace(0, len(texts) - 1, min(n, len(texts))).astype(np.int64))
    read = [plain for i in places.tolist() if (plain := _words(texts[i]))]
    found: Counter[str] = Counter()
    unclear = []
    for text in read:
        code, sure = _classified(text)
        if sure < SURE:
            unclear.append(text)
        elif code != NONE:
            found[code] += 1
    if len(unclear) * 2 > len(read) or not found:
        together = _together(unclear)
        if together:
            found[together] += len(unclear)
    told = sum(found.values())
    shares = {code: count / told for code, count in sorted(found.items(), key=_most_first)}
    return Languages(shares, told, len(places))


def name_of(code: str) -> str:
    """Return the English name of a language; the code where there is none.

    Examples
    --------
    >>> name_of("zh"), name_of("xx")
    ('Chinese', 'xx')
    """
    return _names().get(code, code)


def listed(names: Iterable[str]) -> str:
    """Return names as a phrase: "a, b and c"."""
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def named(codes: Iterable[str]) -> str:
    """Return languages as a phrase: "English and Chinese"."""
    return listed(name_of(code) for code in codes)


def _most_first(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _words(text: str) -> str:
    """Return the words of a text: what is left of its beginning without signs, links, numbers."""
    begun = text[: 4 * CHARACTERS].encode("utf-8", "ignore").decode("utf-8")
    return " ".join(_SIGNS.sub(" ", _PLACES.sub(" ", begun)).split())[:CHARACTERS]


def _together(texts: list[str]) -> str:
    """Return the language of short texts read together; empty where both halves do not agree."""
    if not texts:
        return ""
    halves = [" ".join(texts[first::2])[:POOLED] for first in (0, 1)]
    codes = {_classified(half)[0] for half in halves if half}
    code, sure = _classified(" ".join(texts)[:POOLED])
    return code if codes == {code} and sure >= SURE and code != NONE else ""


def _classified(text: str) -> tuple[str, float]:
    """Return the most likely language of a text and its probability."""
    found: dict[str, float] = {}
    for code, share in _model().rank(text):
        alike = _ALIKE.get(code, code)
        found[alike] = found.get(alike, 0.0) + share
    return max(found.items(), key=lambda entry: entry[1])


@functools.cache
def _model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _names() -> dict[str, str]:
    pairs = (entry.split(maxsplit=1) for entry in _NAMES.replace("\n", " ").split(","))
    return {code: name.strip() for code, name in pairs}
