"""``headstart cache``: what is cached, how large."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart.cli import options
from headstart.cli.console import emit_json, show


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete the cached features.")] = False,
    json: options.Json = False,
) -> None:
    """Features are cached by content, so that nothing is computed twice. Weights stay."""
    from headstart import encode

    if clear:
        encode.cache_clear()
    info = encode.cache_info()
    if json:
        shown = {"path": str(info.path), "entries": info.entries, "bytes": info.bytes}
        emit_json(shown | {"limit": info.limit, "by_source": info.by_source})
        return
    from headstart import sources
    from headstart.cli.tables import cache_table

    show(*cache_table(info, sources.search(installed=True)))
