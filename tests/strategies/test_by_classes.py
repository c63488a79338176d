"""Zero-shot, ConSE and ESZSL: against oracles, and what each refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from headstart.core.errors import DataError, OptionError
from headstart.strategies import ESZSL, ConSE, ZeroShot
from headstart.strategies.prompts import ensemble, prompts_of, spoken
from headstart.strategies.self_training import enough, self_train, with_shares

CLASSES = {"up": [0.0, 2.0], "right": [3.0, 0.0]}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# ----------------------------------------------------------------------------- zero-shot


def test_probabilities_are_the_softmax_of_cosines():
    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(5, 7)), rng.normal(size=(20, 7))
    model = ZeroShot(class_features=dict(zip("abcde", W, strict=True)), sharpness=9.0).fit()
    expected = softmax(9.0 * unit(X) @ unit(W).T, axis=1)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-12)


def test_labels_set_the_temperature_alone():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(4, 6))
    codes = np.arange(400) % 4
    X = W[codes] + rng.normal(size=(400, 6)) * 0.7
    names = dict(zip("abcd", W, strict=True))
    labels = np.array(list("abcd"))[codes]
    plain, told = (
        ZeroShot(class_features=names).fit(),
        ZeroShot(class_features=names).fit(X, labels),
    )
    assert np.array_equal(plain.directions_, told.directions_)
    assert np.array_equal(plain.predict(X), told.predict(X))
    assert told.sharpness_ != plain.sharpness_
    fresh = W[codes] + rng.normal(size=(400, 6)) * 0.7

    def loss(model):
        return -np.log(model.predict_proba(fresh)[np.arange(400), codes]).mean()

    assert loss(told) < loss(plain)


def test_a_class_without_a_label_can_be_predicted():
    model = ZeroShot(class_features=CLASSES).fit([[0.0, 1.0], [0.1, 1.0]], ["up", "up"])
    assert model.classes_.tolist() == ["right", "up"]
    assert model.predict([[1.0, 0.0]]).tolist() == ["right"]


def test_offsets_favour_frequent_classes():
    model = ZeroShot(class_features=CLASSES, class_offsets={"up": 0.5}).fit()
    assert model.predict([[1.0, 0.9]]).tolist() == ["up"]
    assert ZeroShot(class_features=CLASSES).fit().predict([[1.0, 0.9]]).tolist() == ["right"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "must be told what the classes are like"),
        ({"class_features": {}}, "must be told"),
        ({"class_features": [1, 2]}, "must be told"),
        ({"class_features": {"a": [1.0], "b": [1.0, 2.0]}}, "not 1 finite numbers"),
        ({"class_features": {"a": [np.nan], "b": [1.0]}}, "'a' are not 1 finite"),
        ({"class_features": CLASSES, "sharpness": 0.0}, "positive number"),
        ({"class_features": CLASSES, "centre": [1.0]}, "centre"),
        ({"class_features": CLASSES, "class_offsets": {"up": np.inf}}, "finite numbers"),
    ],
)
def test_zero_shot_refuses_what_it_cannot_use(params, message):
    with pytest.raises(OptionError, match=message):
        ZeroShot(**params).fit()


def test_zero_shot_refuses_labels_and_features_that_do_not_fit():
    with pytest.raises(DataError, match=r"not among the classes.*down"):
        ZeroShot(class_features=CLASSES).fit([[0.0, 1.0], [1.0, 0.0]], ["up", "down"])
    with pytest.raises(OptionError, match="not 3 finite numbers"):
        ZeroShot(class_features=CLASSES).fit(np.eye(3), ["up", "up", "right"])
    with pytest.raises(DataError, match="cannot be sorted"):
        ZeroShot(class_features={"a": [1.0], 1: [2.0]}).fit()


# --------------------------------------------------------------------------------- prompts


def test_names_as_people_say_them():
    made = prompts_of(["card_lost", "astronaut", "a cup"], [()] * 3, "image", ["a photo of a {}."])
    expected = ["a photo of a card lost.", "a photo of an astronaut.", "a photo of a cup."]
    assert [texts[0] for texts in made] == expected
    assert spoken("___") == "___"


def test_descriptions_take_the_place_of_templates():
    assert prompts_of(["x_y"], [("is so",)], "text") == [["is so", "x y: is so"]]


def test_a_template_needs_a_place():
    with pytest.raises(OptionError, match="place for the class"):
        prompts_of(["x"], [()], "text", ["about"])


def test_the_ensemble_is_the_mean_of_unit_rows():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 4))
    expected = unit(np.stack([unit(rows)[:2].mean(0), unit(rows)[2:].mean(0)]))
    np.testing.assert_allclose(ensemble(rows, [2, 3]), expected, rtol=1e-12)


# --------------------------------------------------------------------------- self-training


def shifted(n: int, *, seed: int = 0, shares=(1 / 3, 1 / 3, 1 / 3)):
    """Items around directions that the descriptions only roughly point to."""
    rng = np.random.default_rng(seed)
    true = unit(rng.normal(size=(3, 16)))
    told = unit(true + 0.3 * rng.normal(size=(3, 16)))
    codes = rng.choice(3, size=n, p=shares)
    return true[codes] + 0.3 * rng.normal(size=(n, 16)), told, codes


def test_items_move_directions_to_where_they_are():
    X, told, codes = shifted(600)
    found = self_train(X, told)
    rows = unit(X - found.centre)
    before = (unit(X) @ told.T).argmax(1) == codes
    after = (rows @ found.directions.T + found.offsets).argmax(1) == codes
    assert after.mean() > before.mean() + 0.02
    assert 0.7 < found.agreement < 1.0


def test_shares_are_those_of_saerens_where_nothing_pulls(monkeypatch):
    monkeypatch.setattr("headstart.strategies.self_training.EVEN", 0.0)
    rng = np.random.default_rng(0)
    codes = (rng.random(4000) < 0.2).astype(int)
    x = rng.normal(size=4000) + 2.5 * codes
    odds = np.exp(2.5 * x - 2.5**2 / 2)
    chances = np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)
    _, shares = with_shares(chances, rounds=200)
    assert shares[1] == pytest.approx(codes.mean(), abs=0.02)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 99))
def test_self_training_is_finite_and_sums_to_one(n, k, seed):
    rng = np.random.default_rng(seed)
    found = self_train(rng.normal(size=(n, 8)), rng.normal(size=(k, 8)))
    assert found.shares.sum() == pytest.approx(1.0)
    assert np.isfinite(found.directions).all()
    assert np.isfinite(found.offsets).all()


def test_few_items_teach_nothing():
    assert not enough(29, 2)
    assert not enough(499, 100)
    assert enough(500, 100)


# ----------------------------------------------------------------------------------- conse


def made_conse(**params):
    rng = np.random.default_rng(0)
    parts = {
        "class_features": dict(zip("abc", rng.normal(size=(3, 4)), strict=True)),
        "name_features": rng.normal(size=(10, 4)),
        "classifier": (rng.normal(size=(6, 10)), rng.normal(size=10)),
    }
    return parts | params


def test_conse_is_the_papers_formula_less_the_mean_name():
    parts = made_conse(top=3, sharpness=2.0)
    X = np.random.default_rng(1).normal(size=(8, 6))
    model = ConSE(**parts).fit()
    names = unit(parts["name_features"])
    mean = names.mean(axis=0)
    names = unit(names - mean)
    classes = unit(unit(np.stack(list(parts["class_features"].values()))) - mean)
    chances = softmax(X @ parts["classifier"][0] + parts["classifier"][1], axis=1)
    found = []
    for row in chances:
        best = np.argsort(row)[-3:]
        found.append(sum(row[i] * names[i] for i in best) / row[best].sum())
    expected = softmax(2.0 * unit(np.array(found)) @ classes.T, axis=1)
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"classifier": None}, "needs the classifier"),
        ({"name_features": None}, "needs the classifier"),
        ({"name_features": np.ones((9, 4))}, "a name for each class"),
        ({"top": 0}, "at least one class"),
        ({"sharpness": -1.0}, "positive number"),
        ({"class_features": {"a": [1.0, 2.0]}}, "not 4 finite numbers"),
    ],
)
def test_conse_refuses_what_does_not_fit(params, message):
    with pytest.raises(OptionError, match=message):
        ConSE(**made_conse(**params)).fit()


def test_conse_refuses_features_of_another_length():
    with pytest.raises(OptionError, match="another length"):
        ConSE(**made_conse()).fit(np.ones((2, 5)), ["a", "b"])


# ----------------------------------------------------------------------------------- eszsl


def animals(n_each: int = 30, *, seed: int = 0, n_classes: int = 12, n_seen: int = 9):
    """Features that are a noisy linear map of attributes; the last classes have no rows."""
    rng = np.random.default_rng(seed)
    S = (rng.random((n_classes, 6)) < 0.5) + 0.1 * rng.random((n_classes, 6))
    A = rng.normal(size=(6, 20))
    names = [f"c{i:02}" for i in range(n_classes)]
    codes = np.repeat(np.arange(n_classes), n_each)
    X = unit(S)[codes] @ A + 0.1 * rng.normal(size=(len(codes), 20)) + 1.0
    seen = codes < n_seen
    return dict(zip(names, S, strict=True)), X, np.array(names)[codes], seen


def test_eszsl_is_the_direct_linear_solve():
    features, X, y, seen = animals()
    X, y = X[seen], y[seen]
    model = ESZSL(class_features=features, gamma=0.3, lam=2.0).fit(X, y)
    names = sorted(set(y))
    every = np.stack([features[name] for name in sorted(features)])
    every = np.hstack([(every - every.mean(0)) / every.std(0), np.ones((12, 1))])
    S = every[:9]
    rows = X - X.mean(axis=0)
    Y = np.where(y[:, None] == np.array(names), 1.0, -1.0)
    gamma = 0.3 * np.trace(rows.T @ rows) / 20
    lam = 2.0 * np.trace(S.T @ S) / 7
    V = np.linalg.solve(rows.T @ rows + gamma * np.eye(20), rows.T @ Y @ S)
    V = np.linalg.solve(S.T @ S + lam * np.eye(7), V.T).T
    coef = V @ every.T
    scale = (model.coef_ * coef).sum() / (coef**2).sum()
    assert scale > 0
    np.testing.assert_allclose(model.coef_, scale * coef, rtol=1e-6, atol=1e-9 * scale)
    np.testing.assert_allclose(model.intercept_, -X.mean(axis=0) @ model.coef_, rtol=1e-9)


def test_eszsl_recognises_classes_without_a_label():
    features, X, y, seen = animals()
    model = ESZSL(class_features=features, over="unseen").fit(X[seen], y[seen])
    assert model.classes_.tolist() == ["c09", "c10", "c11"]
    assert (model.predict(X[~seen]) == y[~seen]).mean() > 0.9
    whole = ESZSL(class_features=features).fit(X[seen], y[seen])
    assert len(whole.classes_) == 12
    assert (whole.predict(X[seen]) == y[seen]).mean() > 0.7
    assert "held-out classes right" in whole.decision_.why


def test_shuffled_attributes_teach_nothing():
    features, X, y, seen = animals()
    names = sorted(features)
    wrong = dict(zip(names, [features[name] for name in names[5:] + names[:5]], strict=True))
    model = ESZSL(class_features=wrong, over="unseen").fit(X[seen], y[seen])
    assert (model.predict(X[~seen]) == y[~seen]).mean() < 0.9


def test_few_classes_cannot_hold_any_out():
    features, X, y, _ = animals()
    few = np.isin(y, ["c00", "c01", "c02"])
    model = ESZSL(class_features=features).fit(X[few], y[few])
    assert (model.gamma_, model.lam_) == (1.0, 1.0)
    assert "none can be held out" in model.decision_.why


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"over": "some"}, "unknown choice"),
        ({"gamma": 0.0}, "positive"),
        ({"lam": -1.0}, "positive"),
    ],
)
def test_eszsl_refuses_unusable_parameters(params, message):
    features, X, y, seen = animals(4)
    with pytest.raises(OptionError, match=message):
        ESZSL(class_features=features, **params).fit(X[seen], y[seen])


def test_eszsl_refuses_too_few_classes():
    features, X, y, _ = animals(4)
    with pytest.raises(DataError, match="two classes at least"):
        ESZSL(class_features=features).fit(X[:4], y[:4])
    with pytest.raises(DataError, match="two classes at least"):
        ESZSL(class_features=features, over="unseen").fit(X, y)
