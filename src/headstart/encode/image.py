"""Images to features: decoded in threads while the frozen backbone computes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, IntArray, Reporter
from headstart.data.images import content_hash, read_image
from headstart.encode.device import pick_device

if TYPE_CHECKING:
    from PIL.Image import Image

    from headstart.sources.backbone import Backbone

_BATCH = 8


class ImageEncoder:
    """A frozen image backbone made ready to encode images."""

    stage = "embedding images"
    unit = "images"

    def __init__(
        self, backbone: Backbone, *, device: str | None, precision: str, reporter: Reporter
    ) -> None:
        self.dim = backbone.card.dim
        self.precision = "float32"
        self._backbone = backbone
        self._device = pick_device(device)
        self._prepare = Prepare(backbone.card.input)

    def hashes(self, items: Sequence[Any], first: int) -> list[bytes]:
        """Return a hash of each image's content."""
        return [content_hash_at(item, first + offset) for offset, item in enumerate(items)]

    def encode(
        self, items: Sequence[Any], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield (indices into ``items``, features) in order."""
        pixels = parallel.map(
            lambda pair: self._prepare(read_at(*pair, max_side=self._prepare.resize)),
            zip(items, positions, strict=True),
        )
        batch: list[AnyArray] = []
        done = 0
        for image in pixels:
            batch.append(image)
            if len(batch) == _BATCH or done + len(batch) == len(items):
                with torch.inference_mode():
                    stack = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
                    rows = self._backbone(self._prepare.normalise(stack))
                yield np.arange(done, done + len(batch)), rows.float().numpy()
                done += len(batch)
                batch = []

    def finish(self) -> None:
        """Nothing was decided on the way."""


class Prepare:
    """From an RGB image to the (side, side, 3) uint8 pixels a backbone looks at.

    The shorter side is resized to ``size / crop`` and the centre of ``size`` x ``size`` cut out,
    as the models' authors evaluate them.

    Parameters
    ----------
    spec : dict
        ``size`` (pixels, or [height, width]), ``crop`` (fraction), ``interpolation``, ``mean``,
        ``std`` as on the source's card.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        from PIL.Image import Resampling

        size = spec["size"]
        self.side = int(size[-1] if isinstance(size, (list, tuple)) else size)
        self.resize = int(self.side / float(spec.get("crop") or 1.0))
        self._filter = Resampling[str(spec.get("interpolation", "bicubic")).upper()]
        self._mean = torch.tensor(spec["mean"], dtype=torch.float32).view(1, 3, 1, 1) * 255
        self._scale = 1 / (torch.tensor(spec["std"], dtype=torch.float32).view(1, 3, 1, 1) * 255)

    def __call__(self, image: Image) -> AnyArray:
        """Return the pixels of one image, (side, side, 3) uint8."""
        width, height = image.size
        short = min(width, height)
        new = (max(1, int(self.resize * width / short)), max(1, int(self.resize * height / short)))
        left, top = round((new[0] - self.side) / 2), round((new[1] - self.side) / 2)
        image = image.resize(new, self._filter)
        return np.asarray(image.crop((left, top, left + self.side, top + self.side)))

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return uint8 (n, 3, h, w) pixels as the backbone's float32 input."""
        return (pixels.float() - self._mean) * self._scale


def read_at(item: Any, position: int, *, max_side: int) -> Image:
    """Read an image; an error names its position among the items, and its file."""
    try:
        return read_image(item, max_side=max_side)
    except DataError as error:
        raise located(error, item, position) from error


def content_hash_at(item: Any, position: int) -> bytes:
    """Hash an image's content; an error names its position among the items, and its file."""
    try:
        return content_hash(Path(item) if isinstance(item, str) else item)
    except DataError as error:
        raise located(error, item, position) from error


def located(error: DataError, item: Any, position: int) -> DataError:
    """Return the error with the item's position and file in front."""
    return DataError(
        error.what, where=place(item, position), got=error.got, allowed=error.allowed,
        hint=error.hint,
    )  # fmt: skip


def place(item: Any, position: int) -> str:
    """Return how messages name an item: ``items[3] (photos/cat.jpg)``."""
    if isinstance(item, (str, os.PathLike)):
        return f"items[{position}] ({os.fspath(item)})"
    return f"items[{position}]"
