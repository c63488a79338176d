"""Where to compute, and in which precision."""

from __future__ import annotations

from typing import Any

import torch

from headstart.core.errors import OptionError

DRIFT_COSINE = 0.9998
"""Features in half precision must point this nearly where those in float32 do."""


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
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OptionError(
            "this device cannot be used",
            where="device",
            got=device,
            allowed=("cpu", "cuda", "cuda:N", "mps"),
            hint=str(error).splitlines()[0],
        ) from error
    if found.type not in ("cpu", "cuda", "mps"):
        raise OptionError(
            "this device cannot be used",
            where="device",
            got=device,
            allowed=("cpu", "cuda", "cuda:N", "mps"),
        )
    return found


def native_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16, AMX, or ARM's)."""
    capabilities: dict[str, Any] = {}
    read = getattr(torch.backends.cpu, "get_cpu_capability", None)
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported", "_is_arm_bf16_supported")
    for name in checks:
        check = getattr(torch.cpu, name, None)
        if check is not None:
            capabilities[name] = check()
    return bool(read) and any(capabilities.values())


def worst_cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the smallest cosine between rows of two (n, d) tensors."""
    pair = torch.nn.functional.cosine_similarity(first.double(), second.double(), dim=1)
    return float(pair.min())
