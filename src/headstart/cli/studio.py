"""``headstart studio``: the whole way in a browser."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, line


def studio(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any that is free.")
    ] = 8100,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="An address of this machine alone.")
    ] = "127.0.0.1",
    home: Annotated[
        Path | None,
        typer.Option("--home", metavar="DIR", help="Where uploads, work and models are kept."),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Where data may be chosen from (your home)."),
    ] = None,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in your browser.")] = True,
    quiet: options.Quiet = False,
) -> None:
    """Choose data, see what is wrong with them, fit, read the report, try the model.

    It answers to this machine alone, and only to who has the address that it prints. Work goes on
    when the browser or the studio is closed, and is there when they are opened again.
    """
    with ConsoleReporter(quiet=quiet):
        from headstart.studio.run import run

        run(
            host=host,
            port=port,
            home=home,
            root=root,
            say=_say,
            opened=webbrowser.open if show else None,
        )


def _say(text: str) -> None:
    """Print a line at once, also where stdout is no terminal."""
    line(text)
    sys.stdout.flush()
