"""Who takes part where texts are tagged or asked about, by themselves and when named."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.errors import UnknownNameError
from headstart.sequences import Examples, kind_of
from headstart.sequences.tagging import TUNED_FROM


def sentences(n: int) -> Examples:
    ids = tuple(f"row {i + 1}" for i in range(n))
    return Examples((("a", "b"),) * n, (("X", "O"),) * n, ids, np.arange(n))


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(
    ("n", "strategy", "taking", "guarded"),
    [
        (TUNED_FROM - 1, (), ["probe"], True),
        (TUNED_FROM, (), ["probe", "lora", "finetune"], True),
        (9, ("lora",), ["lora"], False),
        (9, ("scratch", "lora"), ["lora"], True),
        (9, ("scratch",), [], True),
    ],
)
def test_tagging(n, strategy, taking, guarded) -> None:
    plan = kind_of("token-classification").plan(sentences(n), strategy=strategy)
    assert [one.strategy for one in plan.transfers] == taking
    assert plan.guarded is guarded
    left_out = [one for one in plan.decisions if "left out" in one.what]
    assert bool(left_out) == (n < TUNED_FROM and not strategy)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="prayer"):
        kind_of("token-classification").plan(sentences(9), strategy=("prayer",))
