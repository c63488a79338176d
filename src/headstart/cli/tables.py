"""What people read at the end of a verb."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from headstart.cli.learning_table import curve_blocks, label_blocks
from headstart.evaluate.metrics import SEQUENCE_METRICS

if TYPE_CHECKING:
    from headstart.core.types import Candidate, Score
    from headstart.data import CheckReport, Example
    from headstart.encode import CacheInfo
    from headstart.result import Result
    from headstart.sources import SourceCard

COLOURS = {"positive": "green", "negative": "red", "none": "yellow", "inconclusive": "yellow"}
MARKS = {"error": "[red]error[/red]", "warning": "[yellow]warning[/yellow]", "info": "info"}


def new_table(*columns: str) -> Table:
    """Return an empty table; a column whose name starts with ``>`` is set to the right."""
    table = Table(box=None, pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", overflow="fold")
    return table


def result_table(result: Result, model: str) -> Iterator[RenderableType]:
    """Yield the blocks that end ``fit``: candidates, the choice, the gain, what to try next."""
    yield ""
    yield Text(f"Candidates, compared on the training part ({result.task.n:,} items)")
    table = new_table(
        "candidate", f">{result.metric} out of fold", ">95 % interval", ">seconds", ""
    )
    ranked = result.ranked()
    for candidate in ranked:
        if candidate.status == "left out":
            continue
        estimate, interval = split(candidate.score)
        chosen = candidate.status == "chosen"
        mark = "<- chosen" if chosen else candidate.reason
        cells = (candidate.name, estimate, interval, f"{candidate.seconds:.1f}", escape(mark))
        table.add_row(*cells, style="bold" if chosen else "")
    yield table
    for names, reason in _left_out(ranked).items():
        yield Text(f"left out: {names}: {reason}", style="dim")
    yield ""
    yield Text(f"Judged on {result.judged_by}")
    judged = new_table("", f">{result.metric}", ">95 % interval")
    for name, score in result.judged_scores():
        estimate, interval = split(score)
        bold = "bold" if name == result.chosen.name else ""
        judged.add_row(name, estimate, interval, style=bold)
    yield judged
    if result.abstention is not None:
        yield Text(result.abstention.promise)
    yield from curve_blocks(result)
    yield from label_blocks(result)
    yield ""
    colour = COLOURS[result.gain.verdict]
    for sentence in result.sentences():
        yield Text(sentence, style=f"bold {colour}")
    if result.explanation():
        yield Text(result.explanation())
    for line in result.advice():
        yield Text(line)
    yield Text(f"model: {model}    took {result.seconds:.0f} s    seed {result.seed}", style="dim")


def _left_out(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Return why candidates did not take part, those of one source together."""
    together: dict[tuple[str | None, str], list[str]] = {}
    for one in candidates:
        if one.status == "left out":
            together.setdefault((one.source, one.reason), []).append(one.strategy)
    return {
        f"{source} + {', '.join(names)}": reason for (source, reason), names in together.items()
    }


def split(score: Score | None) -> tuple[str, str]:
    """Return a score and its interval as two cells."""
    if score is None:
        return "-", "-"
    return f"{score.estimate:.3f}", f"[{score.low:.3f}, {score.high:.3f}]".replace("[", r"\[")


def check_table(report: CheckReport) -> Iterator[RenderableType]:
    """Yield the findings of ``check``, worst first."""
    if not report.findings:
        yield Text("Nothing wrong was found.", style="green")
        return
    table = new_table("", "what", ">how many", "items", "what to do")
    for finding in report.findings:
        shown = ", ".join(finding.items[:5]) + (" ..." if finding.count > 5 else "")
        table.add_row(
            MARKS[finding.severity],
            escape(finding.text),
            f"{finding.count:,}",
            escape(shown),
            escape(finding.advice),
        )
    yield table


def sources_table(
    cards: Sequence[SourceCard], installed: Callable[[str], bool], defaults: Mapping[str, str]
) -> Iterator[RenderableType]:
    """Yield the catalogue as a table, and how to use it."""
    if not cards:
        yield Text("No source of the catalogue is like that.")
        return
    table = new_table("name", "for", "pretrained on", ">parameters", ">MB", "licence", "here")
    for card in cards:
        table.add_row(
            card.name,
            card.modality,
            escape(card.pretrained_on),
            f"{card.parameters / 1e6:.1f} M",
            f"{card.size_mb:.0f}",
            escape(card.licence),
            "yes" if installed(card.name) else "no",
        )
    yield table
    yield ""
    named = ", ".join(f"{name} for {modality}" for modality, name in defaults.items())
    yield Text(f"default: {named}; --source NAME takes another")


def examples_table(examples: Mapping[str, Example]) -> Iterator[RenderableType]:
    """Yield the example data sets as a table, and how to fetch one."""
    table = new_table("name", "for", "what")
    for name, example in examples.items():
        table.add_row(name, example.modality, escape(example.title))
    yield table
    yield ""
    yield Text("`headstart examples NAME -o DIR` fetches one and says what to do with it")


def example_lines(example: Example, place: str) -> list[str]:
    """Return what to know of an example that was fetched: what, where, licence, what to try."""
    quoted = shlex.quote(place)
    return [
        f"{example.title}: {place}",
        f"it holds: {example.layout}",
        f"licence: {example.licence}",
        f"try: {example.command.replace(f'fit {example.name}', f'fit {quoted}', 1)}",
    ]


def cache_table(info: CacheInfo, weights: Sequence[SourceCard]) -> Iterator[RenderableType]:
    """Yield what is cached as a table."""
    yield Text(f"{info.entries:,} items in {info.path}", no_wrap=True, overflow="ignore")
    table = new_table("features of", ">MB")
    for name, size in info.by_source.items():
        table.add_row(escape(name), f"{size / 1e6:.1f}")
    table.add_row("all", f"{info.bytes / 1e6:.1f} of {info.limit / 1e6:,.0f}", style="bold")
    yield table
    yield ""
    total = sum(card.size_mb for card in weights)
    names = ", ".join(card.name for card in weights) or "none"
    yield Text(f"weights, which --clear keeps: {names} ({total:,.0f} MB)")


def beside(measured: Mapping[str, Any]) -> list[str]:
    """Return the further measures that ``evaluate`` found."""
    names = ("accuracy", "macro_f1", "rmse", "r2", *SEQUENCE_METRICS)
    return [name for name in names if name in measured and name != measured["metric"]]


def evaluation_table(measured: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield a model's measures as a table."""
    yield Text(f"Judged on {measured['n']:,} items")
    table = new_table("metric", ">estimate", ">95 % interval")
    interval = f"\\[{measured['low']:.3f}, {measured['high']:.3f}]"
    table.add_row(str(measured["metric"]), f"{measured['estimate']:.3f}", interval, style="bold")
    for name in beside(measured):
        table.add_row(name, f"{measured[name]:.3f}", "")
    for name, shown in (("coverage", "answered"), ("risk_answered", "wrong of these")):
        if measured.get(name):
            one = measured[name]
            table.add_row(
                shown, f"{one['estimate']:.3f}", f"\\[{one['low']:.3f}, {one['high']:.3f}]"
            )
    yield table
    if measured.get("promise"):
        yield Text(str(measured["promise"]))
