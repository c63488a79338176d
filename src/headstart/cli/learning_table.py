"""What ``fit`` prints of the learning curve, and of what to label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from headstart.evaluate import Curve, Estimate
    from headstart.result import Result

TOP = 5
"""How many suggestions are printed; ``--json`` gives all."""


def curve_blocks(result: Result) -> Iterator[RenderableType]:
    """Yield the learning curve as a table, where it was measured, and what it says."""
    curve = result.curve
    if curve is None:
        return
    yield ""
    yield Text(f"Learning curve, {curve.metric} on the same judging items")
    yield _table(curve)
    for sentence in result.curve_sentences():
        yield Text(sentence)


def label_blocks(result: Result) -> Iterator[RenderableType]:
    """Yield what to label next, and which labels to look at."""
    if result.label_these:
        yield ""
        yield Text("Label these next (no label yet)")
        for one in result.label_these[:TOP]:
            yield Text(f"  {one.id}: {one.reason}")
    elif result.neediest:
        yield ""
        yield Text("More labels of these classes would help most (recognised out of fold)")
        for need in result.neediest:
            other = f", most taken for {need.mistaken_for}" if need.mistaken_for else ""
            yield Text(
                f"  {need.label}: {need.recall:.0%} [{need.low:.0%}, {need.high:.0%}]"
                f" of {need.n:,}{other}"
            )
    if result.suspects:
        yield ""
        left = len(result.suspects) - TOP
        more = f" ({left:,} more in --json)" if left > 0 else ""
        yield Text(f"Look at these labels, they may be wrong{more}")
        for wrong in result.suspects[:TOP]:
            yield Text(
                f"  {wrong.id}: labelled {wrong.given}, looks like {wrong.suggested}"
                f" ({wrong.confidence:.2f})"
            )


def _table(curve: Curve) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in (curve.unit, "repeats", curve.transfer, "scratch", "gain"):
        table.add_column(escape(name), justify="right")
    for point in curve.points:
        table.add_row(
            f"{point.n:,.4g}",
            str(len(point.repeats)),
            _shown(point.transfer),
            _shown(point.scratch),
            _shown(point.gain, "+"),
        )
    return table


def _shown(found: Estimate, sign: str = "") -> str:
    low, high = (f"{end:{sign}.3f}" for end in (found.low, found.high) if end is not None)
    return f"{found.estimate:{sign}.3f} \\[{low}, {high}]"
