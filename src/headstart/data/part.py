"""What every reader of a form of DATA hands on: items with raw labels, before they are judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from headstart.core import missing
from headstart.core.types import Decision, IntArray, Modality, Skipped, subset
from headstart.data.sound_file import FOREIGN, SUFFIXES

IMAGE_ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
) | {".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".jp2", ".avif"}
AUDIO_ENDINGS = SUFFIXES | FOREIGN
ENDINGS: dict[str, frozenset[str]] = {"image": IMAGE_ENDINGS, "audio": AUDIO_ENDINGS}
NOUNS = {"image": "image", "audio": "recording"}
"""What an item of a modality that comes in files is called."""


@dataclass(frozen=True, eq=False)
class Part:
    """One part of DATA (the training or the test part) as it was found.

    Parameters
    ----------
    modality : {"image", "text", "audio", "table"}
    items : sequence of length n
    ids : list of str, length n
    labels, groups, domains : list of length n, or None where DATA has none
    label_name : str
        The column, or "folder".
    origin : str
        What the user gave, for messages.
    names : dict, optional
        The columns that were chosen: keys "label", "text", "path", "group", "domain".
    rows : list of int, optional
        Where each item stood when it was read, once items were left out.
    contents : list of bytes, length n, optional
        Hashes of what is heard in recordings, from when they were looked at.
    """

    modality: Modality
    items: Any
    ids: list[str]
    labels: list[Any] | None = None
    groups: list[Any] | None = None
    domains: list[Any] | None = None
    label_name: str = "label"
    origin: str = ""
    decisions: tuple[Decision, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    rows: list[int] | None = None
    contents: list[bytes] | None = None

    @property
    def n(self) -> int:
        """Number of items."""
        return len(self.ids)

    def say(self, *decisions: Decision) -> Part:
        """Return the part with further decisions."""
        return replace(self, decisions=self.decisions + decisions)

    def only(self, places: Sequence[int]) -> Part:
        """Return the items at these places as a part of its own, without labels."""
        at = np.array(places, dtype=np.int64)
        return replace(
            self,
            items=subset(self.items, at),
            ids=[self.ids[i] for i in at],
            labels=None,
            groups=None,
            domains=_pick(self.domains, at),
            rows=None,
            contents=_pick(self.contents, at),
            decisions=(),
            skipped=(),
        )

    def leave_out(self, reasons: dict[int, str]) -> Part:
        """Return the part without the items at these positions, each listed with its reason."""
        if not reasons:
            return self
        kept = np.array([i for i in range(self.n) if i not in reasons], dtype=np.int64)
        left = tuple(Skipped(self.ids[i], reasons[i]) for i in sorted(reasons))
        return replace(
            self,
            items=subset(self.items, kept),
            ids=[self.ids[i] for i in kept],
            labels=_pick(self.labels, kept),
            groups=_pick(self.groups, kept),
            domains=_pick(self.domains, kept),
            rows=_pick(self.rows if self.rows is not None else range(self.n), kept),
            contents=_pick(self.contents, kept),
            skipped=self.skipped + left,
        )


def _pick(values: Sequence[Any] | None, kept: IntArray) -> list[Any] | None:
    return None if values is None else [values[int(i)] for i in kept]


def is_missing(value: Any) -> bool:
    """Return True for None, NaN, pandas' NA and NaT, and blank strings."""
    if isinstance(value, str):
        return not value.strip()
    return missing.is_missing(value)


def shown(names: Sequence[Any], limit: int = 5) -> str:
    """Return the first few names as a text, with how many more there are."""
    head = ", ".join(repr(str(name)) for name in names[:limit])
    return head if len(names) <= limit else f"{head} and {len(names) - limit} more"
