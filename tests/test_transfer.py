"""The front door, end to end: what a user gives and what comes back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from headstart import inspection
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.log import Log
from tests import samples

pytestmark = pytest.mark.weights


@pytest.fixture
def recorder():
    class Recorder:
        def __init__(self):
            self.said = []

        def say(self, text):
            self.said.append(text)

        def progress(self, stage, done, total, unit="items", detail=""):
            pass

    return Recorder()


def test_meaning_in_rare_words_is_positive_transfer(weights):
    result = hs.fit(samples.topics(), label="topic", budget="1s")
    assert result.gain.verdict == "positive"
    assert result.chosen.source == "minilm"
    assert result.score.estimate > 0.85
    assert result.score.low <= result.score.estimate <= result.score.high
    assert result.majority.estimate < 0.45
    assert result.predict(["a picture of a zebra", "a bowl of rice"]).tolist() == ["animal", "food"]


def test_surface_codes_are_handed_to_scratch(weights):
    result = hs.fit(samples.codes(120), label="code", test=samples.codes(200, seed=1), budget="1s")
    assert result.chosen.strategy == "scratch"
    assert result.chosen.source is None
    assert result.gain.verdict == "negative"
    assert "You get scratch." in result.headline()
    assert any("ship scratch" in decision.what for decision in result.decisions)


def test_a_named_strategy_is_handed_back_whatever_the_guard_advises(weights):
    result = hs.fit(samples.codes(), label="code", strategy="probe")
    assert result.chosen.strategy == "probe"
    assert result.gain.estimate < 0
    assert any("named with --strategy" in decision.why for decision in result.decisions)
    guarded = hs.fit(samples.codes(), label="code", strategy=["probe", "scratch"])
    assert guarded.chosen.strategy == "scratch"


def test_a_table_is_trained_from_scratch_and_says_so(weights):
    result = hs.fit(samples.wine_like(), label="grade")
    assert result.chosen.strategy == "scratch"
    assert result.transfer is None
    assert result.gain.verdict == "none"
    assert "No transfer was tried" in result.headline()
    assert result.score.estimate > result.majority.estimate
    again = result.predict(samples.wine_like(seed=1).drop(columns="grade"))
    assert set(again) <= {"good", "plain"}


def test_pictures_in_class_folders(weights, tmp_path):
    result = hs.fit(samples.pictures(tmp_path / "stripes"), budget="1s")
    assert result.task.modality == "image"
    assert result.score.estimate > 0.6
    assert {one.strategy for one in result.candidates} >= {"majority", "scratch", "probe", "knn"}


def test_shots_leave_the_rest_to_judge(weights):
    result = hs.fit(samples.topics(), label="topic", shots=8, budget="1s")
    assert result.task.n == 24
    assert result.score.n == 48
    assert "took no part in training" in result.judged_by


def test_one_label_a_class_takes_the_default_and_is_judged_on_the_rest(weights):
    result = hs.fit(samples.topics(), label="topic", shots=1)
    assert result.chosen.strategy == "probe"
    assert result.score.n == 69
    assert any("nothing is left to choose with" in one.what for one in result.decisions)


def test_one_label_in_each_of_many_classes_is_not_cross_validated(weights):
    words = " ".join(samples.TOPICS.values()).split()[:30]
    frame = pd.DataFrame(
        [(phrase.format(word), word) for word in words for phrase in samples.PHRASES],
        columns=["text", "word"],
    )
    result = hs.fit(frame, label="word", shots=1)
    assert result.chosen.strategy == "probe"
    assert all(candidate.score is None for candidate in result.candidates)


def test_a_test_part_judges(weights):
    frame = samples.topics()
    train, test = frame.iloc[::2], frame.iloc[1::2]
    result = hs.fit(train, label="topic", test=test, budget="1s")
    assert result.task.n == len(train)
    assert result.score.n == len(test)


def test_same_seed_same_numbers(weights):
    first = hs.fit(samples.topics(8), label="topic").to_json()
    second = hs.fit(samples.topics(8), label="topic").to_json()
    for found in (first, second):
        found.pop("seconds")
        for candidate in found["candidates"]:
            candidate.pop("seconds")
    assert first == second


def test_the_saved_model_predicts_the_same(weights, tmp_path):
    result = hs.fit(samples.topics(8), label="topic", budget="1s")
    texts = ["the goat", "a tasty soup", "an old lorry"]
    place = result.save(tmp_path / "model")
    np.testing.assert_array_equal(hs.load(place).predict_proba(texts), result.predict_proba(texts))


def test_every_decision_is_said_aloud(weights, recorder):
    result = hs.fit(samples.topics(8), label="topic", reporter=recorder)
    for decision in result.decisions:
        assert str(decision) in recorder.said


def test_unknown_names_are_refused_with_a_suggestion(weights):
    with pytest.raises(UnknownNameError, match="did you mean 'probe'"):
        hs.fit(samples.topics(4), label="topic", strategy="prob")
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        hs.fit(samples.topics(4), label="topic", source="minilmm")
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        hs.fit(samples.topics(4), label="topic", metric="acuracy")


def test_options_that_do_not_fit_are_refused(weights):
    with pytest.raises(OptionError, match="at least 1"):
        hs.fit(samples.topics(4), label="topic", shots=0)
    with pytest.raises(OptionError, match="is for image data"):
        hs.fit(samples.topics(4), label="topic", source="efficientnet-lite0")
    with pytest.raises(OptionError, match="cannot be used for classification on table"):
        hs.fit(samples.wine_like(), label="grade", strategy="probe")


def test_a_class_that_cannot_be_cross_validated_needs_a_test_part(weights):
    with pytest.raises(DataError):
        hs.fit(["a horse", "a soup"], label=["animal", "food"])


def test_check_finds_a_wrong_label_and_a_duplicate(weights):
    frame = samples.topics()
    frame.loc[2, "topic"] = "food"
    frame.loc[len(frame)] = frame.loc[5]
    report = inspection.check(frame, label="topic")
    kinds = {finding.kind for finding in report.findings}
    assert any("duplicate" in kind for kind in kinds)
    suspect = next(finding for finding in report.findings if "suspect" in finding.kind)
    assert "row 3" in suspect.items


def test_a_regression_that_beats_the_mean_is_not_called_a_guess(weights):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(80, 3)), columns=["a", "b", "c"])
    frame["price"] = 3 * frame["a"] - frame["b"] + rng.normal(size=80) * 0.05
    result = hs.fit(frame, label="price")
    assert result.metric == "rmse"
    assert result.score.high < result.majority.estimate
    assert not any("constant guess" in decision.what for decision in result.decisions)
    frame["price"] = rng.normal(size=80)
    hopeless = hs.fit(frame, label="price")
    assert any("constant guess" in decision.what for decision in hopeless.decisions)


def test_standalone_is_possible_where_there_is_no_source(weights, tmp_path):
    result = hs.fit(samples.wine_like(), label="grade")
    place = result.save(tmp_path / "model", standalone=True)
    rows = samples.wine_like().drop(columns="grade")
    assert hs.load(place).predict(rows).tolist() == result.predict(rows).tolist()


def test_what_is_left_out_is_said(weights, recorder):
    frame = samples.topics(8)
    frame.loc[3, "text"] = ""
    result = hs.fit(frame, label="topic", reporter=recorder, strategy="probe")
    assert any("items left out: 1" in line and "row 4" in line for line in recorder.said)
    assert [item["item"] for item in result.to_json()["task"]["skipped"]] == ["row 4"]


def test_labels_beside_texts_follow_when_an_item_is_left_out(weights):
    frame = samples.topics(8)
    texts, labels = frame["text"].tolist(), frame["topic"].tolist()
    texts[0] = ""
    result = hs.fit(texts, label=labels, strategy="probe")
    assert result.task.labels.tolist() == labels[1:]


def test_shots_that_leave_too_few_judge_out_of_fold(weights):
    frame = samples.topics(8).iloc[:20]
    result = hs.fit(frame, label="topic", shots=8, strategy="probe")
    assert "out-of-fold" in result.judged_by


def test_the_metric_looks_at_all_labels_not_at_the_balanced_shots(weights):
    frame = samples.topics(24)
    rare = frame[frame["topic"] != "food"]
    few = pd.concat([rare, frame[frame["topic"] == "food"].iloc[:5]], ignore_index=True)
    result = hs.fit(few, label="topic", shots=4, strategy="probe")
    assert result.metric == "macro_f1"


@pytest.mark.parametrize(
    ("ship", "verdict", "apart", "handed"),
    [
        (True, "positive", True, "probe"),
        (True, "inconclusive", False, "probe"),
        (True, "negative", True, "scratch"),
        (True, "negative", False, "scratch"),
        (False, "positive", True, "probe"),
        (False, "positive", False, "scratch"),
        (False, "inconclusive", True, "scratch"),
        (False, "negative", True, "scratch"),
        (False, "negative", False, "scratch"),
    ],
)
def test_judging_has_the_last_word(recorder, ship, verdict, apart, handed):
    from headstart import select, transfer
    from headstart.core.types import Gain, Score

    best = select.Entry("probe", "minilm")
    score = Score("accuracy", 0.8, 0.7, 0.9, 100)
    guess = Score("accuracy", 0.5, 0.4, 0.6, 100)
    gain = Gain(0.1, 0.05, 0.15, 100, verdict=verdict)
    scores = {"majority": guess, "scratch": score, best.name: score}
    judged = select.Judged(scores, gain, "100 items")
    log = Log(recorder)
    plan = select.Plan((best,), True, ())
    found = transfer._ship(plan, select.Pick(best, ship), judged, log, apart=apart)
    assert found.strategy == handed
    assert bool(log.decisions) == ((handed == "probe") != ship)
    named = transfer._ship(
        select.Plan((best,), False, ()), select.Pick(best, ship), judged, log, apart=apart
    )
    assert named == best


def test_a_blend_can_be_named_and_gives_the_same_model_again(weights):
    frame = samples.topics()
    result = hs.fit(frame, label="topic", strategy="blend", curve=False)
    chosen = result.to_json()["chosen"]
    assert chosen == {"source": "minilm", "strategy": "blend", "member": chosen["member"]}
    assert chosen["member"] in ("probe", "knn", "prototypes")
    again = hs.fit(frame, label="topic", strategy=["blend", chosen["member"]], curve=False)
    texts = ["the goat", "a tasty soup", "an old lorry"]
    np.testing.assert_array_equal(again.predict_proba(texts), result.predict_proba(texts))
    names = {one.name for one in again.candidates}
    assert "minilm + blend" in names
    assert result.score.n == result.task.n


def test_numbers_without_a_source_and_rows_without_a_label_are_fitted(weights):
    frame = samples.wine_like()
    frame["grade"] = np.linspace(0, 1, len(frame))
    frame.loc[frame.index[:5], "grade"] = np.nan
    result = hs.fit(frame, label="grade", curve=False)
    assert result.label_these == ()
    assert any("no rows are proposed for labelling" in one.what for one in result.decisions)


def test_a_named_strategy_that_cannot_be_fitted_is_an_error(weights, monkeypatch):
    from headstart.select import contest

    def fail(entry, *rest):
        if entry.strategy == "knn":
            raise ValueError("no neighbours")
        return real(entry, *rest)

    real = contest.held_out
    monkeypatch.setattr(contest, "held_out", fail)
    with pytest.raises(OptionError, match="what was named could not be fitted") as caught:
        hs.fit(samples.topics(8), label="topic", strategy="knn", curve=False)
    assert "ValueError: no neighbours" in str(caught.value)


def test_a_named_strategy_is_advised_against_not_overruled(weights):
    result = hs.fit(samples.codes(), label="code", strategy="probe", curve=False)
    said = [one.what for one in result.decisions]
    assert "the guard would hand back scratch" in said
    assert "ship scratch" not in said


def test_a_seed_of_numpy_is_a_number(weights, tmp_path):
    result = hs.fit(
        samples.topics(8), label="topic", seed=np.int64(1), checkpoint=tmp_path / "c", budget="1s"
    )
    assert result.to_json()["seed"] == 1
