"""``headstart check``: problems in the data, before anything is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, show


def check(
    data: Annotated[str, typer.Argument(metavar="DATA", help="Class folders, or a file.")],
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    group: options.Group = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="DATA", help="The part that judges.")
    ] = None,
    modality: options.Modality = None,
    suspects: Annotated[
        bool,
        typer.Option("--suspects/--no-suspects", help="Look for wrong labels (cross-validates)."),
    ] = True,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Unreadable items, duplicates, conflicting and suspect labels, leakage, imbalance."""
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import inspection

        report = inspection.check(
            data,
            label=label,
            text=text,
            path=path,
            group=group,
            test=test,
            modality=modality,
            suspects=suspects,
            seed=seed,
            reporter=reporter,
        )
    if json:
        emit_json(report.to_json())
        return
    from headstart.cli.tables import check_table

    show(*check_table(report))
