"""An export that was damaged, changed or made up is refused; nothing in it runs."""

from __future__ import annotations

import hashlib
import json
import os
import struct

import numpy as np
import pytest

from headstart.bundle.runner import files, open_export
from headstart.bundle.runner.files import ARRAYS, MANIFEST, NETWORK, TOKENIZER
from headstart.core.errors import BundleCorruptError, BundleError, BundleVersionError

CASE = ("probe", "classification", "text")
TEXTS = ["the quick brown fox", "cancel my order"]


def rewritten(where, **changes):
    """Change fields of export.json."""
    said = json.loads((where / MANIFEST).read_text("utf-8"))
    for name, value in changes.items():
        said[name] = value
    (where / MANIFEST).write_text(json.dumps(said), "utf-8")


def replaced(where, name, raw):
    """Replace a file, and what export.json says of it."""
    (where / name).write_bytes(raw)
    said = json.loads((where / MANIFEST).read_text("utf-8"))
    digest = hashlib.sha256(raw).hexdigest()
    said["files"][name] = {"bytes": len(raw), "sha256": digest}
    (where / MANIFEST).write_text(json.dumps(said), "utf-8")


@pytest.mark.parametrize("name", [ARRAYS, NETWORK, TOKENIZER])
def test_a_changed_byte_is_noticed(name, copied):
    where = copied(CASE)
    raw = bytearray((where / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (where / name).write_bytes(raw)
    with pytest.raises(BundleCorruptError, match="its sha256 is another"):
        open_export(where)


@pytest.mark.parametrize("name", [ARRAYS, NETWORK, TOKENIZER])
def test_another_size_is_noticed(name, copied):
    where = copied(CASE)
    raw = (where / name).read_bytes()
    (where / name).write_bytes(raw[:-1])
    with pytest.raises(BundleCorruptError, match="wrong size"):
        open_export(where)
    (where / name).write_bytes(raw + b" ")
    with pytest.raises(BundleCorruptError, match="wrong size"):
        open_export(where)


def test_a_missing_file_and_a_link_are_refused(copied):
    where = copied(CASE)
    (where / ARRAYS).rename(where / "elsewhere")
    with pytest.raises(BundleCorruptError, match="cannot be read"):
        open_export(where)
    (where / ARRAYS).symlink_to(where / "elsewhere")
    with pytest.raises(BundleCorruptError, match="not a regular file"):
        open_export(where)


def test_a_pipe_is_not_waited_for(copied):
    where = copied(CASE)
    (where / ARRAYS).unlink()
    os.mkfifo(where / ARRAYS)
    with pytest.raises(BundleCorruptError, match="not a regular file"):
        open_export(where)


def test_a_directory_without_an_export_is_told(tmp_path):
    with pytest.raises(BundleError, match="no exported model here"):
        open_export(tmp_path)
    with pytest.raises(BundleError, match="no exported model here"):
        open_export(tmp_path / "nothing")


def test_a_newer_export_is_told(copied):
    where = copied(CASE)
    rewritten(where, schema=2)
    with pytest.raises(BundleVersionError, match="newer headstart"):
        open_export(where)


def test_a_huge_manifest_is_not_read(copied):
    where = copied(CASE)
    with (where / MANIFEST).open("ab") as file:
        file.write(b" " * files.MAX_MANIFEST)
    with pytest.raises(BundleCorruptError, match="wrong size"):
        open_export(where)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "headstart-bundle"),
        ("schema", "1"),
        ("files", []),
        ("files", {"../../etc/passwd": {"bytes": 1, "sha256": "0" * 64}}),
        ("files", {NETWORK: {"bytes": -1, "sha256": "0" * 64}}),
        ("files", {NETWORK: {"bytes": True, "sha256": "0" * 64}}),
        ("files", {NETWORK: {"bytes": 1, "sha256": "x"}}),
        ("files", {NETWORK: "model"}),
        ("modality", "audio"),
        ("kind", "guess"),
        ("strategy", 1),
        ("digest", None),
        ("classes", "abc"),
        ("classes", []),
        ("columns", [{"name": "a", "type": "pickle"}]),
        ("columns", {}),
        ("dim", -1),
        ("dim", True),
        ("input", []),
        ("head", "linear"),
        ("info", None),
        ("golden", {"texts": []}),
        ("answers", {"temperature": "hot"}),
    ],
)
def test_fields_that_are_none_of_an_export_are_refused(name, value, copied):
    where = copied(CASE)
    rewritten(where, **{name: value})
    with pytest.raises(BundleCorruptError):
        open_export(where)


@pytest.mark.parametrize(
    "head",
    [
        {"form": "os.system"},
        {"form": "linear", "numbers": True},
        {"form": "nearest", "neighbours": "many"},
        {"form": "blend", "scratch": {}, "transfer": {}},
        {"form": "blend", "scratch": 3, "transfer": {}},
        {"form": "network", "side": 32, "outputs": 3},
        {"form": "adapted", "kind": "__class__"},
        {"form": "trees", "columns": 3},
        {},
    ],
)
def test_a_made_up_model_fails_in_words(head, copied):
    where = copied(CASE)
    rewritten(where, head=head)
    with pytest.raises(BundleCorruptError):
        open_export(where).predict(TEXTS)


def test_arrays_of_another_shape_fail_in_words(copied):
    where = copied(CASE)
    arrays = files.arrays((where / ARRAYS).read_bytes())
    from headstart.bundle.codec import to_safetensors

    for changed in (np.zeros((3, 3)), np.full((16, 3), np.nan), np.zeros((16, 4))):
        raw = to_safetensors({**arrays, "head.coef": changed}, ARRAYS)
        replaced(where, ARRAYS, raw)
        with pytest.raises(BundleCorruptError):
            open_export(where).predict(TEXTS)


def header(entries, data=b""):
    raw = json.dumps(entries).encode()
    return struct.pack("<Q", len(raw)) + raw + data


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff" * 16,
        struct.pack("<Q", 2**62) + b"{}",
        header([]),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"\0" * 4),
        header({"a": {"dtype": "O", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        header({"a": {"dtype": "U8", "shape": [-1], "data_offsets": [0, 1]}}, b"\0"),
        header({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}, b"\0\0"),
        header({"a": {"dtype": "U8", "shape": ["1"], "data_offsets": [0, 1]}}, b"\0"),
        header(
            {
                "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]},
            },
            b"\0" * 3,
        ),
    ],
)
def test_bytes_that_are_no_arrays_are_refused(raw):
    with pytest.raises(BundleCorruptError, match=r"safetensors|overlap"):
        files.arrays(raw)


def test_arrays_come_back_as_they_were_written():
    from headstart.bundle.codec import to_safetensors

    given = {
        "half": np.arange(3, dtype=np.float16),
        "flags": np.array([[True, False]]),
        "words": np.arange(4, dtype=np.uint64).reshape(2, 2),
        "none": np.zeros((0, 5), np.float32),
        "one": np.array(3.5),
    }
    found = files.arrays(to_safetensors(given, ARRAYS))
    assert {name: (a.dtype, a.shape, a.tolist()) for name, a in found.items()} == {
        name: (a.dtype, a.shape, a.tolist()) for name, a in given.items()
    }


def test_a_network_that_points_at_other_files_is_refused(copied):
    import onnx
    from onnx import TensorProto

    where = copied(CASE)
    model = onnx.load_model_from_string((where / NETWORK).read_bytes())
    outside = model.graph.initializer[0]
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../../etc/passwd"), ("offset", "0"), ("length", "64")):
        entry = outside.external_data.add()
        entry.key, entry.value = key, value
    replaced(where, NETWORK, model.SerializeToString())
    with pytest.raises(BundleCorruptError, match="other files"):
        open_export(where)


@pytest.mark.parametrize("raw", [b"", b"not a network", b"\x08\x09" * 50])
def test_a_network_of_other_bytes_fails_in_words(raw, copied):
    where = copied(CASE)
    replaced(where, NETWORK, raw)
    with pytest.raises(BundleCorruptError, match="not a network"):
        open_export(where).predict(TEXTS)


def test_another_network_fails_in_words(copied, exported):
    where = copied(CASE)
    image = exported(("probe", "classification", "image"))[1]
    replaced(where, NETWORK, (image / NETWORK).read_bytes())
    with pytest.raises(BundleCorruptError, match="the network fails"):
        open_export(where).predict(TEXTS)


def test_features_of_another_width_fail_in_words(copied):
    where = copied(CASE)
    rewritten(where, dim=7)
    with pytest.raises(BundleCorruptError, match="another shape"):
        open_export(where).predict(TEXTS)


def test_a_tokenizer_of_other_bytes_fails_in_words(copied):
    where = copied(CASE)
    replaced(where, TOKENIZER, b'{"model": 3}')
    with pytest.raises(BundleCorruptError, match="not a tokenizer"):
        open_export(where).predict(TEXTS)


@pytest.mark.parametrize(
    ("name", "said"), [(TOKENIZER, "tokenizer is missing"), (NETWORK, "network of the source")]
)
def test_a_file_that_is_not_listed_is_missed(name, said, copied):
    where = copied(CASE)
    told = json.loads((where / MANIFEST).read_text("utf-8"))["files"]
    del told[name]
    rewritten(where, files=told)
    with pytest.raises(BundleCorruptError, match=said):
        open_export(where).predict(TEXTS)


def test_golden_inputs_that_are_missing_are_told(copied):
    where = copied(CASE)
    rewritten(where, golden={"texts": [], "rows": []})
    with pytest.raises(BundleCorruptError, match="golden inputs are missing"):
        open_export(where).check()


def test_code_in_an_export_is_not_run(copied):
    where = copied(CASE)
    trap = "raise SystemExit('run')\n"
    for path in where.rglob("*.py"):
        path.write_text(trap, "utf-8")
    (where / "sitecustomize.py").write_text(trap, "utf-8")
    assert len(open_export(where).predict(TEXTS)) == 2


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_a_package_that_is_missing_is_named(package, exported, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BundleError, match=f"needs the package {package}"):
        open_export(exported(CASE)[1]).predict(TEXTS)
