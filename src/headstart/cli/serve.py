"""``headstart serve``: a saved model as a web service with a page of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter


def serve(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model saved by fit, or an export.")
    ],
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Other than 127.0.0.1 needs a key.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 8000,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Processes, a model in each.")
    ] = 1,
    api_key: Annotated[
        str | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            envvar="HEADSTART_API_KEY",
            show_envvar=False,
            help="What callers must show; better set as HEADSTART_API_KEY.",
        ),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option("--corrections", metavar="DIR", help="Keep corrected answers there."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="A further name to be called by."),
    ] = None,
    max_items: Annotated[
        int, typer.Option("--max-items", metavar="N", min=1, help="Items in one request.")
    ] = 1000,
    max_mb: Annotated[
        int, typer.Option("--max-mb", metavar="N", min=1, help="Megabytes of one request.")
    ] = 16,
    queue: Annotated[
        int, typer.Option("--queue", metavar="N", min=1, help="Requests that may wait.")
    ] = 128,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", min=0.1, help="For an answer.")
    ] = 30.0,
    quiet: options.Quiet = False,
) -> None:
    """The page is at /, what programs ask is told at /docs. SIGTERM and Ctrl-C stop it in order."""
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart.serve.server import run
        from headstart.serve.settings import Limits, Settings

        limits = Limits(
            items=max_items,
            body_bytes=max_mb * 2**20,
            memory_bytes=8 * max_mb * 2**20,
            queue=queue,
            answer_seconds=seconds,
        )
        settings = Settings(
            host=host,
            port=port,
            workers=workers,
            api_key=api_key or None,
            corrections=corrections,
            name=name_of(model),
            limits=limits,
            allowed_hosts=tuple(allow_host or ()),
        )
        code = run(model, settings, reporter=reporter)
    raise typer.Exit(code)


def name_of(model: Path) -> str:
    """Return what a model is called in addresses: its folder's name, without odd characters."""
    stem = model.resolve().name.removesuffix(".zip")
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in stem)
    return clean.strip(".-")[:64] or "model"
