"""What calibrates a model and lets it abstain is saved, loaded, and refused where it is damaged."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_models import CLASSES, contents_of, items_of

from headstart import bundle
from headstart.bundle.codec import to_safetensors
from headstart.core.errors import BundleCorruptError
from headstart.strategies.answers import Answers
from headstart.strategies.calibrated import Calibration
from headstart.strategies.scope_choice import find_scope

CASE = ("probe", "classification", "text")


@pytest.fixture(scope="module")
def abstaining():
    contents = contents_of(CASE)
    loaded = bundle.in_memory(contents)
    from headstart import encode

    X = encode.features(items_of("text", 60, seed=2), loaded.backbone(), cache=False).array
    codes = np.arange(60) % 3
    folds = [(np.flatnonzero(codes >= 0)[20:], np.arange(20)), (np.arange(40), np.arange(40, 60))]
    scope, _ = find_scope(X, codes, folds)
    answers = Answers(Calibration(1.7, np.array([0.2, 0.0, -0.2])), 0.34, scope)
    return replace(contents, answers=answers)


def test_a_loaded_bundle_abstains_where_the_fitted_model_does(abstaining, tmp_path):
    loaded = bundle.load(bundle.save(tmp_path / "m", abstaining))
    fresh = bundle.in_memory(abstaining)
    items = items_of("text", 30, seed=5)
    np.testing.assert_array_equal(loaded.abstains(items), fresh.abstains(items))
    np.testing.assert_array_equal(loaded.predict_proba(items), fresh.predict_proba(items))
    frame = loaded.predict_frame(items)
    np.testing.assert_array_equal(frame["abstained"], loaded.abstains(items))
    assert frame["abstained"].any()
    assert (frame.loc[~frame["abstained"], "confidence"] > 0.34).all()
    assert loaded.abstains([]).shape == (0,)


def test_labels_are_those_of_the_model_without_calibration(abstaining):
    items = items_of("text", 30, seed=6)
    plain = bundle.in_memory(replace(abstaining, answers=None))
    calibrated = bundle.in_memory(abstaining)
    np.testing.assert_array_equal(calibrated.predict(items), plain.predict(items))
    found = calibrated.predict_proba(items)
    assert np.abs(found - plain.predict_proba(items)).max() > 0.01
    chosen = np.array(CLASSES, dtype=object)[found.argmax(axis=1)]
    np.testing.assert_array_equal(chosen, calibrated.predict(items))


def test_a_model_without_them_answers_always_and_has_no_such_file(tmp_path):
    contents = contents_of(CASE)
    where = bundle.save(tmp_path / "m", contents)
    assert not list(where.glob("answers*"))
    assert not bundle.load(where).abstains(items_of("text", 5, seed=1)).any()


def test_evaluation_says_what_is_answered(abstaining, tmp_path):
    loaded = bundle.load(bundle.save(tmp_path / "m", abstaining))
    items = items_of("text", 30, seed=5)
    labels = loaded.predict(items)
    measured = loaded.evaluate((items, labels))
    answered = ~loaded.abstains(items)
    assert measured["accuracy"] == 1
    assert measured["coverage"]["estimate"] == pytest.approx(answered.mean())
    assert measured["risk_answered"]["estimate"] == 0
    assert measured["risk_answered"]["n"] == answered.sum()


def rewritten(where, name: str, raw: bytes) -> None:
    """Put other bytes into a bundle, and a manifest that agrees with them."""
    from headstart.bundle.manifest import MANIFEST, FileRecord, dump, parse

    (where / name).write_bytes(raw)
    import hashlib

    manifest = parse((where / MANIFEST).read_bytes())
    record = FileRecord(len(raw), hashlib.sha256(raw).hexdigest())
    manifest = replace(manifest, files={**manifest.files, name: record})
    (where / MANIFEST).write_bytes(dump(manifest))


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": -1.0},
        {"threshold": "high"},
        {"scope": None},
        {"scope": {"methods": ["luck"]}},
    ],
)
def test_nonsense_is_refused(abstaining, tmp_path, change):
    where = bundle.save(tmp_path / "m", abstaining)
    said = json.loads((where / "answers.json").read_text())
    rewritten(where, "answers.json", json.dumps(said | change).encode())
    with pytest.raises(BundleCorruptError, match="not what calibrates"):
        bundle.load(where)


def test_arrays_of_other_shapes_are_refused(abstaining, tmp_path):
    where = bundle.save(tmp_path / "m", abstaining)
    state = abstaining.answers.to_state()
    wrong = {name: array[..., :2] for name, array in state.arrays.items()}
    rewritten(where, "answers.safetensors", to_safetensors(wrong, "answers.safetensors"))
    with pytest.raises(BundleCorruptError, match="not what calibrates"):
        bundle.load(where)


def test_one_of_the_two_files_alone_is_refused(abstaining, tmp_path):
    from headstart.bundle.manifest import MANIFEST, dump, parse

    where = bundle.save(tmp_path / "m", abstaining)
    manifest = parse((where / MANIFEST).read_bytes())
    files = {name: one for name, one in manifest.files.items() if name != "answers.json"}
    (where / MANIFEST).write_bytes(dump(replace(manifest, files=files)))
    (where / "answers.json").unlink()
    with pytest.raises(BundleCorruptError, match="listed together"):
        bundle.load(where)
