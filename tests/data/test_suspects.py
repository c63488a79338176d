"""The same suspects as cleanlab names."""

import warnings

import numpy as np
import pytest
from cleanlab.filter import find_label_issues

from headstart.core.errors import OptionError
from headstart.data.suspects import suspects


def noisy(n, k, noise, sharpness, seed):
    """Return noisy labels, probabilities and the true classes."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) % k)
    scores = rng.normal(size=(n, k)) + sharpness * np.eye(k)[truth]
    chances = np.exp(scores)
    chances /= chances.sum(axis=1, keepdims=True)
    flipped = rng.random(n) < noise
    labels = np.where(flipped, (truth + rng.integers(1, k, n)) % k, truth)
    return labels, chances, truth


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("k", "noise", "sharpness"), [(2, 0.1, 2), (3, 0.3, 3), (10, 0.2, 1)])
def test_the_set_and_order_are_those_of_cleanlab(k, noise, sharpness, seed):
    labels, chances, _ = noisy(600, k, noise, sharpness, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = find_label_issues(
            labels,
            chances,
            filter_by="confident_learning",
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
    ours = suspects(labels, chances, range(k))
    assert len(ours) > 5
    assert ours.tolist() == theirs.tolist()


def test_flipped_labels_are_what_is_found():
    labels, chances, truth = noisy(1000, 4, 0.1, 8, 0)
    found = suspects(labels, chances, range(4))
    wrong = set(np.flatnonzero(labels != truth).tolist())
    assert len(wrong & set(found.tolist())) > 0.95 * len(wrong)
    assert len(set(found.tolist()) - wrong) < 0.05 * len(wrong)


def test_class_names_and_a_class_without_items():
    chances = np.array(
        [[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0.2, 0.8, 0], [0.95, 0.05, 0]]
    )
    assert suspects(["a", "a", "b", "b", "b"], chances, ["a", "b", "c"]).tolist() == [4]


def test_ties_and_sound_labels_are_not_suspect():
    assert suspects([0, 1, 0, 1], np.full((4, 2), 0.5), [0, 1]).tolist() == []
    assert suspects([0, 1], np.eye(2), [0, 1]).tolist() == []
    assert suspects([], np.zeros((0, 2)), [0, 1]).tolist() == []


@pytest.mark.parametrize(
    ("labels", "chances", "match"),
    [
        (["a", "z"], np.full((2, 2), 0.5), "not among"),
        (["a", "b"], np.full((2, 3), 0.5), "do not fit"),
        (["a", "b"], np.array([[0.5, np.nan], [0.5, 0.5]]), "finite"),
        (["a", "b"], np.array([[-0.5, 1.5], [0.5, 0.5]]), "finite"),
    ],
)
def test_what_cannot_be_used(labels, chances, match):
    with pytest.raises(OptionError, match=match):
        suspects(labels, chances, ["a", "b"])
