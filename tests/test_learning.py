"""Learning curves, suspects and what to label next, from DATA to the saved model."""

from __future__ import annotations

import json

import numpy as np
import pytest

import headstart as hs
from headstart.core.errors import OptionError
from tests import samples

pytestmark = pytest.mark.weights


@pytest.fixture
def few(weights):
    """Fit a probe on a few labels of each topic; the rest is what the test makes of it."""

    def fit(frame, **given):
        plain = {"label": "topic", "source": "minilm", "strategy": ["probe", "scratch"]}
        return hs.fit(frame, **{**plain, **given})

    return fit


def test_a_curve_goes_from_the_judging_items_into_the_bundle(few, tmp_path):
    frame = samples.topics(16)
    result = few(frame, shots=8, curve=True)
    assert result.curve.n.tolist() == [1, 2, 4, 8]
    assert result.curve.points[-1].transfer.estimate == pytest.approx(result.score.estimate)
    assert result.curve.points[-1].scratch.estimate == pytest.approx(result.scratch.estimate)
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert [point["n_per_class"] for point in found["curve"]] == [1, 2, 4, 8]
    assert found["label_multiplier"]["estimate"] > 1
    assert found["learning"]["transfer"] == "minilm + probe"
    assert any("learning curve at 1, 2, 4, 8" in text for text in found["decisions"])
    kept = hs.load(result.save(tmp_path / "model")).info["extra"]
    assert kept["curve"] == found["curve"]
    assert kept["learning"] == found["learning"]
    assert "times as many labels" in result.curve_sentences()[0]


def test_rows_without_a_label_are_proposed_and_wrong_labels_suspected(few):
    frame = samples.topics(20)
    rng = np.random.default_rng(0)
    pool = rng.choice(len(frame), 20, replace=False)
    frame.loc[pool, "topic"] = None
    wrong = int(np.setdiff1d(np.flatnonzero(frame["topic"] == "animal"), pool)[0])
    frame.loc[wrong, "topic"] = "vehicle"
    result = few(frame, curve=False)
    assert result.curve is None
    assert result.to_json()["curve"] == []
    assert {one.id for one in result.label_these} <= {f"row {i + 1}" for i in pool}
    assert len(result.label_these) > 5
    assert f"row {wrong + 1}" in [one.id for one in result.suspects]
    more = result.label_next(["a wolf in a boat", "a wolf in a boat", "an otter"], n=3)
    assert len({one.place for one in more} & {0, 1}) <= 1


def test_numbers_and_a_model_without_source_say_what_they_can(few):
    frame = samples.topics(10)
    frame["pages"] = np.random.default_rng(0).normal(size=len(frame)) + frame["text"].str.len() / 10
    result = few(frame[["text", "pages"]], label="pages", strategy="probe", curve=False)
    assert "unlike what is labelled" in result.label_next(["a wolf", "an otter"], n=1)[0].reason
    plain = few(samples.topics(10), source=None, strategy="scratch", curve=True)
    assert plain.curve is None
    assert any("no transfer took part" in one.why for one in plain.decisions)
    assert plain.label_next(["a wolf", "an otter"], n=2)
    with pytest.raises(OptionError, match="at least one item"):
        plain.label_next(["a wolf"], n=0)
