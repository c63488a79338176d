"""What people read at the end of a zero-shot ``fit`` in which nothing was trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from headstart.cli.learning_table import label_blocks
from headstart.cli.tables import new_table

if TYPE_CHECKING:
    from headstart.zero_result import ZeroShotResult

SHOWN = 20


def zero_blocks(result: ZeroShotResult, model: str) -> Iterator[RenderableType]:
    """Yield the classes, what was measured of them, and how far that can be trusted."""
    names = list(result.contents.classes)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    yield ""
    yield Text(f"{len(names)} classes: {', '.join(names[:SHOWN])}{more}")
    rows = result.judged_scores()
    if rows:
        yield Text(f"Judged on {result.judged_by}")
        table = new_table("", f">{result.metric}", ">95 % interval")
        for name, score in rows:
            interval = f"\\[{score.low:.3f}, {score.high:.3f}]"
            table.add_row(escape(name), f"{score.estimate:.3f}", interval)
        yield table
    yield from label_blocks(result)
    yield ""
    colour = "green" if result.measured else "yellow"
    for sentence in result.sentences():
        yield Text(sentence, style=f"bold {colour}")
    for line in result.advice():
        yield Text(line)
    yield Text(f"model: {model}    took {result.seconds:.0f} s    seed {result.seed}", style="dim")
