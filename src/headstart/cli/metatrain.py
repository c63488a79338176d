"""``headstart metatrain``: from many small tasks to a source for the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, line, show


def metatrain(
    tasks: Annotated[
        str,
        typer.Argument(
            metavar="TASKS", help="A folder of many small tasks, or one DATA with many classes."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="SOURCE", help="Where the source is written.")
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="protonet, anil, fomaml, maml, reptile, rfs, rfs-distill; repeatable.",
        ),
    ] = None,
    ways: Annotated[int, typer.Option("--ways", metavar="N", help="Classes of an episode.")] = 5,
    shots: Annotated[int, typer.Option("--shots", metavar="N", help="Labelled items of each.")] = 1,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="What training starts from."),
    ] = None,
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", help="Its last blocks that train.")
    ] = None,
    size: Annotated[
        int | None, typer.Option("--size", metavar="PIXELS", help="Of images, without --source.")
    ] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="A class turned by a quarter is another class.")
    ] = False,
    label: options.Label = None,
    text: options.Text = None,
    path: options.PathColumn = None,
    modality: options.Modality = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", help="Of each method, if time allows.")
    ] = 3000,
    episodes: Annotated[
        int, typer.Option("--episodes", metavar="N", help="Over how many is measured.")
    ] = 600,
    budget: Annotated[
        str, typer.Option("--budget", metavar="TIME", help="For all of it: 90s, 10m, 1h.")
    ] = "10m",
    seed: options.Seed = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """The source is used like any other: `headstart fit DATA --source SOURCE`.

    Every method is reported beside a plain classifier of the same classes (rfs), which often wins,
    on classes that none of them has seen. Without --method the better of protonet and rfs is
    written.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart.metalearning import metatrain as front
        from headstart.sources import directory

        directory.check_free(output)
        result = front(
            tasks,
            method=method,
            ways=ways,
            shots=shots,
            source=source,
            depth=depth,
            size=size,
            rotate=rotate,
            label=label,
            text=text,
            path=path,
            modality=modality,
            steps=steps,
            episodes=episodes,
            budget=budget,
            seed=seed,
            reporter=reporter,
        )
        result.save(output)
    if json:
        emit_json(result.to_json() | {"source": str(output)})
        return
    from headstart.cli.metatrain_table import metatrain_table, next_command

    show(*metatrain_table(result))
    line(f"saved to {output}")
    line(f"next: {next_command(str(output))}")
