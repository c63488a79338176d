"""What people read at the end of ``fit --task``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from headstart.cli.tables import COLOURS, new_table, split

if TYPE_CHECKING:
    from headstart.sequence_result import SequenceResult


def sequence_blocks(result: SequenceResult, model: str) -> Iterator[RenderableType]:
    """Yield the blocks that end ``fit --task``: candidates, what was judged, the gain."""
    yield ""
    count = result.reading.train.n
    yield Text(f"Candidates, compared on the training part ({count:,} examples)")
    table = new_table(
        "candidate", f">{result.metric} out of fold", ">95 % interval", ">seconds", ""
    )
    for one in result.candidates:
        if one.status == "left out":
            continue
        estimate, interval = split(one.score)
        mark = "<- chosen" if one.status == "chosen" else one.reason
        table.add_row(
            one.name,
            estimate,
            interval,
            f"{one.seconds:.1f}",
            escape(mark),
            style="bold" if one.status == "chosen" else "",
        )
    yield table
    for one in result.candidates:
        if one.status == "left out":
            yield Text(f"left out: {one.name}: {one.reason}", style="dim")
    yield ""
    yield Text(f"Judged on {result.judged_by}")
    measures = [one.name for one in result.kind.measures if one.name != result.metric]
    judged = new_table(
        "", f">{result.metric}", ">95 % interval", *(f">{name}" for name in measures)
    )
    names = [result.baseline.name, *([result.transfer.name] if result.transfer else [])]
    for name in reversed(names):
        estimate, interval = split(result.scores[name])
        further = [f"{result.others[name][measure].estimate:.3f}" for measure in measures]
        bold = "bold" if name == result.shipped.name else ""
        judged.add_row(name, estimate, interval, *further, style=bold)
    yield judged
    yield ""
    colour = COLOURS[result.gain.verdict] if result.gain else "yellow"
    for sentence in result.sentences():
        yield Text(sentence, style=f"bold {colour}")
    yield Text(f"model: {model}    took {result.seconds:.0f} s    seed {result.seed}", style="dim")
