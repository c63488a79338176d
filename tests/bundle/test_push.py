"""A model leaves the machine whole, without the user's items, and comes back the same."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_sequences import ASKED, saved_tagger

from headstart import bundle
from headstart.bundle.examples import Evidence
from headstart.bundle.manifest import file_records
from headstart.bundle.pushing import repository
from headstart.core.errors import FetchError, MissingExtraError, OptionError
from headstart.sources import hub

pytest.importorskip("huggingface_hub")
SECRET = "a sentence of somebody"
FACTS = {
    "schema": 1,
    "judged": {"by": "3 folds", "n": 3, "metric": "accuracy"},
    "items": [
        {"id": f"row {i}", "label": "birnen", "preview": {"kind": "text", "text": SECRET}}
        for i in range(3)
    ],
    "mistakes": [
        {"item": 0, "preview": {"text": SECRET}, "explanation": {"tokens": [{"text": SECRET}]}}
    ],
    "findings": [{"severity": "low", "what": "texts repeat", "examples": [SECRET]}],
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory, probe) -> Path:
    """A model that keeps evidence and examples."""
    vectors = np.eye(3, 16, dtype=np.float16)
    evidence = Evidence(FACTS, np.arange(3), vectors)
    where = tmp_path_factory.mktemp("shown") / "model"
    return bundle.save(where, replace(probe, evidence=evidence))


class FakeHub:
    """What the client of the hub does, with a repository in memory."""

    def __init__(self, folder: Path, files: dict[str, bytes] | None = None) -> None:
        self.folder, self.files, self.said = folder, dict(files or {}), []

    def create_repo(self, repo: str, **how: Any) -> None:
        self.said.append(("create", repo, how["private"], how["exist_ok"]))

    def list_repo_files(self, repo: str) -> list[str]:
        return list(self.files)

    def create_commit(self, repo: str, *, operations: list[Any], commit_message: str) -> None:
        self.said.append(("commit", repo))
        for one in operations:
            if hasattr(one, "path_or_fileobj"):
                self.files[one.path_in_repo] = one.path_or_fileobj
            else:
                del self.files[one.path_in_repo]

    def repo_info(self, repo: str, *, revision: str | None, files_metadata: bool) -> Any:
        names = [SimpleNamespace(rfilename=n, size=len(raw)) for n, raw in self.files.items()]
        return SimpleNamespace(siblings=names, sha="c0ffee")

    def snapshot_download(
        self,
        repo: str,
        *,
        revision: str | None,
        allow_patterns: list[str] | None = None,
        local_files_only: bool = False,
    ) -> str:
        """As the hub's client: a folder of links to where the bytes are."""
        blobs = self.folder / "blobs"
        there = self.folder / "snapshots" / str(revision)
        blobs.mkdir(parents=True, exist_ok=True)
        there.mkdir(parents=True, exist_ok=True)
        for at, (name, raw) in enumerate(self.files.items()):
            if allow_patterns is None or name in allow_patterns:
                (blobs / f"b{at}").write_bytes(raw)
                (there / name).unlink(missing_ok=True)
                (there / name).symlink_to(blobs / f"b{at}")
        return str(there)


@pytest.fixture
def online(monkeypatch, tmp_path):
    """A hub that is reached: nothing leaves the machine."""
    monkeypatch.setenv("HEADSTART_OFFLINE", "0")
    fake = FakeHub(tmp_path / "hub")
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda token=None: fake)
    return fake


def test_a_directory_is_laid_out_as_a_repository_and_loads(saved, tmp_path):
    done = bundle.push(saved, tmp_path / "repo")
    place = tmp_path / "repo"
    assert (done.where, done.bare) == (str(place), False)
    assert done.digest == bundle.load(saved).manifest.digest == bundle.load(place).manifest.digest
    assert b"*.safetensors filter=lfs" in (place / ".gitattributes").read_bytes()
    assert set(done.files) == {one.name for one in place.iterdir()}
    assert (place / "README.md").read_text(encoding="utf-8").startswith("---\nlicense:")
    again = bundle.push(saved, place)  # its own model is replaced
    assert again == done
    bundle.save(place, contents_again(saved), overwrite=True)


def contents_again(saved: Path) -> Any:
    from headstart.bundle.enrol import contents_of

    return contents_of(bundle.load(saved))


def test_an_archive_and_a_sequence_model_are_pushed_too(tmp_path, majority):
    packed = bundle.save(tmp_path / "m.zip", majority)
    bundle.push(packed, tmp_path / "one")
    assert bundle.load(tmp_path / "one").manifest.digest == bundle.load(packed).manifest.digest
    bundle.push(saved_tagger(tmp_path / "tagger"), tmp_path / "two")
    assert len(bundle.load(tmp_path / "two").predict(ASKED)) == 2


def test_nothing_of_the_items_leaves_unless_asked(shown, tmp_path):
    done = bundle.push(shown, tmp_path / "bare")
    assert done.bare
    whole = b"".join(one.read_bytes() for one in (tmp_path / "bare").iterdir())
    assert SECRET.encode() not in whole
    assert "examples.safetensors" not in done.files
    bare, full = bundle.load(tmp_path / "bare"), bundle.load(shown)
    assert bare.manifest.digest == done.digest != full.manifest.digest
    texts = ["my order", "a warm film"]
    np.testing.assert_array_equal(bare.predict_proba(texts), full.predict_proba(texts))
    assert [one["label"] for one in bare.evidence["items"]] == ["birnen"] * 3
    assert not bundle.push(tmp_path / "bare", tmp_path / "again").bare  # there is nothing left
    sent = bundle.push(shown, tmp_path / "full", with_items=True)
    assert not sent.bare
    assert sent.digest == full.manifest.digest
    assert SECRET in json.dumps(bundle.load(tmp_path / "full").evidence)


def test_a_signature_goes_along_only_with_what_it_signs(shown, saved, tmp_path):
    for model in (shown, saved):
        (model / "manifest.sig").write_bytes(b"{}")
    try:
        assert "manifest.sig" in bundle.push(saved, tmp_path / "one").files
        assert "manifest.sig" not in bundle.push(shown, tmp_path / "two").files
        assert "manifest.sig" in bundle.push(shown, tmp_path / "three", with_items=True).files
    finally:
        for model in (shown, saved):
            (model / "manifest.sig").unlink()


def test_what_is_in_the_way_stays(saved, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    with pytest.raises(OptionError, match="in the way"):
        bundle.push(saved, tmp_path / "photos")
    with pytest.raises(OptionError, match="a repository is a directory"):
        bundle.push(saved, tmp_path / "m.zip")
    assert [one.name for one in (tmp_path / "photos").iterdir()] == ["a.jpg"]


def test_which_targets_are_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    assert repository("anna/birds") == "anna/birds"
    assert repository("hf://anna/birds") == "anna/birds"
    for here in ("out/birds", "./anna/birds", "/anna/birds", "birds", "a/b/c", "../x", "out"):
        assert repository(here) is None
    assert repository(Path("anna/birds")) is None
    for wrong in ("hf://anna/..", "hf://anna/birds@main"):
        with pytest.raises(OptionError, match="not the name of a repository"):
            repository(wrong)


def test_a_model_goes_to_the_hub_and_comes_back(shown, online):
    done = bundle.push(shown, "anna/birds", private=True)
    assert done.where == "https://huggingface.co/anna/birds"
    assert online.said == [("create", "anna/birds", True, True), ("commit", "anna/birds")]
    assert set(online.files) == set(done.files)
    loaded = bundle.load("hf://anna/birds")
    assert loaded.manifest.digest == done.digest
    assert bundle.load(Path("hf://anna/birds@v1.0")).predict(["my order"]).shape == (1,)


def test_the_hub_keeps_nothing_of_an_older_model(saved, online):
    online.files = {"examples.safetensors": b"old", ".gitattributes": b"theirs", "state.json": b""}
    bundle.push(saved, "anna/birds")
    assert "examples.safetensors" not in online.files
    assert bundle.load("hf://anna/birds").manifest.digest


def test_a_repository_of_something_else_is_left_alone(saved, online):
    online.files = {"pytorch_model.bin": b"theirs"}
    with pytest.raises(OptionError, match="something else than a model"):
        bundle.push(saved, "anna/birds")
    assert online.files == {"pytorch_model.bin": b"theirs"}


def test_a_file_more_on_the_hub_is_refused(saved, online):
    bundle.push(saved, "anna/birds")
    online.files["model.py"] = b"import os"
    with pytest.raises(bundle_errors(), match="do not belong"):
        bundle.load("hf://anna/birds")


def bundle_errors() -> Any:
    from headstart.core.errors import BundleCorruptError

    return BundleCorruptError


def test_what_the_hub_has_too_much_of_is_not_fetched(saved, online):
    bundle.push(saved, "anna/birds")
    with pytest.raises(FetchError, match="larger than what is fetched"):
        bundle.load("hf://anna/birds", max_bytes=1000)
    assert not online.folder.exists()


def test_errors_of_the_hub_are_told(saved, online, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("401 Unauthorized\nlong story")

    monkeypatch.setattr(online, "create_repo", refuse)
    with pytest.raises(FetchError, match="could not be sent to the hub: 401 Unauthorized"):
        bundle.push(saved, "anna/birds")
    monkeypatch.setattr(online, "repo_info", refuse)
    with pytest.raises(FetchError, match="could not be fetched from the hub"):
        bundle.load("hf://anna/birds")


def test_offline_nothing_is_sent_and_what_was_fetched_is_read(saved, online, monkeypatch):
    bundle.push(saved, "anna/birds")
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(FetchError, match="HEADSTART_OFFLINE"):
        bundle.push(saved, "anna/birds")
    assert bundle.load("hf://anna/birds").manifest.digest == bundle.load(saved).manifest.digest


def test_without_the_client_it_says_what_to_install(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"headstart\[hf\]"):
        bundle.push(saved, "anna/birds")
    with pytest.raises(MissingExtraError, match=r"headstart\[hf\]"):
        bundle.load("hf://anna/birds")


def test_names_of_the_hub():
    assert hub.hub_name("hf://a/b") == ("a/b", None)
    assert hub.hub_name(Path("hf://a/b@refs/pr/1")) == ("a/b", "refs/pr/1")
    for none in ("a/b", "hf://a", "hf://a/b/c", "hf:a/b", "hf://a/b\n", "https://a/b"):
        assert hub.hub_name(none) is None
    assert file_records({"a": b""})["a"].size == 0


def run(*arguments: str) -> int:
    from headstart.cli.app import run as cli

    with pytest.raises(SystemExit) as stop:
        cli([*arguments])
    return int(stop.value.code or 0)


def test_the_verbs(shown, tmp_path, capsys, monkeypatch, online):
    assert run("push", str(shown), str(tmp_path / "repo"), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["without_items"]
    assert told["digest"] == bundle.load(tmp_path / "repo").manifest.digest
    monkeypatch.setenv("MY_TOKEN", "secret")
    assert run("push", str(shown), "anna/birds", "--token-from-env", "MY_TOKEN") == 0
    said = capsys.readouterr().err
    assert "were left out" in said
    assert "https://huggingface.co/anna/birds" in said
    assert run("push", str(shown), "anna/birds", "--token-from-env", "NOBODYS") == 2
    assert "no such variable" in capsys.readouterr().err
    assert run("verify", str(shown), "--json") == 0
    assert json.loads(capsys.readouterr().out)["signed"] is False
    assert run("verify", str(shown), "--key", str(tmp_path / "none.pub")) == 2
    assert "not signed" in capsys.readouterr().err
    assert run("sign", str(shown), "--key", str(tmp_path / "none.pem")) == 2
