"""``headstart transfer``: from labelled data of one domain to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, show


def transfer(
    source_data: Annotated[
        str, typer.Argument(metavar="SOURCE_DATA", help="Labelled: class folders, or a file.")
    ],
    target_data: Annotated[
        str, typer.Argument(metavar="TARGET_DATA", help="Items of the other domain.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="Where the model is saved.")
    ],
    target_labels: options.TargetLabels = None,
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    domain: Annotated[
        str | None,
        typer.Option("--domain", metavar="COL", help="Which of several source domains a row is."),
    ] = None,
    modality: options.Modality = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="What encodes texts and images."),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", metavar="NAME", help="linear-ot, coral, mcc, ...; repeatable."),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw both domains: a .png or .svg."),
    ] = None,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Put the source's weights into the model.")
    ] = False,
    items: options.Items = True,
    allow_unreadable: options.Unreadable = 0.05,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """TARGET_DATA may have labels for all of its items, for some, or for none.

    The shift between both is measured first. The model is adapted only where the evidence supports
    it; else you get what was learnt from the source alone, told so.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle
        from headstart.cli.fit import check_writable
        from headstart.domain_transfer import transfer_from

        bundle.check_target(output)
        check_writable(output)
        if picture is not None:
            from headstart.evaluate.shift_picture import check_picture

            check_picture(picture)
        result = transfer_from(
            source_data,
            target_data,
            label=label,
            text=text,
            path=path,
            domain=domain,
            target_labels=target_labels,
            modality=modality,
            source=source,
            strategy=strategy,
            seed=seed,
            allow_unreadable=allow_unreadable,
            reporter=reporter,
        )
        if picture is not None:
            result.picture(picture)
            reporter.say(f"picture: {picture}")
        result.save(output, standalone=standalone, overwrite=True, items=items)
    if json:
        emit_json(result.to_json() | {"model": str(output)})
        return
    from headstart.cli.domain_table import domain_table

    show(*domain_table(result, str(output)))
