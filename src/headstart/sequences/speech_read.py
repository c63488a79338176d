"""Recordings with transcripts: a table of both, or a folder of sounds with texts beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError, UnreadableError
from headstart.core.types import AnyArray, Decision, Reporter
from headstart.data.audio import sound_hash
from headstart.data.decodable import readable
from headstart.data.decoding import decode
from headstart.data.folders import walk
from headstart.data.frames import path_part
from headstart.data.grouping import grouped
from headstart.data.part import AUDIO_ENDINGS, Part, shown
from headstart.data.recordings import LONG
from headstart.sequences.base import Examples, Reading, fingerprint
from headstart.sequences.columns import Table, column, open_table

PATHS = ("audio", "path", "file", "filename", "file_name", "wav", "recording", "audio_path")
TEXTS = ("transcript", "transcription", "text", "sentence", "transcripts", "words")
SPEAKERS = ("speaker", "speaker_id", "client_id", "voice", "spk_id")
LISTED = "metadata.csv"
"""A table inside a folder of sounds, as Hugging Face writes them."""
NONE = "no transcript"
_OVERRIDE = "--group COLUMN holds other things together"


def read(
    data: Any,
    *,
    label: str | None,
    path: str | None,
    group: str | None,
    test: Any,
    columns: Mapping[str, str] | None,
    allow_unreadable: float,
    reporter: Reporter,
) -> Reading:
    """Read recordings with transcripts; see ``SequenceKind.read``.

    Raises
    ------
    DataError, UnreadableError, UnknownNameError
        Each names the file and the row.
    """
    data, test = _parts(data, test)
    named = {"label": label, "path": path, "group": group}
    train = _decoded(_part(data, named, columns), allow_unreadable, reporter)
    held = None
    if test is not None:
        held = _decoded(
            _part(test, named, columns or train.names, judges=True), allow_unreadable, reporter
        )
    train = _one_speaker(train, group)
    train, held, groups, of_held = grouped(train, held, duplicates=True, reporter=reporter)
    if not train.n:
        raise DataError("no recording is left to learn from", where=train.origin)
    by_speaker = train.groups is not None
    return Reading(
        train=_examples(train, groups, grouped=by_speaker),
        test=None
        if held is None
        else _examples(held, of_held, grouped=by_speaker and held.groups is not None),
        origin=train.origin,
        label_name=train.label_name,
        columns=train.names,
        fingerprint=_fingerprint(train),
        decisions=tuple(
            dict.fromkeys([*train.decisions, *(held.decisions if held is not None else ())])
        ),
        skipped=train.skipped + (held.skipped if held is not None else ()),
    )


def _parts(data: Any, test: Any) -> tuple[Any, Any]:
    """Return the training and the test part of a folder that has both, or what was given."""
    if test is None and isinstance(data, str | Path):
        inside = [Path(data).expanduser() / name for name in ("train", "test")]
        if all(one.is_dir() for one in inside):
            return inside[0], inside[1]
    return data, test


def _part(
    data: Any,
    named: Mapping[str, str | None],
    columns: Mapping[str, str] | None,
    *,
    judges: bool = False,
) -> Part:
    table = open_table(data)
    if table is None:
        root = Path(data).expanduser()
        if not root.is_dir():
            raise DataError(
                "transcripts come in a table or as texts beside the sounds",
                where=str(root),
                allowed="a CSV, TSV, JSON Lines or Parquet file, or a folder",
            )
        table = open_table(root / LISTED) if (root / LISTED).is_file() else None
        if table is None:
            return _without_text(_folder(root))
    return _without_text(_table(table, named, columns, judges=judges))


def _table(
    table: Table,
    named: Mapping[str, str | None],
    columns: Mapping[str, str] | None,
    *,
    judges: bool,
) -> Part:
    paths, said = column(
        table, "recordings", PATHS, named=named["path"], columns=columns, option="--path"
    )
    assert paths is not None
    texts, more = column(
        table,
        "transcripts",
        TEXTS,
        named=named["label"],
        columns=columns,
        option="--label",
        taken=[paths],
    )
    assert texts is not None
    decisions = [*table.decisions, *said, *more]
    wanted = named["group"]
    if judges and wanted not in table.frame.columns:
        wanted = None  # a test part need not name its speakers
    speakers, _ = column(
        table,
        "speakers",
        SPEAKERS,
        named=wanted,
        columns=columns,
        option="--group",
        required=False,
        taken=[paths, texts],
    )
    groups = table.cells(speakers) if speakers is not None else None
    if speakers is not None and wanted is None and not judges:
        why = "judged on speakers who were not learnt from, which is harder and what use is like"
        decisions.append(
            Decision(f"recordings of one {speakers!r} are held together", why, _OVERRIDE)
        )
    names = {"recordings": paths, "transcripts": texts}
    if speakers is not None:
        names["speakers"] = speakers
    part = Part(
        "audio",
        list(table.frame[paths]),
        list(table.ids),
        labels=table.cells(texts),
        groups=groups,
        label_name=texts,
        origin=table.where,
        names=names,
        decisions=tuple(decisions),
    )
    return path_part(part, table.folder)


def _folder(root: Path) -> Part:
    """Read a folder of sounds with ``NAME.txt`` beside each, or LibriSpeech's ``*.trans.txt``."""
    files = list(walk(root))
    listed = _listed([file for file in files if file.name.endswith(".trans.txt")])
    sounds = [file for file in files if file.suffix.lower() in AUDIO_ENDINGS]
    if not sounds:
        raise DataError("no recording was found", where=str(root), got=f"{len(files)} files")
    texts: list[str | None] = []
    for sound in sounds:
        beside = sound.with_suffix(".txt")
        own = decode(beside.read_bytes(), str(beside))[0].strip() if beside.is_file() else ""
        texts.append(own or listed.get(sound.with_suffix("")))
    decisions = [Decision("transcripts are the texts beside the sounds", "NAME.txt for NAME.wav")]
    groups = None
    if listed:
        groups = [sound.stem.partition("-")[0] for sound in sounds]
        why = "the first number of a file's name, as LibriSpeech names its speakers"
        decisions.append(Decision("recordings of one speaker are held together", why))
    return Part(
        "audio",
        sounds,
        [sound.relative_to(root).as_posix() for sound in sounds],
        labels=texts,
        groups=groups,
        label_name="transcript",
        origin=str(root),
        decisions=tuple(decisions),
    )


def _listed(files: list[Path]) -> dict[Path, str]:
    found = {}
    for file in files:
        for line in decode(file.read_bytes(), str(file))[0].splitlines():
            name, _, text = line.strip().partition(" ")
            if text.strip():
                found[file.parent / name] = text.strip()
    return found


def _without_text(part: Part) -> Part:
    assert part.labels is not None
    missing = {i: NONE for i, text in enumerate(part.labels) if text is None}
    return part.leave_out(missing)


def _decoded(part: Part, allowed: float, reporter: Reporter) -> Part:
    """Leave out what cannot be read or has no transcript; refuse where that is too much."""
    silent = [entry.item for entry in part.skipped if entry.reason == NONE]
    total = part.n + len(part.skipped)
    if len(silent) > allowed * max(total, 1):
        raise UnreadableError(
            f"{len(silent)} of {total} recordings have no transcript",
            where=part.origin,
            got=shown(silent),
            allowed=f"at most {allowed:.0%}",
            hint="Write them, or leave them out: --allow-unreadable "
            f"{min(1.0, math.ceil(100 * len(silent) / total) / 100):.2f}",
        )
    part = readable(part, part.n, allowed=allowed, reporter=reporter)
    # all of a long recording is written down, not only windows of it
    kept = [one for one in part.decisions if f"longer than {LONG:g} s" not in one.what]
    return replace(part, decisions=tuple(kept))


def _one_speaker(part: Part, named: str | None) -> Part:
    """Hold nothing together where a column that nobody named knows one speaker only."""
    if part.groups is None or named is not None or len({str(one) for one in part.groups}) > 1:
        return part
    kept = [one for one in part.decisions if "are held together" not in one.what]
    told = Decision("judged on recordings of the same speaker", "there is one speaker only")
    return replace(part, groups=None, decisions=(*kept, told))


def _examples(part: Part, groups: AnyArray, *, grouped: bool) -> Examples:
    assert part.labels is not None
    return Examples(
        inputs=tuple(str(item) if isinstance(item, Path) else item for item in part.items),
        targets=tuple(str(text) for text in part.labels),
        ids=tuple(part.ids),
        groups=groups,
        grouped=grouped,
    )


def _fingerprint(train: Part) -> str:
    contents = train.contents or [sound_hash(item) for item in train.items]
    return fingerprint(contents, [str(text) for text in train.labels or ()])
