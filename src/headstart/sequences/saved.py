"""Reading the state of a saved model: what is missing or of another shape is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.errors import BundleCorruptError
from headstart.core.types import AnyArray, State


def array(state: State, name: str, shape: Sequence[int | None]) -> AnyArray:
    """Return an array of a state.

    Parameters
    ----------
    state : State
    name : str
    shape : sequence of int or None
        None: any length.

    Raises
    ------
    BundleCorruptError
        It is missing, of another shape, or not finite.
    """
    found = state.arrays.get(name)
    fits = found is not None and len(found.shape) == len(shape)
    if found is None or not fits:
        raise BundleCorruptError(f"the array {name!r} is missing, or of another shape")
    if any(want is not None and want != got for want, got in zip(shape, found.shape, strict=True)):
        raise BundleCorruptError(
            f"the array {name!r} is of another shape", got=found.shape, allowed=str(tuple(shape))
        )
    if not np.isfinite(found).all():
        raise BundleCorruptError(f"the array {name!r} holds what is no number")
    return found


def fact(state: State, name: str, kind: type) -> Any:
    """Return a value of the JSON of a state.

    Raises
    ------
    BundleCorruptError
        It is missing, or of another type.
    """
    found = state.meta.get(name)
    if not isinstance(found, kind) or (kind is not bool and isinstance(found, bool)):
        raise BundleCorruptError(f"{name!r} is missing, or of another type", got=found)
    return found


def names(state: State, name: str, least: int = 1) -> tuple[str, ...]:
    """Return a list of texts that differ.

    Raises
    ------
    BundleCorruptError
        It is none.
    """
    found = fact(state, name, list)
    if len(found) < least or not all(isinstance(one, str) for one in found):
        raise BundleCorruptError(f"{name!r} is no list of names", got=found[:5])
    if len(set(found)) != len(found):
        raise BundleCorruptError(f"{name!r} holds a name twice", got=found[:5])
    return tuple(found)
