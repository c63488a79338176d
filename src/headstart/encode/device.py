"""Where to compute and in which precision, and the plain module run there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.errors import OptionError
from headstart.core.types import Reporter

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

SAME_COSINE = 0.99999
"""What packed operations in float32 must reach on a sample, against the plain ones."""
DRIFT_COSINE = 0.9998
"""What features in bfloat16 must reach on a sample, against those in float32."""
_DEVICES = ("cpu", "cuda", "cuda:N", "mps")


def pick_device(device: str | None) -> torch.device:
    """Return the device asked for, or the best there is.

    Raises
    ------
    OptionError
        If the device is unknown or not on this machine.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    reason = None
    try:
        found = torch.device(device)
        if found.type in ("cpu", "cuda", "mps"):
            torch.empty(1, device=found)
            return found
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
    raise OptionError(
        "this device cannot be used", where="device", got=device, allowed=_DEVICES, hint=reason
    )


def native_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    checks = [getattr(torch.cpu, name, None) for name in names]
    return any(check() for check in checks if check is not None)


def onednn_is_faster() -> bool:
    """Tell whether oneDNN's packed multiplication beats MKL's: with AVX-512 it does.

    Measured: 425 against 180 GFLOP/s on Zen 5, but 160 against 180 on Zen 3, which has AVX2.
    """
    capability = str(torch.backends.cpu.get_cpu_capability())
    return torch.backends.mkldnn.is_available() and capability.startswith("AVX512")


def cpu_candidates(precision: str, reporter: Reporter) -> Iterator[tuple[torch.dtype, float]]:
    """Yield (dtype, least cosine) of packed forward passes to try, fastest first."""
    if precision == "bf16" and not native_bf16():
        reporter.say("This CPU does not compute in bfloat16 natively: float32 is used.")
    if precision != "float32" and native_bf16():
        yield torch.bfloat16, DRIFT_COSINE
    if onednn_is_faster():
        yield torch.float32, SAME_COSINE


def say_drift(reporter: Reporter, name: str, dtype: torch.dtype, cosine: float) -> None:
    """Say that a faster forward pass was refused."""
    word = "bfloat16" if dtype == torch.bfloat16 else "packed float32"
    reporter.say(
        f"{name} in {word} strays from float32 on this CPU (cosine {cosine:.5f}): not used."
    )


def gpu_precision(device: torch.device, precision: str) -> str:
    """Return "float32", "bf16" or "float16" for a GPU."""
    if precision == "float32":
        return "float32"
    if precision == "bf16" or (device.type == "cuda" and torch.cuda.is_bf16_supported()):
        return "bf16"
    return "float16"


def worst_cosine(first: Tensor, second: Tensor, parts: Sequence[slice] = (slice(None),)) -> float:
    """Return the smallest cosine between rows of two (n, d) tensors; -1 if not all are finite.

    Of rows that hold several features side by side, in ``parts``, it is that of any of them.
    """
    pairs = [(first[:, part].double(), second[:, part].double()) for part in parts]
    cosine = torch.stack([functional.cosine_similarity(*pair, dim=1) for pair in pairs])
    return float(cosine.min()) if bool(torch.isfinite(cosine).all()) else -1.0


class Module:
    """A backbone's own forward pass on a device; a batch too large for its memory is halved.

    Parameters
    ----------
    backbone : Backbone
        Left where it is: a GPU gets a copy.
    device : torch.device
    precision : {"float32", "bf16", "float16"}
    reporter : Reporter
        Told when memory ran out.
    """

    def __init__(
        self, backbone: Backbone, device: torch.device, precision: str, reporter: Reporter
    ) -> None:
        self._device, self._reporter, self._told = device, reporter, False
        self._backbone: Any = backbone if device.type == "cpu" else _copied(backbone, device)
        self._dtype = {"bf16": torch.bfloat16, "float16": torch.float16}.get(precision)

    def __call__(self, batch: Any) -> Tensor:
        """Return float32 features (n, dim) on the CPU of a tensor, or a tuple of tensors."""
        try:
            return self._forward(batch)
        except torch.OutOfMemoryError:
            count = len(batch[0] if isinstance(batch, tuple) else batch)
            if count == 1:
                raise
        if not self._told:
            self._told = True
            self._reporter.say("The device is out of memory: going on with smaller batches.")
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        half = (count + 1) // 2
        return torch.cat([self(_part(batch, 0, half)), self(_part(batch, half, count))])

    def _forward(self, batch: Any) -> Tensor:
        if isinstance(batch, tuple):
            moved: Any = tuple(part.to(self._device) for part in batch)
        else:
            moved = batch.to(self._device)
        half: Any = contextlib.nullcontext()
        if self._dtype is not None:
            half = torch.autocast(self._device.type, dtype=self._dtype)
        with torch.inference_mode(), half:
            return self._backbone(moved).float().cpu()


def _part(batch: Any, start: int, stop: int) -> Any:
    if isinstance(batch, tuple):
        return tuple(part[start:stop] for part in batch)
    return batch[start:stop]


def _copied(backbone: Backbone, device: torch.device) -> Any:
    import copy

    tokenizer, backbone.tokenizer = backbone.tokenizer, None
    try:
        return copy.deepcopy(backbone).to(device)
    finally:
        backbone.tokenizer = tokenizer
