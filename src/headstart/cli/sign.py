"""``headstart sign``: a saved model, signed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json


def sign(
    model: options.ModelPath,
    key: Annotated[
        Path,
        typer.Option(
            "--key", metavar="KEY.pem", help="A private key on the curve P-256, P-384 or P-521."
        ),
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """`manifest.sig` is written into the model, in the format of OpenSSF model signing.

    The password of an encrypted key is read from HEADSTART_KEY_PASSWORD.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle

        where = bundle.sign(model, key, password=os.environ.get("HEADSTART_KEY_PASSWORD") or None)
        reporter.say(f"{where} is signed")
    if json:
        emit_json({"model": str(model), "signed": True})
