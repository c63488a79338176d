"""The few-shot head: what it chooses, when it averages, and the labels that nobody hopes for."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import OptionError
from headstart.strategies import FewShot
from headstart.strategies.few_shot import HEADS
from headstart.strategies.heads import UnitHead
from headstart.strategies.shots import Shots
from headstart.strategies.unit import unit_means


def problem(n: int, k: int, *, d: int = 20, noise: float = 1.0, seed: int = 0) -> tuple:
    rng = np.random.default_rng(seed)
    centres, codes = rng.normal(size=(k, d)), np.arange(n) % k
    fresh_codes = np.arange(300) % k
    X = centres[codes] + rng.normal(size=(n, d)) * noise
    return X, codes, centres[fresh_codes] + rng.normal(size=(300, d)) * noise, fresh_codes


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("n", [4, 24])
def test_each_head_can_be_forced(name: str, n: int) -> None:
    X, codes, fresh, truth = problem(n, 4)
    model = FewShot(heads=[name]).fit(X, codes)
    assert model.heads_ == (name,)
    assert (model.predict(fresh) == truth).mean() > 0.7


def test_heads_that_are_clearly_worse_stay_out() -> None:
    # a direction without spread parts the classes: class means are drowned by the others
    rng = np.random.default_rng(0)
    codes = np.arange(120) % 2
    X = rng.normal(size=(120, 5)) * np.array([0.1, 5, 5, 5, 5]) + codes[:, None] * np.eye(5)[0]
    model = FewShot().fit(X, codes)
    assert "prototypes" not in model.heads_
    assert "prototypes" in model.decision_.why


def test_heads_that_are_alike_are_averaged() -> None:
    X, codes, fresh, _ = problem(12, 3, noise=0.2)
    model = FewShot().fit(X, codes)
    assert len(model.heads_) > 1
    confidence = model.predict_proba(fresh).max(axis=1).mean()
    assert 0.7 < confidence < 1.0  # twelve rows without an error do not make certain


def test_held_out_rows_are_not_seen() -> None:
    # labels without meaning: a head that saw the rows that it predicts would be right
    rng = np.random.default_rng(2)
    X, codes = rng.normal(size=(60, 100)), rng.integers(0, 2, 60)
    model = FewShot().fit(X, codes)
    right = [float(part.split(" right")[0]) for part in model.decision_.why.split("(")[1:]]
    assert len(right) == 4
    assert max(right) < 0.7
    assert model.predict_proba(rng.normal(size=(50, 100))).max() < 0.9


def test_the_folds_hold_out_every_row_but_the_lone_ones() -> None:
    X, codes, _, _ = problem(30, 5)
    codes[0] = 7
    means = unit_means(X, np.unique(codes, return_inverse=True)[1], 6)
    shots = Shots(means.rows, means.codes, 6, random_state=0)
    assert np.sum(shots.outs, axis=0).tolist() == [0] + [1] * 29
    assert shots.judged.tolist() == [False] + [True] * 29
    with_prior = Shots(means.rows, means.codes, 6, random_state=0, lone=True)
    assert with_prior.judged.all()


def test_unknown_heads_are_refused() -> None:
    for heads in (["forest"], []):
        with pytest.raises(OptionError, match="not heads to choose from"):
            FewShot(heads=heads).fit(np.eye(2), [0, 1])


def test_it_opens_without_scikit_learn_to_the_same_bits() -> None:
    X, codes, fresh, _ = problem(24, 4)
    model = FewShot().fit(X, codes)
    head = UnitHead.from_state(model.to_state())
    assert head.predict_proba(fresh).tobytes() == model.predict_proba(fresh).tobytes()


# ------------------------------------------------------------------ labels nobody hopes for


def test_one_label_in_all() -> None:
    model = FewShot().fit([[1.0, 2.0]], ["only"])
    assert model.predict([[5.0, -1.0]]).tolist() == ["only"]
    assert model.predict_proba([[5.0, -1.0]]).tolist() == [[1.0]]


def test_five_hundred_classes_with_one_label_each() -> None:
    X, codes, _, _ = problem(500, 500, d=64)
    model = FewShot().fit(X, codes)
    assert (model.predict(X + 0.1) == codes).all()
    assert model.heads_ == ("logistic",)


def test_identical_rows_with_two_labels_share_the_probability() -> None:
    X = np.repeat(np.eye(3), 2, axis=0)
    model = FewShot().fit(X, ["a", "b", "c", "c", "d", "d"])
    chances = model.predict_proba(X[:1])[0]
    assert chances[0] == pytest.approx(chances[1], rel=1e-3)
    assert chances[0] > max(chances[2:])


def test_unbalanced_one_to_a_hundred() -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(202, 8))
    X[200:] += 6.0
    labels = ["common"] * 200 + ["rare"] * 2
    model = FewShot().fit(X, labels)
    assert (model.predict(rng.normal(size=(50, 8))) == "common").all()
    assert (model.predict(rng.normal(size=(50, 8)) + 6.0) == "rare").mean() > 0.9


def test_too_many_rows_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.strategies.shots.LINEAR_LIMIT", 10)
    X, codes, fresh, truth = problem(24, 4)
    model = FewShot().fit(X, codes)
    assert model.heads_ == ("prototypes",)
    assert "too many" in str(model.decision_)
    assert (model.predict(fresh) == truth).mean() > 0.8
