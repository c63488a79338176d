"""What is read is bounded before it is read, and nothing is saved that could not be read again."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sequences import saved_tagger

from headstart import bundle
from headstart.bundle import store
from headstart.bundle.codec import DEEPEST, bounded, from_json, from_safetensors, to_safetensors
from headstart.core.errors import BundleCorruptError, BundleError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))


def test_a_model_larger_than_allowed_is_not_read(saved, tmp_path, majority):
    packed = bundle.save(tmp_path / "m.zip", majority)
    for path in (saved, packed):
        with pytest.raises(BundleCorruptError, match="larger than what is read"):
            bundle.load(path, max_bytes=1000)
        whole = sum(one.size for one in bundle.load(path).manifest.files.values())
        bundle.load(path, max_bytes=whole)


def test_what_could_not_be_read_again_is_not_saved(majority, tmp_path, monkeypatch):
    nested: object = 1
    for _ in range(DEEPEST + 1):
        nested = [nested]
    with pytest.raises(BundleError, match="nested deeper"):
        bundle.save(tmp_path / "deep", replace(majority, extra={"x": nested}))
    monkeypatch.setitem(store.SIZES, "README.md", 100)
    with pytest.raises(BundleError, match="too large to be saved"):
        bundle.save(tmp_path / "large", majority)
    assert not (tmp_path / "deep").exists()
    assert not (tmp_path / "large").exists()


def test_a_sequence_model_does_not_pass_for_another(tmp_path):
    path = saved_tagger(tmp_path / "m")
    files = {one.name: one.read_bytes() for one in path.iterdir()}
    made = hostile.put("result", "digest", value="0" * 64)(files)
    with pytest.raises(BundleCorruptError, match="told as measured"):
        bundle.load(hostile.directory(tmp_path / "forged", made))


TEXT = st.text(alphabet='ab"\\[]{},é', max_size=8)
JSON = st.recursive(
    TEXT | st.integers(-5, 5) | st.booleans() | st.none(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXT, part, max_size=3),
    max_leaves=15,
)


def depth(value: object) -> int:
    parts = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(depth, parts), default=0) if isinstance(parts, list) else 0


@settings(deadline=None, derandomize=True, max_examples=150)
@given(JSON, st.integers(0, 8))
def test_depth_is_counted_as_a_parser_would(value, most):
    raw = json.dumps(value, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.bundle.codec.DEEPEST", most)
        assert bool(bounded(raw)) == (depth(value) > most)


def test_values_are_counted(monkeypatch):
    monkeypatch.setattr("headstart.bundle.codec.MOST_VALUES", 5)
    assert bounded(b'{"a": [1, 2, "[[[[,,,,"]}') == "more than 5 values"
    assert not bounded(b'{"a": "[[[[[,,,,,"}')
    with pytest.raises(BundleCorruptError, match="more than 5 values"):
        from_json(b"[1, 2, 3, 4, 5, 6]", "x")


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**21])
def test_whole_numbers_are_of_64_bits(number):
    with pytest.raises(BundleCorruptError, match="out of range"):
        from_json(b'{"a": %d}' % number, "x")
    assert from_json(b'{"a": %d}' % (2**64 - 1), "x") == {"a": 2**64 - 1}


SHAPES = [(), (0,), (3,), (2, 0, 4), (1, 2, 3)]
TYPES = ["bool", "float16", "float32", "float64", "int8", "int64", "uint16", "uint64"]


def test_every_array_that_is_saved_is_read_again():
    arrays = {
        f"{kind} {shape}": np.ones(shape, dtype=kind) for kind in TYPES for shape in SHAPES
    } | {"größe": np.zeros(1), "": np.zeros(2)}
    back = from_safetensors(to_safetensors(arrays, "x"), "x")
    assert {name: (a.dtype, a.shape) for name, a in back.items()} == {
        name: (a.dtype, a.shape) for name, a in arrays.items()
    }
    assert from_safetensors(to_safetensors({}, "x"), "x") == {}


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        ({"a": []}, b"", "not described"),
        ({"a": {"dtype": "F32", "shape": [1]}}, b"", "not described"),
        ({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}, b"1234", "no sound shape"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, b"1234", "no sound shape"),
        ({"a": {"dtype": "I8", "shape": [1] * 9, "data_offsets": [0, 1]}}, b"1", "no sound shape"),
        ({"a": {"dtype": "I8", "shape": [True], "data_offsets": [0, 1]}}, b"1", "no sound shape"),
        ({"a": {"dtype": "I8", "shape": [2], "data_offsets": [0, 1]}}, b"1", "fill its place"),
        ({"a": {"dtype": "I8", "shape": [1], "data_offsets": [1, 2]}}, b"12", "leave a gap"),
        ({"a": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]}}, b"12", "of no tensor"),
    ],
)
def test_headers_that_lie_are_refused(header, data, words):
    text = json.dumps(header).encode()
    with pytest.raises(BundleCorruptError, match=words):
        from_safetensors(len(text).to_bytes(8, "little") + text + data, "x")
    with pytest.raises(BundleCorruptError, match="no header"):
        from_safetensors(b"1234", "x")


def test_mutated_models_are_refused_or_the_same(tmp_path):
    """A few hundred of the twenty thousand of ``make proof-bundles``."""
    from bundle_mutations import run

    found = run(240, 11, tmp_path)
    assert not found["wrong"]
    assert found["told"]["refused"] > 120
