"""Predictions, and out-of-fold pieces put together."""

import numpy as np
import pytest

from headstart.core.errors import DataError
from headstart.evaluate import Predictions, assemble


def test_pieces_come_back_in_order_whatever_classes_the_folds_knew():
    first = Predictions(np.array(["b", "a"]), np.array([[0.1, 0.9], [0.8, 0.2]]), ("a", "b"))
    second = Predictions(np.array(["c"]), np.array([[0.3, 0.7]]), ("a", "c"))
    whole = assemble(3, [([2, 0], first), ([1], second)])
    assert whole.labels.tolist() == ["a", "c", "b"]
    assert whole.classes == ("a", "b", "c")
    assert whole.probabilities.tolist() == [[0.8, 0.2, 0], [0.3, 0, 0.7], [0.1, 0.9, 0]]
    taken = whole.take([2, 1])
    assert taken.labels.tolist() == ["b", "c"]
    assert taken.probabilities.tolist() == [[0.1, 0.9, 0], [0.3, 0, 0.7]]
    assert len(taken) == 2


def test_one_piece_without_probabilities_leaves_none():
    first = Predictions(np.array(["a"]), np.array([[1.0]]), ("a",))
    assert assemble(2, [([0], first), ([1], Predictions(np.array(["b"])))]).probabilities is None
    assert assemble(1, [([0], Predictions(np.array([0.5])))]).labels.dtype == float


@pytest.mark.parametrize("indices", [([0], [0]), ([0], [2]), ([0], [-1])])
def test_every_item_belongs_to_one_piece(indices):
    pieces = [(index, Predictions(np.array(["a"]))) for index in indices]
    with pytest.raises(DataError, match="exactly once"):
        assemble(2, pieces)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="each of its items"):
        assemble(2, [([0, 1], Predictions(np.array(["a"])))])
    with pytest.raises(DataError, match="flat"):
        Predictions(np.zeros((2, 1)))
    with pytest.raises(DataError, match="a column for each class"):
        Predictions(np.array(["a"]), np.ones((1, 2)), ("a",))
