"""What a class is called, however its label was written."""

from __future__ import annotations

from typing import Any

import numpy as np


def class_name(value: Any) -> str:
    """Return a label as the name of its class: ``3.0`` and ``3`` are one; text is stripped."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
