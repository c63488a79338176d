"""What was asked, as each part of a model takes it; made when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from headstart.bundle.runner.network import Network
from headstart.bundle.runner.tables import read_rows
from headstart.core.errors import BundleCorruptError, DataError, OptionError
from headstart.core.types import AnyArray, FloatArray

_NOUNS = {"text": "text", "image": "image"}
_ALLOWED = {
    "text": "a list of texts",
    "image": "a list of paths, bytes of image files, PIL images or arrays",
}


class Given:
    """Items on their way into a model.

    Parameters
    ----------
    items
        A list of texts or pictures, or of rows as dicts.
    manifest : mapping
        Of the export.
    networks : mapping of name to function
        Each opens a network when it is first called.
    tokenizer : function
        Opens the tokenizer when it is first called.

    Raises
    ------
    OptionError
        A single item was given, or no sequence of items.
    DataError
        An item is not of the model's modality.
    """

    def __init__(
        self,
        items: Any,
        manifest: Mapping[str, Any],
        networks: Mapping[str, Callable[[], Network]],
        tokenizer: Callable[[], Any],
    ) -> None:
        self._manifest, self._networks, self._tokenizer = manifest, networks, tokenizer
        self._modality = manifest["modality"]
        self._cells: dict[str, Any] = {}
        if self._modality == "table":
            self.items, (self.n, self._cells) = items, read_rows(items, manifest["columns"])
        else:
            self.items = _listed(items, self._modality)
            self.n = len(self.items)

    @property
    def cells(self) -> dict[str, Any]:
        """The columns of a table."""
        self._only("table")
        return self._cells

    @property
    def texts(self) -> list[str]:
        """The texts."""
        self._only("text")
        return list(self.items)

    @cached_property
    def features(self) -> FloatArray:
        """The (n, d) float32 features of the source."""
        self._only("text", "image")
        spec = self._manifest["input"]
        network, dim = self._network("source"), int(self._manifest["dim"])
        if self._modality == "text":
            prefix = str(spec.get("prefix") or "")
            texts = [prefix + text.encode("utf-8", "replace").decode() for text in self.items]
            encoded = self._tokenizer().encode_batch_fast(texts)
            return network.texts([one.ids for one in encoded], dim)
        from headstart.encode.crop import DRAFT, Crop

        crop = Crop(dict(spec))
        return network.pictures(lambda i: crop(self._picture(i, DRAFT * crop.resize)), self.n, dim)

    @cached_property
    def pixels(self) -> AnyArray:
        """The (n, side, side, 3) uint8 pictures that a model without a source takes."""
        self._only("image")
        from headstart.encode.crop import small_square

        side = int(self._manifest["input"].get("side", 64))
        squares = [small_square(self._picture(i, 2 * side), side) for i in range(self.n)]
        return np.stack(squares) if squares else np.zeros((0, side, side, 3), np.uint8)

    def scores(self, side: int, outputs: int) -> FloatArray:
        """Return the (n, outputs) scores of the small network, which sees side x side pixels."""
        seen = shrunk(self.pixels, side)
        return self._network("pictures").pictures(lambda i: seen[i], self.n, outputs)

    def _only(self, *modalities: str) -> None:
        if self._modality not in modalities:
            raise BundleCorruptError(
                "the model takes items of another kind",
                got=self._modality,
                allowed=modalities,
            )

    def _network(self, name: str) -> Network:
        if name not in self._networks:
            raise BundleCorruptError(f"the network of the {name} is missing")
        return self._networks[name]()

    def _picture(self, place: int, most: int) -> Any:
        from headstart.data.images import read_image

        item = self.items[place]
        try:
            return read_image(Path(item) if isinstance(item, str) else item, max_side=most)
        except DataError as error:
            where = f"items[{place}]"
            if isinstance(item, str | os.PathLike):
                where = f"{where} ({os.fspath(item)})"
            raise DataError(
                error.what, where=where, got=error.got, allowed=error.allowed, hint=error.hint
            ) from error


def shrunk(images: AnyArray, side: int) -> FloatArray:
    """Return (n, s, s, 3) uint8 images averaged down to (n, 3, side, side), values -1 to 1."""
    weights = np.zeros((side, images.shape[1]), dtype=np.float32)
    for place in range(side):
        first = place * images.shape[1] // side
        beyond = -(-(place + 1) * images.shape[1] // side)
        weights[place, first:beyond] = 1.0 / (beyond - first)
    values = images.astype(np.float32).transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1.0)
    result: FloatArray = weights @ values @ weights.T
    return result


def _listed(items: Any, modality: str) -> Sequence[Any]:
    """Return items as a list, each of the modality."""
    single = isinstance(items, str | bytes | Mapping | os.PathLike) or hasattr(items, "convert")
    array = isinstance(items, np.ndarray) and modality == "image" and items.ndim in (2, 3)
    if single or array or not isinstance(items, Iterable):
        raise OptionError(
            f"not a list of {_NOUNS[modality]}s",
            got=type(items).__name__,
            allowed=_ALLOWED[modality],
            hint="put a single one into a list: [item]",
        )
    listed = list(items)
    kinds: tuple[type, ...] = (str,)
    if modality == "image":
        kinds = (str, os.PathLike, bytes, bytearray, np.ndarray)
    for place, item in enumerate(listed):
        if not isinstance(item, kinds) and not (modality == "image" and hasattr(item, "convert")):
            raise DataError(
                f"not a {_NOUNS[modality]}" if modality == "text" else "not an image",
                where=f"item {place}",
                got=type(item).__name__,
                allowed=_ALLOWED[modality],
            )
    return listed
