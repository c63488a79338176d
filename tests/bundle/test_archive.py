"""A model as one file: the same model, the same bytes, and no trick of archives works."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import bundle
from headstart.bundle import archive
from headstart.bundle.archive import Archive
from headstart.core.errors import BundleCorruptError, BundleError, OptionError


@pytest.fixture(scope="session")
def packed(tmp_path_factory, probe) -> Path:
    return bundle.save(tmp_path_factory.mktemp("packed") / "model.zip", probe)


@pytest.fixture
def copy(packed, tmp_path) -> Path:
    return Path(shutil.copy(packed, tmp_path / "copy.zip"))


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    """Zip as any program does."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, raw in files.items():
            file.writestr(name, raw)
    return path


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_it_is_the_same_model_as_the_directory(packed, saved):
    one, other = bundle.load(packed), bundle.load(saved)
    texts = ["my order", "a warm film"]
    np.testing.assert_array_equal(one.predict_proba(texts), other.predict_proba(texts))
    assert one.manifest.digest == other.manifest.digest
    assert contents(packed) == {path.name: path.read_bytes() for path in saved.iterdir()}
    assert next(iter(contents(packed))) == "manifest.json"


def test_the_same_model_gives_the_same_bytes(packed, probe, tmp_path):
    again = bundle.save(tmp_path / "again.zip", probe)
    assert again.read_bytes() == packed.read_bytes()
    assert zipfile.ZipFile(again).testzip() is None


def test_nothing_is_unpacked(packed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    bundle.load(packed)
    assert set(tmp_path.rglob("*")) - before <= {tmp_path / "cache"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_another_program_made_is_read(copy, tmp_path, method):
    made = zipped(tmp_path / "made.zip", contents(copy), method)
    assert bundle.load(made).manifest.digest == bundle.load(copy).manifest.digest


def test_a_model_in_an_archive_is_replaced_only_when_allowed(copy, majority):
    with pytest.raises(OptionError, match="a model is there"):
        bundle.save(copy, majority)
    bundle.save(copy, replace(majority, label_name="other"), overwrite=True)
    assert bundle.load(copy).info["label"] == "other"
    assert [one.name for one in copy.parent.iterdir() if one.name != "cache"] == ["copy.zip"]


def test_nothing_else_is_ever_replaced(majority, tmp_path):
    (tmp_path / "text.zip").write_text("mine")
    zipped(tmp_path / "photos.zip", {"a.jpg": b"mine"})
    zipped(tmp_path / "page.zip", {"manifest.json": b'{"name": "a web page"}'})
    (tmp_path / "folder.zip").mkdir()
    os.mkfifo(tmp_path / "pipe.zip")
    for name in ("text", "photos", "page", "folder", "pipe"):
        with pytest.raises(OptionError, match="in the way"):
            bundle.save(tmp_path / f"{name}.zip", majority, overwrite=True)
    assert (tmp_path / "text.zip").read_text() == "mine"


def test_a_failed_save_leaves_the_old_archive_and_nothing_else(copy, majority, monkeypatch):
    before = copy.read_bytes()

    def full(file: Any, files: Any) -> None:
        file.write(b"PK")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "write", full)
    with pytest.raises(BundleError, match="No space left"):
        bundle.save(copy, majority, overwrite=True)
    assert copy.read_bytes() == before
    assert [one.name for one in copy.parent.iterdir() if one.name != "cache"] == ["copy.zip"]


def test_what_is_too_large_for_an_archive_stays_a_directory(monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 1000)
    with pytest.raises(BundleError, match="too large for an archive"):
        archive.write(io.BytesIO(), {"a": b"x" * 900})


def test_a_file_that_is_no_archive_is_told_apart(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"nothing of the kind, but long enough to be one")
    (tmp_path / "b.zip").write_bytes(b"")
    os.mkfifo(tmp_path / "c.zip")
    for name, words in (("a", "or a .zip"), ("b", "or a .zip"), ("c", "neither a directory")):
        with pytest.raises(BundleError, match=words):
            bundle.load(tmp_path / f"{name}.zip")
    if os.geteuid():
        (tmp_path / "a.zip").chmod(0)
        with pytest.raises(BundleError, match="cannot be read"):
            bundle.load(tmp_path / "a.zip")


def test_an_archive_without_a_manifest_is_no_model(tmp_path):
    with pytest.raises(BundleError, match="no manifest"):
        bundle.load(zipped(tmp_path / "a.zip", {"state.json": b"{}"}))


def entry(name: str, **more: Any) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    for key, value in more.items():
        setattr(made, key, value)
    return made


def rezipped(files: dict[str, bytes], *extra: tuple[Any, bytes], comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, raw in files.items():
            file.writestr(name, raw)
        for one, raw in extra:
            file.writestr(one, raw, zipfile.ZIP_DEFLATED if len(raw) > 10**5 else None)
        file.comment = comment
    return made.getvalue()


def patched(raw: bytes, mark: bytes, at: int, form: str, value: int, last: bool = False) -> bytes:
    """Change a field of the first (or last) record of a kind."""
    place = (raw.rindex if last else raw.index)(mark) + at
    return raw[:place] + struct.pack("<" + form, value) + raw[place + struct.calcsize("<" + form) :]


CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
LINK = (stat.S_IFLNK | 0o777) << 16
TRICKS: dict[str, tuple[Any, str]] = {
    "a path": (lambda f, raw: rezipped(f, ("../evil.json", b"x")), "a name that no file"),
    "an absolute path": (lambda f, raw: rezipped(f, ("/etc/passwd", b"x")), "a name that no file"),
    "a path of Windows": (lambda f, raw: rezipped(f, ("a\\b.json", b"x")), "a name that no file"),
    "a drive": (lambda f, raw: rezipped(f, ("c:x.json", b"x")), "a name that no file"),
    "a directory": (lambda f, raw: rezipped(f, ("folder/", b"")), "a name that no file"),
    "in a directory": (
        lambda f, raw: rezipped({f"model/{name}": part for name, part in f.items()}),
        "not the directory they lie in",
    ),
    "a hidden name": (lambda f, raw: rezipped(f, (".git", b"")), "a name that no file"),
    "a name in another script": (
        lambda f, raw: rezipped(f, ("\u0455tate.json", b"{}")),
        "a name that no file",
    ),
    "a name with an end": (
        lambda f, raw: raw.replace(b"README.md", b"README\0md"),
        "a name that no file",
    ),
    "a link": (
        lambda f, raw: rezipped(f, (entry("x.json", external_attr=LINK, create_system=3), b"/")),
        "not a regular file",
    ),
    "a device": (
        lambda f, raw: rezipped(
            f, (entry("x.json", external_attr=stat.S_IFCHR << 16, create_system=3), b"")
        ),
        "not a regular file",
    ),
    "a directory by its attributes": (
        lambda f, raw: patched(raw, CENTRAL, 38, "L", 0x10),
        "not a regular file",
    ),
    "a member twice": (
        lambda f, raw: twice(f),
        "stands twice",
    ),
    "a member twice but for its case": (
        lambda f, raw: rezipped(f, ("State.json", b"{}")),
        "stands twice",
    ),
    "encrypted": (lambda f, raw: patched(raw, CENTRAL, 8, "H", 1), "encrypted"),
    "streamed": (lambda f, raw: patched(raw, CENTRAL, 8, "H", 8), "not read here"),
    "another method": (lambda f, raw: patched(raw, CENTRAL, 10, "H", 12), "not read here"),
    "on another disk": (lambda f, raw: patched(raw, CENTRAL, 34, "H", 1), "not read here"),
    "a bomb": (lambda f, raw: rezipped(f, ("bomb.json", b"\0" * 10**7)), "far more than it holds"),
    "a size that lies, stored": (
        lambda f, raw: patched(raw, CENTRAL, 24, "L", 10**9),
        "far more than it holds",
    ),
    "both sizes lie": (
        lambda f, raw: patched(patched(raw, CENTRAL, 20, "L", 10**9), CENTRAL, 24, "L", 10**9),
        "says something else",
    ),
    "all sizes lie": (
        lambda f, raw: patched(
            patched(
                patched(patched(raw, CENTRAL, 20, "L", 10**9), CENTRAL, 24, "L", 10**9),
                *(LOCAL, 18, "L", 10**9),
            ),
            *(LOCAL, 22, "L", 10**9),
        ),
        "longer than the archive",
    ),
    "zip64 sizes": (lambda f, raw: patched(raw, CENTRAL, 20, "L", 0xFFFFFFFF), "far more|says"),
    "zip64 field": (
        lambda f, raw: rezipped(f, (entry("x.json", extra=struct.pack("<HHQ", 1, 8, 5)), b"x")),
        "zip64 is not read",
    ),
    "a second name": (
        lambda f, raw: rezipped(f, (entry("x.json", extra=struct.pack("<HHL", 0x7075, 4, 5)), b"")),
        "a second name is not read",
    ),
    "a damaged field": (
        lambda f, raw: rezipped(f, (entry("x.json", extra=struct.pack("<HH", 7, 99)), b"x")),
        "damaged beside",
    ),
    "a crumb of a field": (
        lambda f, raw: rezipped(f, (entry("x.json", extra=b"abc"), b"x")),
        "damaged beside",
    ),
    "very long fields": (
        lambda f, raw: rezipped(
            f, (entry("x.json", extra=struct.pack("<HH", 7, 1196) + b"x" * 1196), b"")
        ),
        "too much is said",
    ),
    "a comment of a member": (
        lambda f, raw: rezipped(f, (entry("x.json", comment=b"hello"), b"x")),
        "not read here",
    ),
    "a comment": (lambda f, raw: rezipped(f, comment=b"PK\x05\x06 hello"), "behind its end"),
    "bytes before": (lambda f, raw: LOCAL + raw, "does not end where|says something else"),
    "another file before": (lambda f, raw: b"#!/bin/sh\n" + raw, "or a .zip"),
    "bytes behind": (lambda f, raw: raw + b"\n", "behind its end"),
    "cut": (lambda f, raw: raw[:-40], "behind its end"),
    "only an end": (lambda f, raw: LOCAL + END + b"\0" * 18, "no such number"),
    "no member": (lambda f, raw: LOCAL + END + b"\0" * 18, "no such number"),
    "too many members": (
        lambda f, raw: rezipped(f | {f"m{i}.json": b"" for i in range(70)}),
        "no such number",
    ),
    "a number of members that lies": (
        lambda f, raw: patched(patched(raw, END, 8, "H", 3), END, 10, "H", 3),
        "longer than its members|a gap|lies",
    ),
    "more members than there are": (
        lambda f, raw: patched(patched(raw, END, 8, "H", 20), END, 10, "H", 20),
        "too short",
    ),
    "zip64 end": (lambda f, raw: patched(raw, END, 16, "L", 0xFFFFFFFF), "zip64"),
    "a directory elsewhere": (lambda f, raw: patched(raw, END, 16, "L", 4), "does not end"),
    "a directory of another kind": (lambda f, raw: patched(raw, CENTRAL, 0, "L", 0), "damaged"),
    "members that overlap": (
        lambda f, raw: patched(raw, CENTRAL, 42, "L", 0, last=True),
        "overlap",
    ),
    "a member outside": (
        lambda f, raw: patched(raw, CENTRAL, 42, "L", 10**9, last=True),
        "overlap",
    ),
    "another name in its header": (
        lambda f, raw: patched(raw, b"README.mdx"[:9] + f["README.md"][:4], 8, "B", 120),
        "says something else",
    ),
    "another checksum": (
        lambda f, raw: patched(patched(raw, CENTRAL, 16, "L", 1), LOCAL, 14, "L", 1),
        "its checksum differs",
    ),
    "a gap": (lambda f, raw: gap(raw), "overlap|lies"),
}


def twice(files: dict[str, bytes]) -> bytes:
    raw = rezipped(files, ("statf.json", b"{}"))
    return raw.replace(b"statf.json", b"state.json")


def gap(raw: bytes) -> bytes:
    """Put bytes between the members and the directory, and let the end agree."""
    end = raw.index(END)
    start = struct.unpack_from("<L", raw, end + 16)[0]
    moved = raw[:start] + b"hidden" + raw[start:]
    return patched(moved, END, 16, "L", start + 6)


@pytest.mark.parametrize("what", TRICKS)
def test_tricks_of_archives_are_refused(what, copy):
    make, words = TRICKS[what]
    made = make(contents(copy), copy.read_bytes())
    assert made != copy.read_bytes()
    copy.write_bytes(made)
    with pytest.raises(BundleError, match=words):
        bundle.load(copy)


def deflated(packed_bytes: bytes, size: int) -> bytes:
    """Return an archive whose one member holds these compressed bytes and claims this size."""
    name = b"manifest.json"
    fields = (20, 0, 8, 0, 33, 0, len(packed_bytes), size, len(name), 0)
    local = struct.pack("<4s5H3L2H", LOCAL, *fields) + name + packed_bytes
    central = struct.pack("<4s6H3L5H2L", CENTRAL, 20, *fields, 0, 0, 0, 0, 0) + name
    end = struct.pack("<4s4H2LH", END, 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def test_compressed_bytes_that_lie_are_refused(tmp_path):
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    whole = packer.compress(b"\0" * 50_000) + packer.flush()
    for raw, size, words in (
        (whole, 4000, "does not unpack to the size"),  # more than it says
        (whole + b"behind", 50_000, "does not unpack|far more"),
        (whole[:-3], 5000, "does not unpack"),
        (b"\xff" * 90, 5000, "cannot be unpacked"),
    ):
        (tmp_path / "a.zip").write_bytes(deflated(raw, size))
        with pytest.raises(BundleCorruptError, match=words):
            bundle.load(tmp_path / "a.zip")


def test_a_manifest_too_large_is_not_unpacked(tmp_path):
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = packer.compress(np.random.default_rng(0).bytes(1_500_000)) + packer.flush()
    (tmp_path / "a.zip").write_bytes(deflated(raw, 1_500_000))
    with pytest.raises(BundleCorruptError, match="of the wrong size"):
        bundle.load(tmp_path / "a.zip")


def test_a_file_that_shrinks_while_it_is_read_is_refused(copy):
    with Archive(copy) as place:
        os.truncate(copy, 500)
        with pytest.raises(BundleCorruptError, match="cut off"):
            place.read("golden.safetensors", at_most=10**6)


def test_every_bit_of_an_archive_flipped_is_refused_or_harmless(copy):
    """What loads has the same files: only dates, versions and the like may differ."""
    raw, digest = copy.read_bytes(), bundle.load(copy).manifest.digest
    files = contents(copy)
    rng = np.random.default_rng(3)
    start = raw.index(CENTRAL)
    places = [int(p) for p in rng.integers(len(raw), size=100)]
    places += [int(p) for p in rng.integers(start, len(raw), size=250)]
    loaded = 0
    for place in places:
        bit = 1 << int(rng.integers(8))
        copy.write_bytes(raw[:place] + bytes([raw[place] ^ bit]) + raw[place + 1 :])
        try:
            with Archive(copy) as found:
                made = {name: found.read(name, at_most=10**7) for name in found.names()}
        except BundleError:
            continue
        loaded += 1
        assert made == files, place
    assert loaded
    copy.write_bytes(raw)
    assert bundle.load(copy).manifest.digest == digest
