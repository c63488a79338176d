"""The service of one model, as the studio mounts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.core.errors import DataError


def service_of(model: Path, corrections: Path) -> Any:
    """Return the application of ``headstart serve`` for a model; corrections go to a folder.

    Raises
    ------
    DataError
        There is no model.
    BundleError, SourceError
        The model cannot be opened.
    """
    if not model.is_dir():
        raise DataError("there is no such model", where="model", hint="fit it first")
    from headstart.serve.app import create_app
    from headstart.serve.logs import Logs
    from headstart.serve.predictor import open_predictor
    from headstart.serve.settings import Settings

    settings = Settings(corrections=corrections)
    return create_app(open_predictor(model), settings, logs=Logs(quiet=True))
