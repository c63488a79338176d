"""``headstart evaluate``: a saved model on labelled data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, show


def evaluate(
    model: options.ModelPath,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled data, as for fit.")],
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    group: options.Group = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="MODEL", help="Compare with this model, item by item."),
    ] = None,
    allow_unreadable: options.Unreadable = 0.05,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The score carries its 95 % interval, over groups where --group is given."""
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import serve

        measured = serve.evaluate_model(
            model,
            data,
            label=label,
            text=text,
            path=path,
            group=group,
            allow_unreadable=allow_unreadable,
            against=against,
            seed=seed,
            reporter=reporter,
        )
    if json:
        emit_json(measured)
        return
    if against is not None:
        from headstart.cli.comparison import comparison_table

        show(*comparison_table(measured, str(model)))
        return
    from headstart.cli.tables import evaluation_table

    show(*evaluation_table(measured))
