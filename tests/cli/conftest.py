"""What the tests of the command line share: a terminal, data files, and models fitted once."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import samples
from tests.conftest import borrowed


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object that stdout holds; anything else beside it fails here."""
        return json.loads(self.out)


def run(*arguments: object) -> Ran:
    """Run ``headstart ARGUMENTS`` in this process."""
    from headstart.cli.app import run as headstart

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as stop:
        headstart([str(argument) for argument in arguments])
    return Ran(int(stop.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def terminal():
    return run


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A directory of texts (topics, codes), tables (wine, price) and pictures (stripes)."""
    place = tmp_path_factory.mktemp("data")
    samples.topics(8).to_csv(place / "topics.csv", index=False)
    samples.codes(24).to_csv(place / "codes.csv", index=False)
    wine = samples.wine_like(24)
    wine.to_csv(place / "wine.csv", index=False)
    wine[["acid", "salt"]].to_csv(place / "price.csv", index=False)
    samples.pictures(place / "stripes", 6)
    return place


@dataclass(frozen=True)
class Fitted:
    """A model on disk, and what fitting it printed."""

    path: Path
    ran: Ran


def fitted(tmp_path_factory, *arguments: object) -> Fitted:
    place = tmp_path_factory.mktemp("models")
    root = borrowed(place / "cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(root))
        patch.setenv("HEADSTART_OFFLINE", "1")
        ran = run("fit", *arguments, "-o", place / "model")
    assert ran.code == 0, ran.err
    return Fitted(place / "model", ran)


@pytest.fixture(scope="session")
def topics(files, tmp_path_factory) -> Fitted:
    """A model of texts, fitted with --json."""
    return fitted(tmp_path_factory, files / "topics.csv", "--json")


@pytest.fixture(scope="session")
def stripes(files, tmp_path_factory) -> Fitted:
    """A model of images from class folders; the probe, so that nothing large is trained."""
    arguments = ("--strategy", "probe", "--shots", "3", "--quiet")
    return fitted(tmp_path_factory, files / "stripes", *arguments)


@pytest.fixture(scope="session")
def price(files, tmp_path_factory) -> Fitted:
    """A model that predicts the number ``salt`` from a table."""
    arguments = ("--label", "salt", "--strategy", "majority", "--json", "--quiet")
    return fitted(tmp_path_factory, files / "price.csv", *arguments)


@pytest.fixture(scope="session")
def silent(files, tmp_path_factory) -> Fitted:
    """A model that guesses, and keeps a risk by saying nothing."""
    arguments = ("--strategy", "majority", "--max-risk", "0.3", "--json", "--quiet", "--no-curve")
    return fitted(tmp_path_factory, files / "topics.csv", *arguments)
