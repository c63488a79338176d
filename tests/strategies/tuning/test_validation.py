"""What validation decides, what it never does, and what is minimised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from tuned_tiny import MODALITIES, fitted, items_of, labels_of, make, named, source

from headstart import encode
from headstart.strategies import base as dictionary
from headstart.strategies.tuning import session
from headstart.strategies.tuning.loop import Loop
from headstart.strategies.tuning.objective import Objective, clearly_better
from headstart.strategies.tuning.rules import depth_for, validation_for


@pytest.fixture
def loops(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every loop that is made."""
    made: list[Any] = []
    plain = Loop.__init__

    def note(self: Loop, *args: Any, **named: Any) -> None:
        plain(self, *args, **named)
        made.append(self)

    monkeypatch.setattr(Loop, "__init__", note)
    return made


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("kind", ["classes", "numbers", "sets"])
def test_what_validates_never_trains(
    modality: str, kind: str, loops: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    plain = Loop._gradients

    def note(self: Loop, index: Any, micro: int) -> float:
        seen.append((self.progress.epoch, index))
        return plain(self, index, micro)

    probed: list[int] = []
    make_plain = dictionary.make

    def make_probe(*args: Any, **given: Any) -> Any:
        probe = make_plain(*args, **given)
        fit = probe.fit
        probe.fit = lambda X, y: probed.append(len(y)) or fit(X, y)
        return probe

    monkeypatch.setattr(Loop, "_gradients", note)
    monkeypatch.setattr(dictionary, "make", make_probe)
    make("lp-ft", modality, kind, validation=0.25).fit(items_of(modality), labels_of(kind))
    (loop,) = loops
    assert not np.intersect1d(loop.train, loop.valid).size
    assert sorted([*loop.train, *loop.valid]) == list(range(24))
    assert len(loop.valid) == 6
    if kind == "classes":
        assert np.bincount(loop.valid % 3).tolist() == [2, 2, 2]
    for epoch in range(2):
        rows = np.concatenate([index for at, index in seen if at == epoch])
        assert sorted(rows) == sorted(loop.train)
    assert set(probed) == {18}  # nor does the head start from it


def test_labels_of_what_validates_do_not_reach_the_weights(loops: list[Any]) -> None:
    X, y = items_of("text"), labels_of("numbers")
    # two looks at most, the second is the last: what is kept is what the loss says; compare curves
    first = make("partial", "text", "numbers", validation=0.25, epochs=1).fit(X, y)
    other = y.copy()
    valid = loops[0].valid
    other[valid] = other[valid][::-1]  # the same mean and spread
    second = make("partial", "text", "numbers", validation=0.25, epochs=1).fit(X, other)
    assert all(np.array_equal(first.tuned_[key], second.tuned_[key]) for key in first.tuned_)
    assert first.history_[-1] != second.history_[-1]


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_patience_ends_the_training_and_the_best_weights_stay(
    ema: float, loops: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([(0.2, 1.0), (0.5, 1.0), (0.5, 2.0), (0.4, 0.1), (0.3, 0.1), (1.0, 0.0)])
    kept: list[dict[str, Any]] = []

    def judged(self: Objective, outputs: Any, index: Any) -> tuple[float, float]:
        kept.append({name: t.detach().clone() for name, t in loops[0].named.items()})
        return next(scores, (0.0, 9.0))

    monkeypatch.setattr(Objective, "judged", judged)
    X, y = items_of("text"), labels_of("classes")
    params: dict[str, Any] = {"epochs": 9, "validation": 0.25, "patience": 2, "ema": ema}
    model = make("finetune", "text", **params).fit(X, y)
    looks = [row for row in model.history_ if "validation_score" in row]
    assert [row["validation_score"] for row in looks] == [0.2, 0.5, 0.5, 0.4, 0.3]
    assert [row["epoch"] for row in looks] == [1, 2, 3, 4, 5]
    assert loops[0].progress.stopped
    assert loops[0].progress.best_step == 9  # of equals the later
    best = kept[2]
    assert all(torch.equal(best[name], tensor) for name, tensor in loops[0].named.items())


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("name", ["lp-ft", "lora"])
def test_wise_with_a_share_of_nothing_is_the_probe(
    name: str, modality: str, monkeypatch: pytest.MonkeyPatch, loops: list[Any]
) -> None:
    # better and better, the nearer to the start
    monkeypatch.setattr(session, "clearly_better", lambda first, second: True)
    X, y = items_of(modality), labels_of("classes")
    model = make(name, modality, wise=True, validation=0.25).fit(X, y)
    assert model.wise_ == 0.0
    base, made = named(source(modality)), named(model.backbone())
    for key, array in base.items():
        np.testing.assert_allclose(made[key], array, atol=1e-7, err_msg=key)
    card = model.backbone()
    features = encode.features(X, card, cache=False, device="cpu").array
    train = loops[0].train
    probe = dictionary.make("probe", kind="classification", modality="text", random_state=3)
    probe.fit(features[train], y[train])
    state = probe.to_state().arrays
    scale = np.abs(state["coef"]).max()
    np.testing.assert_allclose(model.coef_ / scale, state["coef"] / scale, atol=2e-3)


def test_the_share_is_the_one_that_validation_prefers(
    monkeypatch: pytest.MonkeyPatch, loops: list[Any]
) -> None:
    found: list[tuple[Any, Any]] = []
    plain = session.Session._each

    def note(self: session.Session, loop: Any) -> tuple[Any, Any]:
        found.append(plain(self, loop))
        return found[-1]

    monkeypatch.setattr(session.Session, "_each", note)
    better = iter([True, False, True, False])
    monkeypatch.setattr(session, "clearly_better", lambda first, second: next(better))
    X, y = items_of("text"), np.array(["a"] * 18 + ["b"] * 6)
    params: dict[str, Any] = {"validation": 0.25, "class_weight": "balanced"}
    model = make("lp-ft", "text", **params).fit(X, y)
    assert model.wise_ == session.WISE[2 if len(session.WISE) == 4 else 3]
    loop = loops[0]
    score, loss = loop.objective.judged(loop.outputs(loop.valid), loop.valid)
    assert float(found[3][0].mean()) == pytest.approx(score)  # what is compared is weighted
    assert float(found[3][1].mean()) == pytest.approx(loss)
    assert fitted("lp-ft", "text", "classes").wise_ == 1.0  # nothing was spared to choose on


def test_better_than_by_chance() -> None:
    rng = np.random.default_rng(0)
    scores, losses = torch.ones(50), torch.tensor(rng.uniform(0.5, 1.5, 50))
    assert clearly_better((scores, losses - 0.1), (scores, losses))
    assert not clearly_better((scores, losses), (scores, losses))
    assert not clearly_better((scores, losses + 0.1), (scores, losses))
    noise = torch.tensor(rng.normal(0, 1, 50))
    assert not clearly_better((scores, losses - 0.01 + noise - noise.mean()), (scores, losses))
    assert not clearly_better((scores - 0.1, losses - 0.1), (scores, losses))
    assert not clearly_better((scores[:1], losses[:1] - 1), (scores[:1], losses[:1]))


@pytest.mark.parametrize("kind", ["classes", "sets", "numbers"])
def test_losses_are_those_of_torch(kind: Any) -> None:
    rng = np.random.default_rng(0)
    outputs = torch.tensor(rng.normal(size=(7, 1 if kind == "numbers" else 3)), dtype=torch.float32)
    truth: Any = {
        "classes": rng.integers(0, 3, 7),
        "sets": rng.integers(0, 2, (7, 3)).astype(np.float32),
        "numbers": rng.normal(size=7),
    }[kind]
    smoothing = 0.0 if kind == "numbers" else 0.2
    objective = Objective(kind, truth, outputs.shape[1], smoothing=smoothing)
    index = np.array([6, 0, 3, 3])
    found = objective.losses(outputs[index], objective.targets(index))
    own = torch.tensor(truth)[index]
    if kind == "classes":
        expected = functional.cross_entropy(
            outputs[index], own, label_smoothing=0.2, reduction="none"
        )
    elif kind == "sets":
        expected = functional.binary_cross_entropy_with_logits(
            outputs[index], 0.8 * own + 0.1, reduction="none"
        ).mean(1)
    else:
        expected = (outputs[index][:, 0] - own.float()) ** 2
    torch.testing.assert_close(found, expected)
    plain = Objective(kind, truth, outputs.shape[1])
    score, loss = objective.judged(outputs[index], index)
    mean = plain.losses(outputs[index].double(), plain.targets(index).double()).mean()
    assert loss == pytest.approx(float(mean))
    right = {
        "classes": lambda: (outputs[index].argmax(1) == own).double().mean(),
        "sets": lambda: ((outputs[index] > 0) == (own > 0)).double().mean(),
        "numbers": lambda: -mean,
    }[kind]()
    assert score == pytest.approx(float(right))


def test_balanced_weights_are_rows_repeated() -> None:
    rng = np.random.default_rng(1)
    codes = np.array([0, 0, 0, 0, 1, 1])
    outputs = torch.tensor(rng.normal(size=(6, 2)), dtype=torch.float32, requires_grad=True)
    weights = len(codes) / (2 * np.bincount(codes))[codes]
    balanced = Objective("classes", codes, 2, weights=weights, smoothing=0.1)
    every = np.arange(6)
    losses = balanced.losses(outputs, balanced.targets(every))
    mean = (losses * balanced.weights).sum() / balanced.weights.sum()
    repeated = np.array([0, 1, 2, 3, 4, 5, 4, 5])
    plain = Objective("classes", codes, 2, smoothing=0.1)
    expected = plain.losses(outputs[repeated], plain.targets(repeated)).mean()
    torch.testing.assert_close(mean, expected)
    (one,) = torch.autograd.grad(mean, outputs, retain_graph=True)
    (other,) = torch.autograd.grad(expected, outputs)
    torch.testing.assert_close(one, other)
    assert balanced.judged(outputs.detach(), every) == pytest.approx(
        plain.judged(outputs.detach()[repeated], repeated)
    )


def test_balancing_a_fit_changes_what_is_learned(loops: list[Any]) -> None:
    X, y = items_of("text"), np.array(["a"] * 18 + ["b"] * 6)
    plain = make("finetune", "text").fit(X, y)
    given = make("finetune", "text", class_weight={"a": 2 / 3, "b": 2.0}).fit(X, y)
    balanced = make("finetune", "text", class_weight="balanced").fit(X, y)
    assert np.array_equal(given.coef_, balanced.coef_)
    assert not np.array_equal(plain.coef_, balanced.coef_)
    assert loops[-1].objective.weights.tolist() == pytest.approx([2 / 3] * 18 + [2.0] * 6)


def test_how_much_is_spared_and_how_deep_partial_goes() -> None:
    assert validation_for(39, 2) == 0.0
    assert validation_for(100, 30) == 0.0
    for n, k in ((40, 2), (200, 3), (1000, 150), (100_000, 10)):
        share = validation_for(n, k)
        assert 0 < share <= 0.25
        assert share * n >= min(k, 0.25 * n) - 1e-9
        assert share * n <= max(500, k) + 1e-9
    assert [depth_for(7, shots) for shots in (5, 50)] == [2, 4]
    assert depth_for(1, 5) == 1


@pytest.mark.parametrize("kind", ["classes", "numbers", "sets"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_it_learns_and_predicts_what_it_saw(modality: str, kind: str, loops: list[Any]) -> None:
    # by heart: random networks know little that other items would share
    X, y = items_of(modality), labels_of(kind)
    given: dict[str, Any] = {"epochs": 15, "smoothing": 0.0, "augment": 0.0, "crop": 1.0}
    given |= {"rate": 3e-3 if modality == "text" else 1e-3, "head_rate": 1e-2, "dropout": 0.0}
    model = make("finetune", modality, kind, **given).fit(X, y)
    found = model.predict(X)
    if kind == "numbers":
        assert np.corrcoef(found, y)[0, 1] > 0.7
    else:  # of images the middle is judged, the whole has trained
        assert (found == y).mean() > (0.8 if modality == "text" else 0.6)
    seen = loops[0].outputs(np.arange(24)).numpy()
    if kind == "numbers":
        seen = seen * model.spread_ + model.centre_
    np.testing.assert_allclose(model._scores(X), seen, rtol=1e-4, atol=1e-3)
    losses = [row["loss"] for row in model.history_]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:3])
