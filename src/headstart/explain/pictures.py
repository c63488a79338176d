"""Squares of a picture, each covered in turn with the picture's mean colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.types import FloatArray
from headstart.data.images import read_image
from headstart.explain.occlusion import Hidden, rounded

CELLS = 8
"""Cells a side of which the weights are told; a cover spans two by two of them."""
SIDE = 288
"""Pixels of the shorter side that are looked at."""


def hidden(item: Any, typical: Mapping[str, Any]) -> Hidden:
    """Return a picture with each of 49 overlapping squares covered."""
    picture = read_image(item, max_side=SIDE)
    scale = SIDE / min(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((width, height))
    pixels = np.asarray(picture)
    mean = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    rows, columns = (_cuts(pixels.shape[axis]) for axis in (0, 1))
    versions = []
    for i in range(CELLS - 1):
        for j in range(CELLS - 1):
            covered = pixels.copy()
            covered[rows[i] : rows[i + 2], columns[j] : columns[j + 2]] = mean
            versions.append(covered)
    return Hidden(pixels, versions, _told)


def _cuts(length: int) -> list[int]:
    return [round(i * length / CELLS) for i in range(CELLS + 1)]


def _told(falls: FloatArray) -> dict[str, Any]:
    """Return the mean fall of the covers over each cell."""
    covers = falls.reshape(CELLS - 1, CELLS - 1)
    total, count = np.zeros((CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for i in (0, 1):
        for j in (0, 1):
            total[i : i + CELLS - 1, j : j + CELLS - 1] += covers
            count[i : i + CELLS - 1, j : j + CELLS - 1] += 1
    return {"weights": [[rounded(value, 4) for value in row] for row in total / count]}
