"""What ``fit`` hands back: its words, its numbers as JSON, its order."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from headstart.bundle import BundleContents
from headstart.core.types import Candidate, Gain, Score, Task
from headstart.result import Result
from headstart.strategies import make


def score(estimate: float, metric: str = "accuracy") -> Score:
    return Score(metric, estimate, estimate - 0.05, estimate + 0.05, 100)


def gain(verdict: str, estimate: float, low: float, high: float, metric: str = "accuracy") -> Gain:
    return Gain(estimate, low, high, 100, metric=metric, verdict=verdict)


@pytest.fixture
def result():
    """Probe won over scratch."""
    labels = np.array(["a", "b"] * 5, dtype=object)
    task = Task(
        "text", "classification", ["x"] * 10, labels, ("i",) * 10, np.arange(10), ("a", "b")
    )
    estimator = make("majority", kind="classification", modality="text").fit(["x"] * 10, labels)
    return Result(
        task=task,
        metric="accuracy",
        judged_by="100 items that took no part",
        chosen=Candidate("probe", "minilm", status="chosen"),
        score=score(0.9),
        majority=score(0.5),
        scratch=score(0.7),
        gain=gain("positive", 0.2, 0.1, 0.3),
        transfer=Candidate("probe", "minilm"),
        transfer_score=score(0.9),
        candidates=(
            Candidate("majority", score=score(0.5)),
            Candidate("scratch", score=score(0.72)),
            Candidate("knn", "minilm", status="failed", reason="too few"),
            Candidate("probe", "minilm", score=score(0.91), status="chosen"),
        ),
        decisions=(),
        seconds=1.234,
        seed=0,
        contents=BundleContents(
            modality="text",
            kind="classification",
            strategy="majority",
            state=estimator.to_state(),
            metric="accuracy",
            classes=("a", "b"),
        ),
    )


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            gain("positive", 0.2, 0.1, 0.3),
            "Positive transfer: minilm + probe is worth +20.0 points of accuracy [+10.0, +30.0] "
            "over scratch.",
        ),
        (
            gain("negative", -0.2, -0.3, -0.1),
            "Negative transfer: minilm + probe costs -20.0 points of accuracy [-30.0, -10.0] "
            "against scratch.",
        ),
        (
            gain("none", 0.0, -0.009, 0.009),
            "No difference that matters: minilm + probe against scratch is +0.0 points of accuracy "
            "[-0.9, +0.9].",
        ),
        (
            gain("inconclusive", 0.05, -0.02, 0.12, "rmse"),
            "Inconclusive: minilm + probe against scratch is +0.050 rmse [-0.020, +0.120].",
        ),
    ],
)
def test_the_headline_says_the_verdict_and_what_you_get(result, found, words):
    result = replace(result, gain=found)
    assert result.sentences() == (words, "You get minilm + probe.")
    assert result.headline() == f"{words} You get minilm + probe."
    assert str(result) == result.headline()
    vetoed = replace(result, chosen=Candidate("scratch", status="chosen"))
    assert vetoed.sentences()[-1] == "You get scratch."


def test_where_no_transfer_took_part_it_says_so(result):
    alone = replace(result, transfer=None, transfer_score=None)
    assert alone.headline().startswith("No transfer was tried")
    assert [name for name, _ in alone.judged_scores()] == ["scratch", "majority"]
    assert alone.to_json()["transfer"] is None


def test_ranked_puts_the_best_first_and_the_failed_last(result):
    names = [candidate.name for candidate in result.ranked()]
    assert names == ["minilm + probe", "scratch", "majority", "minilm + knn"]
    errors = replace(result, metric="rmse")
    assert [candidate.name for candidate in errors.ranked()][:3] == [
        "majority",
        "scratch",
        "minilm + probe",
    ]


def test_judged_scores_name_the_transfer_first(result):
    assert [name for name, _ in result.judged_scores()] == ["minilm + probe", "scratch", "majority"]


def test_advice_speaks_only_of_what_is_so(result):
    assert result.advice() == ["a candidate failed: its reason stands in the table"]
    sound = replace(result, candidates=result.candidates[:2])
    assert sound.advice() == []
    unsettled = replace(sound, gain=gain("inconclusive", 0.02, -0.02, 0.06))
    assert unsettled.advice() == ["about 818 judged items would settle it, 4 times of 5 (now 100)"]
    harmful = replace(sound, gain=gain("negative", -0.2, -0.3, -0.1))
    assert "headstart sources --modality text" in harmful.advice()[0]


def test_to_json_is_plain_and_complete(result):
    found = result.to_json()
    assert found["gain"]["estimate"] == 0.2
    assert found["baselines"]["scratch"]["estimate"] == 0.7
    assert found["chosen"] == {"source": "minilm", "strategy": "probe", "member": None}
    failed = found["candidates"][2]
    assert math.isnan(failed["estimate"])
    assert failed["reason"] == "too few"
    assert found["seconds"] == 1.23
    assert json.loads(json.dumps(found))["task"]["classes"] == ["a", "b"]


def test_the_model_predicts_and_is_saved(result, tmp_path):
    assert result.predict(["anything", "else"]).tolist() == ["a", "a"]
    assert result.predict_proba(["anything"]).tolist() == [[0.5, 0.5]]
    place = result.save(tmp_path / "model")
    assert (place / "manifest.json").is_file()
    from headstart.core.errors import OptionError

    with pytest.raises(OptionError, match="a model is there already"):
        result.save(place)
    assert result.save(place, overwrite=True) == place
