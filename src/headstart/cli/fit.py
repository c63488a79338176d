"""``headstart fit``: the main job."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, show, stopping_in_order
from headstart.core.errors import OptionError

if TYPE_CHECKING:
    from headstart.sequence_result import SequenceResult


def fit(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MODEL", help="Where the model is saved.")
    ],
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="Class folders, or a file.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="NAMES|FILE",
            help='Classes by name, "refund, card lost", or a CSV of class,description or of '
            "class and attributes: labels may then be few or none, and DATA left out.",
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            "--task",
            metavar="NAME",
            help="Where the answer is no class and no number: speech-to-text, question-answering, "
            "token-classification, translation, summarization.",
        ),
    ] = None,
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    group: options.Group = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="DATA", help="The part that judges.")
    ] = None,
    modality: options.Modality = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", metavar="NAME", help="A pretrained source; repeatable."),
    ] = None,
    strategy: Annotated[
        list[str] | None,
        typer.Option("--strategy", metavar="NAME", help="A way to transfer; repeatable."),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option("--shots", metavar="N", help="Train on N labels a class; the rest judge."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What counts.")
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", metavar="TIME", help="For all of it: 90s, 10m, 1h (2m)."),
    ] = None,
    curve: Annotated[
        bool | None,
        typer.Option("--curve/--no-curve", help="Learn from fewer labels too; else if cheap."),
    ] = None,
    max_risk: Annotated[
        float | None,
        typer.Option(
            "--max-risk", metavar="R", help="Abstain, so that at most this share is wrong: 0.05."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the same command was stopped.")
    ] = False,
    standalone: Annotated[
        bool, typer.Option("--standalone", help="Put the source's weights into the model.")
    ] = False,
    items: options.Items = True,
    report: Annotated[
        bool, typer.Option("--report", help="Write MODEL.html beside the model, too.")
    ] = False,
    allow_unreadable: options.Unreadable = 0.05,
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """DATA is a folder with a sub-folder a class, or a CSV, TSV, JSON Lines or Parquet file.

    Transfer is compared with not transferring on items that neither has seen, and never handed
    back when it is not better.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle, transfer
        from headstart.strategies.tuning.checkpoint import clear

        if data is None and classes is None:
            raise OptionError(
                "Missing argument 'DATA'",
                hint="only with --classes may it be left out; `headstart fit --help` tells more",
            )
        bundle.check_target(output)
        check_writable(output)
        if report:
            from headstart.report import check_target

            check_target(output)
        if task is not None and standalone:
            raise OptionError(f"--task {task} does not take this", where="--standalone")
        checkpoints = output.with_name(f"{output.name}.checkpoints")
        with stopping_in_order(checkpoints):
            result = transfer.fit(
                data,
                classes=classes,
                task=task,
                label=label,
                text=text,
                path=path,
                group=group,
                test=test,
                modality=modality,
                source=source,
                strategy=strategy,
                shots=shots,
                metric=metric,
                budget=budget,
                curve=curve,
                max_risk=max_risk,
                seed=seed,
                allow_unreadable=allow_unreadable,
                checkpoint=checkpoints,
                resume=resume,
                reporter=reporter,
            )
        if task is None:
            result.save(output, standalone=standalone, overwrite=True, items=items)
        else:
            result.save(output, overwrite=True)
        clear(checkpoints)
        told = {"model": str(output)}
        if report:
            told["report"] = _reported(result, output, reporter)
    if json:
        emit_json(result.to_json() | told)
        return
    if task is not None:
        from headstart.cli.sequence_table import sequence_blocks

        show(*sequence_blocks(cast("SequenceResult", result), str(output)))
        return
    from headstart.zero_result import ZeroShotResult

    if isinstance(result, ZeroShotResult):
        from headstart.cli.zero_table import zero_blocks

        show(*zero_blocks(result, str(output)))
        return
    from headstart.cli.tables import result_table

    show(*result_table(result, str(output)))


def _reported(result: Any, output: Path, reporter: ConsoleReporter) -> str:
    """Write the report of a model that was just saved; return where it is."""
    from headstart.report import write

    timing = {one.name: one.seconds for one in result.candidates if one.score is not None}
    where = write(output, timing=timing | {"fit": result.seconds})
    reporter.say(f"the report is in {where}")
    return str(where)


def check_writable(output: Path) -> None:
    """Find out before the work, not after it, that the model cannot be written."""
    parent = output.absolute().parent
    while not parent.exists():
        parent = parent.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".headstart-", dir=parent):
            pass
    except OSError as error:
        raise OptionError(
            f"the model cannot be saved here ({error.strerror})",
            where=f"-o {output}",
            hint="name a directory that may be written to",
        ) from error
