"""Small squares of pixels."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from headstart.core.errors import DataError, OptionError
from headstart.encode import pixels


def test_small_images_are_enlarged_and_order_is_kept():
    images = [np.full((8, 8), value, np.uint8) for value in range(0, 250, 10)]
    found = pixels(images, side=16)
    assert found.shape == (25, 16, 16, 3)
    assert found.dtype == np.uint8
    assert found[:, 3, 5, 1].tolist() == list(range(0, 250, 10))


def test_the_centre_square_is_kept():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    assert (pixels([wide], side=20) == 200).mean() > 0.9


def test_files_and_errors(tmp_path, recorder):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (300, 200), (10, 200, 30)).save(path)
    found = pixels([path, str(path)], side=32, reporter=recorder)
    assert np.abs(found.astype(int) - (10, 200, 30)).max() <= 4
    assert recorder.steps[-1] == ("reading images", 2, 2, "images")
    with pytest.raises(DataError, match=r"items\[1\] \(.*gone\.jpg\)"):
        pixels([path, tmp_path / "gone.jpg"])


def test_nothing_gives_nothing():
    assert pixels([], side=8).shape == (0, 8, 8, 3)


@pytest.mark.parametrize("side", [0, -1, 5000])
def test_side_out_of_range(side):
    with pytest.raises(OptionError, match="side"):
        pixels([], side=side)
