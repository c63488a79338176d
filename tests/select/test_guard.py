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


def race(right):
    """Truth and candidates from a (m, n) table of who is right; the first row is scratch."""
    truth = np.array(["a"] * right.shape[1])
    names = ["scratch", "majority", *(f"transfer {i}" for i in range(2, len(right)))]
    rows = [Predictions(np.where(row, "a", "b")) for row in right]
    return truth, dict(zip(names, rows, strict=True))


def test_the_best_of_many_has_to_beat_scratch_by_more_than_luck():
    """One item ahead on 60: enough for a single transfer, not for the best of 20 that are alike."""
    rng = np.random.default_rng(0)
    scratch = np.arange(60) < 48
    others = np.stack([rng.permutation(np.arange(60) < 46) for _ in range(19)])
    best = rng.permutation(np.arange(60) < 49)
    truth, many = race(np.stack([scratch, scratch, best, *others]))
    alone = {name: many[name] for name in ("scratch", "majority", "transfer 2")}
    assert guard("transfer 2", alone, truth, "accuracy").ship == "transfer"
    ship, decision = guard("transfer 2", many, truth, "accuracy")
    assert ship == "scratch"
    assert "the best of 20 transfers" in decision.why
    assert "is left of +0.017" in decision.why
    assert decision.override
    assert guard("transfer 2", many, truth, "accuracy", seed=0).decision == decision


def test_a_lead_on_one_group_is_luck():
    """Every transfer is right on groups of its own choice: by items that looks like knowledge."""
    groups = np.repeat(np.arange(12), 10)
    rng = np.random.default_rng(1)
    right = rng.random((14, 12))[:, groups] < 0.6
    truth, many = race(right)
    best = max(list(many)[2:], key=lambda name: (many[name].labels == "a").mean())
    assert guard(best, many, truth, "accuracy", groups=groups).ship == "scratch"


def test_what_cannot_be_corrected_is_judged_by_its_lead():
    truth, many = race(np.array([[0, 0], [0, 0], [1, 1], [0, 1]], dtype=bool))
    one_group = np.zeros(2)
    assert guard("transfer 2", many, truth, "accuracy", groups=one_group).ship == "transfer"
