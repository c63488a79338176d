"""The constant guesses against scikit-learn's dummies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from headstart.core.errors import DataError
from headstart.strategies import Majority, MeanRegressor

LABELS = ["b", "a", "b", "c", "b", "a"]


@pytest.mark.parametrize(
    "items", [list("uvwxyz"), np.zeros((6, 2)), pd.DataFrame({"x": range(6)}), [None] * 6]
)
def test_anything_with_a_length(items: object) -> None:
    ours = Majority().fit(items, LABELS)
    theirs = DummyClassifier(strategy="prior").fit(np.zeros((6, 1)), LABELS)
    assert ours.predict(items).tolist() == theirs.predict(np.zeros((6, 1))).tolist() == ["b"] * 6
    np.testing.assert_array_equal(ours.predict_proba(items), theirs.predict_proba(np.zeros((6, 1))))
    mean = MeanRegressor().fit(items, np.arange(6.0))
    assert mean.predict(items).tolist() == [2.5] * 6
    assert DummyRegressor().fit(np.zeros((6, 1)), np.arange(6.0)).constant_[0, 0] == 2.5


def test_of_a_tie_the_first_in_order() -> None:
    assert Majority().fit([0, 0], ["z", "a"]).predict([0]).tolist() == ["a"]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="inconsistent"):
        Majority().fit([1, 2, 3], ["a", "b"])
    with pytest.raises(ValueError, match="inconsistent"):
        MeanRegressor().fit([1, 2, 3], [1.0, 2.0])


def test_labels_of_mixed_types() -> None:
    with pytest.raises(DataError, match="different types"):
        Majority().fit([1, 2], np.array(["a", 1], dtype=object))


def test_numbers_must_be_finite() -> None:
    with pytest.raises(ValueError, match="NaN"):
        MeanRegressor().fit([1, 2], [1.0, np.nan])
