"""Texts to features: tokenised in batches, sorted by length, run through the frozen backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.errors import DataError, SourceError
from headstart.core.types import FloatArray, IntArray, Reporter
from headstart.encode import device as devices
from headstart.encode.fast_bert import PackedBert
from headstart.encode.lanes import one_thread, side_by_side

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from headstart.sources.backbone import Backbone

_CPU_TOKENS = 512  # tokens a batch of one core: what its cache holds
_GPU_TOKENS = 32768
_MAX_PADDING = 1.15  # of a batch on the plain path: longest text over shortest
_SAMPLE = (
    "ok",
    "The quick brown fox jumps over the lazy dog.",
    "Is my flight to Rome on 12 March still on time? I could not find the gate number!",
    "transfer learning " * 40,
    "naïve café 中文 😀",
    "x = [i ** 2 for i in range(10)]",
)


class TextEncoder:
    """A frozen text backbone made ready to encode texts.

    Parameters
    ----------
    backbone : Backbone
    device : str, optional
    precision : {"auto", "float32", "bf16"}
    reporter : Reporter
    few : bool
        Not worth packing float32 weights for.
    """

    stage = "embedding texts"
    unit = "texts"
    window = 8192

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
        self._name = backbone.card.name
        self._prefix = str(backbone.card.input.get("prefix") or "")
        self._limit = int(backbone.card.input["max_tokens"])
        self._tokenizer = _ready(backbone, self._limit)
        self._cut = 0
        self._device = devices.pick_device(device)
        self._run: Any = None
        if self._device.type == "cpu":
            with one_thread():
                self.precision = self._prepare_cpu(backbone, precision, few)
        else:
            self.precision = devices.gpu_precision(self._device, precision)
        if self._run is None:
            self._module = devices.Module(backbone, self._device, self.precision, reporter)

    def hashes(self, items: Sequence[Any], first: int, *, cached: bool) -> list[bytes]:
        """Return a hash of each text."""
        found = []
        for offset, text in enumerate(items):
            if not isinstance(text, str):
                raise DataError(
                    "this item is not a text",
                    where=f"items[{first + offset}]",
                    got=text,
                    allowed="str",
                )
            found.append(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        return found

    def encode(
        self, items: Sequence[str], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield (indices into ``items``, features), long texts first."""
        ids = self._tokenise(items)
        if self._run is not None:
            return self._packed(ids)
        return self._padded(ids)

    def finish(self) -> None:
        """Say how many texts were cut."""
        if self._cut:
            self._reporter.say(
                f"{self._cut} of the texts embedded now are longer than the {self._limit} tokens "
                f"that {self._name} reads; the rest of each was not used."
            )

    def _tokenise(self, items: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(_prefixed(items, self._prefix))
        self._cut += sum(bool(encoding.overflowing) for encoding in encodings)
        return [encoding.ids for encoding in encodings]

    def _packed(self, ids: list[list[int]]) -> Iterator[tuple[IntArray, FloatArray]]:
        batches = list(_batches(ids, _CPU_TOKENS * -(-torch.get_num_threads() // 4)))

        def run(index: list[int]) -> tuple[IntArray, FloatArray]:
            return np.array(index), self._run(_groups(ids, index)).numpy()

        return side_by_side(run, batches, count=len(batches))

    def _padded(self, ids: list[list[int]]) -> Iterator[tuple[IntArray, FloatArray]]:
        """The plain module over sorted batches, padded to the longest; on a GPU, or for others."""
        on_cpu = self._device.type == "cpu"
        batches = list(_batches(ids, _CPU_TOKENS if on_cpu else _GPU_TOKENS, _MAX_PADDING))

        def run(index: list[int]) -> tuple[IntArray, FloatArray]:
            return np.array(index), self._module(_padded(ids, index)).numpy()

        if on_cpu:
            return side_by_side(run, batches, count=len(batches))
        return map(run, batches)

    def _prepare_cpu(self, backbone: Backbone, precision: str, few: bool) -> str:
        """Choose the fastest forward pass that stays true to the backbone's own."""
        if not PackedBert.fits(backbone):
            return "float32"
        plain = PackedBert(backbone, dtype=torch.float32, prepack=False)
        for dtype, least in devices.cpu_candidates(precision, self._reporter):
            if few and dtype == torch.float32:
                continue
            try:
                candidate = PackedBert(backbone, dtype=dtype, prepack=True)
                cosine = self._compare(candidate, plain)
            except (RuntimeError, AttributeError, TypeError):  # private operations may change
                continue
            if cosine >= least:
                self._run = candidate
                return "bf16" if dtype == torch.bfloat16 else "float32"
            devices.say_drift(self._reporter, self._name, dtype, cosine)
        self._run = plain
        return "float32"

    def _compare(self, candidate: PackedBert, plain: PackedBert) -> float:
        """Return the worst cosine between two forward passes over a few texts."""
        encodings = self._tokenizer.encode_batch_fast([self._prefix + text for text in _SAMPLE])
        groups = [torch.tensor([encoding.ids]) for encoding in encodings]
        with torch.inference_mode():
            return devices.worst_cosine(candidate(groups), plain(groups))


def token_ids(items: Sequence[str], backbone: Backbone) -> tuple[list[list[int]], Tokenizer]:
    """Return the token ids of texts as the backbone reads them (prefixed, cut), and how.

    Parameters
    ----------
    items : sequence of str, length n
    backbone : Backbone

    Raises
    ------
    SourceError
        The backbone has no tokenizer.
    """
    tokenizer = _ready(backbone, int(backbone.card.input["max_tokens"]))
    texts = _prefixed(items, str(backbone.card.input.get("prefix") or ""))
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(texts)], tokenizer


def _prefixed(items: Sequence[str], prefix: str) -> list[str]:
    return [prefix + text.encode("utf-8", "replace").decode() for text in items]


def _ready(backbone: Backbone, limit: int) -> Tokenizer:
    """Return a tokenizer that cuts at ``limit`` and does not pad; the backbone's own if it does."""
    from tokenizers import Tokenizer

    given = backbone.tokenizer
    if given is None:
        raise SourceError("this source has no tokenizer", where=backbone.card.name)
    cuts = given.truncation or {}
    if given.padding is None and cuts.get("max_length") == limit:
        return given
    own = Tokenizer.from_str(given.to_str())
    own.no_padding()
    own.enable_truncation(limit)
    return own


def _batches(
    ids: list[list[int]], tokens: int, max_padding: float = float("inf")
) -> Iterator[list[int]]:
    """Yield indices of texts of similar length, longest first, at most ``tokens`` tokens each."""
    order = sorted(range(len(ids)), key=lambda i: (-len(ids[i]), i))
    batch: list[int] = []
    total = 0
    for i in order:
        length = len(ids[i])
        full = total + length > tokens or (batch and len(ids[batch[0]]) > max_padding * length)
        if batch and full:
            yield batch
            batch, total = [], 0
        batch.append(i)
        total += length
    if batch:
        yield batch


def _groups(ids: list[list[int]], index: list[int]) -> list[Tensor]:
    """Return the token ids of texts, those of equal length as one tensor."""
    return [
        torch.tensor([ids[i] for i in same]) for _, same in groupby(index, lambda i: len(ids[i]))
    ]


def _padded(ids: list[list[int]], index: list[int]) -> tuple[Tensor, Tensor]:
    length = max(len(ids[i]) for i in index)
    batch = np.zeros((len(index), length), dtype=np.int64)
    mask = np.zeros((len(index), length), dtype=np.int64)
    for row, i in enumerate(index):
        batch[row, : len(ids[i])] = ids[i]
        mask[row, : len(ids[i])] = 1
    return torch.from_numpy(batch), torch.from_numpy(mask)
