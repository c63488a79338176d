"""Items that are readable but odd, and columns that tell nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import SILENT, Reporter, Task
from headstart.data.audio import AudioFacts, audio_facts
from headstart.data.findings import Finding, found, many
from headstart.data.images import ImageFacts, image_facts
from headstart.data.recordings import findings_of

TINY_SIDE = 32
"""Images with a shorter side below this are named."""
LARGE_PIXELS = 12_000_000
"""Images with more pixels than this are named: they are slow to read."""
SLIM = 4.0
"""Images this many times longer than wide (or wider than long) are named."""
SHORT_TEXT = 3
"""Texts with fewer characters than this are named."""
LONG_TEXT = 2_000
"""Texts with more words than this are named: sources read their beginning only."""
MISSING = 0.2
"""From this share on, missing values are a warning."""
_USUAL_MODES = frozenset(["RGB", "L", "uint8"])
_ID_ROWS = 20


def check_items(task: Task, *, reporter: Reporter = SILENT) -> list[Finding]:
    """Look at the items one by one: sizes of images, lengths of texts, loudness, table columns.

    Parameters
    ----------
    task : Task
        Its training part is looked at.

    Returns
    -------
    list of Finding
    """
    if task.modality == "image":
        return _images(task, reporter)
    if task.modality == "audio":
        return _sounds(task, reporter)
    if task.modality == "text":
        return _texts(task)
    return _columns(task)


def _facts(item: Any) -> ImageFacts | None:
    try:
        return image_facts(Path(item) if isinstance(item, str) else item)
    except DataError:
        return None


def _images(task: Task, reporter: Reporter) -> list[Finding]:
    seen: list[tuple[str, ImageFacts]] = []
    for i, facts in enumerate(parallel.map(_facts, task.items)):
        if facts is not None:
            seen.append((task.ids[i], facts))
        if i % 256 == 255 or i + 1 == task.n:
            reporter.progress("looking at images", i + 1, task.n)
    odd = [(name, each) for name, each in seen if each.mode not in _USUAL_MODES]
    modes = Counter(each.mode for _, each in odd)
    told = [(name, each) for name, each in seen if each.notes]
    return [
        *_sizes(seen),
        *found(
            "unusual-modes",
            "info",
            [name for name, _ in odd],
            f"{many(len(odd), 'image')} not stored as plain RGB or grey: "
            + ", ".join(f"{count:,} {mode}" for mode, count in modes.most_common()),
            "they are converted to RGB, transparency on white",
            notes=[each.mode for _, each in odd],
        ),
        *found(
            "several-frames",
            "info",
            [name for name, _ in told],
            f"{many(len(told), 'image')} with several frames or pages",
            "of each the first one is used",
            notes=["; ".join(each.notes) for _, each in told],
        ),
    ]


def _sizes(seen: list[tuple[str, ImageFacts]]) -> list[Finding]:
    tests: list[tuple[str, Callable[[int, int], bool], str, str]] = [
        (
            "tiny-images",
            lambda short, _: short < TINY_SIDE,
            f"below {TINY_SIDE} pixels on a side",
            "sources enlarge them; details that are not there cannot help",
        ),
        (
            "large-images",
            lambda short, long: short * long > LARGE_PIXELS,
            f"above {LARGE_PIXELS // 10**6} megapixels",
            "they are slow to read; smaller copies teach a model as much",
        ),
        (
            "slim-images",
            lambda short, long: long > SLIM * short,
            f"more than {SLIM:.0f} times as long as wide",
            "sources look at the middle square: crop them around what matters",
        ),
    ]
    findings = []
    for kind, odd, what, advice in tests:
        sides = ((name, each, sorted((each.width, each.height))) for name, each in seen)
        them = [(name, each) for name, each, (short, long) in sides if odd(short, long)]
        findings += _sized(kind, them, what, advice)
    return findings


def _sized(kind: str, them: list[tuple[str, ImageFacts]], what: str, advice: str) -> list[Finding]:
    return found(
        kind,
        "info",
        [name for name, _ in them],
        f"{many(len(them), 'image')} {what}",
        advice,
        notes=[f"{each.width} x {each.height}" for _, each in them],
    )


def _sounds(task: Task, reporter: Reporter) -> list[Finding]:
    names, heard = [], []
    for i, facts in enumerate(parallel.map(_audio_facts, task.items)):
        if facts is not None:
            names.append(task.ids[i])
            heard.append(facts)
        reporter.progress("listening", i + 1, task.n)
    return findings_of(names, heard)


def _audio_facts(item: Any) -> AudioFacts | None:
    try:
        return audio_facts(item)
    except DataError:
        return None


def _texts(task: Task) -> list[Finding]:
    empty, short, long = [], [], []
    for name, text in zip(task.ids, task.items, strict=True):
        size = len(text.strip())
        if not size:
            empty.append(name)
        elif size < SHORT_TEXT:
            short.append((name, text.strip()))
        elif size > LONG_TEXT and text.count(" ") >= LONG_TEXT:
            long.append((name, many(len(text.split()), "word")))
    return [
        *found(
            "empty-texts",
            "warning",
            empty,
            f"{many(len(empty), 'text')} with nothing in them",
            "remove them: they teach that nothing means their label",
        ),
        *found(
            "short-texts",
            "info",
            [name for name, _ in short],
            f"{many(len(short), 'text')} of fewer than {SHORT_TEXT} characters",
            "see whether they are texts at all",
            notes=[repr(text) for _, text in short],
        ),
        *found(
            "long-texts",
            "info",
            [name for name, _ in long],
            f"{many(len(long), 'text')} of more than {LONG_TEXT:,} words",
            "a source reads only the beginning (its card says how many tokens)",
            notes=[words for _, words in long],
        ),
    ]


def _columns(task: Task) -> list[Finding]:
    frame = task.items
    left_out = [entry for entry in task.decisions if entry.what.startswith("column ")]
    gaps = {str(name): float(frame[name].isna().mean()) for name in frame.columns}
    holes = sorted((name for name, share in gaps.items() if share), key=lambda name: -gaps[name])
    constant = [str(name) for name in frame.columns if frame[name].nunique(dropna=False) <= 1]
    numbered = [
        str(name)
        for name in frame.columns
        if str(name) not in constant and _numbers_rows(frame[name])
    ]
    worst = max(gaps.values(), default=0.0)
    return [
        *found(
            "columns-left-out",
            "info",
            [entry.what for entry in left_out],
            f"{many(len(left_out), 'column')} are not used",
            "nothing, if that is right",
            notes=[entry.why for entry in left_out],
        ),
        *found(
            "constant-columns",
            "warning",
            constant if len(frame) > 1 else [],
            f"{many(len(constant), 'column')} with one value only",
            "remove them: they tell nothing",
        ),
        *found(
            "id-columns",
            "warning",
            numbered,
            f"{many(len(numbered), 'column')} with another value in every row, like an identifier",
            "remove them, unless they measure something",
        ),
        *found(
            "missing-values",
            "warning" if worst >= MISSING else "info",
            holes,
            f"{many(len(holes), 'column')} with missing values, up to {worst:.0%}",
            "they are imputed; look why they are missing",
            notes=[f"{gaps[name]:.1%} missing" for name in holes],
        ),
    ]


def _numbers_rows(column: Any) -> bool:
    """Tell whether a column has a different whole number, counted up, or text in every row."""
    if len(column) < _ID_ROWS or column.isna().any() or column.nunique() < len(column):
        return False
    if column.dtype.kind == "f" and not (column % 1 == 0).all():
        return False
    if column.dtype.kind in "iuf":
        return bool((column.diff().iloc[1:] == 1).all())
    return column.dtype.kind not in "bmM"
