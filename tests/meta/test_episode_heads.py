"""Heads for many episodes at once, against scikit-learn on one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from headstart.meta.heads import logistic, prototypes


def episodes(count=3, ways=4, shots=3, m=7, dim=6, seed=0):
    rng = np.random.default_rng(seed)
    support = rng.normal(size=(count, ways, shots, dim)) + rng.normal(size=(count, ways, 1, dim))
    return torch.from_numpy(support), torch.from_numpy(rng.normal(size=(count, m, dim)))


@pytest.mark.parametrize("C", [0.1, 1.0, 20.0])
def test_the_logistic_head_is_scikit_learns(C):
    support, query = episodes()
    found = logistic(support, query, C=C).softmax(dim=2).numpy()
    for one, (items, asked) in enumerate(zip(support.numpy(), query.numpy(), strict=True)):
        X = items.reshape(-1, items.shape[-1])
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
        asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
        model = LogisticRegression(C=C, fit_intercept=False, tol=1e-10, max_iter=10_000)
        expected = model.fit(X, np.repeat(np.arange(4), 3)).predict_proba(asked)
        np.testing.assert_allclose(found[one], expected, atol=2e-5)


def test_prototypes_are_the_nearest_class_mean():
    support, query = episodes()
    found = prototypes(support, query)
    for one in range(3):
        X = support[one].flatten(0, 1).numpy()
        model = NearestCentroid().fit(X, np.repeat(np.arange(4), 3))
        assert (model.predict(query[one].numpy()) == found[one].argmax(dim=1).numpy()).all()
        distance = ((query[one, 0] - support[one, 2].mean(dim=0)) ** 2).sum()
        assert float(found[one, 0, 2]) == pytest.approx(-float(distance))


@pytest.mark.parametrize("head", [logistic, prototypes])
def test_episodes_do_not_see_each_other(head):
    support, query = episodes()
    together = head(support, query)
    alone = head(support[1:2], query[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-9)
    assert torch.allclose(head(support, query[:, :1]), together[:, :1], atol=1e-9)
