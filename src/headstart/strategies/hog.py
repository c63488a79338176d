"""Histograms of oriented gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headstart.core.types import FloatArray

Pixels = npt.NDArray[np.uint8]


def hog(
    images: Pixels, *, orientations: int = 9, cell: int = 8, block: int = 2, clip: float = 0.2
) -> FloatArray:
    """Histograms of oriented gradients (Dalal & Triggs, CVPR 2005), with L2-Hys blocks.

    Of each pixel the channel with the strongest gradient counts; directions are unsigned.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels), uint8
    orientations : int
        Bins over 180 degrees.
    cell, block : int
        Pixels a cell side, cells a block side.
    clip : float in (0, 1]
        Normalised values are clipped here, then normalised again.

    Returns
    -------
    ndarray of shape (n, blocks * block * block * orientations), float32

    Examples
    --------
    >>> hog(np.zeros((2, 64, 64, 3), dtype=np.uint8)).shape
    (2, 1764)
    """
    values = images.astype(np.float32)
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[:, :, 1:-1] = values[:, :, 2:] - values[:, :, :-2]
    down[:, 1:-1] = values[:, 2:] - values[:, :-2]
    strength = np.hypot(across, down)
    strongest = strength.argmax(axis=-1)[..., None]
    across, down, strength = (
        np.take_along_axis(part, strongest, axis=-1)[..., 0] for part in (across, down, strength)
    )
    angle = np.rad2deg(np.arctan2(down, across)) % 180
    bins = np.minimum((angle * (orientations / 180.0)).astype(np.int64), orientations - 1)
    cells = _cells(bins, strength, orientations, cell)
    n, rows, columns = cells.shape[:3]
    high, wide = rows - block + 1, columns - block + 1
    blocks = np.stack(
        [cells[:, i : i + high, j : j + wide] for i in range(block) for j in range(block)], axis=3
    ).reshape(n, high, wide, -1)
    blocks = np.minimum(_unit(blocks), np.float32(clip))
    return _unit(blocks).reshape(n, -1).astype(np.float32)


def _cells(bins: npt.NDArray[np.int64], strength: FloatArray, k: int, cell: int) -> FloatArray:
    """Sum gradient strength by direction in each cell: (n, rows, columns, k)."""
    n, height, width = bins.shape
    rows, columns = height // cell, width // cell
    bins = bins[:, : rows * cell, : columns * cell]
    strength = strength[:, : rows * cell, : columns * cell]
    place = (
        (np.arange(n)[:, None, None] * rows + (np.arange(rows * cell) // cell)[:, None]) * columns
        + np.arange(columns * cell) // cell
    ) * k + bins
    total = np.bincount(place.ravel(), strength.ravel(), minlength=n * rows * columns * k)
    result: FloatArray = (total / cell**2).astype(np.float32).reshape(n, rows, columns, k)
    return result


def _unit(blocks: FloatArray, eps: float = 1e-5) -> FloatArray:
    squares = np.einsum("...d,...d->...", blocks, blocks)[..., None]
    result: FloatArray = blocks / np.sqrt(squares + np.float32(eps**2))
    return result
