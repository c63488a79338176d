"""Contrastive tuning: its loss, its batches, what it refuses, and that it does what it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as draw
from sklearn.linear_model import LogisticRegression
from torch import nn
from tuned_tiny import as_bytes, items_of, labels_of, make, source

from headstart import encode
from headstart.core.errors import DataError, OptionError
from headstart.strategies.tuning.contrast import Pairs, balanced, contrast, head_of
from headstart.strategies.tuning.items import TextItems, count_batches
from headstart.strategies.tuning.loop import Loop
from headstart.strategies.tuning.rules import contrastive_epochs

RNG = np.random.default_rng(0)


def khosla(features: Any, truth: Any, temperature: float) -> float:
    """L_out of the paper (eq. 2), a sum over i and p written out; mean over the anchors."""
    unit = [row / np.linalg.norm(row) for row in np.asarray(features, dtype=float)]
    total, anchors = 0.0, 0
    for i in range(len(unit)):
        others = [a for a in range(len(unit)) if a != i]
        partners = [p for p in others if truth[p] == truth[i]]
        if not partners:
            continue
        anchors += 1
        below = sum(math.exp(unit[i] @ unit[a] / temperature) for a in others)
        logs = [math.log(math.exp(unit[i] @ unit[p] / temperature) / below) for p in partners]
        total -= sum(logs) / len(partners)
    return total / max(anchors, 1)


@pytest.mark.parametrize("temperature", [0.07, 0.3, 1.0])
@pytest.mark.parametrize("truth", [[0, 0, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 2], [0, 1, 2]])
def test_the_loss_is_that_of_the_paper(truth: list[int], temperature: float) -> None:
    features = RNG.normal(size=(len(truth), 5))
    found = contrast(torch.tensor(features), torch.tensor(truth), temperature)
    assert float(found) == pytest.approx(khosla(features, truth, temperature), rel=1e-6, abs=1e-9)


def test_every_class_weighs_the_same_however_many_of_it_are_in_the_batch() -> None:
    features, truth = RNG.normal(size=(7, 4)), np.array([0, 0, 0, 0, 0, 1, 1])
    found = float(contrast(torch.tensor(features), torch.tensor(truth), 0.5))
    total, scores = [], features / np.linalg.norm(features, axis=1, keepdims=True)
    scores = scores @ scores.T / 0.5
    for i in range(7):
        others = np.delete(np.arange(7), i)
        partners = others[truth[others] == truth[i]]
        logs = scores[i] - np.log(np.exp(scores[i, others]).sum())
        total.append(-logs[partners].mean())
    assert found == pytest.approx((np.mean(total[:5]) + np.mean(total[5:])) / 2)


def test_the_gradient_is_finite_and_does_not_see_lengths() -> None:
    features = torch.tensor(RNG.normal(size=(6, 4)), requires_grad=True)
    truth = torch.tensor([0, 1, 0, 1, 2, 2])
    loss = contrast(features, truth, 0.1)
    loss.backward()
    assert features.grad is not None
    assert torch.isfinite(features.grad).all()
    assert float((features.grad * features).sum(dim=1).detach().abs().max()) < 1e-9
    assert float(contrast(7 * features.detach(), truth, 0.1)) == pytest.approx(float(loss.detach()))
    alone = torch.tensor(RNG.normal(size=(3, 4)), requires_grad=True)  # no pairs: nothing to learn
    none = contrast(alone, torch.arange(3), 0.1)
    none.backward()
    assert float(none.detach()) == 0.0
    assert not alone.grad.any()  # type: ignore[union-attr]


class Small(nn.Module):
    """Features with dropout, for the gradient in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(6, 9), nn.Dropout(0.3), nn.Linear(9, 4)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.last(self.drop(torch.tanh(self.first(X))))


@pytest.mark.parametrize("micro", [1, 3, 7])
def test_in_pieces_the_gradient_is_that_of_the_whole_batch_with_the_same_dropout(
    micro: int,
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        X, truth, index = torch.randn(10, 6), np.arange(10) % 3, np.arange(10)
        network = Small()
        pairs = Pairs(truth, 3, temperature=0.2)
        noise = (torch.get_rng_state, torch.set_rng_state)
        start = torch.get_rng_state()
        loss = pairs.backward(lambda own: network(X[own]), index, micro, noise)  # type: ignore[arg-type]
        found = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        network.zero_grad()
        torch.set_rng_state(start)
        parts = [network(X[at : at + micro]) for at in range(0, 10, micro)]
        whole = pairs.loss(torch.cat(parts), index)
        whole.backward()
    assert loss == pytest.approx(float(whole.detach()), rel=1e-6)
    for grad, parameter in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(grad, parameter.grad)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    counts=draw.lists(draw.integers(1, 12), min_size=2, max_size=30),
    batch=draw.integers(1, 40),
    seed=draw.integers(0, 5),
)
def test_batches_are_bounded_and_balanced(counts: list[int], batch: int, seed: int) -> None:
    truth = np.repeat(np.arange(len(counts)), counts)
    n = len(truth)
    sizes = np.random.default_rng(seed).integers(1, 50, n)
    made = [
        balanced(truth, sizes, np.arange(n), batch, torch.Generator().manual_seed(seed))
        for _ in range(2)
    ]
    assert all(np.array_equal(one, two) for one, two in zip(*made, strict=True))
    assert len(made[0]) == count_batches(n, batch)
    for index in made[0]:
        assert 2 <= len(index) <= max(batch, 2)
        assert (np.diff(sizes[index]) >= 0).all()
        seen = np.bincount(truth[index], minlength=len(counts))
        some = seen > 0
        assert (seen[some] >= 2).all()
        assert (np.bincount(index) <= 2).all()
        full = some & (np.array(counts) >= batch)
        assert not full.any() or seen[full].max() - seen[full].min() <= 1
        if batch >= 2 * len(counts):
            assert some.all()


def test_the_classes_take_turns() -> None:
    truth = np.arange(500)
    made = balanced(truth, np.ones(500, int), truth, 64, torch.Generator().manual_seed(0))
    assert len(made) == 8  # 500 labels, however many pairs they would make
    assert len(np.unique(np.concatenate(made))) == 8 * 32
    assert all(len(index) == 64 for index in made)


def test_steps_are_bounded_whatever_the_number_of_labels() -> None:
    for n in (1, 2, 16, 100, 2_400, 100_000):
        passes = contrastive_epochs(n)
        assert 1 <= passes <= 8
        assert passes * n <= 6_700 or passes == 1


def test_the_head_is_logistic_regression() -> None:
    features, codes = RNG.normal(size=(30, 6)), np.arange(30) % 3
    features[:, :3] += np.eye(3)[codes]
    weights = RNG.uniform(0.5, 2.0, 30)
    coef, intercept = head_of(features, codes, 3, weights)
    centred = features - np.average(features, axis=0, weights=weights)
    C = weights.sum() / (weights[:, None] * centred**2).sum()
    peer = LogisticRegression(C=C, tol=1e-8, max_iter=2000)
    peer.fit(features, codes, sample_weight=weights)
    ours = features @ coef + intercept
    shares = np.exp(ours) / np.exp(ours).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, peer.predict_proba(features), atol=1e-4)


def test_it_brings_the_items_of_a_class_together() -> None:
    X, y = items_of("text"), labels_of("classes")
    new, truth = items_of("text", 60, seed=9), labels_of("classes", 60)

    def spread(backbone: Any) -> float:
        """The mean cosine within a class less that between classes, of texts not trained on."""
        features = encode.features(new, backbone, cache=False, device="cpu").array
        scores = features @ features.T
        same = truth[:, None] == truth[None, :]
        return float(scores[same].mean() - scores[~same].mean())

    model = make("contrastive", "text", rate=3e-3, epochs=20).fit(X, y)
    assert spread(model.backbone()) > spread(source("text")) + 0.1
    assert np.mean(model.predict(new) == truth) > 0.6
    first, last = model.history_[0]["loss"], model.history_[-1]["loss"]
    assert last < first
    plain = make("contrastive", "text", rate=1e-9, epochs=1).fit(X, y)
    features = encode.features(X, source("text"), cache=False, device="cpu").array
    coef, _ = head_of(features, np.arange(24) % 3, 3, np.ones(24))
    np.testing.assert_allclose(plain.coef_, coef, rtol=1e-2, atol=1e-2 * np.abs(coef).max())


def test_only_the_words_that_occur_are_kept() -> None:
    X, y = items_of("text"), labels_of("classes")
    model = make("contrastive", "text").fit(X, y)
    used = TextItems(X, source("text")).used()
    assert np.array_equal(model.tuned_["index.blocks.0.word.weight"], used)
    assert len(used) < 0.25 * len(source("text").blocks[0].word.weight)


def test_one_label_a_class_and_a_class_with_one_label() -> None:
    X = items_of("text", 9)
    for y in (np.arange(9), np.array(["a"] * 8 + ["b"]), np.array(["b", *"aaaaaaaa"])):
        first = make("contrastive", "text").fit(X, y)
        again = make("contrastive", "text").fit(X, y)
        assert as_bytes(first.to_state()) == as_bytes(again.to_state())
        assert np.isfinite(first.predict_proba(X)).all()
        assert first.history_[-1]["loss"] > 0  # dropout makes the pairs
    two = make("contrastive", "text").fit(X[:2], ["a", "b"])
    assert two.predict(X[:2]).tolist() == ["a", "b"]


def test_the_rare_class_of_1_to_100_is_in_every_batch() -> None:
    texts = items_of("text", 300)
    rare, common = texts[:1], texts[1::3]
    X, y = [rare[0], *common], np.array(["rare"] + ["common"] * 100)
    seen: list[Any] = []

    plain = Loop._gradients
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Loop,
            "_gradients",
            lambda self, index, micro: seen.append(index) or plain(self, index, micro),
        )
        params: dict[str, Any] = {"rate": 1e-3, "validation": 0.0, "epochs": 2}
        model = make("contrastive", "text", class_weight="balanced", **params).fit(X, y)
    assert len(seen) == 2 * count_batches(101, 8)
    assert all((index == 0).sum() == 2 for index in seen)  # in every batch
    assert (model.predict(rare[:1]) == "rare").all()
    assert (model.predict(common) == "common").mean() > 0.9


def test_enough_labels_validate_and_few_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[int] = []
    from headstart.strategies.tuning import session

    monkeypatch.setattr(
        session, "head_of", lambda f, c, k, w: heads.append(len(f)) or head_of(f, c, k, w)
    )
    few = make("contrastive", "text").fit(items_of("text", 93), labels_of("classes", 93))
    assert few.settings_["validation"] == 0.0
    assert heads == [93]
    heads.clear()
    many = make("contrastive", "text", epochs=4, patience=1, rate=3e-2)
    many.fit(items_of("text", 96), labels_of("classes", 96))
    looks = [row for row in many.history_ if "validation_score" in row]
    assert looks
    assert heads[-1] == 96  # in the end the head is fitted to what has judged, too
    assert set(heads[:-1]) == {76}


@pytest.mark.parametrize(
    ("name", "value"),
    [("mixup", 0.2), ("bss", 0.1), ("wise", True), ("wise", False), ("head", "zero")],
)
def test_what_plays_no_part_is_refused(name: str, value: Any) -> None:
    with pytest.raises(OptionError, match="knows nothing of it") as raised:
        make("contrastive", "text", **{name: value}).fit(items_of("text"), labels_of("classes"))
    assert raised.value.where == name


def test_labels_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(OptionError, match="one label an item") as raised:
        make("contrastive", "text").fit(items_of("text"), labels_of("sets"))
    assert "lp-ft" in str(raised.value)
    with pytest.raises(DataError, match="only one class"):
        make("contrastive", "text").fit(items_of("text"), ["a"] * 24)
