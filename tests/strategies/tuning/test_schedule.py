"""Learning rates against torch's one cycle and the formula of transformers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from headstart.core.errors import OptionError, UnknownNameError
from headstart.strategies.tuning.schedule import rate

KINDS = ("cosine", "one-cycle", "constant", "linear")


@pytest.mark.parametrize(("total", "warmup"), [(10, 0.3), (97, 0.3), (200, 0.05), (7, 1.0)])
def test_one_cycle_is_torchs(total: int, warmup: float) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=1.0,
        total_steps=total,
        pct_start=warmup,
        anneal_strategy="cos",
        div_factor=25,
        final_div_factor=400,
        cycle_momentum=False,
    )
    theirs = []
    for _ in range(total):
        theirs.append(cycle.get_last_lr()[0])
        optimiser.step()
        if len(theirs) < total:
            cycle.step()
    ours = [rate(step, total, kind="one-cycle", warmup=warmup) for step in range(total)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
@pytest.mark.parametrize(("total", "warmup"), [(50, 0.1), (31, 0.0), (12, 0.34)])
def test_the_fall_is_that_of_transformers(kind: str, total: int, warmup: float) -> None:
    optimization = pytest.importorskip("transformers.optimization")
    make = getattr(optimization, f"get_{kind}_schedule_with_warmup")
    rise = math.ceil(warmup * total)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = make(optimiser, rise, total).lr_lambdas[0]
    for step in range(rise, total):
        assert rate(step, total, kind=kind, warmup=warmup) == pytest.approx(theirs(step), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("total", [1, 2, 3, 10, 101])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.3, 1.0])
def test_rates_lie_above_0_and_rise_once(kind: str, total: int, warmup: float) -> None:
    rates = np.array([rate(step, total, kind=kind, warmup=warmup) for step in range(total)])
    assert ((rates > 0) & (rates <= 1)).all()
    top = int(rates.argmax())
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert rate(total + 5, total, kind=kind, warmup=warmup) == rates[-1]


def test_the_warm_up_is_linear_and_ends_at_the_peak() -> None:
    rises = [rate(step, 100, kind="constant", warmup=0.07) for step in range(9)]
    np.testing.assert_allclose(rises, [i / 8 for i in range(1, 9)] + [1.0], rtol=1e-12)


def test_one_step_is_a_full_step() -> None:
    assert [rate(0, 1, kind=kind, warmup=0.0) for kind in KINDS] == [1.0] * 4
    assert rate(0, 1, kind="one-cycle", warmup=0.3) == 1.0


@pytest.mark.parametrize(
    ("step", "total", "warmup", "message"),
    [(0, 0, 0.1, "at least 1 step"), (-1, 5, 0.1, "from 0"), (0, 5, 1.1, "0 to 1")],
)
def test_wrong_options_are_refused(step: int, total: int, warmup: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        rate(step, total, warmup=warmup)


def test_another_kind_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cosine'"):
        rate(0, 5, kind="cosin")
