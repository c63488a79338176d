"""What people read at the end of ``evaluate --against``: two models on the same items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from headstart.cli.tables import beside

COLOURS = {"positive": "green", "negative": "red", "none": "yellow", "inconclusive": "yellow"}
UNITS = ("rmse", "mae", "log_loss")


def comparison_table(measured: Mapping[str, Any], name: str) -> Iterator[RenderableType]:
    """Yield both models' measures as a table, and the difference between them.

    Parameters
    ----------
    measured : mapping
        As ``Bundle.compare`` returns it.
    name : str
        What the first model is called.
    """
    rival = measured["against"]
    further = beside(measured)
    yield Text(f"Judged on {measured['n']:,} items, the same for both")
    table = Table(box=None, pad_edge=False)
    table.add_column("model", overflow="fold")
    for column in (measured["metric"], "95 % interval", *further):
        table.add_column(column, justify="right")
    for called, found in ((name, measured), (rival["model"], rival)):
        interval = f"\\[{found['low']:.3f}, {found['high']:.3f}]"
        others = [f"{found[key]:.3f}" for key in further]
        table.add_row(escape(called), f"{found['estimate']:.3f}", interval, *others)
    yield table
    yield ""
    gain = measured["gain"]
    yield Text(sentence(gain, name), style=f"bold {COLOURS[gain['verdict']]}")
    if gain["labels_to_settle"]:
        yield Text(
            f"about {gain['labels_to_settle']:,} judged items would settle it, 4 times of 5 "
            f"(now {gain['n']:,})"
        )


def sentence(gain: Mapping[str, Any], name: str) -> str:
    """Return the difference in words.

    Parameters
    ----------
    gain : mapping
        ``estimate``, ``low``, ``high``, ``metric``, ``baseline`` and ``verdict`` of a gain.
    name : str
        The model that is compared with the baseline.
    """
    other = gain["baseline"]
    values = (gain["estimate"], gain["low"], gain["high"])
    if gain["metric"] in UNITS:
        shown = [f"{value:+.3f}" for value in values]
        size = f"{shown[0]} {gain['metric']} [{shown[1]}, {shown[2]}] (positive: it errs less)"
    else:
        shown = [f"{100 * value:+.1f}" for value in values]
        size = f"{shown[0]} points of {gain['metric']} [{shown[1]}, {shown[2]}]"
    return {
        "positive": f"{name} is better than {other}: {size}.",
        "negative": f"{name} is worse than {other}: {size}.",
        "none": f"No difference that matters: {name} against {other} is {size}.",
        "inconclusive": f"Inconclusive: {name} against {other} is {size}.",
    }[gain["verdict"]]
