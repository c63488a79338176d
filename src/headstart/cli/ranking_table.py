"""What ``headstart sources DATA`` prints."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from headstart.cli.tables import new_table

if TYPE_CHECKING:
    from headstart.ranking import Ranking

SCORES = {"logme": "LogME", "h_score": "H-score", "gbc": "GBC", "leep": "LEEP", "nce": "NCE"}


def ranking_table(ranking: Ranking) -> Iterator[RenderableType]:
    """Yield the ranking, the other scores, what was not measured, and the ranking in words."""
    if ranking.sources:
        yield Text(
            f"Sources, measured on {ranking.measured_on:,} items ({ranking.metric} of probe and "
            "k-NN, out of fold); score = measured, weighed against the published quality"
        )
        yield _ranked(ranking)
        yield ""
        yield Text("Transferability scores; higher is better, and they take no part in the ranking")
        yield _scores(ranking)
        yield ""
    if ranking.unmeasured:
        yield Text("Not measured" if ranking.sources else "Sources by published quality")
        yield _unmeasured(ranking)
        yield ""
    for number, sentence in enumerate(ranking.sentences()):
        yield Text(sentence, style="bold" if number == 0 else "")
    if ranking.sources:
        yield Text(f"took {ranking.seconds:.0f} s    seed {ranking.seed}", style="dim")


def _ranked(ranking: Ranking) -> RenderableType:
    columns = (">", "source", ">score", ">measured", ">95 % interval", ">probe", ">k-NN", ">prior")
    table = new_table(*columns, ">s per 1,000", ">MB", "licence")
    for place, one in enumerate(ranking.sources, 1):
        row = one.ranked
        found = row.measured
        table.add_row(
            str(place),
            escape(row.name),
            f"{row.score:.3f}",
            f"{found.estimate:.3f}",
            f"[{found.low:.3f}, {found.high:.3f}]".replace("[", r"\["),
            *(f"{row.parts[way]:.3f}" for way in ("probe", "knn")),
            "-" if row.prior is None else f"{row.prior:.3f}",
            f"{one.seconds_per_1000:.1f}",
            f"{one.card.size_mb:.0f}",
            escape(one.card.licence),
            style="bold" if place == 1 else "",
        )
    return table


def _scores(ranking: Ranking) -> RenderableType:
    rows = {one.card.name: one.ranked.transferability for one in ranking.sources}
    shown = [key for key in SCORES if any(key in found for found in rows.values())]
    table = new_table("source", *(f">{SCORES[key]}" for key in shown))
    for name, found in rows.items():
        cells = (f"{found[key]:.3f}" if key in found else "-" for key in shown)
        table.add_row(escape(name), *cells)
    return table


def _unmeasured(ranking: Ranking) -> RenderableType:
    from headstart.select.prior import prior_of

    table = new_table("source", ">prior", ">MB", "licence", "why")
    for one in ranking.unmeasured:
        card, prior = one.card, prior_of(one.card)
        why = one.why
        if one.absent:
            why += f": headstart sources install {shlex.quote(card.name)}"
        table.add_row(
            escape(card.name),
            "-" if prior is None else f"{prior:.3f}",
            f"{card.size_mb:.0f}",
            escape(card.licence),
            escape(why),
        )
    return table


def next_command(ranking: Ranking, fit: Sequence[str]) -> str:
    """Return what to run next; empty where there is nothing to say.

    Parameters
    ----------
    ranking : Ranking
    fit : sequence of str
        The ``headstart fit`` command for this data, to which the sources are added.
    """
    from headstart.sources import default_source

    if ranking.take:
        named = [word for name in ranking.take for word in ("--source", name)]
        return shlex.join([*fit, *named, "-o", "model"])
    absent = [one.card.name for one in ranking.unmeasured if one.absent]
    usual = default_source(ranking.task.modality)
    named = [name for name in absent if name == usual] or absent[:1]
    return shlex.join(["headstart", "sources", "install", *named]) if named else ""
