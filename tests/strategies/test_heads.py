"""A saved probe opens without scikit-learn, and predicts the same bits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from headstart import strategies
from headstart.core.errors import UnknownNameError
from headstart.strategies.heads import LinearHead, LinearRegressorHead


def blobs(k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    codes = np.arange(60) % k
    X = rng.normal(size=(60, 7)) + 2.0 * np.eye(k, 7)[codes]
    return X.astype(np.float32), np.array([f"class {c}" for c in codes], dtype=object)


@pytest.mark.parametrize("k", [2, 5])
def test_a_classifier_opens_light_and_predicts_the_same_bits(k):
    X, y = blobs(k)
    fitted = strategies.make("probe", kind="classification", modality="text").fit(X, y)
    head = strategies.open_state(
        "probe", kind="classification", modality="text", state=fitted.to_state()
    )
    assert isinstance(head, LinearHead)
    np.testing.assert_array_equal(head.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(head.predict(X), fitted.predict(X))
    assert head.classes_.tolist() == fitted.classes_.tolist()


def test_a_regressor_opens_light_and_predicts_the_same_bits():
    X, _ = blobs(2)
    y = X @ np.arange(7.0)
    fitted = strategies.make("probe", kind="regression", modality="text").fit(X, y)
    head = strategies.open_state(
        "probe", kind="regression", modality="text", state=fitted.to_state()
    )
    assert isinstance(head, LinearRegressorHead)
    np.testing.assert_array_equal(head.predict(X), fitted.predict(X))


def test_a_strategy_without_a_light_head_opens_as_its_estimator():
    X, y = blobs(3)
    fitted = strategies.make("knn", kind="classification", modality="text").fit(X, y)
    opened = strategies.open_state(
        "knn", kind="classification", modality="text", state=fitted.to_state()
    )
    assert type(opened) is type(fitted)
    with pytest.raises(UnknownNameError):
        strategies.open_state("kn", kind="classification", modality="text", state=fitted.to_state())


def test_opening_a_probe_imports_no_scikit_learn():
    code = (
        "import sys, numpy as np\n"
        "from headstart import strategies\n"
        "from headstart.core.types import State\n"
        "state = State({'coef': np.eye(2), 'intercept': np.zeros(2)},"
        " {'classes': ['a', 'b'], 'classes_dtype': 'object'})\n"
        "task = {'kind': 'classification', 'modality': 'text'}\n"
        "head = strategies.open_state('probe', state=state, **task)\n"
        "assert head.predict(np.eye(2)).tolist() == ['a', 'b']\n"
        "assert not {'sklearn', 'scipy', 'pandas'} & set(sys.modules), 'heavy'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
