"""Losses of deep adaptation against values computed by hand, and their gradients."""

import math
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from headstart.core.errors import MissingExtraError, OptionError, UnknownNameError
from headstart.strategies.adaptation import losses
from headstart.strategies.adaptation.deep_methods import (
    METHODS,
    MOST_PRODUCTS,
    Batch,
    method_of,
)


def rows(*shape, seed=0):
    found = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return found.requires_grad_(True)


def test_mcc_by_hand():
    # two rows, two classes, temperature 1: probabilities (3/4, 1/4) and (1/2, 1/2)
    scores = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]], dtype=torch.float64)
    h1 = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    w1, w2 = 1 + math.exp(-h1), 1 + math.exp(-math.log(2.0))
    w1, w2 = 2 * w1 / (w1 + w2), 2 * w2 / (w1 + w2)
    c11 = w1 * 0.5625 + w2 * 0.25
    c12 = w1 * 0.1875 + w2 * 0.25
    c22 = w1 * 0.0625 + w2 * 0.25
    expected = (c12 / (c11 + c12) + c12 / (c12 + c22)) / 2
    assert float(losses.mcc(scores, 1.0)) == pytest.approx(expected, abs=1e-12)


def test_mcc_of_certain_rows_is_zero_and_of_clueless_rows_is_one_less_a_share():
    certain = 1000.0 * torch.eye(3, dtype=torch.float64)
    assert float(losses.mcc(certain)) == pytest.approx(0.0, abs=1e-12)
    assert float(losses.mcc(torch.zeros(5, 4))) == pytest.approx(0.75, abs=1e-6)


def test_mcc_against_a_direct_loop():
    scores = rows(7, 3).detach().numpy()
    shares = np.exp(scores / 2.5)
    shares /= shares.sum(axis=1, keepdims=True)
    weights = 1 + np.exp((shares * np.log(shares)).sum(axis=1))
    weights = 7 * weights / weights.sum()
    joint = np.zeros((3, 3))
    for share, weight in zip(shares, weights, strict=True):
        joint += weight * np.outer(share, share)
    expected = sum(joint[a, b] / joint[a].sum() for a in range(3) for b in range(3) if a != b) / 3
    assert float(losses.mcc(torch.from_numpy(scores))) == pytest.approx(expected, abs=1e-12)


def test_coral_equals_numpys_covariances():
    source, target = rows(6, 3), rows(5, 3, seed=1)
    apart = np.cov(source.detach().numpy().T) - np.cov(target.detach().numpy().T)
    expected = (apart**2).sum() / 36
    assert float(losses.coral(source, target).detach()) == pytest.approx(expected, abs=1e-12)


def test_coral_of_one_row_is_finite():
    assert torch.isfinite(losses.coral(rows(1, 3), rows(4, 3, seed=1)))


def test_dann_by_hand():
    # the judge says source with probability 3/4 for a source row and 1/4 for a target row
    source, target = torch.tensor([math.log(3.0)]), torch.tensor([-math.log(3.0), 0.0])
    expected = (-math.log(0.75) + (-math.log(0.75) - math.log(0.5)) / 2) / 2
    assert float(losses.domain_confusion(source, target)) == pytest.approx(expected, abs=1e-6)


def test_weights_of_cdan_by_hand():
    source, target = torch.tensor([0.0, math.log(3.0)]), torch.tensor([0.0])
    found = losses.domain_confusion(source, target, torch.tensor([1.0, 3.0]), torch.tensor([2.0]))
    expected = ((math.log(2) + 3 * -math.log(0.75)) / 4 + math.log(2)) / 2
    assert float(found) == pytest.approx(expected, abs=1e-6)
    certain = losses.certainty(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    assert certain.tolist() == pytest.approx([2.0, 1.5])


def test_the_gradient_is_turned_round():
    x = rows(4, 2)
    out = losses.reverse_gradient(x, 0.3)
    assert torch.equal(out, x)
    weight = torch.arange(8.0, dtype=torch.float64).reshape(4, 2)
    (out * weight).sum().backward()
    assert torch.allclose(x.grad, -0.3 * weight)


def test_ramp_of_ganin():
    assert losses.ramp(0.0) == 0.0
    assert losses.ramp(0.5) == pytest.approx(2 / (1 + math.exp(-5)) - 1)
    assert losses.ramp(1.0) == pytest.approx(0.99990920, abs=1e-8)


def test_products_of_features_and_classes():
    features = torch.tensor([[1.0, 2.0]])
    found = losses.multilinear(features, torch.tensor([[0.25, 0.75]]))
    assert found.tolist() == [[0.25, 0.5, 0.75, 1.5]]


def test_random_products_keep_inner_products():
    """What the random maps are for: <f, f'> <p, p'> in expectation (Long et al. 2018, sec. 3.2)."""
    f, p = rows(2, 5).detach(), torch.tensor([[0.2, 0.8], [0.6, 0.4]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(s, 400_000, generator=generator, dtype=torch.float64) for s in (5, 2)]
    found = losses.randomised(f, p, *maps)
    whole = losses.multilinear(f, p)
    assert torch.allclose(found @ found.T, whole @ whole.T, atol=0.05)


def test_stepwise_norm_pulls_outwards():
    x = rows(3, 2)
    loss = losses.stepwise_norm(x, 0.5)
    assert float(loss.detach()) == pytest.approx(0.25)
    loss.backward()
    expected = -2 * 0.5 * x.detach() / x.detach().norm(dim=1, keepdim=True) / 3
    assert torch.allclose(x.grad, expected)


def test_open_set_by_hand():
    scores = torch.tensor([[0.0, 0.0, math.log(2.0)]])  # unknown: 1/2
    assert float(losses.open_set(scores)) == pytest.approx(math.log(2.0), abs=1e-6)
    scores = torch.tensor([[0.0, 0.0, math.log(6.0)]])  # unknown: 3/4
    assert float(losses.open_set(scores)) == pytest.approx(
        -(math.log(0.75) + math.log(0.25)) / 2, abs=1e-6
    )


def test_deepjdot_equals_the_best_assignment():
    """With as many rows on both sides the plan is a permutation, whatever finds it."""
    pytest.importorskip("ot")
    fs, ft, scores = rows(6, 3), rows(6, 3, seed=1), rows(6, 4, seed=2)
    codes = torch.tensor([0, 1, 2, 3, 0, 1])
    apart = ((fs[:, None] - ft[None]) ** 2).mean(dim=2)
    wrong = torch.stack([-torch.log_softmax(scores, 1)[:, code] for code in codes])
    cost = (0.7 * apart + 2.0 * wrong).detach().numpy()
    chosen = linear_sum_assignment(cost)
    found = losses.deepjdot(fs, ft, codes, scores, distance=0.7, label=2.0)
    assert float(found.detach()) == pytest.approx(cost[chosen].mean(), abs=1e-9)


def test_deepjdot_without_pot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(MissingExtraError, match="POT"):
        losses.transport_plan(torch.zeros(2, 2))


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.coral(x, rows(5, 3, seed=9).detach()),
        lambda x: losses.domain_confusion(x[:, 0], x[:2, 1]),
        lambda x: losses.open_set(x),
        lambda x: losses.multilinear(x, torch.softmax(x, 1)).square().sum(),
    ],
    ids=["coral", "dann", "open set", "multilinear"],
)
def test_gradients(loss):
    assert torch.autograd.gradcheck(loss, (rows(4, 3),))


def test_gradient_of_mcc_with_fixed_weights():
    """The certainty of a row is no path for gradients, as in the paper's code."""
    scores = rows(5, 3)
    (gradient,) = torch.autograd.grad(losses.mcc(scores), scores)
    with torch.no_grad():
        weights = losses.certainty(torch.softmax(scores / 2.5, 1))
        weights = 5 * weights / weights.sum()

    def fixed(x):
        shares = torch.softmax(x / 2.5, 1)
        joint = (shares * weights[:, None]).T @ shares
        return 1 - (joint.diagonal() / joint.sum(dim=1)).mean()

    (expected,) = torch.autograd.grad(fixed(scores), scores)
    assert torch.autograd.gradcheck(fixed, (scores,))
    assert torch.allclose(gradient, expected)


def test_gradient_of_deepjdot():
    pytest.importorskip("ot")
    codes = torch.tensor([0, 1, 2, 0])
    inputs = (rows(4, 2), rows(3, 2, seed=1), rows(3, 3, seed=2))
    assert torch.autograd.gradcheck(lambda a, b, c: losses.deepjdot(a, b, codes, c), inputs)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_finite_loss_with_gradients(name):
    if name == "deep-jdot":
        pytest.importorskip("ot")
    method = method_of(name, weight=0.5)
    outputs = 3 + method.extra
    generator = torch.Generator().manual_seed(0)
    own = method.start(4, outputs, generator)
    weight = torch.randn(4, outputs, generator=generator)
    fs, ft = (torch.randn(n, 4, generator=generator).requires_grad_(True) for n in (6, 5))
    codes = torch.tensor([0, 1, 2, 0, 1, 2])
    batch = Batch(fs, ft, fs @ weight, ft @ weight, codes, lambda x: x @ weight, 0.5)
    method.total(batch).backward()
    assert torch.isfinite(ft.grad).all()
    assert ft.grad.abs().sum() > 0
    assert all(p.grad is not None for p in own)


def test_cdan_draws_maps_for_many_products():
    method = method_of("cdan")
    own = method.start(MOST_PRODUCTS, 2, torch.Generator().manual_seed(0))
    assert own[0].shape[0] == MOST_PRODUCTS // 4
    fs = torch.randn(3, MOST_PRODUCTS, generator=torch.Generator().manual_seed(1))
    batch = Batch(fs, fs, fs[:, :2], fs[:, :2], torch.zeros(3).long(), lambda x: x[:, :2], 0.5)
    assert torch.isfinite(method.loss(batch))


def test_the_judge_gets_better_while_features_get_worse_for_it():
    """The sign of the reversal: a step of the judge lowers its loss, one of features does not."""
    method = method_of("dann", weight=1.0)
    generator = torch.Generator().manual_seed(0)
    own = method.start(2, 2, generator)
    fs = (torch.randn(8, 2, generator=generator) + 1).requires_grad_(True)
    ft = (torch.randn(8, 2, generator=generator) - 1).requires_grad_(True)
    codes = torch.zeros(8).long()

    def loss(a, b):
        return method.loss(Batch(a, b, a, b, codes, lambda x: x, 1.0))

    start = loss(fs, ft)
    start.backward()
    with torch.no_grad():
        moved = loss(fs - 0.1 * fs.grad, ft - 0.1 * ft.grad)
        assert moved > start
        for parameter in own:
            parameter -= 0.1 * parameter.grad
        assert loss(fs, ft) < start


def test_unknown_methods_and_weights():
    with pytest.raises(UnknownNameError, match="did you mean 'mcc'"):
        method_of("mmc")
    with pytest.raises(OptionError, match="not a number from 0 on"):
        method_of("mcc", weight=-1.0)
