"""Where results are written: arrays in memory, or mapped from a file when they are large."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray

IN_MEMORY_BYTES = 64 * 2**20
"""Results larger than this are mapped from a temporary file."""


def allocate(shape: tuple[int, ...], dtype: npt.DTypeLike) -> AnyArray:
    """Return an array to be filled: in memory when small, else mapped from a temporary file.

    The file is removed when the last view of the array is gone, at the latest at exit.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY_BYTES:
        return np.zeros(shape, dtype=dtype)
    folder = tempfile.mkdtemp(prefix="headstart-features-")
    array: Any = np.lib.format.open_memmap(
        f"{folder}/array.npy", mode="w+", dtype=dtype, shape=shape
    )
    weakref.finalize(array._mmap, shutil.rmtree, folder, ignore_errors=True)
    return array


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a file beside ``target`` that takes its place, whole, when the block succeeds.

    Killed at any moment, what was there before stays. The folder is made where it is missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as folder:
        part = Path(folder) / target.name
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)


@contextlib.contextmanager
def writing(shape: tuple[int, ...], dtype: npt.DTypeLike, out: Path | None) -> Iterator[AnyArray]:
    """Yield the array to fill; with ``out``, its file appears there only once it is complete."""
    if out is None:
        yield allocate(shape, dtype)
        return
    target = Path(out)
    if target.suffix != ".npy":
        raise OptionError("the file for features must be named *.npy", where="out", got=str(out))
    with replacing(target) as part:
        if 0 in shape:
            array: Any = np.zeros(shape, dtype=dtype)
            np.save(part, array)
            yield array
        else:
            array = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
            yield array
            array.flush()
