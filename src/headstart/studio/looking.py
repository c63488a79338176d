"""What is in the user's data, for a page: how many of what, and a few of the items themselves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from headstart import data as data_room
from headstart.core.errors import HeadstartError
from headstart.core.types import Reporter, Task
from headstart.data.tables import read_table, table_ending

SHOWN_CLASSES = 200
SAMPLED_CLASSES = 12
SAMPLES = 24
SIDE = 240
"""Pixels of the longer side of a small picture."""
SECONDS = 8.0
"""Of a sample of a recording."""
RATE = 16_000
TEXT = 400
"""Characters of a sample of a text."""
ROWS = 5


def columns_of(path: Path) -> dict[str, Any] | None:
    """Return the columns of a table file and its first rows; None where the data are a folder.

    Raises
    ------
    DataError
        The table cannot be read.
    """
    if not path.is_file() or table_ending(path) is None:
        return None
    frame = read_table(path).frame
    names = [str(name) for name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.head(ROWS).itertuples(index=False)]
    return {"names": names[:500], "rows": [row[:500] for row in rows], "n": len(frame)}


def seen(
    data: str, options: Mapping[str, Any], folder: Path, *, reporter: Reporter
) -> dict[str, Any]:
    """Return what the data hold.

    Parameters
    ----------
    data : str
        A folder or a table file.
    options : mapping
        Columns and modality, as for ``fit``.
    folder : Path
        Where small pictures and sounds are written.
    reporter : Reporter

    Returns
    -------
    dict
        ``modality``, ``kind``, ``n``, ``n_test``, ``label``, ``classes`` (``name``, ``n``;
        most first), ``values`` (of a regression: lowest, median, highest), ``unlabelled``,
        ``skipped``, ``decisions``, ``samples``.

    Raises
    ------
    DataError
    """
    task = data_room.read(
        data, **options, allow_unreadable=1.0, duplicates=False, reporter=reporter
    )
    labels = task.labels if task.labels is not None else np.zeros(0)
    classes: list[dict[str, Any]] = []
    values = None
    if task.kind == "classification":
        names, counts = np.unique(labels.astype(str), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        classes = [{"name": str(names[i]), "n": int(counts[i])} for i in order]
    elif len(labels):
        values = [float(np.quantile(labels.astype(float), share)) for share in (0, 0.5, 1)]
    return {
        "modality": task.modality,
        "kind": task.kind,
        "n": task.n,
        "n_test": task.test.n if task.test is not None else 0,
        "label": task.label_name,
        "classes": classes[:SHOWN_CLASSES],
        "n_classes": len(classes),
        "values": values,
        "unlabelled": task.unlabelled.n if task.unlabelled is not None else 0,
        "skipped": [{"item": one.item, "reason": one.reason} for one in task.skipped[:20]],
        "n_skipped": len(task.skipped),
        "decisions": [str(decision) for decision in task.decisions],
        "samples": _samples(task, classes, folder),
    }


def _samples(task: Task, classes: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Return a few items with their labels, evenly of the classes; those that open."""
    folder.mkdir(exist_ok=True)
    found: list[dict[str, Any]] = []
    for place in _places(task, [one["name"] for one in classes[:SAMPLED_CLASSES]]):
        try:
            item = _item(task, place, folder, len(found))
        except (HeadstartError, OSError, ValueError):
            continue  # what cannot be opened is told by the check
        label = None if task.labels is None else task.labels[place]
        shown = float(label) if isinstance(label, float) else None if label is None else str(label)
        found.append({"id": task.ids[place], "label": shown, **item})
    return found


def _places(task: Task, names: list[str]) -> list[int]:
    """Return which items to show: the same number of each class, spread over the data."""
    if not names or task.labels is None:
        return sorted({int(i) for i in np.linspace(0, task.n - 1, min(12, task.n))})
    each = max(1, min(4, SAMPLES // len(names)))
    labels, found = task.labels.astype(str), []
    for name in names:
        own = np.flatnonzero(labels == name)
        picked = np.unique(np.linspace(0, len(own) - 1, min(each, len(own))).astype(int))
        found += [int(own[i]) for i in picked]
    return found


def _item(task: Task, place: int, folder: Path, number: int) -> dict[str, Any]:
    if task.modality == "image":
        picture = data_room.read_image(task.items[place], max_side=SIDE)
        picture.thumbnail((SIDE, SIDE))
        picture.save(folder / f"{number}.webp", quality=80)
        return {"file": f"{number}.webp", "width": picture.width, "height": picture.height}
    if task.modality == "audio":
        import soundfile

        sound = data_room.read_audio(task.items[place], rate=RATE, seconds=SECONDS)
        soundfile.write(folder / f"{number}.wav", np.clip(sound, -1, 1), RATE, subtype="PCM_16")
        return {"file": f"{number}.wav"}
    if task.modality == "text":
        text = str(task.items[place])
        return {"text": text[:TEXT] + ("…" if len(text) > TEXT else "")}
    row = task.items.iloc[place]
    return {"values": {str(name): _cell(value) for name, value in list(row.items())[:30]}}


def _cell(value: Any) -> str | float | None:
    """Return a cell as JSON can carry it, not too long."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return None
    if isinstance(value, (int, float, np.number)) and not isinstance(value, bool):
        return float(value)
    text = str(value)
    return text[:120] + ("…" if len(text) > 120 else "")
