"""The typer application: one command a verb, each in its own file."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from headstart.cli import cache, check, evaluate, examples, fit, predict, sources
from headstart.cli.console import guarded
from headstart.cli.verbs import VERBS, help_text

COMMANDS: dict[str, Callable[..., None]] = {
    "fit": fit.fit,
    "check": check.check,
    "predict": predict.predict,
    "evaluate": evaluate.evaluate,
    "sources": sources.sources,
    "examples": examples.examples,
    "cache": cache.cache,
}


def build() -> typer.Typer:
    """Return the application with every verb."""
    app = typer.Typer(
        name="headstart",
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        help=help_text(),
    )
    for name, text in VERBS.items():
        app.command(name, help=f"{text}\n\n{COMMANDS[name].__doc__ or ''}")(COMMANDS[name])
    return app


def run(arguments: list[str]) -> None:
    """Run the command line on ``arguments`` and exit with its code."""
    sys.exit(
        guarded(
            lambda: build()(args=arguments, prog_name="headstart", standalone_mode=True),
            as_json="--json" in arguments,
        )
    )
