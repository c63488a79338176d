"""The catalogue of metrics, and which one is the default."""

import subprocess
import sys

import numpy as np
import pytest

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.evaluate import METRICS, default_metric, find_metric


def test_the_catalogue_loads_nothing_heavy():
    code = (
        "import sys, headstart.evaluate as e; assert len(e.METRICS) == 8; "
        "heavy = {'sklearn', 'torch', 'scipy', 'pandas'} & set(sys.modules); assert not heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_metric_is_named_with_the_one_that_was_meant():
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        find_metric("acuracy")


def test_a_metric_of_the_other_kind_lists_those_that_fit():
    with pytest.raises(OptionError, match="for regression") as caught:
        find_metric("rmse", "classification")
    assert "accuracy, balanced_accuracy, macro_f1, log_loss, roc_auc" in str(caught.value)
    assert find_metric("rmse", "regression") is METRICS["rmse"]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((50, 50), "accuracy"),
        ((90, 30), "accuracy"),  # exactly 3 times is not more than 3 times
        ((91, 30), "macro_f1"),
        ((10, 1), "accuracy"),  # a few labels a class: chance, not imbalance
        ((11, 1), "macro_f1"),
        ((20,), "accuracy"),
    ],
)
def test_imbalance_switches_to_macro_f1_and_says_so(sizes, expected):
    labels = np.repeat([f"class {i}" for i in range(len(sizes))], sizes)
    name, decision = default_metric("classification", labels)
    assert name == expected
    assert expected in decision.what
    assert "--metric" in decision.override
    if name == "macro_f1":
        assert f"{sizes[0]} items of 'class 0'" in decision.why


def test_numbers_are_measured_by_rmse():
    name, decision = default_metric("regression", np.arange(5.0))
    assert name == "rmse"
    assert "units of the label" in decision.why


def test_no_labels_no_metric():
    with pytest.raises(DataError, match="no labels"):
        default_metric("classification", [])
