"""The guard ships scratch unless transfer beats it; judging may veto."""

import numpy as np
import pytest

from headstart.core.errors import UnknownNameError
from headstart.core.types import Gain
from headstart.evaluate import Predictions
from headstart.select import guard, veto

TRUTH = np.array(["a", "b"] * 10)
CANDIDATES = {
    "scratch": Predictions(np.where(np.arange(20) < 4, "a", TRUTH)),
    "same": Predictions(np.where(np.arange(20) > 15, "b", TRUTH)),
    "worse": Predictions(np.array(["a"] * 20)),
    "better": Predictions(TRUTH),
}


@pytest.mark.parametrize(
    ("choice", "ships"), [("better", "transfer"), ("same", "scratch"), ("worse", "scratch")]
)
def test_scratch_is_shipped_unless_transfer_is_better(choice, ships):
    ship, decision = guard(choice, CANDIDATES, TRUTH, "accuracy")
    assert ship == ships
    assert "scratch 0.900" in decision.why
    if ships == "scratch":
        assert decision.what == "ship scratch"
        assert "--strategy NAME" in decision.override


def test_less_error_is_better():
    truth = np.arange(5.0)
    both = {"scratch": Predictions(truth + 1), "probe": Predictions(truth + 0.5)}
    assert guard("probe", both, truth, "rmse").ship == "transfer"
    assert guard("scratch", both, truth, "rmse", baseline="probe").ship == "scratch"


def test_unknown_candidates_are_named():
    with pytest.raises(UnknownNameError, match="'bettre'") as caught:
        guard("bettre", CANDIDATES, TRUTH, "accuracy")
    assert "did you mean 'better'" in str(caught.value)
    with pytest.raises(UnknownNameError, match="'nothing'"):
        guard("better", CANDIDATES, TRUTH, "accuracy", baseline="nothing")


def test_only_a_negative_verdict_vetoes():
    decision = veto(Gain(-0.1, -0.15, -0.05, 80, verdict="negative"))
    assert decision is not None
    assert decision.what == "ship scratch"
    assert "-0.100 [-0.150, -0.050] accuracy on 80 held-out items" in decision.why
    for verdict in ("positive", "none", "inconclusive"):
        assert veto(Gain(-0.1, -0.3, 0.1, 80, verdict=verdict)) is None
