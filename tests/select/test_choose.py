"""Which candidate, and why."""

import numpy as np
import pytest

from headstart.core.errors import DataError, OptionError
from headstart.evaluate import Predictions
from headstart.select import choose

TRUTH = np.array(["a", "b"] * 50)


def model(wrong, confidence=None):
    """Predictions for TRUTH of which the first ``wrong`` are wrong."""
    labels = TRUTH.copy()
    labels[:wrong] = np.where(TRUTH[:wrong] == "a", "b", "a")
    if confidence is None:
        return Predictions(labels)
    of_a = np.where(labels == "a", confidence, 1 - confidence)
    return Predictions(labels, np.stack([of_a, 1 - of_a], axis=1), ("a", "b"))


def test_the_best_wins_and_the_reason_names_the_next():
    found = choose(
        {"knn": model(30), "probe": model(5), "prototypes": model(20)}, TRUTH, "accuracy"
    )
    assert found.name == "probe"
    assert list(found.scores) == ["probe", "prototypes", "knn"]
    text = str(found.decisions[0])
    assert text == (
        "probe: best of 3 candidates out of fold (accuracy 0.950; next: prototypes 0.800) "
        "(--strategy and --source force another)"
    )
    assert len(found.decisions) == 1


def test_a_close_race_is_called_close():
    found = choose({"knn": model(21), "probe": model(20)}, TRUTH, "accuracy")
    assert found.name == "probe"
    assert "too close to call on 100 items: +0.010" in found.decisions[1].why


def test_less_is_better_for_errors():
    truth = np.arange(50.0)
    both = {"far": Predictions(truth + 2), "near": Predictions(truth + 1)}
    assert choose(both, truth, "rmse").name == "near"
    assert list(choose(both, truth, "r2").scores) == ["near", "far"]


def test_ties_go_to_the_better_probabilities_and_then_to_the_cheaper():
    sure, unsure = model(10, 0.9), model(10, 0.6)
    found = choose({"cheap": unsure, "dear": sure}, TRUTH, "accuracy")
    assert found.name == "dear"
    assert "the same as cheap, decided by log loss" in found.decisions[0].why
    assert choose({"cheap": model(10), "dear": sure}, TRUTH, "accuracy").name == "cheap"
    assert choose({"dear": sure, "twin": sure}, TRUTH, "accuracy").name == "dear"


def test_a_single_candidate_needs_no_race():
    found = choose({"probe": model(10)}, TRUTH, "accuracy")
    assert found.name == "probe"
    assert str(found.decisions[0]) == "probe: the only candidate (accuracy 0.900)"


def test_nothing_to_choose_from():
    with pytest.raises(OptionError, match="no candidate"):
        choose({}, TRUTH, "accuracy")
    with pytest.raises(DataError, match="differ in length"):
        choose({"probe": model(1)}, TRUTH[:3], "accuracy")


def test_groups_widen_the_intervals():
    groups = np.arange(100) // 10
    alone = choose({"probe": model(10)}, TRUTH, "accuracy").scores["probe"]
    grouped = choose({"probe": model(10)}, TRUTH, "accuracy", groups=groups).scores["probe"]
    assert grouped.high - grouped.low > alone.high - alone.low
