"""``headstart predict``: label new items with a saved model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json


def predict(
    model: options.ModelPath,
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files, folders, a CSV file, or texts in quotes."),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.csv", help="Write CSV there.")
    ] = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Writes CSV: input, label, confidence, abstained, p_<class>. Unreadable inputs are named."""
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import serve

        if output is not None:
            serve.check_csv_target(output)
        frame, skipped = serve.predict_inputs(
            model, inputs, text=text, path=path, reporter=reporter
        )
    if output is not None:
        serve.write_csv(frame, output)
        reporter.say(f"the predictions ({len(frame):,}) are in {output}")
    if json:
        rows = frame.to_dict(orient="records")
        left_out = [{"input": item.item, "reason": item.reason} for item in skipped]
        emit_json({"model": str(model), "predictions": rows, "skipped": left_out})
    elif output is None:
        frame.to_csv(sys.stdout, index=False, lineterminator="\n")
