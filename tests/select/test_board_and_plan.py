"""The plan, the race and the board: what is tried, what fails, and what is handed back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.sounds import folder

import headstart as hs
from headstart import select, sources
from headstart.core.errors import OptionError
from headstart.evaluate import Predictions, value
from headstart.select import MAJORITY, SCRATCH


def test_a_named_baseline_is_what_you_get():
    only = select.plan("text", "classification", strategy="majority")
    assert only.fallback == MAJORITY
    assert not only.transfers
    scratch = select.plan("text", "classification", strategy="scratch")
    assert scratch.fallback == SCRATCH
    assert not any("default for text" in decision.why for decision in scratch.decisions)


def test_a_source_that_nothing_uses_is_refused():
    with pytest.raises(OptionError, match="uses no source"):
        select.plan("text", "classification", strategy="scratch", source="minilm")


def test_a_strategy_without_a_source_for_the_modality_is_refused():
    with pytest.raises(OptionError, match="cannot be used for classification on table"):
        select.plan("table", "classification", strategy="probe")


def test_a_modality_without_a_source_of_its_own_needs_one_named(monkeypatch):
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(OptionError, match="no source is at hand for audio"):
        select.plan("audio", "classification", strategy="probe")


@pytest.mark.parametrize(
    ("offline", "here", "first", "parts"),
    [
        ("0", (), "whisper-base", True),
        ("1", ("whisper-base", "ge2e"), "whisper-base", True),
        ("1", ("ge2e",), "ge2e", False),
    ],
)
def test_offline_the_parts_of_a_source_that_is_not_here_are_not_tried(
    monkeypatch, offline, here, first, parts
):
    cards = [sources.card(name) for name in here]
    monkeypatch.setenv("HEADSTART_OFFLINE", offline)
    monkeypatch.setattr("headstart.sources.names.search", lambda **wanted: cards)
    found = select.plan("audio", "classification")
    assert found.sources[0] == first
    assert any("@" in name for name in found.sources) == parts
    assert ("its parts whisper-base@" in found.decisions[0].why) == parts
    assert ("whisper-base, the default for audio data, is not" in found.decisions[0].why) != parts


def test_offline_transfer_of_sounds_takes_the_same_source_as_fit(tmp_path, monkeypatch):
    class AskedError(Exception):
        pass

    def load(name, **_):
        raise AskedError(name)

    there = [sources.card("ge2e")]
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    monkeypatch.setattr("headstart.sources.names.search", lambda **_: there)
    monkeypatch.setattr("headstart.sources.loading.load", load)
    for name in ("one", "two"):
        folder(tmp_path / name, 2)
    with pytest.raises(AskedError, match="ge2e"):
        hs.transfer_from(tmp_path / "one", tmp_path / "two")


def test_scratch_guesses_where_a_fold_leaves_it_nothing_to_learn_from():
    frame = pd.DataFrame({"x": [0] * 11 + [1], "label": ["a", "b"] * 6})
    result = hs.fit(frame, label="label")
    assert result.chosen.strategy == "scratch"
    assert result.score.estimate <= 0.75


def test_majority_can_be_asked_for():
    frame = pd.DataFrame({"x": np.arange(20) % 7, "y": np.arange(20) % 3, "label": ["a", "b"] * 10})
    assert hs.fit(frame, label="label", strategy="majority").chosen.strategy == "majority"


def test_a_single_candidate_needs_no_correction_whatever_the_metric():
    rng = np.random.default_rng(0)
    truth = np.array([f"class {i % 20}" for i in range(100)], dtype=object)
    guess = np.where(rng.random(100) < 0.7, truth, rng.permutation(truth))
    base = np.where(rng.random(100) < 0.5, truth, rng.permutation(truth))
    found = select.corrected(
        {"scratch": Predictions(base), "only": Predictions(guess)}, truth, "macro_f1"
    )
    plain = value("macro_f1", truth, Predictions(guess))
    assert found.score.estimate == pytest.approx(plain, abs=1e-12)
    lead = plain - value("macro_f1", truth, Predictions(base))
    assert found.gain.estimate == pytest.approx(lead, abs=1e-12)


def test_a_part_of_the_default_source_is_tried_but_not_tuned():
    plan = select.plan("image", "classification")
    part = sources.default_views("image")[0]
    assert part in plan.sources
    assert {entry.strategy for entry in plan.transfers if entry.source == part} == {
        "probe",
        "knn",
        "prototypes",
    }
    assert any(part in decision.why for decision in plan.decisions)
    named = select.plan("image", "classification", source=part, strategy="lp-ft")
    assert named.transfers == (select.Entry("lp-ft", part),)
