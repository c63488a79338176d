"""The algebra of adaptation, against numerical derivatives and values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.meta.adapt import (
    Parameters,
    adapt,
    fomaml_gradient,
    maml_gradient,
    reptile_gradient,
)


def sinusoid(seed: int):
    """The regression of MAML's first experiment: y = a sin(x + b), a net of two small layers."""
    rng = np.random.default_rng(seed)
    height, phase = rng.uniform(0.1, 5.0), rng.uniform(0, np.pi)
    x = torch.from_numpy(rng.uniform(-5, 5, size=(20, 1)))
    y = height * torch.sin(x + phase)

    def loss_on(rows: slice):
        def loss(params: Parameters) -> Tensor:
            hidden = torch.tanh(x[rows] @ params["first"] + params["shift"])
            return (hidden @ params["last"] - y[rows]).square().mean()

        return loss

    params = {
        "first": torch.from_numpy(rng.normal(0, 0.5, size=(1, 6))),
        "shift": torch.from_numpy(rng.normal(0, 0.5, size=6)),
        "last": torch.from_numpy(rng.normal(0, 0.5, size=(6, 1))),
    }
    return params, loss_on(slice(0, 10)), loss_on(slice(10, 20))


def numerical(function, params: Parameters, step: float = 1e-5) -> Parameters:
    """Return the central differences of a function of parameters."""
    found = {}
    for name, tensor in params.items():
        grad = torch.zeros_like(tensor)
        for at in np.ndindex(*tensor.shape):
            values = []
            for sign in (1, -1):
                moved = {key: value.clone() for key, value in params.items()}
                moved[name][at] += sign * step
                values.append(float(function(moved)))
            grad[at] = (values[0] - values[1]) / (2 * step)
        found[name] = grad
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("steps", [1, 3])
def test_mamls_meta_gradient_is_the_numerical_derivative(seed, steps):
    params, inner, outer = sinusoid(seed)
    found, value = maml_gradient(params, [inner] * steps, outer, rate=0.05)

    def after(start):
        return outer(adapt(start, [inner] * steps, rate=0.05))

    assert float(value) == pytest.approx(float(after(params)))
    for name, expected in numerical(after, params).items():
        assert torch.allclose(found[name], expected, rtol=1e-6, atol=1e-8), name


def test_the_first_order_meta_gradient_is_another_but_near_for_small_steps():
    params, inner, outer = sinusoid(0)
    for rate, close in ((0.05, False), (1e-6, True)):
        exact, _ = maml_gradient(params, [inner] * 3, outer, rate=rate)
        first, _ = fomaml_gradient(params, [inner] * 3, outer, rate=rate)
        near = all(torch.allclose(exact[name], first[name], rtol=1e-3) for name in params)
        assert near == close


def quadratic(curve: float, middle: float):
    def loss(params: Parameters) -> Tensor:
        return 0.5 * curve * (params["w"] - middle).square().sum()

    return loss


def test_values_worked_out_by_hand_on_a_quadratic():
    # inner: 0.5 * 2 (w - 1)^2, two steps of 0.1 from w = 3: 3 -> 2.6 -> 2.28
    params = {"w": torch.tensor([3.0], dtype=torch.float64)}
    inner, outer = [quadratic(2.0, 1.0)] * 2, quadratic(4.0, -1.0)
    assert float(adapt(params, inner, rate=0.1)["w"]) == pytest.approx(2.28)
    # outer: 4 (2.28 + 1) = 13.12; each inner step multiplies by 1 - 0.1 * 2
    first, value = fomaml_gradient(params, inner, outer, rate=0.1)
    assert float(first["w"]) == pytest.approx(13.12)
    assert float(value) == pytest.approx(0.5 * 4 * 3.28**2)
    exact, _ = maml_gradient(params, inner, outer, rate=0.1)
    assert float(exact["w"]) == pytest.approx(13.12 * 0.8**2)
    assert float(reptile_gradient(params, inner, rate=0.1)["w"]) == pytest.approx(3 - 2.28)


def test_reptile_adapts_by_adam_without_momentum():
    # the first step of Adam is the rate, whatever the gradient; the second has
    # v = (0.999 g1^2 + g2^2) / (1 + 0.999)
    params = {"w": torch.tensor([3.0], dtype=torch.float64)}
    loss = quadratic(2.0, 1.0)
    one = adapt(params, [loss], rate=0.1, rule="adam")["w"]
    assert float(one) == pytest.approx(2.9)
    v = (0.999 * 4.0**2 + 3.8**2) / 1.999
    two = adapt(params, [loss] * 2, rate=0.1, rule="adam")["w"]
    assert float(two) == pytest.approx(2.9 - 0.1 * 3.8 / v**0.5)


def test_adaptation_leaves_the_parameters_it_started_from():
    params, inner, outer = sinusoid(0)
    before = {name: tensor.clone() for name, tensor in params.items()}
    maml_gradient(params, [inner], outer, rate=0.1)
    reptile_gradient(params, [inner], rate=0.1, rule="adam")
    assert all(torch.equal(params[name], before[name]) for name in params)
