"""``headstart push``: a saved model where others find it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import ConsoleReporter, emit_json
from headstart.core.errors import OptionError


def push(
    model: options.ModelPath,
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="A directory, or user/name on the Hugging Face hub."),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="The repository on the hub is private.")
    ] = False,
    with_items: Annotated[
        bool,
        typer.Option("--with-items", help="Send previews and examples of your items along."),
    ] = False,
    token_from_env: Annotated[
        str | None,
        typer.Option(
            "--token-from-env", metavar="NAME", help="The variable that holds the hub's token."
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Pieces of your data that the model keeps stay here, unless --with-items is given.

    A directory is laid out as a repository of the hub: push it by git, or copy it. `user/name` is a
    directory where there is one named `user` here, and else a repository of the hub.
    """
    with ConsoleReporter(quiet=quiet) as reporter:
        from headstart import bundle

        token = None
        if token_from_env is not None:
            token = os.environ.get(token_from_env) or None
            if token is None:
                raise OptionError(
                    "there is no such variable, or it is empty",
                    where="--token-from-env",
                    got=token_from_env,
                )
        done = bundle.push(model, target, private=private, with_items=with_items, token=token)
        if done.bare:
            reporter.say(
                "previews, explanations and examples of your items were left out (--with-items "
                f"sends them): the model there has another digest, {done.digest[:12]}"
            )
        reporter.say(f"the model ({len(done.files)} files) is in {done.where}")
    if json:
        emit_json(
            {
                "model": str(model),
                "where": done.where,
                "digest": done.digest,
                "without_items": done.bare,
                "files": list(done.files),
            }
        )
