"""Bundles that earlier versions wrote load and predict the same, for ever."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny_models import items_of
from tiny_sequences import ASKED

from headstart import bundle
from headstart.bundle.golden import drawn_images

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))


def test_there_are_golden_bundles_of_every_schema():
    assert len(NAMES) >= 6
    assert {path.name for path in GOLDEN.iterdir() if path.is_dir()} == set(NAMES)
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 150_000


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_bundle_predicts_what_it_predicted(name, tmp_path):
    said = json.loads((GOLDEN / f"{name}.json").read_bytes())
    loaded = bundle.load(shutil.copytree(GOLDEN / name, tmp_path / "m"))
    if said["case"][1] == "token-classification":
        assert [list(tags) for tags in loaded.predict(ASKED)] == said["outputs"]
        return
    items = items_of(said["case"][2], 3, seed=5)
    made = loaded.predict_proba(items) if loaded.classes else loaded.predict(items)
    np.testing.assert_allclose(made, said["outputs"], atol=1e-4)


def test_golden_images_are_three_different_pictures():
    images = drawn_images(48)
    assert images.shape == (3, 48, 48, 3)
    assert images.dtype == np.uint8
    assert len({image.tobytes() for image in images}) == 3
    assert all(image.std() > 20 for image in images)
    assert drawn_images(1).shape == (3, 1, 1, 3)
