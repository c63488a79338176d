"""A source as a directory that headstart wrote: a card, weights and, for texts, a tokenizer.

``card.json``, ``model.safetensors`` and ``tokenizer.json``; the card holds the sha256 of both
others. Reading one runs no code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import HeadstartError, IntegrityError, OptionError, SourceError
from headstart.fetch import atomic_dir
from headstart.sources.cards import SourceCard
from headstart.sources.store import CARD, TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

LAYOUT = "headstart-source"
REPORT = "report.json"
MOST_CARD = 1_000_000  # bytes of a card.json
_MODALITY = {
    "bert": "text",
    "conv4": "image",
    "efficientnet-lite": "image",
    "ge2e": "audio",
    "mpnet": "text",
    "musicnn": "audio",
    "whisper": "audio",
}  # of the families whose code is here


def is_directory_source(path: Path) -> bool:
    """Tell whether a directory is a source that headstart wrote (nothing is checked)."""
    if not (path / CARD).is_file() or (path / "config.json").exists():
        return False
    try:
        return bool(_card_of(path)["origin"]["layout"] == LAYOUT)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _card_of(path: Path) -> Any:
    """Return what a card holds; ValueError where it is no JSON, or too long for a card."""
    with (path / CARD).open("rb") as file:
        raw = file.read(MOST_CARD + 1)
    if len(raw) > MOST_CARD:
        raise ValueError(f"more than {MOST_CARD} bytes")
    return json.loads(raw.decode("utf-8"))


def check_free(path: Path) -> None:
    """Find out before the work that a source cannot be written here.

    Raises
    ------
    OptionError
        Something is there already.
    """
    if path.is_symlink() or (path.exists() and not (path.is_dir() and not any(path.iterdir()))):
        raise OptionError(
            "something is there already, and it is not replaced",
            where=f"-o {path}",
            hint="name a directory that does not exist",
        )


def write(
    backbone: Backbone, path: Path, *, card: SourceCard, report: dict[str, Any] | None = None
) -> SourceCard:
    """Write a backbone as a source that loads by its path; whole or not at all.

    Parameters
    ----------
    backbone : Backbone
    path : Path
        A directory that does not exist, or is empty.
    card : SourceCard
        What is known of it; name, size and sha256 are filled in.
    report : dict, optional
        How it came about, kept beside the card as ``report.json``.

    Returns
    -------
    SourceCard
        As written; ``describe(str(path))`` gives the same with the path as its name.

    Raises
    ------
    OptionError
        Something is there already.
    """
    from safetensors.numpy import save

    check_free(path)
    tensors = {name: np.ascontiguousarray(array) for name, array in backbone.tensors().items()}
    weights = save(tensors)  # which writes memory as it lies
    tokenizer = backbone.tokenizer.to_str() if backbone.tokenizer is not None else ""
    made = replace(
        card,
        name=path.name,
        weights_sha256=_sha256(weights),
        tokenizer_sha256=_sha256(tokenizer.encode()) if tokenizer else "",
        size_mb=round(len(weights) / 1e6, 1),
        origin={**card.origin, "layout": LAYOUT},
        provider="directory",
    )
    if path.is_dir():
        path.rmdir()
    with atomic_dir(path) as scratch:
        (scratch / WEIGHTS).write_bytes(weights)
        if tokenizer:
            (scratch / TOKENIZER).write_bytes(tokenizer.encode())
        if report is not None:
            (scratch / REPORT).write_text(json.dumps(report, indent=1), "utf-8")
        (scratch / CARD).write_text(json.dumps(made.to_json(), indent=1), "utf-8")
    return made


def describe(name: str) -> SourceCard:
    """Return the card of a source directory; its name is the path, so that it is found again.

    Raises
    ------
    SourceError
        The card cannot be used.
    """
    path = Path(name).resolve()
    try:
        data = _card_of(path)
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(
            "cannot be read as JSON", where=str(path / CARD), got=str(error)
        ) from error
    card = SourceCard.from_json(data, where=str(path / CARD))
    if card.provider != "directory":
        raise SourceError(
            "not the card of a source directory",
            where=str(path / CARD),
            got=card.provider,
            allowed="directory",
        )
    if card.modality != _MODALITY.get(card.family, card.modality):
        raise SourceError(
            f"a network of the family {card.family} is for {_MODALITY[card.family]}s",
            where=str(path / CARD),
            got=card.modality,
        )
    return replace(card, name=str(path), origin={**card.origin, "directory": str(path)})


def load(card: SourceCard) -> Backbone:
    """Return the backbone of a card that `describe` made.

    Raises
    ------
    IntegrityError
        A file is not the one that the card promises.
    SourceError
        The weights are not those of the card's model.
    """
    from safetensors.numpy import load as parse

    from headstart.sources.loading import from_state

    folder = Path(str(card.origin.get("directory") or card.name))
    raw = _verified(folder / WEIGHTS, card.weights_sha256)
    text = None
    if card.tokenizer_sha256:
        text = _verified(folder / TOKENIZER, card.tokenizer_sha256).decode("utf-8")
    try:
        backbone = from_state(card, parse(raw), text)
        width = _width(card, backbone)
    except HeadstartError:
        raise
    except Exception as error:  # a card and weights of strangers can fail anywhere
        raise SourceError(
            "the source cannot be built from its card",
            where=str(folder / CARD),
            got=f"{type(error).__name__}: {str(error)[:200]}",
        ) from error
    if width != card.dim:
        raise SourceError(
            "the network does not give as many features as its card says",
            where=str(folder / CARD),
            got=card.dim,
            allowed=[width],
        )
    backbone.weights_sha256 = card.weights_sha256
    return backbone


def _width(card: SourceCard, backbone: Backbone) -> int:
    """Return how many features a network gives; of those whose code is here, without computing."""
    import torch

    from headstart.sources.backbone import blank
    from headstart.sources.loading import unfilled

    ours = card.family in _MODALITY
    network, device = (unfilled(card).eval(), "meta") if ours else (backbone, "cpu")
    with torch.no_grad():
        return int(network(blank(card, device=device)).shape[1])


def _verified(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file, the very ones whose sha256 was checked."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise IntegrityError(
            "a file of the source is missing", where=str(path), got=error.strerror
        ) from error
    if (found := _sha256(raw)) != sha256:
        raise IntegrityError(
            "a file of the source is not the one that its card promises",
            where=str(path),
            got=f"sha256 {found}",
            allowed=f"sha256 {sha256}",
        )
    return raw


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
