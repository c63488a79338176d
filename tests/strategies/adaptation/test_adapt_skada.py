"""The door to skada: what goes through it, what comes back, and what is said where it is shut.

The methods themselves are tried where ``HEADSTART_SKADA_PYTHON`` names an interpreter that has
skada, POT and torch, or where this one has; the door is tried everywhere, with a stand-in.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import sklearn

from headstart.core.errors import DataError, MissingExtraError, OptionError, UnknownNameError
from headstart.select.domain_plan import plan_domains
from headstart.strategies.adaptation import ADAPTERS, SkadaAdapter, make, skada_child, skada_door

HERE = os.environ.get("HEADSTART_SKADA_PYTHON") or (
    sys.executable if importlib.util.find_spec("skada") else ""
)
needs_skada = pytest.mark.skipif(not HERE, reason="no interpreter with skada")


def domains(n=60, m=50, d=3, k=2, seed=0):
    rng = np.random.default_rng(seed)
    means = 3 * np.random.default_rng(7).normal(size=(k, d))
    y, z = np.arange(n) % k, np.arange(m) % k
    names = np.array(["ash", "birch", "cedar"])
    X, T = rng.normal(size=(n, d)) + means[y], rng.normal(size=(m, d)) + means[z] + 0.7
    return X, names[y], T, names[z]


def stand_in(tmp_path: Path, body: str) -> Path:
    """Return an interpreter that runs ``body`` instead of the child; ``folder`` is its folder."""
    program = tmp_path / "instead.py"
    start = "import sys, json\nfrom pathlib import Path\nimport numpy as np\n"
    program.write_text(f"{start}folder = Path(sys.argv[3])\n{body}\n")
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" "$@"\n')
    script.chmod(0o755)
    return script


WRITES = """
given, asked = np.load(folder / "given.npz"), json.loads((folder / "given.json").read_text())
coef = np.zeros((given["X"].shape[1], len(set(given["codes"]))))
coef[0] = np.arange(coef.shape[1]) * asked["params"]["C"]
np.savez(folder / "found.npz", coef=coef, intercept=np.zeros(coef.shape[1]))
"""


def test_arrays_go_and_a_linear_model_for_new_rows_comes_back(tmp_path):
    X, y, T, _ = domains(k=3)
    model = SkadaAdapter(C=2.0, python=stand_in(tmp_path, WRITES)).fit(X, y, T)
    new = np.vstack([T[:4], T[:4] + 5.0])
    both = np.vstack([X, T])
    scores = ((new[:, 0] - both[:, 0].mean()) / both[:, 0].std())[:, None] * [0.0, 2.0, 4.0]
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert np.allclose(model.predict_proba(new), expected)
    opened = SkadaAdapter.from_state(model.to_state())
    assert np.array_equal(opened.predict_proba(new), model.predict_proba(new))


def test_what_does_not_fit_into_memory_is_drawn_and_said(tmp_path):
    X, y, T, _ = domains(n=400, m=300)
    counts = "np.savez(folder / 'found.npz', coef=np.full((3, 2), len(given['X'])), "
    counts += "intercept=np.full(2, len(given['target'])))"
    python = stand_in(tmp_path, "given = np.load(folder / 'given.npz')\n" + counts)
    model = SkadaAdapter(most=40, python=python, scale=False).fit(X, y, T)
    assert model.form_.coef[0].tolist() == [40, 40]
    assert model.form_.intercept.tolist() == [40, 40]
    assert "40 rows of the source and 40 of the target" in model.decisions_[0].what


def test_what_is_missing_or_fails_over_there_is_said_here(tmp_path, monkeypatch):
    X, y, T, _ = domains()
    lacks = stand_in(tmp_path, "print('torch', file=sys.stderr); sys.exit(3)")
    with pytest.raises(MissingExtraError, match="needs the package 'torch'"):
        SkadaAdapter(method="tsl", python=lacks).fit(X, y, T)
    fails = stand_in(tmp_path, "raise ValueError('no plan was found')")
    with pytest.raises(DataError, match="ValueError: no plan was found"):
        SkadaAdapter(python=fails).fit(X, y, T)
    with pytest.raises(OptionError, match="cannot be started"):
        SkadaAdapter(python=tmp_path / "none").fit(X, y, T)
    monkeypatch.delenv("HEADSTART_SKADA_PYTHON", raising=False)
    monkeypatch.setattr(skada_door, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'headstart\[skada\]'"):
        SkadaAdapter().fit(X, y, T)
    monkeypatch.setenv("HEADSTART_SKADA_PYTHON", str(stand_in(tmp_path, WRITES)))
    assert SkadaAdapter().fit(X, y, T).predict(T).shape == (50,)


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"C": 0.0}, "C"),
        ({"alpha": 1.5}, "alpha"),
        ({"mu": -1.0}, "mu"),
        ({"gamma": 0.0}, "gamma"),
        ({"k": 0}, "k"),
        ({"most": 3}, "most"),
    ],
)
def test_parameters_out_of_range_are_refused_before_anything_is_started(params, where):
    X, y, T, _ = domains()
    with pytest.raises(OptionError, match=rf"^{where}: out of range"):
        SkadaAdapter(python="none", **params).fit(X, y, T)


def test_an_unknown_method_and_three_classes_for_two_are_refused():
    X, y, T, _ = domains(k=3)
    with pytest.raises(UnknownNameError, match="did you mean 'jdot'"):
        SkadaAdapter(method="jbot").fit(X, y, T)
    with pytest.raises(DataError, match="two classes"):
        SkadaAdapter(method="dasvm").fit(X, y, T)


def test_all_of_them_are_named_and_none_takes_part_by_itself(monkeypatch):
    named = {name: spec for name, spec in ADAPTERS.items() if spec.family == "skada"}
    assert tuple(named) == skada_door.METHODS == tuple(skada_child.METHODS)
    assert all(make(name).method == name and not spec.raced for name, spec in named.items())
    monkeypatch.delenv("HEADSTART_SKADA_PYTHON", raising=False)
    if not importlib.util.find_spec("skada"):
        with pytest.raises(OptionError, match=r"skada: pip install 'headstart\[skada\]'"):
            plan_domains("jdot", n_labels=0, several=False, alike=True)
    monkeypatch.setenv("HEADSTART_SKADA_PYTHON", "elsewhere")
    assert "jdot" in plan_domains("jdot", n_labels=0, several=False, alike=True).candidates


def test_the_child_reads_and_writes_files_without_pickles(tmp_path, monkeypatch, capsys):
    """With a skada that is a logistic regression of the source: two classes get two columns."""

    class JDOT:
        def __init__(self, estimator, alpha):
            self.estimator_ = estimator

        def fit(self, X, y, sample_domain):
            ours = sample_domain > 0
            assert (y[~ours] == -1).all()
            self.estimator_.fit(X[ours], y[ours])

    X, y, T, _ = domains()
    codes = (y == "birch").astype(int)
    np.savez(tmp_path / "given.npz", X=X, codes=codes, target=T)
    given = {"method": "jdot", "params": {"C": 1.0, "alpha": 0.5}}
    (tmp_path / "given.json").write_text(json.dumps(given))
    fake = types.SimpleNamespace(JDOTClassifier=JDOT)
    monkeypatch.setitem(sys.modules, "skada", fake)
    skada_child.main(tmp_path)
    with np.load(tmp_path / "found.npz", allow_pickle=False) as found:
        said = (X @ found["coef"] + found["intercept"]).argmax(axis=1)
    assert (said == codes).mean() > 0.9
    monkeypatch.setitem(sys.modules, "skada", None)
    with pytest.raises(SystemExit) as stopped:
        skada_child.main(tmp_path)
    assert stopped.value.code == skada_child.LACKS
    assert "skada" in capsys.readouterr().err


ORACLE = """
import sys, json, warnings
warnings.filterwarnings("ignore")
import numpy as np
import skada
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
given = np.load(sys.argv[1])
X, y, T = given["X"], given["y"], given["T"]
rows = np.vstack([X, T])
labels = np.concatenate([y, -np.ones(len(T), int)])
domain = np.repeat([1, -2], [len(X), len(T)])
made = {
    "jdot": lambda: skada.JDOTClassifier(LogisticRegression(max_iter=1000)),
    "dasvm": lambda: skada.DASVMClassifier(SVC(kernel="linear")),
    "tsl": lambda: skada.TransferSubspaceLearning(LogisticRegression(max_iter=1000)),
    "mmd-ls": lambda: skada.MMDLSConSMapping(LogisticRegression(max_iter=1000), gamma=1 / 3),
}[sys.argv[2]]()
made.fit(rows, labels, sample_domain=domain)
if sys.argv[2] in ("jdot", "dasvm"):
    said = made.predict(T)
else:
    said = made.predict(T, sample_domain=np.full(len(T), -2))
print(json.dumps(np.asarray(said).astype(int).tolist()))
"""


@needs_skada
@pytest.mark.parametrize("method", skada_door.METHODS)
def test_it_says_what_skada_itself_says(method, tmp_path):
    X, y, T, z = domains()
    both = np.vstack([X, T])
    centre, spread = both.mean(axis=0), both.std(axis=0)
    given = {"X": (X - centre) / spread, "T": (T - centre) / spread}
    np.savez(tmp_path / "all.npz", y=(y == "birch").astype(int), **given)
    (tmp_path / "oracle.py").write_text(ORACLE)
    command = [HERE, "-I", str(tmp_path / "oracle.py"), str(tmp_path / "all.npz"), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "ytorch" in done.stderr:
        pytest.skip("that interpreter has no torch")
    assert not done.returncode, done.stderr
    expected = np.array(["ash", "birch"])[json.loads(done.stdout)]
    routing = sklearn.get_config()["enable_metadata_routing"]
    model = SkadaAdapter(method=method, python=HERE).fit(X, y, T)
    assert (model.predict(T) == expected).mean() > 0.97
    assert sklearn.get_config()["enable_metadata_routing"] is routing is False
    assert "skada" not in sys.modules or sys.executable == HERE
    assert (model.predict(T) == z).mean() > 0.7


def test_what_does_not_end_is_ended(tmp_path):
    X, y, T, _ = domains()
    python = stand_in(tmp_path, "import threading; threading.Event().wait()")
    with pytest.raises(DataError, match="did not end in time"):
        SkadaAdapter(seconds=0.5, python=python).fit(X, y, T)
