"""A network in ONNX: token ids or pixels in, features out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from headstart.bundle.runner.files import NETWORK
from headstart.core.errors import BundleCorruptError, BundleError
from headstart.core.types import AnyArray, FloatArray

TOKENS = 4096  # of a batch of texts
PADDING = 1.25  # of a batch: longest text over shortest
IMAGES = 8  # of a batch


class Network:
    """A graph ready to run.

    Parameters
    ----------
    raw : bytes
        Of the ONNX file.
    where : str
        Its name, for messages.
    threads : int
        0 takes as many as there are cores.

    Raises
    ------
    BundleCorruptError
        The bytes are no such graph.
    BundleError
        onnxruntime is not installed.
    """

    def __init__(self, raw: bytes, where: str = NETWORK, *, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise BundleError(
                "running this model needs the package onnxruntime, which is not installed",
                hint="pip install onnxruntime",
            ) from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                raw, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # whatever a parser in another language makes of hostile bytes
            reason = str(error).splitlines()[0]
            raise BundleCorruptError(f"not a network that can run: {reason}", where=where) from None
        self._where = where
        self._names = [found.name for found in self._session.get_inputs()]

    def run(self, *arrays: AnyArray) -> FloatArray:
        """Return the only output for the inputs in their order.

        Raises
        ------
        BundleCorruptError
            The network takes other inputs.
        """
        try:
            (made,) = self._session.run(None, dict(zip(self._names, arrays, strict=True)))
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise BundleCorruptError(f"the network fails: {reason}", where=self._where) from None
        return np.asarray(made, dtype=np.float32)

    def texts(self, ids: Sequence[Sequence[int]], dim: int) -> FloatArray:
        """Return the (n, dim) features of texts as token ids."""
        result = np.zeros((len(ids), dim), dtype=np.float32)
        for index in _batches([len(one) for one in ids]):
            width = max(1, max(len(ids[i]) for i in index))
            tokens = np.zeros((len(index), width), dtype=np.int64)
            mask = np.zeros_like(tokens)
            for row, i in enumerate(index):
                tokens[row, : len(ids[i])] = ids[i]
                mask[row, : len(ids[i])] = 1
            result[index] = self._shaped(self.run(tokens, mask), len(index), dim)
        return result

    def pictures(self, read: Callable[[int], AnyArray], n: int, dim: int) -> FloatArray:
        """Return the (n, dim) features of n pictures, each (side, side, 3) of uint8 when read."""
        result = np.zeros((n, dim), dtype=np.float32)
        for start in range(0, n, IMAGES):
            part = np.stack([read(i) for i in range(start, min(n, start + IMAGES))])
            result[start : start + IMAGES] = self._shaped(self.run(part), len(part), dim)
        return result

    def _shaped(self, made: FloatArray, n: int, dim: int) -> FloatArray:
        if made.shape != (n, dim):
            raise BundleCorruptError(
                "the network makes features of another shape",
                where=self._where,
                got=made.shape,
                allowed=str((n, dim)),
            )
        return made


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the places of texts of similar length, the longest first."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = max(1, lengths[batch[0]]) if batch else 0
        full = longest * (len(batch) + 1) > TOKENS or longest > PADDING * max(1, lengths[i])
        if batch and full:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
