"""Fixtures of the export tests: tiny models whose pictures are told apart, exported once."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

import tiny_models

from headstart import bundle


def lively_tensors(backbone: Any, seed: int) -> dict[str, np.ndarray]:
    """Weights with which features differ from item to item."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, tensor in sorted(backbone.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        shape = tuple(tensor.shape)
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 0
        values = rng.normal(0, 1.5 / np.sqrt(fan_in) if fan_in else 0.1, shape)
        if name.endswith(("running_var", "norm.weight", "bn.weight")):
            values = 1.0 + np.abs(values)
        found[name] = values.astype(np.float32)
    return found


@pytest.fixture(scope="session")
def lively(tmp_path_factory) -> Any:
    """Make the tiny models of this folder lively, with a cache of their own."""
    patch = pytest.MonkeyPatch()
    patch.setattr(tiny_models, "random_tensors", lively_tensors)
    patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("HEADSTART_OFFLINE", "1")
    patch.setattr("headstart.strategies.small_cnn.steps_for", lambda n: (min(n, 8), 20))
    patch.setattr("headstart.strategies.scratch_table.CHECKPOINTS", (10,))
    made: dict[Any, Any] = {}

    def contents(case: tuple[str, str, str], **changes: Any) -> Any:
        key = (case, *sorted(changes))
        if key not in made:
            made[key] = tiny_models.contents_of(case, **changes)
        return made[key]

    yield contents
    patch.undo()


@pytest.fixture(scope="session")
def exported(lively, tmp_path_factory) -> Any:
    """Return a function: a case -> (its bundle, its export)."""
    made: dict[Any, Any] = {}
    home = tmp_path_factory.mktemp("exports")

    def of(case: tuple[str, str, str]) -> tuple[Any, Path]:
        if case not in made:
            opened = bundle.in_memory(lively(case))
            made[case] = opened, bundle.export(opened, home / "-".join(case))
        return made[case]

    return of


@pytest.fixture
def copied(exported, tmp_path) -> Any:
    """Return a function: a case -> a copy of its export, to be damaged."""

    def of(case: tuple[str, str, str]) -> Path:
        return Path(shutil.copytree(exported(case)[1], tmp_path / "copy"))

    return of


@pytest.fixture(scope="session")
def alone() -> dict[str, str]:
    """An environment in which headstart cannot be imported from its source."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
