"""``headstart export``: a saved model as a directory that runs without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json


def export(
    model: options.ModelPath,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Write it there.")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an export that is there.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Writes ONNX and a small runner: onnxruntime, numpy and tokenizers, no torch. Checked."""
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle

        where = bundle.export(model, output, overwrite=overwrite, reporter=reporter)
        size = sum(file.stat().st_size for file in where.rglob("*") if file.is_file())
        reporter.say(f"the export ({size / 1e6:.1f} MB) is in {output}")
        reporter.say(f"try it: python {output}/runner.py INPUT...")
    if json:
        emit_json({"model": str(model), "export": str(where), "bytes": size})
