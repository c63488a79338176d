"""Writing an export: where, what is refused, and that one that differs is never left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_models import items_of, known

from headstart import bundle
from headstart.bundle.exporting import heads, write
from headstart.bundle.runner import open_export
from headstart.core.errors import BundleError, MissingExtraError, OptionError
from headstart.core.types import State

CASE = ("majority", "classification", "text")


@pytest.fixture
def model(lively):
    return bundle.in_memory(lively(CASE))


def test_a_saved_model_is_exported_by_its_path(lively, tmp_path):
    saved = bundle.save(tmp_path / "model", lively(("probe", "classification", "text")))
    where = bundle.export(saved, tmp_path / "made" / "export")
    assert where == tmp_path / "made" / "export"
    found = open_export(str(where))
    loaded = bundle.load(saved)
    assert found.digest == loaded.info["digest"]
    assert found.info["source"]["name"] == "tiny-text"
    texts = items_of("text", 5, 1)
    np.testing.assert_allclose(found.predict_proba(texts), loaded.predict_proba(texts), atol=2e-3)
    assert loaded.export(tmp_path / "again").name == "again"


def test_the_same_model_gives_the_same_bytes(lively, tmp_path):
    contents = lively(("probe", "classification", "image"))
    one = bundle.export(bundle.in_memory(contents), tmp_path / "one")
    other = bundle.export(bundle.in_memory(contents), tmp_path / "other")
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    assert all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


def test_nothing_but_exports_is_replaced(model, tmp_path):
    where = bundle.export(model, tmp_path / "export")
    with pytest.raises(OptionError, match="an export is there already"):
        bundle.export(model, where)
    bundle.export(model, where, overwrite=True)
    (tmp_path / "mine").mkdir()
    bundle.export(model, tmp_path / "mine")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"mine")
    with pytest.raises(OptionError, match="no export is in the way"):
        bundle.export(model, tmp_path / "photos", overwrite=True)
    with pytest.raises(OptionError, match="a file is in the way"):
        bundle.export(model, tmp_path / "photos" / "a.jpg", overwrite=True)
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("off", [2e-3, np.nan])
def test_an_export_that_differs_is_not_left_behind(off, model, tmp_path, monkeypatch):
    right = write.expected
    monkeypatch.setattr(write, "expected", lambda *given: right(*given) + off)
    with pytest.raises(BundleError, match="does not predict what the model predicts"):
        bundle.export(model, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_does_not_run_is_not_left_behind(lively, tmp_path, monkeypatch):
    model = bundle.in_memory(lively(("probe", "classification", "text")))
    monkeypatch.setattr("headstart.bundle.exporting.sources.source_graph", lambda _: b"no graph")
    with pytest.raises(BundleError, match="the export does not run: not a network"):
        bundle.export(model, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told(model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headstart.bundle.disk.write", full)
    with pytest.raises(BundleError, match="could not be written: No space left"):
        bundle.export(model, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(package, lively, tmp_path, monkeypatch):
    model = bundle.in_memory(lively(("probe", "classification", "text")))
    if package == "onnxscript":
        monkeypatch.setattr("headstart.bundle.exporting.sources._BY_HAND", {})
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"'{package}', which is not installed"):
        bundle.export(model, tmp_path / "export")


@pytest.mark.parametrize("modality", ["audio"])
def test_sounds_are_refused_with_what_to_do(modality):
    asked = heads.Asked("classification", modality, State())
    with pytest.raises(BundleError, match=r"models of sounds.*headstart serve"):
        heads.head_of("probe", asked)


def test_a_strategy_that_nobody_exports_is_named():
    asked = heads.Asked("classification", "text", State())
    with pytest.raises(BundleError, match="strategy 'new' cannot be exported"):
        heads.head_of("new", asked)


def test_models_of_sequences_are_refused(tmp_path):
    from headstart.bundle.sequence import SequenceBundle

    model = SequenceBundle.__new__(SequenceBundle)
    with pytest.raises(BundleError, match="texts, tags or spans are not exported"):
        bundle.export(model, tmp_path / "export")


def test_what_the_fixture_of_other_tests_makes_is_no_export(tmp_path):
    saved = bundle.save(tmp_path / "model", known(CASE))
    with pytest.raises(OptionError, match="no export is in the way"):
        bundle.export(saved, saved, overwrite=True)
    assert Path(saved, "manifest.json").exists()
