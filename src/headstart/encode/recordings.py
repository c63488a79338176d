"""Recordings to rows of numbers, for models that learn from sound alone: each heard once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import SILENT, FloatArray, Reporter
from headstart.data.audio import audio_windows
from headstart.encode.output import allocate


def heard(
    items: Sequence[Any],
    describe: Callable[[Iterator[FloatArray]], FloatArray],
    *,
    width: int,
    rate: int,
    seconds: float,
    most: int,
    reporter: Reporter = SILENT,
) -> FloatArray:
    """Return what a function makes of the windows of each recording.

    Parameters
    ----------
    items : sequence of length n
        Recordings as `headstart.data.read_audio` takes them.
    describe : callable
        Makes ``width`` numbers of the windows of a recording.
    width : int
    rate, seconds, most
        How a recording is cut into windows, as for `headstart.data.audio_windows`.
    reporter : Reporter
        Told the progress.

    Returns
    -------
    ndarray of shape (n, width), float32
        Mapped from a temporary file above 64 MB.

    Raises
    ------
    DataError
        A recording cannot be read; names it, or its position.

    Examples
    --------
    >>> import numpy as np
    >>> from headstart.encode import heard
    >>> count = lambda windows: np.array([sum(len(window) for window in windows)])
    >>> sound = (np.zeros(9_000, np.int16), 8_000)
    >>> heard([sound], count, width=1, rate=16_000, seconds=10, most=6).tolist()
    [[18000.0]]
    """

    def row(pair: tuple[int, Any]) -> FloatArray:
        try:
            return describe(audio_windows(pair[1], rate=rate, seconds=seconds, most=most))
        except DataError as error:
            if isinstance(pair[1], tuple | bytes):
                error.where = f"item {pair[0]}"
            raise

    n = len(items)
    array = allocate((n, width), np.float32)
    for i, numbers in enumerate(parallel.map(row, enumerate(items))):
        array[i] = numbers
        reporter.progress("listening", i + 1, n, "recordings")
    return array
