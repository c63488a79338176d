"""An exported model at work: onnxruntime, numpy and tokenizers, no torch and no pandas.

``headstart export`` copies these modules, and the few of headstart that they need, beside the
model they run; ``headstart serve`` uses them as they stand here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.bundle.runner.model import Model

__all__ = ["Model", "open_export"]


def open_export(path: str | Path, *, threads: int = 0) -> Model:
    """Open a directory that ``headstart export`` wrote; nothing in it is run as code.

    Parameters
    ----------
    path : str or Path
    threads : int
        Of the network; 0 takes as many as there are cores.

    Returns
    -------
    Model

    Raises
    ------
    BundleError
        There is no export.
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is damaged, or was changed.
    """
    from headstart.bundle.runner.model import Model

    return Model(path, threads=threads)


def __getattr__(name: str) -> Any:
    if name == "Model":
        from headstart.bundle.runner.model import Model

        return Model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
