"""Loss and validation curves as JSON Lines, as a picture, and for TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError, MissingExtraError, OptionError
from headstart.encode.output import replacing

History = Sequence[Mapping[str, float]]

BLUE, RED, GREY = "#0b62a4", "#c8451b", "#5f6670"  # told apart by everybody, also in print
FORMATS = (".png", ".svg")
DOTS_PER_INCH = 150
_TAGS = {
    "loss": "loss/training",
    "validation_loss": "loss/validation",
    "validation_score": "score/validation",
    "rate": "rate",
}


def write_jsonl(history: History, path: str | Path) -> Path:
    """Write curves as JSON Lines, a row a line; the file appears whole or not at all.

    Parameters
    ----------
    history : sequence of mapping
        What ``history_`` of a fitted estimator holds. Numbers that are not finite become null.
    path : path
        Its folder is made.

    Returns
    -------
    Path
        Of the file.

    Examples
    --------
    >>> import tempfile
    >>> rows = [{"step": 1, "epoch": 1.0, "rate": 1e-4, "loss": 0.5}]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     read_jsonl(write_jsonl(rows, f"{folder}/curves.jsonl")) == rows
    True
    """
    with replacing(Path(path)) as part:
        part.write_text(as_lines(history), encoding="utf-8")
    return Path(path)


def as_lines(history: History) -> str:
    """Return curves as JSON Lines; numbers that are not finite become null."""
    rows = (
        {name: value if math.isfinite(value) else None for name, value in row.items()}
        for row in history
    )
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def read_jsonl(path: str | Path) -> list[dict[str, float]]:
    """Return the rows of a file that :func:`write_jsonl` wrote; null is read as not a number.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataError
        No file, or a line that is no row of numbers.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("the curves cannot be read", where=str(path), got=str(error)) from error
    rows = []
    for place, line in enumerate(lines, start=1):
        try:
            found = json.loads(line)
            rows.append({str(name): _number(value) for name, value in found.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise DataError(
                "not a row of a curve",
                where=f"{path}, line {place}",
                got=line[:80],
                allowed='names and numbers, as {"step": 1, "loss": 0.5}',
            ) from error
    return rows


def write_tensorboard(history: History, folder: str | Path) -> Path:
    """Write curves as events for TensorBoard.

    Parameters
    ----------
    history : sequence of mapping
        What ``history_`` of a fitted estimator holds.
    folder : path
        ``tensorboard --logdir`` shows it; made where it is missing.

    Raises
    ------
    MissingExtraError
        The package ``tensorboard`` is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "writing its events") from error
    writer = SummaryWriter(log_dir=str(folder))
    try:
        for row in history:
            for name, tag in _TAGS.items():
                if name in row:
                    writer.add_scalar(tag, row[name], global_step=int(row["step"]))
    finally:
        writer.close()
    return Path(folder)


def plot(history: History, path: str | Path) -> Path:
    """Draw the loss of training and validation, and the validation score, over the epochs.

    Parameters
    ----------
    history : sequence of mapping
        What ``history_`` of a fitted estimator holds.
    path : path
        Ends in ``.png`` or ``.svg``; the file appears whole or not at all.

    Raises
    ------
    DataError
        There is nothing to draw.
    MissingExtraError
        Matplotlib is not installed.
    OptionError
        Another kind of file.
    """
    trained = [row for row in history if "loss" in row]
    looked = [row for row in history if "validation_loss" in row]
    if not trained and not looked:
        raise DataError("there is no curve to draw", where="history", got=f"{len(history)} rows")
    # of numbers the score is the negative loss, which is there already
    scored = any(row["validation_score"] != -row["validation_loss"] for row in looked)
    figure, panels = blank(path, heights=(3, 2) if scored else (1,))
    above = panels[0]
    if trained:
        above.plot(_of(trained, "epoch"), _of(trained, "loss"), color=BLUE, label="training")
    if looked:
        style = {"color": RED, "marker": "o", "markersize": 4}
        above.plot(
            _of(looked, "epoch"), _of(looked, "validation_loss"), label="validation", **style
        )
        above.legend(frameon=False)
    above.set_ylabel("loss per item")
    if scored:
        scores = _of(looked, "validation_score")
        panels[1].plot(_of(looked, "epoch"), scores, **style)
        best = scores.index(max(scores))
        panels[1].annotate(
            f"best {scores[best]:.3f}",
            (looked[best]["epoch"], scores[best]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=GREY,
        )
        panels[1].margins(x=0.07, y=0.3)
        panels[1].set_ylabel("validation score\n(share right)")
    panels[-1].set_xlabel("epoch (passes over the items)")
    return save(figure, path)


def blank(path: str | Path, *, heights: tuple[int, ...] = (1,)) -> tuple[Any, list[Any]]:
    """Return an empty figure, outside of Matplotlib's global state, and its panels.

    Parameters
    ----------
    path : path
        Where it will be saved; checked here, before anything is drawn.
    heights : tuple of int
        Of the panels, in proportion to one another, from top to bottom; they share the x axis.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    OptionError
        A kind of file that is not written.
    """
    if Path(path).suffix.lower() not in FORMATS:
        raise OptionError(
            "not a kind of picture that is written",
            where="path",
            got=str(path),
            allowed=f"a name that ends in {' or '.join(FORMATS)}",
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots", "drawing curves") from error
    figure = Figure(figsize=(6.4, 4.0 if len(heights) == 1 else 5.0), layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    panels: list[Any] = []
    for place in range(len(heights)):
        panel = figure.add_subplot(grid[place], sharex=panels[0] if panels else None)
        panel.grid(True, color="#e3e6ea", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.tick_params(color=GREY, labelcolor=GREY, which="both")
        for side, spine in panel.spines.items():
            spine.set_visible(side in ("left", "bottom"))
            spine.set_color(GREY)
        panels.append(panel)
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    return figure, panels


def save(figure: Any, path: str | Path) -> Path:
    """Write a figure as PNG or SVG; the file appears whole or not at all."""
    kind = Path(path).suffix.lower().removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else None
    with replacing(Path(path)) as part:
        figure.savefig(part, format=kind, dpi=DOTS_PER_INCH, metadata=metadata)
    return Path(path)


def _of(rows: History, name: str) -> list[float]:
    return [row[name] for row in rows]


def _number(value: Any) -> float:
    """Return a number as it is; null as not a number.

    Raises
    ------
    TypeError
        Anything else.
    """
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(type(value).__name__)
    return value
