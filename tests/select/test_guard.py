"""The guard ships scratch unless transfer beats it; judging may veto."""

import numpy as np
import pytest

from headstart.core.errors import UnknownNameError
from headstart.core.types import Gain
from headstart.evaluate import Predictions
from headstart.select import guard, rescue, veto

TRUTH = np.array(["a", "b"] * 10)
CANDIDATES = {
    "scratch": Predictions(np.where(np.arange(20) < 4, "a", TRUTH)),
    "same": Predictions(np.where(np.arange(20) > 15, "b", TRUTH)),
    "worse": Predictions(np.array(["a"] * 20)),
    "better": Predictions(TRUTH),
}


def repeated(times):
    """The same predictions for more items."""
    tiled = {name: Predictions(np.tile(one.labels, times)) for name, one in CANDIDATES.items()}
    return {"truth": np.tile(TRUTH, times), "candidates": tiled}


@pytest.mark.parametrize(
    ("choice", "times", "ships"),
    [
        ("better", 1, "transfer"),
        ("better", 20, "transfer"),
        ("same", 1, "transfer"),
        ("worse", 1, "scratch"),
        ("worse", 20, "scratch"),
    ],
)
def test_scratch_is_shipped_unless_transfer_is_better(choice, times, ships):
    given = repeated(times)
    one = {name: given["candidates"][name] for name in ("scratch", choice)}
    ship, decision = guard(choice, one, given["truth"], "accuracy")
    assert ship == ships
    assert "scratch 0.900" in decision.why
    if ships == "scratch":
        assert decision.what == "ship scratch"
        assert "--strategy NAME" in decision.override


@pytest.mark.parametrize(("n", "ships"), [(10, "transfer"), (40, "transfer"), (400, "scratch")])
def test_few_items_are_weighed_against_what_is_known(n, ships):
    """Two points behind: of a handful of items that says nothing."""
    truth = np.array(["a"] * n)
    behind = np.where(np.arange(n) < round(0.78 * n), "a", "b")
    scratch = np.where(np.arange(n) < round(0.80 * n), "a", "b")
    both = {"scratch": Predictions(scratch), "probe": Predictions(behind)}
    ship, decision = guard("probe", both, truth, "accuracy")
    assert ship == ships
    assert ("cannot tell" in decision.why) == (ships == "transfer")


def test_groups_are_the_items_that_count():
    truth = np.array(["a"] * 400)
    behind = np.where(np.arange(400) < 300, "a", "b")
    scratch = np.where(np.arange(400) < 310, "a", "b")
    both = {"scratch": Predictions(scratch), "probe": Predictions(behind)}
    assert guard("probe", both, truth, "accuracy").ship == "scratch"
    groups = np.arange(400) // 100
    ship, decision = guard("probe", both, truth, "accuracy", groups=groups)
    assert ship == "transfer"
    assert decision.why.startswith("4 groups of held-out items cannot tell")


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


def test_only_a_positive_verdict_rescues():
    decision = rescue(Gain(0.1, 0.05, 0.15, 80, verdict="positive"), "minilm + probe")
    assert decision is not None
    assert decision.what == "ship minilm + probe"
    assert "+0.100 [0.050, 0.150] accuracy on 80 items that did not choose" in decision.why
    for verdict in ("negative", "none", "inconclusive"):
        assert rescue(Gain(0.1, -0.3, 0.3, 80, verdict=verdict), "x") is None


def race(right):
    """Truth and candidates from a (m, n) table of who is right; the first row is scratch."""
    truth = np.array(["a"] * right.shape[1])
    names = ["scratch", "majority", *(f"transfer {i}" for i in range(2, len(right)))]
    rows = [Predictions(np.where(row, "a", "b")) for row in right]
    return truth, dict(zip(names, rows, strict=True))


def test_the_best_of_many_has_to_beat_scratch_by_more_than_luck():
    """A little ahead on 600: enough for a single transfer, not for the best of 20 alike."""
    rng = np.random.default_rng(0)
    scratch = np.arange(600) < 480
    others = np.stack([rng.permutation(np.arange(600) < 478) for _ in range(19)])
    best = rng.permutation(np.arange(600) < 482)
    truth, many = race(np.stack([scratch, scratch, best, *others]))
    alone = {name: many[name] for name in ("scratch", "majority", "transfer 2")}
    assert guard("transfer 2", alone, truth, "accuracy").ship == "transfer"
    ship, decision = guard("transfer 2", many, truth, "accuracy")
    assert ship == "scratch"
    assert "the best of 20 transfers" in decision.why
    assert "is left of +0.003" in decision.why
    assert decision.override
    assert guard("transfer 2", many, truth, "accuracy", seed=0).decision == decision


def test_a_lead_on_one_group_is_luck():
    """Every transfer is right on groups of its own choice: by items that looks like knowledge."""
    groups = np.repeat(np.arange(12), 10)
    rng = np.random.default_rng(1)
    right = rng.random((14, 12))[:, groups] < 0.6
    truth, many = race(right)
    best = max(list(many)[2:], key=lambda name: (many[name].labels == "a").mean())
    decision = guard(best, many, truth, "accuracy", groups=groups).decision
    assert decision.why.startswith("12 groups of held-out items cannot tell")
    assert "it beats scratch" in guard(best, many, truth, "accuracy").decision.why


def test_what_cannot_be_corrected_is_judged_by_its_lead():
    truth, many = race(np.array([[0, 0], [0, 0], [1, 1], [0, 1]], dtype=bool))
    one_group = np.zeros(2)
    assert guard("transfer 2", many, truth, "accuracy", groups=one_group).ship == "transfer"
