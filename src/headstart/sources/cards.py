"""What is known of a source without loading it: the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args

from headstart.core.errors import SourceError
from headstart.core.types import Modality

FAMILIES = (
    "bert",
    "conv4",
    "efficientnet-lite",
    "ge2e",
    "hf",
    "mpnet",
    "musicnn",
    "timm",
    "whisper",
)


@dataclass(frozen=True)
class SourceCard:
    """Everything to know of a pretrained source before loading it; a value object.

    Parameters
    ----------
    name : str
        What users call it.
    modality : {"image", "text", "audio", "table"}
    title : str
        Its full name.
    pretrained_on : str
        The data it learned from.
    parameters : int
        Of the backbone (without a classifier that came along), exactly.
    dim : int
        Length of its pooled features.
    input : dict
        What it wants to be given. Images: ``size`` (pixels of the square), ``mean``, ``std``
        (of RGB in 0..1, three each), ``interpolation`` ("bilinear", "bicubic", "lanczos"),
        ``crop`` (fraction of the shorter side the centre crop keeps). Texts: ``max_tokens``,
        ``pooling`` ("mean", "cls", "max"), ``normalise`` (bool), ``prefix``, ``pad_id``. Sounds:
        ``rate`` (Hz), ``seconds`` (the most that it looks at at once), ``front`` (what it is given,
        see ``encode.mel``), ``mels`` (bands), ``normalise`` (bool).
    licence : str
        Of the weights.
    licence_package : str
        Of the package they come in.
    permissive : bool
        True where the licence of the weights allows commercial use without sharing alike.
    family : str
        Which code builds it; one of ``FAMILIES``.
    config : dict
        The dimensions that code needs.
    origin : dict
        Where the weights come from: ``layout``, ``packages`` (pins), ``hub``.
    weights_sha256 : str
        Of the file headstart loads.
    tokenizer_sha256 : str
        Of ``tokenizer.json``; empty where there is none.
    size_mb : float
        On disk once installed, in MB (10^6 bytes).
    prior : float
        Static prior quality, 0 to 1, comparable within a modality; the catalogue states the rule.
    prior_source : str
        The published number the prior is made of.
    paper : str
    languages : list of str
        ISO 639 codes of what a source of texts learned from; empty where that is not known.
    provider : str
        Who brings it: "package", "local", "huggingface", "timm"; "directory": headstart wrote it.
    """

    name: str
    modality: Modality
    title: str
    pretrained_on: str
    parameters: int
    dim: int
    input: dict[str, Any]
    licence: str
    permissive: bool
    family: str
    weights_sha256: str
    size_mb: float
    licence_package: str = "none stated"
    config: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    tokenizer_sha256: str = ""
    prior: float = 0.5
    prior_source: str = "none"
    paper: str = ""
    provider: str = "package"
    languages: list[str] = field(default_factory=list)

    def reads(self, language: str) -> bool:
        """Say whether it learned from texts in a language; True where that is not known."""
        return not self.languages or language in self.languages

    def __hash__(self) -> int:
        return hash((self.name, self.weights_sha256))

    def to_json(self) -> dict[str, Any]:
        """Return the card as a dict of what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any], *, where: str = "source card") -> SourceCard:
        """Return the card that `to_json` (or a person, in a catalogue) wrote.

        Raises
        ------
        SourceError
            A field is missing, unknown or of the wrong kind.
        """
        if not isinstance(data, dict):
            raise SourceError("a source card is an object", where=where, got=type(data).__name__)
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(data) - known)
        missing = sorted(_REQUIRED - set(data))
        if unknown or missing:
            raise SourceError(
                "a source card has " + ("unknown fields" if unknown else "missing fields"),
                where=where,
                got=unknown or missing,
                allowed=sorted(known),
            )
        for name, (allowed, fits) in _KINDS.items():
            if name in data and not fits(data[name]):
                raise SourceError(
                    "a field of a source card is of the wrong kind",
                    where=f"{where}, {name}",
                    got=data[name],
                    allowed=allowed,
                )
        card = cls(**data)
        if card.family not in FAMILIES:
            raise SourceError("unknown family", where=where, got=card.family, allowed=FAMILIES)
        if card.modality not in get_args(Modality):
            raise SourceError(
                "unknown modality", where=where, got=card.modality, allowed=get_args(Modality)
            )
        return card


MOST_DIM = 1_000_000


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_dim(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_DIM


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "dim": (f"a whole number from 1 to {MOST_DIM}", _is_dim),
    "size_mb": ("a number", _is_number),
    "languages": ("a list of texts", _is_texts),
    **dict.fromkeys(("input", "config", "origin"), ("an object", _is_dict)),
    **dict.fromkeys(("name", "modality", "family", "provider"), ("a text", _is_text)),
    **dict.fromkeys(("weights_sha256", "tokenizer_sha256"), ("a text", _is_text)),
}
_REQUIRED = {
    "name",
    "modality",
    "title",
    "pretrained_on",
    "parameters",
    "dim",
    "input",
    "licence",
    "permissive",
    "family",
    "weights_sha256",
    "size_mb",
}
