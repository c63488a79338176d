"""Why scratch won: labels enough, an unrelated source, or a signal in the surface."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.types import Candidate, Score
from headstart.evaluate import Predictions, Run, curve_of
from headstart.select import why_scratch

GUESS = Score("accuracy", 0.34, 0.30, 0.38, 100)
TRUTH = np.array(["a", "b"] * 200)


def scored(
    strategy: str, estimate: float, half: float = 0.05, metric: str = "accuracy"
) -> Candidate:
    score = Score(metric, estimate, estimate - half, estimate + half, 100)
    return Candidate(strategy, "minilm" if strategy != "scratch" else None, score)


def right(share: float, seed: int) -> Predictions:
    hit = np.random.default_rng(seed).random(400) < share
    return Predictions(np.where(hit, TRUTH, np.where(TRUTH == "a", "b", "a")))


def curve(*steps: tuple[int, float, float]):
    runs = [Run(n, right(t, 3 * n), right(s, 3 * n + 1)) for n, t, s in steps]
    return curve_of("accuracy", TRUTH, runs, seed=0)


def test_labels_enough_where_transfer_was_ahead_with_fewer() -> None:
    told = why_scratch(
        [scored("probe", 0.8)], GUESS, curve((1, 0.7, 0.5), (4, 0.8, 0.7), (16, 0.85, 0.95)), "text"
    )
    assert told.startswith(
        "Why: there are labels enough. With 4 labels a class transfer was ahead (+0."
    )
    assert "with 16 it is not (-0." in told


def test_an_unrelated_source_is_hardly_better_than_the_guess() -> None:
    told = why_scratch([scored("probe", 0.36), scored("knn", 0.33)], GUESS, None, "image")
    assert "hardly tells these labels apart (accuracy 0.360 out of fold" in told
    assert "the constant guess 0.340" in told


@pytest.mark.parametrize(("modality", "where"), [("text", "letters"), ("image", "textures")])
def test_a_signal_in_the_surface(modality, where) -> None:
    learnt = curve((1, 0.5, 0.7), (4, 0.6, 0.9))
    told = why_scratch([scored("scratch", 0.99), scored("probe", 0.8)], GUESS, learnt, modality)
    assert where in told
    assert "minilm knows something of it (accuracy 0.800 out of fold)" in told


def test_errors_are_better_when_less() -> None:
    guess = Score("rmse", 2.0, 1.9, 2.1, 100)
    assert "hardly tells" in why_scratch([scored("probe", 1.99, 0.1, "rmse")], guess, None, "text")
    assert "signal" in why_scratch([scored("probe", 1.5, 0.1, "rmse")], guess, None, "text")


def test_nothing_is_explained_where_no_transfer_was_measured() -> None:
    assert why_scratch([scored("scratch", 0.9)], GUESS, None, "table") == ""
    assert why_scratch([Candidate("probe", "minilm")], GUESS, None, "text") == ""
