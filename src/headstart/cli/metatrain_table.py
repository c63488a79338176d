"""What people read at the end of ``metatrain``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from headstart.cli.tables import new_table

if TYPE_CHECKING:
    from headstart.core.types import Gain, Score
    from headstart.meta.report import MetaResult, Row


def metatrain_table(result: MetaResult) -> Iterator[RenderableType]:
    """Yield what each method reaches on unseen classes, what was written, and what to do next."""
    shots = sorted(result.rows[0].as_source)
    episodes = next(iter(result.rows[0].as_source.values())).n
    yield Text(
        f"Accuracy over {episodes:,} episodes of {result.ways} classes that no method has seen; "
        "+- is 1.96 standard errors"
    )
    named = [f">{count}-shot" for count in shots]
    table = new_table("embedding", "head", *named, *(f"{one} - rfs" for one in named))
    for row in result.rows:
        cells = [_score(row.as_source[count]) for count in shots]
        gains = [_gain(row.over_rfs.get(count)) for count in shots]
        style = "bold" if row.name == result.chosen else ""
        table.add_row(escape(row.name), row.head, *cells, *gains, style=style)
    yield table
    adapting = [row for row in result.rows if row.own and row.name != "rfs"]
    if adapting:
        yield ""
        yield Text("Answered each method's own way")
        table = new_table("method", *named, *(f"{one} - rfs" for one in named))
        for row in adapting:
            cells = [_score(row.own[count]) for count in shots]
            table.add_row(row.name, *cells, *(_gain(row.own_over_rfs[count]) for count in shots))
        yield table
    yield ""
    yield Text(sentence(result), style="bold")
    yield Text(f"licence: {result.card.licence}")
    yield Text(f"took {result.seconds:.0f} s    seed {result.seed}", style="dim")


def next_command(path: str) -> str:
    """Return what to do with the source."""
    return shlex.join(["headstart", "fit", "DATA", "--source", path, "-o", "model"])


def _score(score: Score) -> str:
    return f"{score.estimate:.3f} +- {score.high - score.estimate:.3f}"


def _gain(gain: Gain | None) -> str:
    return "-" if gain is None else f"{gain.estimate:+.3f} +- {gain.high - gain.estimate:.3f}"


def sentence(result: MetaResult) -> str:
    """Return who won, in words."""
    chosen = result.row(result.chosen)
    if result.chosen == "frozen":
        return (
            "No method is better than the source it started from: the source is written as it "
            "came, so use that one"
        )
    better = _better(chosen, result)
    text = f"{result.chosen} is written"
    if result.chosen != "rfs":
        words = {
            "positive": "better than rfs, the plain classifier of the same classes",
            "negative": "worse than rfs, the plain classifier of the same classes",
        }
        gain = chosen.over_rfs[result.shots]
        text += f": {words.get(gain.verdict, 'as good as rfs, as far as can be told')}"
        text += f" ({gain.estimate:+.3f} [{gain.low:.3f}, {gain.high:.3f}])"
    elif any(row.trained is not None and row.name != "rfs" for row in result.rows):
        text += ": no method that learns to learn is better than the plain classifier"
    if better:
        text += f". Better than that without any training here: {better}"
    return text


def _better(chosen: Row, result: MetaResult) -> str:
    """Return the untrained embeddings that are better than what is written, in words."""
    mean = chosen.as_source[result.shots].high
    found = [row for row in result.rows if row.trained is None]
    return ", ".join(row.name for row in found if row.as_source[result.shots].low > mean)
