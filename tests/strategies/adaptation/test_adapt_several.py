"""Several sources: each gets its own map, and weighs what it is worth."""

import numpy as np
import pytest

from headstart.core.errors import OptionError
from headstart.core.types import State
from headstart.strategies.adaptation import LinearOT, PerSourceMapping, SourceOnly, WeightedSources
from headstart.strategies.adaptation.several import mmd


def sources(seed, n=150, shuffled=False):
    """Two sources, each stretched and moved in its own way, and a target."""
    rng = np.random.default_rng(seed)
    y, z = rng.integers(0, 3, 2 * n), rng.integers(0, 3, n)
    means = 2.2 * np.eye(6)[:3]
    X, T = rng.normal(size=(2 * n, 6)) + means[y], rng.normal(size=(n, 6)) + means[z]
    domain = np.repeat(["north", "south"], n)
    for name in ("north", "south"):
        axes = np.linalg.qr(rng.normal(size=(6, 6)))[0]
        stretch = (axes * np.exp(rng.uniform(-1.2, 1.2, 6))) @ axes.T
        X[domain == name] = X[domain == name] @ stretch + 2 * rng.normal(size=6)
    if shuffled:
        y[:n] = rng.permutation(y[:n])
    return X, y, T, z, domain


def scores(model, seeds=range(3), **params):
    found = []
    for seed in seeds:
        X, y, T, z, domain = sources(seed, **params)
        found.append(model.fit(X, y, T, domain=domain).score(T, z))
    return np.array(found)


def test_a_map_for_each_beats_a_map_for_all():
    own, one, none = (scores(m) for m in (PerSourceMapping(), LinearOT(), SourceOnly()))
    assert (own - one).mean() > 0.03
    assert (own - none).min() > 0.05
    assert (scores(WeightedSources()) - one).mean() > 0.03


def test_a_single_source_is_mapped_as_linear_ot_does():
    X, y, T, _, _ = sources(0)
    for reg in (None, 1e-3):
        found, one = PerSourceMapping(reg=reg).fit(X, y, T), LinearOT(reg=reg).fit(X, y, T)
        assert np.allclose(found.predict_proba(T), one.predict_proba(T))
    model = WeightedSources().fit(X, y, T)
    assert model.source_weights_.tolist() == [1.0]
    assert np.allclose(model.predict_proba(T), LinearOT().fit(X, y, T).predict_proba(T))


def test_rows_of_domains_may_be_mixed():
    X, y, T, _, domain = sources(0)
    order = np.random.default_rng(0).permutation(len(X))
    for adapter in (PerSourceMapping(), WeightedSources()):
        sorted_ = adapter.fit(X, y, T, domain=domain).predict_proba(T)
        mixed = adapter.fit(X[order], y[order], T, domain=domain[order]).predict_proba(T)
        assert np.abs(sorted_ - mixed).max() < 0.05


def test_a_source_of_shuffled_labels_weighs_next_to_nothing():
    better = []
    for seed in range(3):
        X, y, T, z, domain = sources(seed, shuffled=True)
        model = WeightedSources().fit(X, y, T, domain=domain)
        assert model.source_weights_[0] < 0.05
        pooled = PerSourceMapping().fit(X, y, T, domain=domain)
        better.append(model.score(T, z) - pooled.score(T, z))
        assert "source domains weigh 0.0" in model.decisions_[-1].what
    assert min(better) >= 0
    assert np.mean(better) > 0.01


def test_a_source_that_looks_otherwise_weighs_less():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 300)
    X = rng.normal(size=(600, 2)) + 4 * y[:, None]
    X[:300] = np.sign(X[:300] - 2) * np.abs(X[:300] - 2) ** 3  # no affine map undoes this
    T = rng.normal(size=(200, 2)) + 4 * np.tile([0, 1], 100)[:, None]
    model = WeightedSources().fit(X, y, T, domain=np.repeat([1, 2], 300))
    assert model.source_weights_[1] > 0.6


def test_labels_of_the_target_judge_where_there_are_some():
    X, y, T, z, domain = sources(0)
    y = np.where(domain == "north", (y + 1) % 3, y)  # consistent at home, wrong in the target
    blind = WeightedSources().fit(X, y, T, domain=domain)
    told = WeightedSources().fit(X, y, T, [*z[:30], *[None] * 120], domain=domain)
    assert told.source_weights_[0] < 0.02 < blind.source_weights_[0]
    assert "labelled target rows" in told.decisions_[-1].why
    assert told.score(T, z) > blind.score(T, z)


def test_the_mixture_is_saved_with_its_scale():
    X, y, T, _, domain = sources(0)
    model = WeightedSources().fit(X, y, T * 3 + 1, domain=domain)
    state = model.to_state()
    again = WeightedSources.from_state(State(state.arrays, state.meta))
    assert again.form_.name == "mixture"
    assert again.predict_proba(T).tobytes() == model.predict_proba(T).tobytes()
    plain = WeightedSources(scale=False).fit(X, y, T, domain=domain)
    assert plain.form_.coefs.shape == (2, 6, 3)


def test_a_domain_of_few_rows_is_taken_as_it_is():
    X, y, T, _, domain = sources(0)
    domain[:4] = "east"
    for adapter in (PerSourceMapping(), WeightedSources()):
        model = adapter.fit(X, y, T, domain=domain)
        assert "source domain 1 as it is" in model.decisions_[0].what
        assert "4 rows" in model.decisions_[0].why
        assert np.isfinite(model.predict_proba(T)).all()


def test_the_kernel_distance():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    near, far = mmd(X, rng.normal(size=(400, 3)), 0), mmd(X, rng.normal(size=(400, 3)) + 2, 0)
    assert near < 0.08 < 0.4 < far
    assert mmd(X[:1], X, 0) == 0.0
    assert mmd(np.ones((5, 2)), np.ones((5, 2)), 0) == 0.0
    for one, two in [(X[:3], X[3:5] + 1.0)]:  # written out
        both = np.vstack([one, two])
        square = ((both[:, None] - both[None]) ** 2).sum(axis=2)
        k = np.exp(-square / np.median(square[square > 0]))
        own = sum(k[i, j] for i in range(3) for j in range(3) if i != j) / 6
        other = (k[3, 4] + k[4, 3]) / 2
        assert mmd(one, two, 0) == pytest.approx(
            np.sqrt(max(own + other - 2 * k[:3, 3:].mean(), 0))
        )


@pytest.mark.parametrize(
    ("model", "where"),
    [
        (PerSourceMapping(reg=-1.0), "reg"),
        (WeightedSources(reg=-1.0), "reg"),
        (WeightedSources(temperature=0.0), "temperature"),
        (WeightedSources(C=0.0), "C"),
    ],
)
def test_parameters_out_of_range(model, where):
    X, y, T, _, domain = sources(0)
    with pytest.raises(OptionError) as caught:
        model.fit(X, y, T, domain=domain)
    assert caught.value.where == where


def test_a_source_of_one_class_is_not_the_best_because_it_never_errs():
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 150)
    X = rng.normal(size=(300, 2)) + 2.5 * y[:, None]
    T = rng.normal(size=(200, 2)) + 2.5 * np.tile([0, 1], 100)[:, None]
    only = rng.normal(size=(300, 2))
    rows, labels = np.vstack([only, X]), np.concatenate([np.zeros(300, int), y])
    model = WeightedSources().fit(rows, labels, T, domain=np.repeat(["north", "south"], 300))
    assert model.source_weights_[0] < 0.1
    assert "source domain 1 has 1 of 2 classes" in str(model.decisions_)
