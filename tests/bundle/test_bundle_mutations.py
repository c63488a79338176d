"""No damaged or forged bundle loads: each is refused with a typed error."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import contents_of

from headstart import bundle
from headstart.bundle.codec import from_safetensors, to_json, to_safetensors
from headstart.bundle.manifest import MANIFEST, FileRecord, dump, parse
from headstart.bundle.place import Directory
from headstart.core.errors import BundleCorruptError, BundleError, BundleVersionError

NAMES = [
    "README.md",
    "golden.json",
    "golden.safetensors",
    "manifest.json",
    "model.safetensors",
    "source.safetensors",
    "state.json",
    "tokenizer.json",
]


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_the_unharmed_copy_loads(copy):
    assert sorted(path.name for path in copy.iterdir()) == NAMES
    bundle.load(copy).predict(["my order"])


def failure(path: Path) -> BundleError | None:
    """Return why a bundle does not load; None if it does."""
    try:
        bundle.load(path)
    except BundleError as error:
        return error
    return None


def changed_bytes(raw: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    for _ in range(40):
        place, bit = int(rng.integers(len(raw))), int(rng.integers(8))
        flipped = bytes([raw[place] ^ (1 << bit)])
        yield f"bit {bit} of byte {place}", raw[:place] + flipped + raw[place + 1 :]
    yield "empty", b""
    yield "first half", raw[: len(raw) // 2]
    yield "without its last byte", raw[:-1]
    yield "with a byte more", raw + b"\n"
    yield "twice", raw + raw
    yield "zeros", b"\0" * len(raw)
    yield "backwards", raw[::-1]
    yield "a byte moved", raw[1:] + raw[:1]


@pytest.mark.parametrize("name", NAMES)
def test_changed_bytes_are_refused(name, copy):
    file = copy / name
    raw = file.read_bytes()
    refused = 0
    for what, mutated in changed_bytes(raw, np.random.default_rng(len(name))):
        if mutated == raw:
            continue
        file.write_bytes(mutated)
        assert isinstance(failure(copy), BundleError), f"{name}: {what} was loaded"
        refused += 1
    assert refused >= 45  # over seven files: more than 300 mutated bundles
    file.write_bytes(raw)
    bundle.load(copy)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_refused(name, copy):
    (copy / name).unlink()
    with pytest.raises(BundleError, match="manifest" if name == MANIFEST else "missing"):
        bundle.load(copy)


@pytest.mark.parametrize("other", NAMES)
@pytest.mark.parametrize("name", NAMES)
def test_swapped_files_are_refused(name, other, copy):
    if name >= other:
        return
    one, two = (copy / name).read_bytes(), (copy / other).read_bytes()
    (copy / name).write_bytes(two)
    (copy / other).write_bytes(one)
    with pytest.raises(BundleError):
        bundle.load(copy)


@pytest.mark.parametrize("extra", ["extra.txt", ".hidden", "model.py", "model.safetensors~"])
def test_a_file_more_is_refused(extra, copy):
    (copy / extra).write_text("")
    with pytest.raises(BundleCorruptError, match="do not belong"):
        bundle.load(copy)


@pytest.mark.parametrize("name", NAMES)
def test_links_pipes_and_directories_in_place_of_files_are_refused(name, copy, tmp_path):
    raw = (copy / name).read_bytes()
    (tmp_path / "outside").write_bytes(raw)

    def link() -> None:
        (copy / name).symlink_to(tmp_path / "outside")

    def dangling() -> None:
        (copy / name).symlink_to(tmp_path / "nowhere")

    makers: list[Callable[[], Any]] = [link, dangling, (copy / name).mkdir]
    if hasattr(os, "mkfifo"):
        makers.append(lambda: os.mkfifo(copy / name))
    for make in makers:
        (copy / name).unlink()
        make()
        with pytest.raises(BundleCorruptError, match="not a regular file"):
            bundle.load(copy)
        if (copy / name).is_dir():
            (copy / name).rmdir()
            (copy / name).touch()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(copy):
    (copy / "state.json").chmod(0)
    with pytest.raises(BundleCorruptError, match="cannot be read"):
        bundle.load(copy)


def test_what_vanishes_while_it_is_read_is_refused(copy, tmp_path, monkeypatch):
    with Directory(copy) as place:
        real = os.open
        monkeypatch.setattr(os, "open", lambda path, *rest, **more: real(tmp_path / "gone", *rest))
        with pytest.raises(BundleCorruptError, match="cannot be read"):
            place.read("state.json", at_most=10)


def test_what_becomes_a_device_while_it_is_read_is_refused(copy, monkeypatch):
    with Directory(copy) as place:
        real = os.open
        monkeypatch.setattr(os, "open", lambda path, *rest, **more: real(os.devnull, *rest))
        with pytest.raises(BundleCorruptError, match="not a regular file"):
            place.read("state.json", at_most=10)


# ------------------------------------------------------------------ no bundle at all


def test_places_without_a_bundle_are_told_apart(tmp_path):
    (tmp_path / "file").write_text("x")
    for name, words in (("none", "no model here"), ("file", "a directory"), (".", "no manifest")):
        with pytest.raises(BundleError, match=words):
            bundle.load(tmp_path / name)


def test_an_unlistable_place_is_an_error_of_ours(tmp_path):
    with pytest.raises(BundleError, match="cannot be read"):
        bundle.load(tmp_path / ("n" * 300))


# ------------------------------------------------------------------ forged manifests


def forged(path: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """Change the manifest and make its digest fit again."""
    said = json.loads((path / MANIFEST).read_bytes())
    result = edit(said)
    said["digest"] = said.pop("digest")  # stays the last
    raw = result if isinstance(result, bytes) else to_json(said)
    body, mark, _ = raw.rpartition(b'"digest": "')
    digest = hashlib.sha256(body + mark).hexdigest().encode()
    (path / MANIFEST).write_bytes(body + mark + digest + b'"\n}\n')


def replaced(old: str, new: str) -> Callable[[dict[str, Any]], bytes]:
    def edit(said: dict[str, Any]) -> bytes:
        raw = to_json(said).decode()
        assert old in raw
        return raw.replace(old, new, 1).encode()

    return edit


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(said: dict[str, Any]) -> None:
        for key in keys[:-1]:
            said = said[key]
        said[keys[-1]] = value

    return edit


NUMBER = {"name": "a", "type": "number", "mean": 0, "spread": 0}
FORGERIES = {
    "unknown strategy": (put("strategy", value="os:system"), "no strategy"),
    "strategy that is a path": (put("strategy", value="../../x"), "no strategy"),
    "strategy without source": (put("strategy", value="majority"), "a source where"),
    "unknown kind": (put("kind", value="pickle"), "none of the known values"),
    "other kind": (put("kind", value="regression"), "contradicts itself"),
    "unknown modality": (put("modality", value="smell"), "none of the known values"),
    "other modality": (put("modality", value="image"), "golden inputs of another"),
    "a modality it cannot do": (put("modality", value="table"), "no strategy"),
    "classes in another order": (lambda m: m["classes"].reverse(), "other classes"),
    "a class less": (lambda m: m["classes"].pop(), "other classes"),
    "a class twice": (lambda m: m["classes"].append(m["classes"][0]), "stands twice"),
    "a class that is a number": (lambda m: m["classes"].append(3), "something else than text"),
    "no class": (put("classes", value=[]), "contradicts itself"),
    "columns of a text": (put("columns", value=[NUMBER]), "tables only"),
    "a column that is text": (put("columns", value=["a"]), "not a JSON object"),
    "a column of no type": (put("columns", value=[NUMBER | {"type": "x"}]), "none of the known"),
    "a file less": (lambda m: m["files"].pop("state.json"), "lists no state.json"),
    "weights not listed": (lambda m: m["files"].pop("source.safetensors"), "exactly when"),
    "tokenizer not listed": (lambda m: m["files"].pop("tokenizer.json"), "do not belong"),
    "traversal": (
        put("files", "../state.json", value={"size": 1, "sha256": "0" * 64}),
        "no bundle has",
    ),
    "absolute path": (
        put("files", "/etc/passwd", value={"size": 1, "sha256": "0" * 64}),
        "no bundle has",
    ),
    "size too large": (put("files", "state.json", "size", value=10**15), "larger than such a file"),
    "size too small": (put("files", "state.json", "size", value=1), "of the wrong size"),
    "negative size": (put("files", "state.json", "size", value=-1), "negative"),
    "size as text": (put("files", "state.json", "size", value="7"), "of the wrong type"),
    "size as truth": (put("files", "state.json", "size", value=True), "of the wrong type"),
    "no sha256": (put("files", "state.json", "sha256", value="0"), "not a sha256"),
    "wrong sha256": (put("files", "state.json", "sha256", value="0" * 64), "its sha256 differs"),
    "file that is no object": (put("files", "state.json", value=7), "not a JSON object"),
    "no source": (put("source", value=None), "exactly when"),
    "source that is no object": (put("source", value=[]), "not a JSON object"),
    "source elsewhere": (put("source", "standalone", value=False), "exactly when"),
    "a field more": (put("hook", value="x"), "nobody knows"),
    "a field less": (lambda m: m.pop("versions"), "is missing"),
    "no source field": (lambda m: m.pop("source"), "not a JSON object"),
    "another format": (put("format", value="zip"), "not the manifest"),
    "no schema": (lambda m: m.pop("schema"), "is missing"),
    "schema 0": (put("schema", value=0), "no such schema"),
    "schema as text": (put("schema", value="1"), "of the wrong type"),
    "a key twice": (replaced('"n": 36', '"n": 36,\n "n": 35'), "stands twice"),
    "NaN": (replaced('"n": 36', '"n": NaN'), "not a JSON number"),
    "infinity": (replaced('"n": 36', '"n": -Infinity'), "not a JSON number"),
    "a number too large": (replaced('"n": 36', '"n": 1e999'), "out of range"),
    "a number too long": (replaced('"n": 36', '"n": ' + "9" * 5000), "out of range"),
    "nested too deep": (replaced('"n": 36', '"n": ' + "[" * 90_000), "nested deeper"),
    "a false special number": (put("n", value={"$float": "many"}), "not a special number"),
    "larger than 1 MB": (put("extra", value="x" * 1_000_000), "of the wrong size"),
    "a list": (lambda m: b'[{"digest": "', "not"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_forged_manifests_are_refused(what, copy):
    edit, words = FORGERIES[what]
    forged(copy, edit)
    with pytest.raises(BundleCorruptError, match=words):
        bundle.load(copy)


def test_a_list_is_no_manifest():
    with pytest.raises(BundleCorruptError, match="not a JSON object"):
        parse(b"[]")
    with pytest.raises(BundleCorruptError, match="larger than 1 MB"):
        parse(b" " * 1_000_001)


def test_a_newer_schema_says_to_upgrade(copy):
    forged(copy, put("schema", value=2))
    with pytest.raises(BundleVersionError, match="upgrade"):
        bundle.load(copy)


# ------------------------------------------------------------------ forged files


def forge_file(path: Path, name: str, raw: bytes) -> None:
    """Replace a file and make the manifest agree."""
    (path / name).write_bytes(raw)
    manifest = parse((path / MANIFEST).read_bytes())
    record = FileRecord(len(raw), hashlib.sha256(raw).hexdigest())
    files = dict(manifest.files) | {name: record}
    (path / MANIFEST).write_bytes(dump(replace(manifest, files=files)))


def edited(path: Path, name: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    arrays = from_safetensors((path / name).read_bytes(), name)
    edit(arrays)
    forge_file(path, name, to_safetensors(arrays, name))


def test_rewriting_a_file_unchanged_is_no_harm(copy):
    before = (copy / MANIFEST).read_bytes()
    for name in ("model.safetensors", "golden.safetensors", "source.safetensors"):
        edited(copy, name, lambda arrays: None)
    assert (copy / MANIFEST).read_bytes() == before
    bundle.load(copy)


def test_forged_arrays_of_the_model_are_refused(copy):
    good = from_safetensors((copy / "model.safetensors").read_bytes(), "")
    for name, array in good.items():
        for what, edit in {
            "renamed": lambda arrays, name=name: arrays.update({f"{name}x": arrays.pop(name)}),
            "removed": lambda arrays, name=name: arrays.pop(name),
            "cut": lambda arrays, name=name: arrays.update({name: arrays[name][:-1]}),
            "text": lambda arrays, name=name: arrays.update(
                {name: np.full((99, *arrays[name].shape), 7, dtype=np.int8)}
            ),
        }.items():
            if what == "cut" and not array.ndim:
                continue
            edited(copy, "model.safetensors", edit)
            assert isinstance(failure(copy), BundleCorruptError), f"{name} {what} was loaded"
            forge_file(copy, "model.safetensors", to_safetensors(good, ""))
    bundle.load(copy)


def test_other_weights_of_the_head_fail_the_golden_check(copy):
    def shuffle(arrays: dict[str, Any]) -> None:
        for name, array in arrays.items():
            arrays[name] = array[::-1].copy() if array.ndim else array

    edited(copy, "model.safetensors", shuffle)
    with pytest.raises(BundleCorruptError):
        bundle.load(copy)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda a: a.pop("outputs"), "golden outputs"),
        (lambda a: a.update(outputs=a["outputs"][:2]), "golden outputs"),
        (lambda a: a.update(outputs=a["outputs"].astype(np.float32)), "golden outputs"),
        (lambda a: a.update(outputs=a["outputs"] * np.nan), "not numbers"),
        (lambda a: a.update(outputs=a["outputs"] + 0.01), "does not predict what"),
        (lambda a: a.pop("features"), "belong to a source"),
        (lambda a: a.update(features=a["features"][:2]), "of different number"),
        (lambda a: a.update(features=a["features"].astype(np.float64)), "golden features"),
        (lambda a: a.update(features=a["features"][:, :3]), "cannot predict"),
        (lambda a: a.update(more=a["features"]), "unknown arrays"),
        (lambda a: a.update(images=np.zeros((4, 2), np.uint8)), "golden images"),
        (lambda a: a.update(images=np.zeros((4, 2, 2, 3), np.uint8)), "another modality"),
    ],
)
def test_forged_golden_arrays_are_refused(edit, words, copy):
    edited(copy, "golden.safetensors", edit)
    with pytest.raises(BundleCorruptError, match=words):
        bundle.load(copy)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("golden.json", b"{}"),
        ("golden.json", b'{"texts": [1], "rows": []}'),
        ("golden.json", b'{"texts": [], "rows": []}'),
        ("golden.json", b'{"texts": ["a", "b", "c", "d"], "rows": ["x"]}'),
        ("golden.json", b'{"texts": null, "rows": null}'),
        ("golden.json", b"\xff"),
        ("state.json", b"{}"),
        ("state.json", b"[]"),
        ("state.json", b"not json"),
        ("model.safetensors", b""),
        ("model.safetensors", b"\xff" * 64),
        ("model.safetensors", (2**62).to_bytes(8, "little") + b"{}"),
        ("source.safetensors", b"x" * 100),
        ("tokenizer.json", b"\xff\xfe"),
        (
            "model.safetensors",
            (58).to_bytes(8, "little")
            + b'{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}    '
            + bytes(8),
        ),
    ],
)
def test_forged_files_are_refused(name, raw, copy):
    forge_file(copy, name, raw)
    with pytest.raises(BundleCorruptError):
        bundle.load(copy)


def test_a_forged_source_is_refused_when_it_is_used(copy, tmp_path):
    clean = Path(shutil.copytree(copy, tmp_path / "clean"))
    forge_file(copy, "tokenizer.json", b"{}")
    with pytest.raises(BundleCorruptError, match="cannot be rebuilt"):
        bundle.load(copy).predict(["my order"])

    def swap(arrays: dict[str, Any]) -> None:
        arrays["blocks.0.word.weight"] = arrays["blocks.0.word.weight"][::-1].copy()

    edited(clean, "source.safetensors", swap)
    with pytest.raises(BundleCorruptError, match="features it made"):
        bundle.load(clean).predict(["my order"])


def test_a_forged_card_is_refused_with_a_typed_error(copy):
    from headstart.core.errors import HeadstartError

    forged(copy, put("source", "card", value={"name": "x"}))
    with pytest.raises(HeadstartError):
        bundle.load(copy).predict(["my order"])


def test_an_image_bundle_needs_a_sound_size(tmp_path):
    path = bundle.save(tmp_path / "m", contents_of(("majority", "classification", "image")))
    for side in (0, 5000, True, "64", None):
        forged(path, put("input", value={"side": side}))
        with pytest.raises(BundleCorruptError, match="no sound image size"):
            bundle.load(path)


def test_loading_runs_and_reads_nothing_else(saved, tmp_path):
    """No import by a name from the file, and no file opened outside the bundle."""
    import subprocess
    import sys

    script = tmp_path / "watch.py"
    script.write_text(
        "import sys\n"
        "from headstart import bundle, strategies\n"
        f"bundle.load({str(saved)!r})\n"  # everything is imported now
        "seen = []\n"
        "def hook(event, args):\n"
        "    if event in ('open', 'exec', 'compile', 'import', 'os.system', 'subprocess.Popen',\n"
        "                 'socket.connect', 'pickle.find_class'):\n"
        "        if not isinstance(args[0], int):  # a file that is open already\n"
        "            seen.append((event, str(args[0])))\n"
        "sys.addaudithook(hook)\n"
        f"bundle.load({str(saved)!r})\n"
        "# a name without a folder is opened inside the directory that is held open\n"
        f"inside = lambda name: name.startswith({str(saved)!r}) or '/' not in name\n"
        "outside = [s for s in seen if s[0] != 'open' or not inside(s[1])]\n"
        "assert len(seen) >= 7, seen\n"
        "assert not outside, outside\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_verification_content_is_not_hashed_but_still_parsed(copy):
    state = (copy / "golden.safetensors").read_bytes()
    (copy / "golden.safetensors").write_bytes(state[:-1] + bytes([state[-1] ^ 1]))
    bundle.load(copy, verify=False)
    (copy / "golden.safetensors").write_bytes(b"\xff" * len(state))
    with pytest.raises(BundleCorruptError):
        bundle.load(copy, verify=False)
