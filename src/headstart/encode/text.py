"""Texts to features: tokenised in batches, sorted by length, run through the frozen backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.core.errors import DataError
from headstart.core.types import FloatArray, IntArray, Reporter
from headstart.encode.device import pick_device

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from headstart.sources.backbone import Backbone

_TOKENS = 4096  # tokens a batch, padding included


class TextEncoder:
    """A frozen text backbone made ready to encode texts."""

    stage = "embedding texts"
    unit = "texts"

    def __init__(
        self, backbone: Backbone, *, device: str | None, precision: str, reporter: Reporter
    ) -> None:
        self.dim = backbone.card.dim
        self.precision = "float32"
        self._reporter = reporter
        self._backbone = backbone
        self._device = pick_device(device)
        self._prefix = str(backbone.card.input.get("prefix") or "")
        self._limit = int(backbone.card.input["max_tokens"])
        self._tokenizer = _cutting(backbone.tokenizer, self._limit)
        self._cut = 0

    def hashes(self, items: Sequence[Any], first: int) -> list[bytes]:
        """Return a hash of each text."""
        found = []
        for offset, text in enumerate(items):
            if not isinstance(text, str):
                raise DataError(
                    "this item is not a text", where=f"items[{first + offset}]",
                    got=type(text).__name__, allowed="str",
                )  # fmt: skip
            found.append(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return found

    def encode(
        self, items: Sequence[str], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield (indices into ``items``, features), long texts first."""
        texts = [self._prefix + text.encode("utf-8", "replace").decode() for text in items]
        encodings = self._tokenizer.encode_batch(texts)
        self._cut += sum(bool(encoding.overflowing) for encoding in encodings)
        ids = [encoding.ids for encoding in encodings]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        start = 0
        while start < len(order):
            length = len(ids[order[start]])
            index = order[start : start + max(1, _TOKENS // length)]
            start += len(index)
            batch = np.zeros((len(index), length), dtype=np.int64)
            mask = np.zeros((len(index), length), dtype=np.int64)
            for row, i in enumerate(index):
                batch[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            with torch.inference_mode():
                rows = self._backbone((torch.from_numpy(batch), torch.from_numpy(mask)))
            yield np.array(index), rows.float().numpy()

    def finish(self) -> None:
        """Say how many texts were cut."""
        if self._cut:
            self._reporter.say(
                f"{self._cut} texts are longer than the {self._limit} tokens that "
                f"{self._backbone.card.name} reads; their rest was not used."
            )


def _cutting(tokenizer: Tokenizer, limit: int) -> Tokenizer:
    from tokenizers import Tokenizer

    own = Tokenizer.from_str(tokenizer.to_str())
    own.no_padding()
    own.enable_truncation(limit)
    return own
