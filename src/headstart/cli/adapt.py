"""``headstart adapt``: a fitted model for another domain, without its source data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, show


def adapt(
    model: options.ModelPath,
    unlabelled: Annotated[
        str, typer.Argument(metavar="UNLABELLED", help="Items of the other domain.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL2", help="Where the model is saved.")
    ],
    target_labels: options.TargetLabels = None,
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option(
            "--strategy", metavar="NAME", help="t3a, shot, prior-em, adabn, tent; repeatable."
        ),
    ] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Put the source's weights into the model.")
    ] = False,
    allow_unreadable: options.Unreadable = 0.05,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The data that MODEL learnt from are not needed.

    Without a label of the other domain nothing tells what helps: the model stays as it is, unless
    a way is named, and you see what each way would change. With thirty labels or more, those judge.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle
        from headstart.cli.fit import check_writable
        from headstart.domain_adapt import adapt as front

        bundle.check_target(output)
        check_writable(output)
        result = front(
            model,
            unlabelled,
            target_labels=target_labels,
            label=label,
            text=text,
            path=path,
            strategy=strategy,
            seed=seed,
            allow_unreadable=allow_unreadable,
            reporter=reporter,
        )
        result.save(output, standalone=standalone, overwrite=True)
    if json:
        emit_json(result.to_json() | {"model": str(output)})
        return
    from headstart.cli.domain_table import adapt_table

    show(*adapt_table(result, str(output)))
