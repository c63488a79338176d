"""Large results live in a file that goes when they do; ``out`` appears only when complete."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest
from tiny_sources import WORDS

from headstart.core.errors import DataError
from headstart.encode import features, output


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_large_array_is_mapped_and_its_file_goes(temporary, monkeypatch, text_backbone):
    monkeypatch.setattr(output, "IN_MEMORY_BYTES", 100)
    mapped = features(WORDS, text_backbone, cache=False).array
    assert isinstance(mapped, np.memmap)
    assert len(list(temporary.iterdir())) == 1
    view = np.asarray(mapped)[3:5]
    expected = view.copy()
    del mapped
    gc.collect()
    assert np.array_equal(view, expected)
    assert len(list(temporary.iterdir())) == 1
    del view
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_out_is_written(tmp_path, text_backbone):
    target = tmp_path / "new" / "features.npy"
    found = features(WORDS, text_backbone, cache=False, out=target).array
    assert np.array_equal(np.load(target), found)
    assert np.array_equal(found, features(WORDS, text_backbone, cache=False).array)
    assert [path.name for path in target.parent.iterdir()] == ["features.npy"]


def test_out_of_nothing(tmp_path, text_backbone):
    target = tmp_path / "features.npy"
    assert features([], text_backbone, cache=False, out=target).array.shape == (0, 32)
    assert np.load(target).shape == (0, 32)


def test_an_error_leaves_no_file(tmp_path, text_backbone):
    target = tmp_path / "features.npy"
    with pytest.raises(DataError):
        features([*WORDS, None], text_backbone, cache=False, out=Path(target))
    assert list(tmp_path.iterdir()) == []
