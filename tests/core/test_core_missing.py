"""What is missing is missing everywhere: None, NaN, pandas' NA and NaT."""

import numpy as np
import pandas as pd
import pytest

from headstart.core.errors import DataError
from headstart.core.missing import is_missing
from headstart.data.part import is_missing as is_missing_cell
from headstart.evaluate.shift import measure_shift
from headstart.select.adapting import _known
from headstart.strategies.adaptation.domains import target_labels
from headstart.strategies.targets import labels_of

NONES = [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]


@pytest.mark.parametrize("none", NONES)
def test_one_way_to_say_that_a_label_is_missing(none):
    assert is_missing(none)
    assert is_missing_cell(none)
    labels = np.array(["a", None, "b"] * 4, dtype=object)
    labels[1::3] = [none] * 4
    assert target_labels(labels, 12, np.array(["a", "b"])).tolist() == [0, -1, 1] * 4
    assert _known(labels).tolist() == [0, 2, 3, 5, 6, 8, 9, 11]
    X = np.arange(24.0).reshape(12, 2)
    assert measure_shift(X, ["a", "b"] * 6, X + 0.5, labels).n_labels == 8
    with pytest.raises(DataError, match="a missing label"):
        labels_of(labels, 12)


def test_what_is_there_is_not_missing():
    for value in ("", "nan", 0, False, np.int64(3), [1.0, 2.0], np.array([1.0, 2.0])):
        assert not is_missing(value)
    assert is_missing_cell("  ")


def test_nullable_columns_of_pandas():
    labels = pd.Series([1, 2, None, 1], dtype="Int64")
    assert target_labels(labels, 4, np.array([1, 2])).tolist() == [0, 1, -1, 0]
    words = pd.Series(["a", None, "b"], dtype="string")
    assert target_labels(words, 3, np.array(["a", "b"])).tolist() == [0, -1, 1]
