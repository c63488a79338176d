"""A folder with a sub-folder a class -> file paths and labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.core.errors import AmbiguousDataError, DataError, OptionError
from headstart.core.types import Decision, Modality, Skipped
from headstart.data.part import ENDINGS, NOUNS, Part, shown
from headstart.data.tables import table_ending

TRAIN = frozenset({"train", "training"})
TEST = frozenset({"test", "testing"})
VALID = frozenset({"val", "valid", "validation", "dev"})
_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "__macosx", "ehthumbs.db", "icon\r"})
LABEL = "folder"


@dataclass(frozen=True)
class _File:
    path: Path
    id: str  # its path within DATA
    label: str | None


def hidden(name: str) -> bool:
    """Return True for names that belong to the system, not to the data."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder, sorted by relative path; hidden ones are left out.

    Links to folders are not followed (they may lead back up): they are yielded as they are.

    Raises
    ------
    OSError
        A folder may not be read.
    """
    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not hidden(name)]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        found.extend(Path(parent, name) for name in files + links if not hidden(name))
    yield from sorted(found, key=lambda path: path.relative_to(folder).parts)


def _refuse(error: OSError) -> None:
    raise error


def read_folder(
    root: Path,
    *,
    modality: Modality | None = None,
    group: str | None = None,
    labelled: bool = True,
    part: str | None = None,
) -> tuple[Part, Part | None]:
    """Read a folder of images or recordings.

    Parameters
    ----------
    root : Path
        With a sub-folder a class, or with ``train/`` and ``test/`` that have them; any spelling
        of upper and lower case. ``val/`` is joined into the training part.
    group : str, optional
        A regular expression searched in each file's path within ``root``; its first group (or the
        whole match) names the item's group.
    labelled : bool
        False: every file of the modality below ``root`` is an item, whatever its folder.
    part : {"test"}, optional
        What the folder is, for a folder given as ``test=``.

    Returns
    -------
    tuple of Part and (Part or None)
        The training part, and the test part where there is one.

    Raises
    ------
    DataError
        No class folders, no images or recordings, an empty class folder.
    AmbiguousDataError
        ``train/`` and ``test/`` lie beside other folders.
    """
    where = str(root)
    if not labelled:
        files = [_File(path, path.relative_to(root).as_posix(), None) for path in walk(root)]
        return _part(files, root, modality, group, (), ()), None
    folders = _subfolders(root)
    if not folders:
        raise _no_classes(root)
    splits = _splits(folders, where)
    if not splits:
        files, skipped = _class_files(root, root)
        return _part(files, root, modality, group, (), skipped), None
    if part == "test" and "test" not in splits:
        raise DataError("the test folder has train/ inside, but no test/", where=where)
    parts = {name: _split_part(root, splits[name], modality, group) for name in splits}
    if part == "test":
        return parts["test"], None
    loose = tuple(
        Skipped(p.name, "lies beside train/, in no class folder")
        for p in sorted(root.iterdir())
        if p.is_file() and not hidden(p.name)
    )
    train, test = parts["train"], parts.get("test")
    train = _skip(train, loose)
    if len(splits["train"]) > 1:
        names = ", ".join(f"{folder.name}/" for folder in splits["train"])
        why = "headstart holds out what it needs by itself"
        train = train.say(Decision(f"{names} are joined into the training part", why))
    if test is not None:
        name = splits["test"][0].name
        why = f"DATA has a folder {name}/"
        train = train.say(Decision(f"{name}/ is the test part ({test.n} items)", why))
    return train, test


def _skip(part: Part, skipped: tuple[Skipped, ...]) -> Part:
    return replace(part, skipped=part.skipped + skipped)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not hidden(p.name))


def _splits(folders: list[Path], where: str) -> dict[str, list[Path]]:
    """Return which folders are the training and the test part; empty where folders are classes."""
    named: dict[str, list[Path]] = {"train": [], "valid": [], "test": [], "other": []}
    for folder in folders:
        name = folder.name.lower()
        kind = "train" if name in TRAIN else "test" if name in TEST else "other"
        named["valid" if name in VALID else kind].append(folder)
    if not named["train"]:
        return {}
    if named["other"]:
        if not (named["test"] or named["valid"]):
            return {}  # a class that happens to be called train
        others = shown([folder.name for folder in named["other"]])
        raise AmbiguousDataError(
            f"train/ and test/ lie beside other folders ({others})",
            where=where,
            allowed="only train/, val/ and test/, or only class folders",
            hint="Move the other folders elsewhere, or give train/ as DATA and --test test/",
        )
    splits = {"train": named["train"] + named["valid"]}
    if named["test"]:
        splits["test"] = named["test"]
    return splits


def _split_part(
    root: Path, folders: list[Path], modality: Modality | None, group: str | None
) -> Part:
    files: list[_File] = []
    skipped: tuple[Skipped, ...] = ()
    for folder in folders:
        if not _subfolders(folder):
            raise _no_classes(folder)
        found, left = _class_files(folder, root)
        files += found
        skipped += left
    return _part(files, root, modality, group, (), skipped)


def _class_files(folder: Path, root: Path) -> tuple[list[_File], tuple[Skipped, ...]]:
    files: list[_File] = []
    skipped: list[Skipped] = []
    empty: list[str] = []
    for entry in sorted(folder.iterdir()):
        if hidden(entry.name):
            continue
        name = entry.relative_to(root).as_posix()
        if not entry.is_dir():
            skipped.append(Skipped(name, "lies in no class folder"))
            continue
        inside = list(walk(entry))
        if not inside:
            empty.append(name)
        files += [_File(p, p.relative_to(root).as_posix(), entry.name) for p in inside]
    if empty:
        raise DataError(
            f"class folders without any file: {shown(empty)}",
            where=str(folder),
            hint="Fill them or remove them",
        )
    return files, tuple(skipped)


def _no_classes(folder: Path) -> DataError:
    names = [p.name for p in walk(folder)]
    tables = [name for name in names if table_ending(Path(name))]
    hint = "Sort the files into a sub-folder a class, or give a table with a column of paths"
    if tables:
        shown_table = folder / (next((n for n in tables if "train" in n.lower()), tables[0]))
        hint = f"Did you mean the table {shown_table}?"
    return DataError(
        "the folder has no sub-folder a class" if names else "the folder is empty",
        where=str(folder),
        hint=hint,
    )


def _part(
    files: list[_File],
    root: Path,
    modality: Modality | None,
    group: str | None,
    decisions: tuple[Decision, ...],
    skipped: tuple[Skipped, ...],
) -> Part:
    kind = _modality(files, root, modality)
    noun = NOUNS[kind]
    fitting = [file for file in files if file.path.suffix.lower() in ENDINGS[kind]]
    if not fitting:
        either = "image or recording" if modality is None else noun
        endings = [*ENDINGS["image"], *ENDINGS["audio"]] if modality is None else ENDINGS[kind]
        raise DataError(
            f"no {either} was found",
            where=str(root),
            got=shown([file.id for file in files]) if files else "no files",
            allowed=sorted(endings),
        )
    if modality is None:
        share = f"{len(fitting)} of {len(files)} files are {noun}s"
        decisions += (Decision(f"modality is {kind}", share, "--modality"),)
    kept = {file.path for file in fitting}
    reason = "not an image" if kind == "image" else "not a recording"
    others = tuple(Skipped(file.id, reason) for file in files if file.path not in kept)
    _check_emptied(files, fitting, root, noun)
    labels: list[object] | None = [file.label for file in fitting]
    if fitting[0].label is None:
        labels = None
    ids = [file.id for file in fitting]
    groups, more = _path_groups(ids, group)
    return Part(
        modality=kind,
        items=[file.path for file in fitting],
        ids=ids,
        labels=labels,
        groups=groups,
        label_name=LABEL,
        origin=str(root),
        decisions=decisions + more,
        skipped=skipped + others,
    )


def _modality(files: list[_File], root: Path, wanted: Modality | None) -> Modality:
    """Say whether a folder holds images or recordings, by the endings of its files."""
    if wanted in ("text", "table"):
        raise OptionError(
            "a folder holds images or recordings; texts and features come in a table",
            where=f"--modality {wanted}",
            got=str(root),
        )
    if wanted is not None:
        return wanted
    images, sounds = (
        sum(file.path.suffix.lower() in ENDINGS[kind] for file in files)
        for kind in ("image", "audio")
    )
    if images and sounds and min(images, sounds) > 0.1 * len(files):
        raise AmbiguousDataError(
            f"the folder holds {images} images and {sounds} recordings",
            where=str(root),
            allowed=["--modality image", "--modality audio"],
        )
    return "audio" if sounds > images else "image"


def _check_emptied(files: list[_File], kept: list[_File], root: Path, noun: str) -> None:
    gone = sorted({str(f.label) for f in files} - {str(f.label) for f in kept})
    if gone:
        raise DataError(
            f"class folders without any {noun}: {shown(gone)}",
            where=str(root),
            hint="Fill them or remove them",
        )


def _path_groups(
    ids: list[str], pattern: str | None
) -> tuple[list[object] | None, tuple[Decision, ...]]:
    """Name the group of each path by a regular expression; None where it does not match."""
    if pattern is None:
        return None, ()
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise OptionError(
            f"not a regular expression: {error}",
            where="--group",
            got=pattern,
            hint="For a folder, --group is searched in each file's path",
        ) from error
    groups: list[object] = []
    for name in ids:
        match = expression.search(name)
        groups.append(None if match is None else match.group(1 if expression.groups else 0))
    matched = [value for value in groups if value is not None]
    if not matched:
        raise OptionError(
            "the expression matches no file's path",
            where="--group",
            got=pattern,
            hint=f"A path looks like {ids[0]!r}",
        )
    what = f"{len(set(matched))} groups by --group among {len(ids)} items"
    why = "the expression is searched in each file's path"
    if len(matched) < len(ids):
        why += f"; {len(ids) - len(matched)} paths do not match and are groups of their own"
    return groups, (Decision(what, why),)


def class_folders(root: Path) -> set[str]:
    """Return the names of sub-folders, and of those in train/ and test/."""
    first = [entry for entry in root.iterdir() if entry.is_dir() and not hidden(entry.name)]
    splits = [entry for entry in first if entry.name.lower() in ("train", "test", "val")]
    deeper = [inner for entry in splits for inner in entry.iterdir() if inner.is_dir()]
    return {entry.name for entry in (*first, *deeper)}
