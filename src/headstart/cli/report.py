"""``headstart report``: what is known of a saved model, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json


def report(
    model: options.ModelPath,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.html", help="Else MODEL.html beside MODEL."),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The file needs no network: it can be sent, printed and kept."""
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import report as room

        where = room.write(model, output)
        if not json:
            reporter.say(f"the report is in {where}")
    if json:
        emit_json({"model": str(model), "report": str(where), "bytes": where.stat().st_size})
