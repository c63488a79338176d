"""A picture cut to the square that a model looks at, with Pillow and numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL.Image import Image, Resampling
from PIL.ImageOps import fit

from headstart.core.types import AnyArray

# JPEG files are decoded no smaller than this many times what is resized to: features then keep a
# cosine of 0.9995 and more to those of the whole file; at 1, which is little faster, 0.992.
DRAFT = 2


class Crop:
    """From an RGB image to the (side, side, 3) uint8 pixels a backbone looks at.

    The shorter side is resized to ``size / crop`` and the centre of ``size`` x ``size`` cut out,
    as the models' authors evaluate them; with ``squash`` the whole image is resized to the square.

    Parameters
    ----------
    spec : dict
        ``size`` (pixels), ``crop`` (fraction), ``squash``, ``interpolation`` as on the source's
        card.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        self.side = int(spec["size"])
        self.resize = max(self.side, int(self.side / float(spec.get("crop") or 1.0)))
        self._squash = bool(spec.get("squash"))
        self._filter = Resampling[str(spec.get("interpolation") or "bicubic").upper()]

    def __call__(self, image: Image) -> AnyArray:
        """Return the pixels of one image, (side, side, 3) uint8."""
        if self._squash:
            return np.asarray(image.resize((self.side, self.side), self._filter))
        width, height = image.size
        scale = self.resize / min(width, height)
        new = (max(self.resize, int(width * scale)), max(self.resize, int(height * scale)))
        left, top = round((new[0] - self.side) / 2), round((new[1] - self.side) / 2)
        # only what will be seen is resampled: the box of the crop in the image as it is
        per_x, per_y = width / new[0], height / new[1]
        box = (
            left * per_x,
            top * per_y,
            min(width, (left + self.side) * per_x),
            min(height, (top + self.side) * per_y),
        )
        return np.asarray(image.resize((self.side, self.side), self._filter, box=box))


def small_square(image: Image, side: int) -> AnyArray:
    """Return the centre square of an image, resized to (side, side, 3) uint8 pixels."""
    return np.asarray(fit(image, (side, side), method=Resampling.BICUBIC))
