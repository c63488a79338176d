"""What the benchmarks share: the machine, intervals of ratios, and where results go."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "torch",
    "numpy",
    "scikit-learn",
    "tokenizers",
    "safetensors",
    "transformers",
    "sentence-transformers",
)


def machine() -> dict[str, Any]:
    """Return the processor, its cores and the versions that were measured."""
    model = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next(
            (ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), model
        )
        flags = next((ln for ln in lines if ln.startswith("flags")), "")
        model += ", " + ("AVX-512" if "avx512f" in flags else "no AVX-512")
        model += ", bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else ", no bf16"
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": model, "cores": cores, "python": platform.python_version(), "versions": versions}


def ratio_interval(top: np.ndarray, bottom: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of median(top) / median(bottom) over paired runs."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(top), (2000, len(top)))
    ratios = np.median(top[picks], axis=1) / np.median(bottom[picks], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def write_result(name: str, result: dict[str, Any]) -> None:
    """Write a result as JSON with the command that made it, and show it."""
    RESULTS.mkdir(exist_ok=True)
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    result = {"command": " ".join(["python", *words]), **result}
    text = json.dumps(result, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
