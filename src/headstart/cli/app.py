"""The typer application: one command a verb, each in its own file."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from headstart.cli import (
    adapt,
    cache,
    check,
    evaluate,
    examples,
    export,
    fit,
    metatrain,
    predict,
    push,
    report,
    serve,
    sign,
    sources,
    studio,
    transfer,
    verify,
)
from headstart.cli.console import guarded
from headstart.cli.verbs import VERBS, help_text
from headstart.core.errors import UnknownNameError

COMMANDS: dict[str, Callable[..., None]] = {
    "fit": fit.fit,
    "check": check.check,
    "predict": predict.predict,
    "evaluate": evaluate.evaluate,
    "report": report.report,
    "serve": serve.serve,
    "export": export.export,
    "push": push.push,
    "sign": sign.sign,
    "verify": verify.verify,
    "sources": sources.sources,
    "transfer": transfer.transfer,
    "adapt": adapt.adapt,
    "metatrain": metatrain.metatrain,
    "examples": examples.examples,
    "studio": studio.studio,
    "cache": cache.cache,
}
_TYPES = re.compile(r" <(?:str|path|list\[str\])>")
_USAGE = re.compile(r"^Usage: .*?(?=\n\n)", re.DOTALL)


class Verb(TyperCommand):
    """A command whose help names its arguments as people do: ``DATA``, not ``{DATA} <str>``."""

    def get_help(self, ctx: Any) -> str:
        """Return the help text."""
        text = _TYPES.sub(lambda found: " " * len(found[0]), super().get_help(ctx))
        text = re.sub(r" +$", "", text, flags=re.MULTILINE)
        return _USAGE.sub(lambda found: _plain(found[0]), text)


def _plain(usage: str) -> str:
    usage = re.sub(r"\[(\[.*\])\](?:\.\.\.)?", r"\1", usage)
    return re.sub(r"\{(.*?)\}(?:\.\.\.)?", r"\1", usage)


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
        more = inspect.cleandoc(COMMANDS[name].__doc__ or "")
        app.command(name, cls=Verb, help=f"{text}\n\n{more}")(COMMANDS[name])
    return app


def run(arguments: list[str]) -> None:
    """Run the command line on ``arguments`` and exit with its code."""
    sys.exit(guarded(lambda: _run(arguments), as_json="--json" in arguments))


def _run(arguments: list[str]) -> int:
    verb = arguments[0] if arguments else "--help"
    if not verb.startswith("-") and verb not in VERBS:
        raise UnknownNameError("verb", verb, VERBS, hint="`headstart --help` tells what each does")
    return int(build()(args=arguments, prog_name="headstart", standalone_mode=False) or 0)
