"""A thousand races of 20 candidates of which none is better: at most 5 % may be called positive.

Choosing the best of 20 and judging it on the same numbers must fail this, or the test would prove
nothing. Both ways of judging are proven: out-of-fold predictions corrected for having chosen, and a
locked test part. Then the guard: all transfers truly worse, how often is one shipped?
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest
from tests.select.test_corrected import fitted_races, naive, race

from headstart.evaluate import gain
from headstart.select import corrected, guard, veto

RACES = 1000
BOOT = 100
ALLOWED = 0.05


def simulated(n, p, behind, shared, runs, seed):
    """Races on two sets of n items: (21, n) tables of who is right, scratch first and in truth
    ``behind`` better than each of the others; ``shared`` is how alike the models are."""
    rng = np.random.default_rng(seed)
    cut = np.array([NormalDist().inv_cdf(share) for share in (p, *[p - behind] * 20)])[:, None]
    for _ in range(runs):
        common = shared**0.5 * rng.standard_normal((2, 1, n))
        yield common + (1 - shared) ** 0.5 * rng.standard_normal((2, 21, n)) < cut


def positive(found):
    return found.verdict == "positive"


def on_test_part(right, best, judging):
    """Judge the chosen one on items that did not choose."""
    truth, models = race(judging)
    return gain("accuracy", truth, models[best], models["scratch"], n_boot=BOOT)


@pytest.mark.parametrize(("n", "p", "shared"), [(100, 0.7, 0.5)])
def test_no_false_positives_where_all_are_equal(n, p, shared):
    """Both ways of judging, on the same races."""
    ours, locked, naively = 0, 0, 0
    for choosing, judging in simulated(n, p, 0.0, shared, RACES, seed=0):
        truth, candidates = race(choosing)
        best, measured = naive(truth, candidates)
        naively += positive(measured)
        ours += positive(corrected(candidates, truth, "accuracy", n_boot=BOOT).gain)
        locked += positive(on_test_part(choosing, best, judging))
    assert naively / RACES > 2 * ALLOWED
    assert ours / RACES <= ALLOWED
    assert locked / RACES <= ALLOWED


def test_no_false_positives_of_real_classifiers_on_random_labels():
    """Ridge, nearest neighbours and centroids over 5 folds, which are not independent."""
    ours, naively = 0, 0
    for right in fitted_races(60, RACES, 0.0, seed=3):
        truth, candidates = race(right)
        naively += positive(naive(truth, candidates)[1])
        ours += positive(corrected(candidates, truth, "accuracy", n_boot=BOOT).gain)
    assert naively / RACES > 2 * ALLOWED
    assert ours / RACES <= ALLOWED


@pytest.mark.parametrize(("behind", "n", "most"), [(0.02, 200, 0.4), (0.05, 200, 0.12)])
def test_the_guard_where_all_transfers_are_worse(behind, n, most):
    """What is lost is the share shipped times what each loses; never is it called positive."""
    runs = 150
    shipped, by_score, called, on_test = 0, 0, 0, 0
    for choosing, judging in simulated(n, 0.8, behind, 0.5, runs, seed=4):
        truth, candidates = race(choosing)
        best, _ = naive(truth, candidates)
        ships = guard(best, candidates, truth, "accuracy").ship == "transfer"
        by_score += choosing[1:].mean(axis=1).max() > choosing[0].mean()
        found = corrected(candidates, truth, "accuracy", n_boot=BOOT).gain
        called += positive(found)
        shipped += ships and veto(found) is None
        on_test += ships and veto(on_test_part(choosing, best, judging)) is None
    assert shipped / runs <= most
    assert on_test / runs <= most
    assert by_score / runs > shipped / runs + 0.2
    assert called / runs <= 0.01
    assert shipped / runs * 100 * behind < 0.8  # points lost on average


def test_the_guard_does_not_keep_a_good_transfer_back():
    """Five of 20 are five points better, the others are like scratch."""
    rng = np.random.default_rng(5)
    shares = np.array([0.75, *[0.80] * 5, *[0.75] * 15])[:, None]
    cut = np.vectorize(NormalDist().inv_cdf)(shares)
    shipped = 0
    for _ in range(60):
        common = 0.5**0.5 * rng.standard_normal(300)
        truth, candidates = race(common + 0.5**0.5 * rng.standard_normal((21, 300)) < cut)
        best, _ = naive(truth, candidates)
        shipped += guard(best, candidates, truth, "accuracy").ship == "transfer"
    assert shipped / 60 > 0.85
