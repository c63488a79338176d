"""Which images really decode: the others are left out, or refused when they are too many."""

from __future__ import annotations

import math
from typing import Any

from headstart import parallel
from headstart.core.errors import DataError, UnreadableError
from headstart.core.types import Reporter
from headstart.data.images import read_image
from headstart.data.part import Part


def readable(part: Part, found: int, *, allowed: float, reporter: Reporter) -> Part:
    """Leave out images that cannot be decoded; refuse when they are too many."""
    if part.modality != "image":
        return part
    broken = broken_images(part.items, reporter)
    part = part.leave_out(broken)
    paths = ("the file does not exist", "it is a folder", "no path")
    lost = [s for s in part.skipped if s.reason in paths or s.reason in set(broken.values())]
    total = found + sum(entry.reason in paths for entry in part.skipped)
    if len(lost) > allowed * max(total, 1):
        listed = "; ".join(f"{entry.item}: {entry.reason}" for entry in lost[:5])
        raise UnreadableError(
            f"{len(lost)} of {total} images cannot be read",
            where=part.origin,
            got=listed + (f"; and {len(lost) - 5} more" if len(lost) > 5 else ""),
            allowed=f"at most {allowed:.0%}",
            hint=f"Repair or remove them, or allow them: --allow-unreadable "
            f"{min(1.0, math.ceil(100 * len(lost) / total) / 100):.2f}",
        )
    return part


def broken_images(items: Any, reporter: Reporter) -> dict[int, str]:
    """Return the positions of images that cannot be decoded, each with the reason."""
    broken: dict[int, str] = {}
    for i, reason in enumerate(parallel.map(_why_unreadable, items)):
        if reason:
            broken[i] = reason
        reporter.progress("reading images", i + 1, len(items))
    return broken


def _why_unreadable(item: Any) -> str:
    try:
        read_image(item, max_side=64)
    except DataError as error:
        return error.what
    return ""
