"""``headstart verify``: whether a saved model is sound, and who signed it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json


def verify(
    model: options.ModelPath,
    key: Annotated[
        Path | None,
        typer.Option(
            "--key", metavar="PUB.pem", help="The public key of who should have signed it."
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Every file, its size, its sha256 and the golden outputs are checked; else exit code 2.

    Without --key nothing says who made it.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle

        digest = bundle.verify(model, key)
        signed = f", signed with the key of {key}" if key is not None else ""
        reporter.say(f"{model} is sound{signed}: {digest}")
    if json:
        emit_json({"model": str(model), "digest": digest, "signed": key is not None})
