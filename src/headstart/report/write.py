"""A report as a file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.core.errors import OptionError
from headstart.report.page import render

if TYPE_CHECKING:
    from headstart.bundle import Bundle, SequenceBundle

ENDINGS = (".html", ".htm")


def check_target(model: str | Path | None, output: str | Path | None = None) -> Path:
    """Return where a report is written; refuse a place where it cannot be, before any work.

    Parameters
    ----------
    model : path or None
        The model, beside which it lies where ``output`` is None.
    output : path, optional

    Raises
    ------
    OptionError
        Neither is given; or ``output`` is no HTML file, a directory, or in a folder that is not
        there.
    """
    if output is None:
        if model is None:
            raise OptionError(
                "a model that was not saved has no place for its report",
                where="output",
                hint="name a file, or save the model first",
            )
        path = Path(model).absolute()
        stem = path.stem if path.suffix == ".zip" else path.name
        output = path.with_name(f"{stem}.html")
    where = Path(output)
    if where.suffix.lower() not in ENDINGS or where.is_dir():
        raise OptionError(
            "a report is an HTML file",
            where="-o",
            got=str(where),
            allowed="a name that ends in .html",
        )
    if not where.absolute().parent.is_dir():
        raise OptionError("there is no such folder", where="-o", got=str(where.parent))
    return where


def write(
    model: str | Path | Bundle | SequenceBundle,
    output: str | Path | None = None,
    *,
    timing: Mapping[str, float] | None = None,
) -> Path:
    """Write the report of a model as one HTML file, whole or not at all.

    Parameters
    ----------
    model : path or Bundle
    output : path, optional
        By default ``MODEL.html`` beside the model.
    timing : mapping of name to seconds, optional
        As for ``render``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OptionError
        As ``check_target``; or the file cannot be written.
    BundleError
        The model cannot be opened.
    """
    if isinstance(model, (str, Path)):
        where = check_target(model, output)
        from headstart import bundle

        opened: Any = bundle.load(model)
    else:
        where, opened = check_target(model.path, output), model
    content = render(opened.info, getattr(opened, "evidence", None), timing=timing)
    beside = where.with_name(f".{where.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(content, encoding="utf-8", newline="\n")
        os.replace(beside, where)  # noqa: PTH105
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OptionError(
            f"the report cannot be written here ({error.strerror})", where=str(where)
        ) from error
    return where
