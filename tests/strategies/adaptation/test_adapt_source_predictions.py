"""Stacking on the source's scores: that it is linear, what it learns, and when it stays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator

from headstart.core.errors import OptionError
from headstart.strategies.adaptation import SourceOnly, SourcePredictions
from headstart.strategies.adaptation.base import linear_form
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.source_predictions import stacked


def domains(m: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    rules = rng.normal(size=(6, 3))
    X, T = rng.normal(size=(300, 6)), rng.normal(size=(m, 6))
    return X, (X @ rules).argmax(axis=1), T, (T @ rules).argmax(axis=1)


def test_adapt_source_predictions_are_centred_log_probabilities() -> None:
    rng = np.random.default_rng(0)
    source = LinearForm(rng.normal(size=(4, 3)), rng.normal(size=3))
    rows, codes = rng.normal(size=(30, 4)), np.arange(30) % 3
    logs = np.log(source.probabilities(rows))
    wide = np.hstack([rows, logs - logs.mean(axis=1, keepdims=True)])
    theirs = linear_form(wide, codes, 3, C=0.5).probabilities(wide)
    ours = stacked(source, rows, codes, 0.5).probabilities(rows)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_adapt_source_predictions_learn_that_classes_changed_places() -> None:
    X, y, T, t = domains(360)
    t = (t + 1) % 3  # the source knows the borders, not the names
    known = np.array([None] * 360, dtype=object)
    known[:60] = t[:60]
    model = SourcePredictions().fit(X, y, T, known)
    assert model.decisions_[0].what.startswith("stacked with C=")
    assert (SourceOnly().fit(X, y, T).predict(T[60:]) == t[60:]).mean() < 0.1
    assert (model.predict(T[60:]) == t[60:]).mean() > 0.85
    again = SourcePredictions.from_state(model.to_state())
    assert (again.predict_proba(T) == model.predict_proba(T)).all()


def test_adapt_source_predictions_stay_where_the_source_is_right() -> None:
    X, y, T, t = domains(100)
    known = np.array([None] * 100, dtype=object)
    known[:12] = t[:12]
    model = SourcePredictions().fit(X, y, T, known)
    assert model.decisions_[0].what == "source-only"
    assert (model.predict_proba(T) == SourceOnly().fit(X, y, T).predict_proba(T)).all()
    forced = SourcePredictions(guarded=False).fit(X, y, T, known)
    assert forced.decisions_[0].what.startswith("stacked")
    assert (forced.predict_proba(T) != model.predict_proba(T)).any()


@pytest.mark.parametrize("known", [[None] * 3, [1, None, None], [1, 1, None]])
def test_adapt_source_predictions_need_two_classes(known: list[int | None]) -> None:
    X, y, T, _ = domains(3)
    model = SourcePredictions(guarded=False).fit(X, y, T, known)
    assert model.decisions_[0].what == "source-only"


def test_adapt_source_predictions_faults() -> None:
    X, y, _, _ = domains(3)
    for strengths in ([], [0.0]):
        with pytest.raises(OptionError, match="strengths must be positive"):
            SourcePredictions(strengths=strengths).fit(X, y)


@pytest.mark.filterwarnings("ignore")
def test_adapt_source_predictions_keep_the_contract_of_scikit_learn() -> None:
    check_estimator(SourcePredictions())
