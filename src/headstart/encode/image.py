"""Images to features: decoded in threads while the frozen backbone computes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart import parallel
from headstart.core.errors import DataError
from headstart.core.types import AnyArray, FloatArray, IntArray, Reporter
from headstart.data.images import read_image
from headstart.encode import device as devices
from headstart.encode.crop import DRAFT, Crop
from headstart.encode.fast_efficientnet import PackedEfficientNet
from headstart.encode.lanes import one_thread, side_by_side
from headstart.encode.placed import hashes_of, located

if TYPE_CHECKING:
    from PIL.Image import Image

    from headstart.sources.backbone import Backbone

_CPU_BATCH = 4  # activations of a batch stay in the cache, and below what malloc gives back
_GPU_BATCH = 64


class ImageEncoder:
    """A frozen image backbone made ready to encode images.

    Parameters
    ----------
    backbone : Backbone
    device : str, optional
    precision : {"auto", "float32", "bf16"}
    reporter : Reporter
    few : bool
        Not worth packing float32 weights for.
    """

    stage = "embedding images"
    unit = "images"
    window = 512  # their files are still in memory when they are read again

    def __init__(
        self,
        backbone: Backbone,
        *,
        device: str | None,
        precision: str,
        reporter: Reporter,
        few: bool = False,
    ) -> None:
        self.dim = backbone.card.dim
        self._reporter = reporter
        self._prepare = Prepare(backbone.card.input)
        self._device = devices.pick_device(device)
        self._run: Any = None
        if self._device.type == "cpu":
            with one_thread():
                self.precision = self._prepare_cpu(backbone, precision, few)
        else:
            self.precision = devices.gpu_precision(self._device, precision)
        if self._run is None:
            self._run = devices.Module(backbone, self._device, self.precision, reporter)

    def hashes(self, items: Sequence[Any], first: int, *, cached: bool) -> list[bytes]:
        """Return a hash of each image's content; of its position if nothing is cached."""
        return hashes_of(items, first, cached=cached)

    def encode(
        self, items: Sequence[Any], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield (indices into ``items``, features) in order."""
        if self._device.type != "cpu":
            return self._on_gpu(items, positions)

        def run(index: range) -> tuple[IntArray, FloatArray]:
            pixels = [self._pixels(items[i], positions[i]) for i in index]
            return np.array(index), self._run(self._prepare.normalise(pixels)).numpy()

        size = max(1, min(_CPU_BATCH, len(items) // torch.get_num_threads()))
        batches = _ranges(len(items), size)
        return side_by_side(run, batches, count=len(batches))

    def finish(self) -> None:
        """Nothing was decided on the way."""

    def _on_gpu(
        self, items: Sequence[Any], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        pairs = zip(items, positions, strict=True)
        pixels = parallel.map(lambda pair: self._pixels(*pair), pairs, window=2 * _GPU_BATCH)
        for index in _ranges(len(items), _GPU_BATCH):
            batch = self._prepare.normalise([next(pixels) for _ in index])
            yield np.array(index), self._run(batch).numpy()

    def _pixels(self, item: Any, position: int) -> AnyArray:
        return self._prepare(read_at(item, position, max_side=DRAFT * self._prepare.resize))

    def _prepare_cpu(self, backbone: Backbone, precision: str, few: bool) -> str:
        """Choose the fastest forward pass that stays true to the backbone's own."""
        if not PackedEfficientNet.fits(backbone):
            return "float32"
        for dtype, least in _candidates(precision, self._reporter):
            if few and dtype == torch.float32:
                continue
            try:
                candidate = PackedEfficientNet(
                    backbone, dtype=dtype, batch=_CPU_BATCH, side=self._prepare.side
                )
                cosine = self._compare(candidate, backbone)
            except (RuntimeError, AttributeError, TypeError):  # private operations may change
                continue
            if cosine >= least:
                self._run = candidate
                return "bf16" if dtype == torch.bfloat16 else "float32"
            devices.say_drift(self._reporter, backbone.card.name, dtype, cosine)
        return "float32"

    def _compare(self, candidate: PackedEfficientNet, backbone: Backbone) -> float:
        """Return the cosine between two forward passes over a picture."""
        sample = self._prepare.normalise(_sample(self._prepare.side))
        with torch.inference_mode():
            return devices.worst_cosine(candidate(sample), backbone(sample), backbone.parts)


class Prepare(Crop):
    """From an RGB image to the pixels a backbone looks at, and to what it takes of them.

    Parameters
    ----------
    spec : dict
        As for :class:`~headstart.encode.crop.Crop`; also ``mean`` and ``std`` of the channels.
    """

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__(spec)
        mean = np.array(spec["mean"], dtype=np.float32)
        std = np.array(spec["std"], dtype=np.float32)
        self._scale = torch.from_numpy(1 / (255 * std)).view(1, 3, 1, 1)
        self._shift = torch.from_numpy(-mean / std).view(1, 3, 1, 1)

    def normalise(self, pixels: Sequence[AnyArray]) -> Tensor:
        """Return (side, side, 3) uint8 images as float32 (n, 3, side, side), channels last."""
        stack = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        return self.normalise_tensor(stack.to(torch.float32))

    def normalise_tensor(self, images: Tensor) -> Tensor:
        """Normalise float32 images (n, 3, side, side) of 0 to 255, in place."""
        return images.mul_(self._scale).add_(self._shift)


def _candidates(precision: str, reporter: Reporter) -> Iterator[tuple[torch.dtype, float]]:
    for dtype, least in devices.cpu_candidates(precision, reporter):
        if dtype != torch.float32:
            yield dtype, least
    if torch.backends.mkldnn.is_available():
        yield torch.float32, devices.SAME_COSINE


def _sample(side: int) -> list[AnyArray]:
    """Return one smooth picture, the same on every machine."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin((3 + c) * x * 6) * np.cos(2 * y * 5 - c) for c in range(3)]
    return [(127.5 + 127 * np.stack(waves, axis=-1)).astype(np.uint8)]


def _ranges(n: int, size: int) -> list[range]:
    return [range(start, min(start + size, n)) for start in range(0, n, size)]


def read_at(item: Any, position: int, *, max_side: int) -> Image:
    """Read an image; an error names its position among the items, and its file."""
    try:
        return read_image(item, max_side=max_side)
    except DataError as error:
        raise located(error, item, position) from error
