"""Windows of a recording, each silenced in turn."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from headstart.core.types import FloatArray
from headstart.data.audio import read_audio
from headstart.explain.occlusion import Hidden, rounded

RATE = 16_000
LONGEST = 30.0
"""Seconds of a recording that are looked at."""
WINDOWS = 12
SHORTEST = 0.05
"""Seconds of a window at least."""


def hidden(item: Any, typical: Mapping[str, Any]) -> Hidden:
    """Return a recording (its first 30 seconds) with each of up to twelve windows silenced."""
    samples = read_audio(item, rate=RATE, seconds=LONGEST)
    count = max(1, min(WINDOWS, int(len(samples) / (SHORTEST * RATE))))
    cuts = [round(i * len(samples) / count) for i in range(count + 1)]
    versions = []
    for start, stop in pairwise(cuts):
        silenced = np.array(samples, dtype=np.float32)
        silenced[start:stop] = 0.0
        versions.append((silenced, RATE))

    def told(falls: FloatArray) -> dict[str, Any]:
        return {
            "windows": [
                {
                    "start": round(start / RATE, 3),
                    "end": round(stop / RATE, 3),
                    "weight": rounded(fall, 4),
                }
                for (start, stop), fall in zip(pairwise(cuts), falls.tolist(), strict=True)
            ]
        }

    return Hidden((samples, RATE), versions, told)
