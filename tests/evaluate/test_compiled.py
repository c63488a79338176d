"""Metrics against scikit-learn, plainly, weighted and over resamples."""

import math

import numpy as np
import pytest
from sklearn import metrics as oracle

from headstart.core.errors import DataError, OptionError
from headstart.evaluate import METRICS, Predictions, value
from headstart.evaluate import compiled as module
from headstart.evaluate.compiled import compiled

CLASSIFY = [name for name, metric in METRICS.items() if "classification" in metric.kinds]
REGRESS = [name for name, metric in METRICS.items() if "regression" in metric.kinds]


def classified(n, k, seed, *, coarse=False):
    rng = np.random.default_rng(seed)
    names = np.array([f"c{i:02d}" for i in range(k)])
    truth = rng.integers(k, size=n)
    truth[:k] = np.arange(k)
    scores = rng.random((n, k))
    scores[np.arange(n), truth] += 0.4
    if coarse:
        scores = np.round(scores, 1) + 0.1
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    labels = names[probabilities.argmax(axis=1)]
    return names[truth], Predictions(labels, probabilities, tuple(names))


def sklearn_value(metric, truth, found, weights=None):
    options = {"sample_weight": weights}
    if metric == "accuracy":
        return oracle.accuracy_score(truth, found.labels, **options)
    if metric == "balanced_accuracy":
        return oracle.balanced_accuracy_score(truth, found.labels, **options)
    if metric == "macro_f1":
        return oracle.f1_score(truth, found.labels, average="macro", **options)
    if metric == "log_loss":
        return oracle.log_loss(truth, found.probabilities, labels=list(found.classes), **options)
    if metric == "roc_auc":
        if len(found.classes) == 2:
            return oracle.roc_auc_score(truth, found.probabilities[:, 1], **options)
        return oracle.roc_auc_score(
            truth, found.probabilities, multi_class="ovr", labels=list(found.classes), **options
        )
    if metric == "rmse":
        return oracle.root_mean_squared_error(truth, found.labels, **options)
    if metric == "mae":
        return oracle.mean_absolute_error(truth, found.labels, **options)
    return oracle.r2_score(truth, found.labels, **options)


@pytest.mark.parametrize("metric", CLASSIFY)
@pytest.mark.parametrize(("n", "k"), [(40, 2), (90, 3), (400, 12)])
@pytest.mark.parametrize("coarse", [False, True])
def test_classification_equals_scikit_learn(metric, n, k, coarse):
    truth, found = classified(n, k, seed=n, coarse=coarse)
    assert value(metric, truth, found) == pytest.approx(
        sklearn_value(metric, truth, found), abs=1e-12
    )
    weights = np.random.default_rng(1).gamma(1.0, size=(n, 3))
    got = compiled(metric, truth, found)(weights)
    expected = [sklearn_value(metric, truth, found, w) for w in weights.T]
    assert got == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", REGRESS)
def test_regression_equals_scikit_learn(metric):
    rng = np.random.default_rng(0)
    truth = 1000 + rng.standard_normal(70)
    found = Predictions(truth + rng.standard_normal(70))
    assert value(metric, truth, found) == pytest.approx(
        sklearn_value(metric, truth, found), abs=1e-12
    )
    weights = rng.gamma(1.0, size=(70, 4))
    expected = [sklearn_value(metric, truth, found, w) for w in weights.T]
    assert compiled(metric, truth, found)(weights) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "balanced_accuracy", "roc_auc"])
def test_a_resample_is_scored_as_if_it_were_all_the_data(metric):
    truth, found = classified(30, 6, seed=3)
    rng = np.random.default_rng(0)
    evaluate, absent = compiled(metric, truth, found), 0
    for _ in range(40):
        drawn = rng.integers(30, size=30)
        weights = np.bincount(drawn, minlength=30)[:, None].astype(float)
        got = float(evaluate(weights)[0])
        present = np.unique(truth[drawn])
        absent += len(present) < 6
        if metric == "roc_auc":
            expected = np.mean(
                [
                    oracle.roc_auc_score(truth[drawn] == name, found.probabilities[drawn, j])
                    for j, name in enumerate(found.classes)
                    if name in present
                ]
            )
        elif metric == "balanced_accuracy":
            rows = [drawn[truth[drawn] == name] for name in present]
            expected = np.mean([np.mean(found.labels[row] == truth[row]) for row in rows])
        else:
            expected = sklearn_value(metric, truth[drawn], found.take(drawn))
        assert got == pytest.approx(expected, abs=1e-12)
    assert absent > 0


def test_the_auc_of_large_data_is_close_to_that_of_the_ranks(monkeypatch):
    truth, found = classified(600, 4, seed=5, coarse=True)
    rng = np.random.default_rng(0)
    weights = np.stack(
        [np.bincount(rng.integers(600, size=600), minlength=600) for _ in range(300)]
    )
    weights = weights.T.astype(float)
    exact = compiled("roc_auc", truth, found)(weights)
    monkeypatch.setattr(module, "EXACT_AUC", 0)
    projected = compiled("roc_auc", truth, found)
    assert value("roc_auc", truth, found) == pytest.approx(
        sklearn_value("roc_auc", truth, found), abs=1e-12
    )
    error = projected(weights) - exact
    assert np.abs(error).max() < 0.2 * exact.std()
    assert projected(weights).std() == pytest.approx(exact.std(), rel=0.05)


def test_a_class_the_model_never_saw_has_probability_zero():
    truth = np.array(["a", "b", "z"])
    found = Predictions(np.array(["a", "b", "a"]), np.array([[1, 0], [0, 1], [1, 0]]), ("a", "b"))
    assert value("log_loss", truth, found) == pytest.approx(-math.log(2.0**-52) / 3, abs=1e-9)
    assert value("roc_auc", truth, found) == pytest.approx((0.75 + 1 + 0.5) / 3)


def test_undefined_resamples_are_nan_and_silent():
    truth, found = classified(6, 2, seed=0)
    one_class = (truth == "c00").astype(float)[:, None]
    assert np.isnan(compiled("roc_auc", truth, found)(one_class)).all()
    assert np.isnan(compiled("accuracy", truth, found)(np.zeros((6, 2)))).all()
    numbers = Predictions(np.array([0.3, 0.4]))
    once = np.array([[1.0], [0.0]])
    assert np.isnan(compiled("r2", np.array([0.1, 0.7]), numbers)(once)).all()


def test_what_cannot_be_computed_is_refused():
    labels = np.array(["a", "b"])
    plain = Predictions(labels)
    with pytest.raises(OptionError, match="needs probabilities") as caught:
        value("roc_auc", labels, plain)
    assert "accuracy, balanced_accuracy, macro_f1" in str(caught.value)
    with pytest.raises(OptionError, match="is for regression"):
        value("rmse", labels, plain)
    with pytest.raises(OptionError, match="is for classification"):
        value("accuracy", np.array([0.5, 1.0]), Predictions(np.array([0.5, 1.0])))
    with pytest.raises(DataError, match="differ in length"):
        value("accuracy", np.array(["a"]), plain)
    with pytest.raises(DataError, match=r"predictions, item 1.*finite"):
        value("rmse", np.array([0.5, 1.0]), Predictions(np.array([0.5, np.nan])))
    with pytest.raises(DataError, match=r"predictions, item 0.*finite"):
        value("mae", np.array([0.5, 1.0]), plain)
    with pytest.raises(DataError, match="same"):
        value("r2", np.array([1.0, 1.0]), Predictions(np.array([0.5, 1.0])))
    both = Predictions(labels, np.eye(2), ("a", "b"))
    with pytest.raises(DataError, match="at least two classes"):
        value("roc_auc", np.array(["a", "a"]), both)
    broken = Predictions(labels, np.array([[1.0, 0.0], [np.nan, 1.0]]), ("a", "b"))
    with pytest.raises(DataError, match=r"item 1.*finite"):
        value("log_loss", labels, broken)
