"""Classes enrolled in saved models, pairs compared and verified, and models saved again."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from tiny_models import CLASSES, contents_of, items_of, known, tiny_backbone

from headstart import bundle, encode
from headstart.bundle.enrol import with_gallery
from headstart.core.errors import BundleCorruptError, BundleError, DataError, OptionError
from headstart.core.types import Task
from headstart.strategies import ZeroShot

BASES = ["probe", "knn", "prototypes", "few-shot", "finetune", "blend"]


def task_of(contents, modality: str = "text") -> Task:
    """The items and labels that ``contents_of`` fitted to."""
    items = items_of(modality, contents.n, 0)
    labels = np.array([CLASSES[i % 3] for i in range(contents.n)], dtype=object)
    ids = tuple(str(i) for i in range(contents.n))
    return Task(modality, "classification", items, labels, ids, np.arange(contents.n), CLASSES)


def with_means(name: str, modality: str = "text"):
    contents = known((name, "classification", modality))
    task = task_of(contents, modality)
    features = encode.features(task.items, contents.backbone, cache=False).array
    return with_gallery(contents, task, features)


@pytest.fixture(scope="module")
def probe_with_means():
    return with_means("probe")


@pytest.mark.parametrize("name", BASES)
def test_enrolled_saved_loaded_and_enrolled_again(name, tmp_path):
    old = bundle.load(bundle.save(tmp_path / "old", with_means(name)))
    items = items_of("text", 9, seed=5)
    before = old.predict_proba(items)
    examples = ["my order my order cancel", "cancel my order please"]
    new = old.enrol("orders", examples)
    np.testing.assert_array_equal(old.predict_proba(items), before)
    assert old.classes == CLASSES
    assert new.classes == tuple(sorted([*CLASSES, "orders"]))
    if name != "knn":  # one neighbour is always sure, on labels without meaning too
        assert new.predict(examples).tolist() == ["orders"] * 2

    back = bundle.load(new.save(tmp_path / "new"))
    np.testing.assert_array_equal(back.predict_proba(items), new.predict_proba(items))
    np.testing.assert_allclose(back.predict_proba(items).sum(axis=1), 1.0)
    again = back.enrol("films", ["a warm film"])
    assert again.classes == tuple(sorted([*CLASSES, "films", "orders"]))
    twice = bundle.load(again.save(tmp_path / "twice"))
    np.testing.assert_array_equal(twice.predict_proba(items), again.predict_proba(items))
    assert twice.manifest.strategy == "enrolled"
    said = [one["what"] for one in twice.info["decisions"]]
    assert any("'orders' enrolled from 2" in one for one in said)
    assert any("'films' enrolled from 1" in one for one in said)


def test_old_classes_share_the_rest_as_before(probe_with_means):
    model = bundle.in_memory(probe_with_means)
    items = items_of("text", 12, seed=3)
    new = model.enrol("zz", ["quick brown fox"])
    rest = new.predict_proba(items)[:, [new.classes.index(name) for name in CLASSES]]
    shares = rest / rest.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, model.predict_proba(items), rtol=1e-5, atol=1e-9)


def test_images_enrol_too():
    model = bundle.in_memory(with_means("probe", "image"))
    items = items_of("image", 3, seed=8)
    new = model.enrol("new", items[:1])
    assert new.predict_proba(items).shape == (3, 4)


def test_in_memory_tuned_models_enrol_and_save(tmp_path):
    model = bundle.in_memory(with_means("finetune"))
    new = model.enrol("new", ["quick brown fox"])
    back = bundle.load(new.save(tmp_path / "m"))
    items = items_of("text", 5, seed=2)
    np.testing.assert_allclose(back.predict_proba(items), new.predict_proba(items), atol=1e-6)
    assert back.training == model.training


def test_a_tuned_model_whose_files_are_gone_cannot_be_saved(tmp_path):
    path = bundle.save(tmp_path / "old", with_means("finetune"))
    new = bundle.load(path).enrol("new", ["quick brown fox"])
    shutil.rmtree(path)
    with pytest.raises(BundleError, match="not there any more"):
        new.save(tmp_path / "new")


def test_a_model_that_names_its_source_saves_again(probe_with_means, tmp_path, monkeypatch):
    from headstart import sources

    fresh = tiny_backbone("text")
    monkeypatch.setattr(sources, "load", lambda name, **_: fresh)
    for name, contents in (("probe", probe_with_means), ("tuned", with_means("finetune"))):
        old = bundle.load(bundle.save(tmp_path / name, replace(contents, standalone=False)))
        new = bundle.load(old.enrol("new", ["a film"]).save(tmp_path / f"{name}2"))
        assert not new.manifest.source.standalone
        assert new.predict(["a film"]).tolist() == ["new"]


@pytest.mark.parametrize("name", ["majority", "scratch", "probe", "finetune", "blend"])
def test_saving_a_loaded_model_again_changes_nothing(name, tmp_path):
    contents = known((name, "classification", "text"))
    contents = with_means(name) if contents.source else contents
    one = bundle.save(tmp_path / "one", contents)
    two = bundle.load(one).save(tmp_path / "two")
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in two.iterdir())
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file
    with pytest.raises(OptionError, match="a model is there already"):
        bundle.load(one).save(two)


def test_what_cannot_be_enrolled(probe_with_means, tmp_path):
    model = bundle.in_memory(probe_with_means)
    with pytest.raises(OptionError, match="knows this class already"):
        model.enrol(CLASSES[0], ["a film"])
    with pytest.raises(OptionError, match="not the name of a class"):
        model.enrol("  ", ["a film"])
    with pytest.raises(DataError, match="one example or more"):
        model.enrol("new", [])
    with pytest.raises(OptionError, match="a single text"):
        model.enrol("new", "a film")
    with pytest.raises(OptionError, match="pretrained source"):
        bundle.in_memory(known(("majority", "classification", "text"))).enrol("new", ["a"])
    with pytest.raises(OptionError, match="regression"):
        bundle.in_memory(known(("probe", "regression", "text"))).enrol("new", ["a"])
    bare = bundle.in_memory(known(("probe", "classification", "text")))
    with pytest.raises(OptionError, match="without the means"):
        bare.enrol("new", ["a film"])
    with pytest.raises(OptionError, match="without the means"):
        bare.verify(["a film"], ["a film"])


def test_a_model_that_takes_in_a_class_promises_no_risk(tmp_path):
    kept = {"seed": 0}
    promised = {"abstention": {"promise": "at most 5% wrong"}, "calibration": {"ece": 0.02}}
    old = bundle.in_memory(replace(with_means("probe"), extra=kept | promised))
    new = old.enrol("new", ["a film"])
    assert new.manifest.result["extra"] == kept
    assert "promised about its risk is gone" in new.info["decisions"][-1]["why"]
    assert old.manifest.result["extra"] == kept | promised
    assert bundle.load(new.save(tmp_path / "m")).manifest.result["extra"] == kept
    assert "risk" not in new.enrol("newer", ["a car"]).info["decisions"][-1]["why"]


def test_names_are_cleaned_before_they_are_compared(probe_with_means):
    model = bundle.in_memory(probe_with_means)
    with pytest.raises(OptionError, match="knows this class already"):
        model.enrol(f" {CLASSES[0]} ", ["a film"])
    assert "new" in model.enrol(" new\n", ["a film"]).classes


def test_a_model_without_labels_says_where_classes_are_named():
    bare = replace(known(("probe", "classification", "text")), strategy="zero-shot")
    rows = {name: np.eye(bare.source.dim)[i] for i, name in enumerate(CLASSES)}
    fitted = ZeroShot(class_features=rows).fit()
    model = bundle.in_memory(replace(bare, state=fitted.to_state()))
    with pytest.raises(OptionError, match=r"learnt classes from no item.*--classes"):
        model.enrol("new", ["a film"])


# ------------------------------------------------------------------ pairs


def test_similarity_is_a_cosine_about_the_centre(probe_with_means):
    model = bundle.in_memory(probe_with_means)
    a, b = items_of("text", 6, seed=1), items_of("text", 6, seed=2)
    found = model.similarity(a, b)
    centre = probe_with_means.gallery.centre
    one, other = (encode.features(x, model.backbone(), cache=False).array - centre for x in (a, b))
    expected = (one * other).sum(axis=1)
    expected /= np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(model.similarity(a, a), 1.0)
    np.testing.assert_allclose(model.similarity(b, a), found)
    assert model.similarity([], []).shape == (0,)
    with pytest.raises(DataError, match="as many items on both sides"):
        model.similarity(a, b[:2])


def test_models_without_class_means_compare_plain_features():
    model = bundle.in_memory(known(("probe", "regression", "text")))
    a = items_of("text", 4, seed=1)
    np.testing.assert_allclose(model.similarity(a, a), 1.0)
    with pytest.raises(OptionError, match="a classifier that uses a source"):
        model.verify(a, a)
    with pytest.raises(OptionError, match="uses no source"):
        bundle.in_memory(known(("majority", "classification", "text"))).similarity(a, a)


def test_verify_and_what_info_says_of_it(probe_with_means, tmp_path):
    model = bundle.load(bundle.save(tmp_path / "m", probe_with_means))
    said = model.info["verification"]
    assert said["false_accept_rate"] == 0.01
    assert 0.0 <= said["equal_error_rate"] <= 1.0
    assert said["pairs_of_two_classes"] == 36 * 24 // 2
    assert said["pairs_of_one_class"] == 3 * 66
    assert "tuned" in said["assumes"]
    a, b = items_of("text", 30, seed=1), items_of("text", 30, seed=2)
    found = model.verify(a, b)
    np.testing.assert_array_equal(found, model.similarity(a, b) >= said["threshold"])
    assert model.verify(a, a).all()
    looser = model.verify(a, b, false_accept=0.5)
    assert (looser >= found).all()
    assert looser.sum() > found.sum()
    with pytest.raises(OptionError, match="no threshold is known"):
        model.verify(a, b, false_accept=1e-7)
    enrolled = model.enrol("new", a[:2])
    np.testing.assert_array_equal(enrolled.verify(a, b), found)
    assert enrolled.info["verification"] == said


@pytest.mark.parametrize("name", ["finetune", "weighted-layers"])
def test_a_changed_source_makes_class_means_of_its_own_features(name):
    contents = with_means(name)
    tuned = any("tuned." in array for array in contents.state.arrays)
    assert tuned == (name == "finetune")
    model = bundle.in_memory(contents)
    task = task_of(contents)
    tuned = encode.features(task.items, model.backbone(), cache=False).array
    own = np.array([tuned[task.labels == name].mean(axis=0) for name in CLASSES])
    np.testing.assert_allclose(contents.gallery.centre, own.mean(axis=0), atol=1e-5)


def test_class_means_only_where_each_class_has_items(probe_with_means):
    bare = replace(probe_with_means, gallery=None)
    task = task_of(bare).take([0, 3, 6])  # all of one class
    assert with_gallery(bare, task, None).gallery is None
    numbers = known(("probe", "regression", "text"))
    assert with_gallery(numbers, task, None) is numbers


@pytest.mark.parametrize("harm", ["shape", "nan", "missing"])
def test_damaged_class_means_are_refused(probe_with_means, harm, tmp_path):
    path = bundle.save(tmp_path / "m", probe_with_means)
    file = path / "gallery.safetensors"
    arrays = load_arrays(file.read_bytes())
    if harm == "shape":
        arrays["means"] = arrays["means"][:, :3].copy()
    elif harm == "nan":
        arrays["centre"] = arrays["centre"] * np.nan
    else:
        del arrays["counts"]
    damaged = replace(probe_with_means, gallery=_Arrays(arrays))
    with pytest.raises(BundleCorruptError, match="not the means of the model's classes"):
        bundle.load(bundle.save(tmp_path / "bad", damaged))


class _Arrays:
    """What is saved as a gallery is whatever this holds."""

    def __init__(self, arrays):
        self._arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        assert save_arrays(self._arrays)

    def arrays(self):
        return self._arrays


def test_an_unmatched_blend_goes_on_as_its_member(tmp_path):
    contents = contents_of(("blend", "classification", "text"))
    task = task_of(contents)
    features = encode.features(task.items, contents.backbone, cache=False).array
    model = bundle.in_memory(with_gallery(contents, task, features))
    new = model.enrol("new", ["a warm film"])
    assert new.estimator.model.__class__.__name__ == "LinearHead"
    assert new.predict(["a warm film"]).tolist() == ["new"]
