"""Hand-made descriptors of images: gradients' directions, colours, and the pixels themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.core.errors import DataError
from headstart.core.types import FloatArray
from headstart.strategies.hog import Pixels, hog

BATCH = 256  # images described at once
SMALLEST_SIDE = 16
EVEN = frozenset({"colours", "mels", "MFCC", "course"})


def images_of(X: Any) -> npt.NDArray[np.uint8]:
    """Check that X is (n, side, side, 3) of uint8 and return it.

    Raises
    ------
    DataError
        It is not.
    """
    if not isinstance(X, np.ndarray) or X.dtype != np.uint8 or X.ndim != 4 or X.shape[3] != 3:
        got = f"{X.dtype} {X.shape}" if isinstance(X, np.ndarray) else type(X).__name__
        raise DataError(
            "not an array of images",
            where="X",
            got=got,
            allowed="uint8 of shape (n, side, side, 3)",
            hint="headstart.encode.pixels makes one of images of any size",
        )
    if min(X.shape[1:3]) < SMALLEST_SIDE:
        raise DataError(
            "images are too small",
            where="X",
            got=f"{X.shape[1]} x {X.shape[2]} pixels",
            allowed=f"at least {SMALLEST_SIDE} pixels a side",
        )
    return X


@dataclass(frozen=True, eq=False)
class Scale:
    """Centre and spread of a descriptor, so that its rows have a mean squared norm of 1."""

    mean: FloatArray
    spread: FloatArray

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Centre and scale rows."""
        result: FloatArray = ((rows - self.mean) / self.spread).astype(np.float32)
        return result


def fit_scale(name: str, rows: FloatArray) -> Scale:
    """Learn the scale; what is in `EVEN` is also brought to one spread a column."""
    mean = rows.mean(axis=0, dtype=np.float64)
    spread = rows.std(axis=0, dtype=np.float64)
    typical = float(np.sqrt((spread**2).mean()))
    if typical < 1e-9:
        return Scale(mean, np.ones_like(mean))
    each = np.maximum(spread, 0.1 * typical) if name in EVEN else np.ones_like(mean)
    size = float(np.sqrt(((spread / each) ** 2).sum()))
    return Scale(mean, each * size)


def colours(images: Pixels, *, bins: int = 4) -> FloatArray:
    """Joint RGB histogram, and mean and spread of each channel in a 2 x 2 grid.

    Histogram counts are square-rooted (Hellinger), so that rare colours count too.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3), uint8
    bins : int
        Bins a channel.

    Returns
    -------
    ndarray of shape (n, bins ** 3 + 24), float32
    """
    n, height, width, _ = images.shape
    level = images.astype(np.int64) * bins // 256
    joint = (level[..., 0] * bins + level[..., 1]) * bins + level[..., 2]
    place = np.arange(n)[:, None] * bins**3 + joint.reshape(n, -1)
    counts = np.bincount(place.ravel(), minlength=n * bins**3).reshape(n, -1)
    parts = [np.sqrt(counts / (height * width))]
    for half in (slice(0, height // 2), slice(height // 2, height)):
        for side in (slice(0, width // 2), slice(width // 2, width)):
            patch = images[:, half, side].reshape(n, -1, 3).astype(np.float64) / 255.0
            parts += [patch.mean(axis=1), patch.std(axis=1)]
    return np.hstack(parts).astype(np.float32)


def thumbnails(images: Pixels, *, side: int = 16) -> FloatArray:
    """Pixels averaged down to side x side, as (n, side * side * 3) float32 in [0, 1]."""
    n, height, width, _ = images.shape
    rows, columns = max(height // side, 1), max(width // side, 1)
    cut = images[:, : height // rows * rows, : width // columns * columns]
    grid = cut.reshape(n, height // rows, rows, width // columns, columns, 3)
    result: FloatArray = grid.mean(axis=(2, 4)).reshape(n, -1) / 255.0
    return result.astype(np.float32)


def in_batches(images: Pixels, describe: Callable[[Pixels], FloatArray]) -> FloatArray:
    """Describe images BATCH at a time: the arrays in between stay small."""
    parts = [
        describe(np.asarray(images[start : start + BATCH]))
        for start in range(0, len(images), BATCH)
    ]
    return np.concatenate(parts)


DESCRIBE: Mapping[str, Callable[[Pixels], FloatArray]] = {
    "HOG": hog,
    "colours": colours,
    "pixels": thumbnails,
}
