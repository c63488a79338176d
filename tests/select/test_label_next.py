"""What to label next: better than at random, nothing twice; wrong labels; weak classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.datasets import load_digits

from headstart import data, strategies
from headstart.core.errors import OptionError
from headstart.core.types import Task
from headstart.evaluate import Predictions
from headstart.select.label_next import Advice, advice, label_next, neediest, suspects
from headstart.select.measured import Measured


def places(suggestions):
    return np.array([one.place for one in suggestions])


def probe(features, labels):
    made = strategies.make("probe", kind="classification", modality="image", random_state=0)
    return made.fit(features, labels)


def test_labelling_what_is_suggested_beats_labelling_at_random():
    features, labels = load_digits(return_X_y=True)
    features, labels = features.astype(np.float32) / 16, labels.astype(str)
    leads = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        mixed = rng.permutation(len(labels))
        test, rest = mixed[:500], mixed[500:1100]
        start = np.concatenate([rest[labels[rest] == name][:4] for name in np.unique(labels)])
        pool = np.setdiff1d(rest, start)
        model = probe(features[start], labels[start])

        def after(chosen, start=start, pool=pool, test=test):
            learnt = np.concatenate([start, pool[chosen]])
            model = probe(features[learnt], labels[learnt])
            return float((model.predict(features[test]) == labels[test]).mean())

        asked = places(label_next(model.predict_proba(features[pool]), features[pool], 25))
        chance = [after(rng.choice(len(pool), 25, replace=False)) for _ in range(2)]
        leads.append(after(asked) - np.mean(chance))
    assert np.mean(leads) > 0.005


def test_the_same_item_is_never_suggested_twice():
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(6, 5)), 20, axis=0)
    chances = np.repeat(rng.dirichlet(np.ones(3), size=6), 20, axis=0)
    for seed in range(20):
        found = places(label_next(chances, features, 10, seed=seed))
        assert len({tuple(features[i]) for i in found}) == len(found) <= 6
    nearly = features + rng.normal(size=features.shape) * 1e-4
    found = places(label_next(chances, nearly, 10))
    assert len(set(found // 20)) == len(found)
    alone = places(label_next(chances, None, 10))
    assert len(set(alone // 20)) == len(alone)
    numbers = places(label_next(None, features, 10))
    assert len(set(numbers // 20)) == len(numbers)


def test_distances_are_those_of_the_gradients_written_out():
    rng = np.random.default_rng(1)
    chances, features = rng.dirichlet(np.ones(4), size=30), rng.normal(size=(30, 6))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    off = chances.copy()
    off[np.arange(30), chances.argmax(axis=1)] -= 1
    gradients = (off[:, :, None] * features[:, None, :]).reshape(30, -1)
    first = places(label_next(chances, features, 1))[0]
    assert first == (gradients**2).sum(axis=1).argmax()
    # k-means++: the second is drawn in proportion to the squared distance
    distance = np.minimum(
        (gradients**2).sum(axis=1), ((gradients - gradients[first]) ** 2).sum(axis=1)
    )
    seconds = [places(label_next(chances, features, 2, seed=s))[1] for s in range(400)]
    share = distance / distance.sum()
    common = int(share.argmax())
    count = sum(found == common for found in seconds)
    assert binomtest(count, 400, float(share[common])).pvalue > 1e-3
    assert first not in seconds


def test_what_the_model_is_sure_of_is_not_asked():
    chances = np.array([[1.0, 0.0]] * 10 + [[0.6, 0.4]])
    found = label_next(chances, np.random.default_rng(0).normal(size=(11, 3)), 5)
    assert places(found).tolist() == [10]


def test_numbers_ask_for_what_is_unlike_the_labelled():
    features = np.array([[1.0, 0.0], [0.99, 0.1], [0.0, 1.0], [-1.0, 0.0]])
    found = label_next(None, features, 2, labelled=np.array([[1.0, 0.0]]))
    assert places(found).tolist() == [3, 2]
    assert "unlike what is labelled" in found[0].reason
    assert found[0].label is None


def test_reasons_names_and_a_single_class():
    found = label_next(np.array([[0.2, 0.5, 0.3]]), None, classes=("a", "b", "c"), ids=["x.jpg"])
    assert found[0].id == "x.jpg"
    assert (found[0].label, found[0].other, found[0].confidence) == ("b", "c", 0.5)
    assert found[0].reason == "b (0.50) or c (0.30)"
    assert label_next(np.array([[0.5, 0.5]]), None)[0].id == "row 1"
    assert label_next(np.ones((3, 1)), None) == []


def test_what_does_not_fit_is_refused():
    chances = np.full((3, 2), 0.5)
    with pytest.raises(OptionError, match="at least one item"):
        label_next(chances, None, 0)
    with pytest.raises(OptionError, match="probabilities or features"):
        label_next(None, None)
    with pytest.raises(OptionError, match="one row for each item"):
        label_next(chances, np.ones((2, 2)))
    with pytest.raises(OptionError, match="one column for each class"):
        label_next(chances, None, classes=("a",))


def test_suspects_are_those_of_the_data_room_with_what_they_look_like():
    rng = np.random.default_rng(0)
    labels = np.array(["cat", "dog"] * 20, dtype=object)
    truth = labels.copy()
    labels[4] = "dog"
    right = np.where(truth == "cat", 0.85, 0.15) + rng.normal(size=40) * 0.02
    right[4] = 0.97
    chances = np.stack([right, 1 - right], axis=1)
    ids = tuple(f"row {i}" for i in range(40))
    found = suspects(labels, chances, ("cat", "dog"), ids)
    order = data.suspects(labels, chances, ("cat", "dog"))
    assert [one.id for one in found] == [ids[i] for i in order]
    assert (found[0].id, found[0].given, found[0].suggested) == ("row 4", "dog", "cat")
    assert found[0].confidence == pytest.approx(chances[4].max())


def test_the_neediest_classes():
    truth = np.array(["a"] * 10 + ["b"] * 10 + ["c"] * 10)
    said = np.array(["a"] * 10 + ["b"] * 6 + ["a"] * 3 + ["c"] + ["c"] * 9 + ["b"])
    found = neediest(truth, said)
    assert [one.label for one in found] == ["b", "c"]
    worst = found[0]
    assert (worst.recall, worst.n, worst.mistaken_for) == (0.6, 10, "a")
    exact = binomtest(6, 10).proportion_ci(method="wilson")
    assert (worst.low, worst.high) == pytest.approx((exact.low, exact.high), abs=1e-6)
    assert neediest(truth, truth) == ()
    assert len(neediest(truth, np.roll(truth, 10), n=2)) == 2


def task_of(labels, kind="classification"):
    n = len(labels)
    classes = tuple(sorted(set(labels))) if kind == "classification" else ()
    ids = tuple(f"row {i + 1}" for i in range(n))
    return Task("text", kind, ["x"] * n, labels, ids, np.arange(n), classes)


def test_advice_speaks_of_the_rows_that_were_held_out():
    labels = np.array(["cat", "dog"] * 10, dtype=object)
    right = np.where(labels == "cat", 0.85, 0.15)
    right[[3, 5]] = 0.99, 0.95
    rows = np.arange(19, 1, -1)
    chances = np.stack([right, 1 - right], axis=1)[rows]
    said = np.array(["cat", "dog"], dtype=object)[chances.argmax(axis=1)]
    found = advice(task_of(labels), Measured(rows, Predictions(said, chances, ("cat", "dog"))))
    assert [one.id for one in found.suspects] == ["row 4", "row 6"]
    assert [one.label for one in found.neediest] == ["dog"]
    bare = advice(task_of(labels), Measured(rows, Predictions(said)))
    assert (bare.suspects, bare.neediest) == ((), found.neediest)
    assert advice(task_of(labels), None) == Advice()
    numbers = task_of(np.arange(20.0), "regression")
    assert advice(numbers, Measured(rows, Predictions(np.arange(18.0)))) == Advice()
