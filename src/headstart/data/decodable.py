"""Which images and recordings really decode: the others are left out, or refused when too many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from headstart import parallel
from headstart.core.errors import DataError, UnreadableError
from headstart.core.types import Modality, Reporter
from headstart.data.audio import AudioFacts, audio_facts
from headstart.data.images import read_image
from headstart.data.part import ENDINGS, NOUNS, Part, shown
from headstart.data.recordings import said_of


def readable(part: Part, found: int, *, allowed: float, reporter: Reporter) -> Part:
    """Leave out images and recordings that cannot be decoded; refuse when they are too many."""
    if part.modality not in ENDINGS:
        return part
    looked = _looked_at(part.items, part.modality, reporter)
    broken = {i: one for i, one in enumerate(looked) if isinstance(one, str)}
    part = part.leave_out(broken)
    if part.modality == "audio":
        heard = [one for one in looked if isinstance(one, AudioFacts)]
        part = replace(part, contents=[one.content for one in heard])
        part = part.say(*said_of(heard, part.ids))
    paths = ("the file does not exist", "it is a folder", "no path")
    lost = [s for s in part.skipped if s.reason in paths or s.reason in set(broken.values())]
    total = found + sum(entry.reason in paths for entry in part.skipped)
    if len(lost) > allowed * max(total, 1):
        listed = "; ".join(f"{entry.item}: {entry.reason}" for entry in lost[:5])
        raise UnreadableError(
            f"{len(lost)} of {total} {NOUNS[part.modality]}s cannot be read",
            where=part.origin,
            got=listed + (f"; and {len(lost) - 5} more" if len(lost) > 5 else ""),
            allowed=f"at most {allowed:.0%}",
            hint=f"Repair or remove them, or allow them: --allow-unreadable "
            f"{min(1.0, math.ceil(100 * len(lost) / total) / 100):.2f}",
        )
    return part


def broken_items(
    items: Any, ids: Sequence[str], modality: Modality, reporter: Reporter
) -> dict[int, str]:
    """Return the positions of items that cannot be decoded, each with the reason.

    Silent recordings are named: what a model says of them means nothing.
    """
    looked = _looked_at(items, modality, reporter)
    silent = [ids[i] for i, one in enumerate(looked) if "silent" in getattr(one, "notes", ())]
    if silent:
        reporter.say(f"without a sound: {shown(silent)}")
    return {i: one for i, one in enumerate(looked) if isinstance(one, str)}


def _looked_at(items: Any, modality: Modality, reporter: Reporter) -> list[Any]:
    """Decode each item: why it cannot be read as a text, what it is, or None."""
    noun, looked = NOUNS[modality], []
    look = _heard if modality == "audio" else _seen
    for i, one in enumerate(parallel.map(look, items)):
        looked.append(one)
        reporter.progress(f"reading {noun}s", i + 1, len(items))
    return looked


def _seen(item: Any) -> str | None:
    try:
        read_image(item, max_side=64)
    except DataError as error:
        return error.what
    return None


def _heard(item: Any) -> str | AudioFacts:
    try:
        return audio_facts(item)
    except DataError as error:
        return error.what
