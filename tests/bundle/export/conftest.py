"""Fixtures of the export tests: tiny models whose pictures are told apart, exported once."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from lively_backbones import lively_tensors

from headstart import bundle


@pytest.fixture(scope="session")
def kept() -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return where models and exports are kept for all files of this folder."""
    return {}, {}


@pytest.fixture(scope="module")
def lively(kept, tmp_path_factory) -> Any:
    """Make the tiny models of this folder lively, with a cache of their own.

    What is patched is so for one file of tests at a time, never for those of another folder.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(tiny_models, "random_tensors", lively_tensors)
    patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("HEADSTART_OFFLINE", "1")
    patch.setattr("headstart.strategies.small_cnn.steps_for", lambda n: (min(n, 8), 20))
    patch.setattr("headstart.strategies.scratch_table.CHECKPOINTS", (10,))
    made = kept[0]

    def contents(case: tuple[str, str, str], **changes: Any) -> Any:
        if case not in made:
            made[case] = tiny_models.contents_of(case)
        return replace(made[case], **changes)

    yield contents
    patch.undo()


@pytest.fixture(scope="module")
def exported(lively, kept, tmp_path_factory) -> Any:
    """Return a function: a case -> (its bundle, its export)."""
    made = kept[1]
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
