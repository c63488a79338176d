"""``push``: a saved model as a repository of a hub, in a directory or on the hub itself.

What leaves the machine holds nothing of the training data unless that is asked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headstart.bundle import examples
from headstart.bundle.manifest import (
    BESIDE,
    EVIDENCE,
    EXAMPLES,
    MANIFEST,
    OPTIONAL,
    REQUIRED,
    Manifest,
    dump,
    file_records,
)
from headstart.bundle.store import check_target, is_archive, put
from headstart.bundle.verified import Verified, verified_files
from headstart.core.errors import OptionError

ATTRIBUTES = ".gitattributes"
_LARGE = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
_OURS = frozenset([MANIFEST]) | REQUIRED | OPTIONAL | BESIDE


@dataclass(frozen=True)
class Pushed:
    """What was pushed.

    Parameters
    ----------
    where : str
        The directory, or the address on the hub.
    digest : str
        Of the model there.
    files : tuple of str
    bare : bool
        True where pieces of the training data were left out: the digest is another one then, and a
        signature is left out with them.
    """

    where: str
    digest: str
    files: tuple[str, ...]
    bare: bool


def push(
    model: str | Path,
    target: str | Path,
    *,
    private: bool = False,
    with_items: bool = False,
    token: str | None = None,
    api: Any = None,
) -> Pushed:
    """Put a saved model where others find it: a directory laid out for a hub, or the hub.

    All files are verified first, and appear there whole or not at all.

    Parameters
    ----------
    model : str or Path
        The directory or the ``.zip``.
    target : str or Path
        A directory, or ``user/name`` on the Hugging Face hub (``hf://user/name`` says it plainly).
        ``user/name`` is a directory where ``user`` is one here.
    private : bool
        Of a repository that is made.
    with_items : bool
        Send previews of items, explanations and examples along.
    token : str, optional
        Of the hub; else the one that its client finds.
    api : HfApi, optional
        The client of the hub.

    Returns
    -------
    Pushed

    Raises
    ------
    OptionError
        Something is in the way, or the target is none.
    BundleError, BundleCorruptError, BundleVersionError
        There is no sound model, or writing failed.
    FetchError, MissingExtraError
        The hub cannot be reached, or its client is not installed.
    """
    from headstart.sources import hub

    found = verified_files(Path(os.path.realpath(model)))
    files = found.files()
    bare = False
    if not with_items:
        files, bare = without_items(found)
    files = {**files, ATTRIBUTES: _LARGE}
    digest = _digest(files[MANIFEST])
    names = tuple(sorted(files))
    repo = repository(target)
    if repo is not None:
        where = hub.upload(files, repo, ours=_OURS, private=private, token=token, api=api)
        return Pushed(where, digest, names, bare)
    if is_archive(target):
        raise OptionError(
            "a repository is a directory",
            where=str(target),
            hint="leave out the .zip, or save the model there: fit -o NAME.zip",
        )
    place = put(check_target(target, overwrite=True), files)
    return Pushed(str(place), digest, names, bare)


def repository(target: str | Path) -> str | None:
    """Return the repository on the hub that a target means; None where it is a directory."""
    from headstart.sources import hub

    named = hub.hub_name(target)
    if named is not None:
        if named[1] is not None or not hub.is_repo(named[0]):
            raise OptionError("not the name of a repository", where=str(target))
        return named[0]
    text = str(target)
    folder = Path(text).expanduser()
    here = folder.exists() or folder.parent.is_dir()
    return text if isinstance(target, str) and hub.is_repo(text) and not here else None


def without_items(found: Verified) -> tuple[dict[str, bytes], bool]:
    """Return the files of a model without pieces of its training data, and whether there were any.

    Previews of items, explanations, examples to compare with and what else shows them go; names of
    items, labels, numbers and the fitted model stay.
    """
    manifest = found.manifest
    files = found.files()
    if not isinstance(manifest, Manifest) or EVIDENCE not in found.raw:
        return files, False
    evidence = examples.from_files(found.raw, manifest)
    assert evidence is not None
    kept = {name: raw for name, raw in found.raw.items() if name not in (EVIDENCE, EXAMPLES)}
    kept |= examples.to_files(evidence.without_items())
    if kept == dict(found.raw):
        return files, False
    return {**kept, MANIFEST: dump(replace(manifest, files=file_records(kept)))}, True


def _digest(manifest: bytes) -> str:
    """Return the digest that stands at the end of a manifest."""
    return manifest.rpartition(b'"digest": "')[2][:64].decode()
