"""Calibration, abstention and scores of scope come along: an export answers as its bundle does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from tiny_models import items_of

from headstart import bundle, encode
from headstart.bundle.runner import open_export
from headstart.core.errors import BundleCorruptError
from headstart.strategies.answers import Answers
from headstart.strategies.calibrated import Calibration
from headstart.strategies.gallery_fit import gallery_of
from headstart.strategies.scope import Reference, Scope

CASE = ("probe", "classification", "text")
BIASED = Answers(Calibration(0.7, np.array([0.4, -0.2, 0.1])), threshold=0.4)


def scope_of(model, method):
    """A scope made of the features of some texts."""
    rows = model.features(items_of("text", 12, 7)).astype(np.float32)
    centre = rows.mean(axis=0)
    unit = (rows - centre) / np.linalg.norm(rows - centre, axis=1, keepdims=True)
    kept = {
        "neighbours": {"rows": unit.astype(np.float16)},
        "energy": {"means": unit[:3]},
        "mahalanobis": {
            "axes": np.eye(16, 4, dtype=np.float16),
            "within": np.eye(4, dtype=np.float32) * 2,
            "overall": np.eye(4, dtype=np.float32),
            "spheres": np.ones((3, 4), np.float32),
        },
    }[method]
    reference = Reference(centre, **kept)
    scores = np.sort(reference.score(rows, method)).astype(np.float32)
    return Scope((method,), reference, scores[None], 0.4, {})


@pytest.mark.parametrize("method", ["neighbours", "energy", "mahalanobis"])
def test_what_is_not_answered_is_the_same(method, lively, tmp_path):
    plain = bundle.in_memory(lively(CASE))
    answers = Answers(BIASED.calibration, BIASED.threshold, scope_of(plain, method))
    model = bundle.in_memory(lively(CASE, answers=answers))
    opened = open_export(model.export(tmp_path / "export"))
    texts = items_of("text", 30, 11)
    frame = model.predict_frame(texts)
    labels, shares, confidence, silent = opened.answer(texts)
    assert silent.tolist() == frame["abstained"].tolist()
    assert 0 < silent.sum() < 30
    assert labels.tolist() == frame["label"].tolist()
    assert np.abs(confidence - frame["confidence"].to_numpy()).max() < 2e-3
    assert np.abs(shares - frame.filter(like="p_").to_numpy()).max() < 2e-3


def test_a_threshold_without_a_limit_is_kept(lively, tmp_path):
    model = bundle.in_memory(lively(CASE, answers=Answers(BIASED.calibration)))
    where = model.export(tmp_path / "export")
    opened = open_export(where)
    assert opened._answers.threshold == -math.inf
    assert not opened.answer(items_of("text", 5, 2))[3].any()


def test_a_calibration_that_is_none_is_refused(lively, tmp_path):
    model = bundle.in_memory(lively(CASE, answers=BIASED))
    where = model.export(tmp_path / "export")
    said = (where / "export.json").read_text("utf-8")
    assert '"temperature": 0.7' in said
    for wrong in ('"temperature": -1', '"temperature": "x"'):
        (where / "export.json").write_text(said.replace('"temperature": 0.7', wrong), "utf-8")
        with pytest.raises(BundleCorruptError, match="not a calibration"):
            open_export(where)


@pytest.mark.parametrize("name", ["finetune", "probe", "blend"])
def test_classes_that_were_enrolled_later_come_along(name, lively, tmp_path):
    base = lively((name, "classification", "text"))
    labels = np.array([base.classes[i % 3] for i in range(36)], dtype=object)
    gallery = gallery_of(encoded(base, items_of("text", 36, 0)), codes_of(labels, base), 3)
    model = bundle.in_memory(replace(base, gallery=gallery))
    grown = model.enrol("kirschen", items_of("text", 2, 40))
    opened = open_export(grown.export(tmp_path / "export"))
    assert opened.classes == grown.classes
    assert "kirschen" in opened.classes
    texts = items_of("text", 8, 3)
    assert np.abs(opened.predict_proba(texts) - grown.predict_proba(texts)).max() < 2e-3


def encoded(contents, texts):
    return encode.features(texts, bundle.in_memory(contents).backbone(), cache=False).array


def codes_of(labels, contents):
    return np.array([contents.classes.index(label) for label in labels])
