"""The door to what only skada has: it runs in a process of its own, and a linear model comes back.

Importing skada switches on scikit-learn's metadata routing for the whole process, under which other
estimators behave differently; so it is never imported here. Arrays go there and come back in files
without pickles.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import DataError, MissingExtraError, OptionError, UnknownNameError
from headstart.core.types import Decision, FloatArray
from headstart.strategies.adaptation.base import Adapter
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.forms import LinearForm
from headstart.strategies.adaptation.priors import sampled
from headstart.strategies.adaptation.skada_child import LACKS

CHILD = Path(__file__).with_name("skada_child.py")
PYTHON = "HEADSTART_SKADA_PYTHON"
"""The environment variable that names another interpreter, which has skada."""
METHODS = ("jdot", "tsl", "mmd-ls", "dasvm")


class SkadaAdapter(Adapter):
    """Fit one of skada's own methods, and keep the linear model for the target that it leaves.

    ``"jdot"``: joint distribution optimal transport with logistic regression. ``"tsl"``: logistic
    regression in a subspace where classes are apart and domains alike. ``"mmd-ls"``: each class is
    moved and stretched towards the target, then logistic regression. ``"dasvm"``: a linear support
    vector machine that passes from source to target rows step by step; two classes only, and its
    probabilities are the logistic function of its scores, not calibrated. All four predict new
    rows. Labels of the target are not used.

    Parameters
    ----------
    method : {"jdot", "tsl", "mmd-ls", "dasvm"}
    C : float, > 0
        Inverse strength of the penalty of the linear model.
    alpha : float, from 0 to 1
        Of JDOT: what features weigh beside labels.
    mu : float, >= 0
        Of TSL: what the distance of the domains weighs.
    gamma : float, > 0, optional
        Of MMD-LS: of its Gaussian kernel; 1 over the number of features by default.
    k : int, >= 1
        Of DASVM: rows of a class that each step exchanges.
    most : int, >= 20
        Rows of a domain that are learnt from: memory grows with their square.
    seconds : float, > 0
        What it may take; some methods do not converge on some data.
    python : path, optional
        An interpreter that has skada; by default ``HEADSTART_SKADA_PYTHON``, else this one.
    scale : bool
        Standardise features by both domains together.
    random_state : int, optional
        Of the rows that are drawn.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    form_ : LinearForm
    decisions_ : tuple of Decision

    Raises
    ------
    MissingExtraError
        skada, or what it needs for the method, is not installed.
    UnknownNameError
        There is no such method.
    OptionError
        A parameter is out of range.
    DataError
        More than two classes for DASVM, or skada itself failed or took too long.

    References
    ----------
    skada: Gnassounou et al., arXiv:2407.11676 (2024). JDOT: Courty et al., NeurIPS 2017. TSL: Si,
    Tao & Geng, TKDE 22 (2010). MMD-LS: Zhang et al., ICML 2013. DASVM: Bruzzone & Marconcini,
    TPAMI 32 (2010).

    Examples
    --------
    >>> from headstart.strategies.adaptation import SkadaAdapter
    >>> SkadaAdapter(method="jdot").fit(X, y, target).predict(new_rows)   # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        method: str = "jdot",
        C: float = 1.0,
        alpha: float = 0.5,
        mu: float = 0.1,
        gamma: float | None = None,
        k: int = 3,
        most: int = 1000,
        seconds: float = 600.0,
        python: str | Path | None = None,
        scale: bool = True,
        random_state: int | None = 0,
    ) -> None:
        self.method = method
        self.C = C
        self.alpha = alpha
        self.mu = mu
        self.gamma = gamma
        self.k = k
        self.most = most
        self.seconds = seconds
        self.python = python
        self.scale = scale
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        self._check(domains)
        mine = sampled(domains.codes, self.most, self.random_state)
        theirs = sampled(np.zeros(len(domains.target), int), self.most, self.random_state)
        if len(mine) < len(domains.X) or len(theirs) < len(domains.target):
            what = f"{len(mine):,} rows of the source and {len(theirs):,} of the target are used"
            self.decisions_ += (Decision(what, "memory grows with their square", "most="),)
        present, codes = np.unique(domains.codes[mine], return_inverse=True)
        found = self._run(domains.X[mine], codes, domains.target[theirs])
        coef = np.zeros((domains.X.shape[1], domains.n_classes))
        coef[:, present], intercept = found["coef"], np.zeros(domains.n_classes)
        intercept[present] = found["intercept"]
        return LinearForm(coef, intercept)

    def _params(self, d: int) -> dict[str, Any]:
        own: dict[str, dict[str, Any]] = {
            "jdot": {"alpha": float(self.alpha)},
            "tsl": {"mu": float(self.mu)},
            "mmd-ls": {"gamma": 1.0 / d if self.gamma is None else float(self.gamma)},
            "dasvm": {"k": int(self.k)},
        }
        return {"C": float(self.C), **own[self.method]}

    def _check(self, domains: Domains) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("method of skada", self.method, METHODS)
        for where, good, allowed in (
            ("C", self.C > 0, "above 0"),
            ("alpha", 0 <= self.alpha <= 1, "0 to 1"),
            ("mu", self.mu >= 0, "0 or more"),
            ("gamma", self.gamma is None or self.gamma > 0, "above 0"),
            ("k", self.k >= 1, "1 or more"),
            ("most", self.most >= 20, "20 or more"),
            ("seconds", self.seconds > 0, "above 0"),
        ):
            if not good:
                value = getattr(self, where)
                raise OptionError("out of range", where=where, got=value, allowed=allowed)
        if self.method == "dasvm" and domains.n_classes != 2:
            raise DataError("dasvm takes two classes", where="y", got=domains.n_classes)

    def _run(self, X: FloatArray, codes: Any, target: FloatArray) -> dict[str, FloatArray]:
        """Let the child fit, in a folder that is gone afterwards."""
        python = self.python or os.environ.get(PYTHON)
        if python is None and find_spec("skada") is None:
            raise MissingExtraError("skada", "skada", self.method)
        with tempfile.TemporaryDirectory(prefix="headstart-skada-") as name:
            folder = Path(name)
            np.savez(
                folder / "given.npz",
                X=X.astype(np.float64),
                codes=codes.astype(np.int64),
                target=target.astype(np.float64),
            )
            asked = {"method": self.method, "params": self._params(X.shape[1])}
            (folder / "given.json").write_text(json.dumps(asked))
            command = [str(python or sys.executable), "-I", str(CHILD), name]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, check=False, timeout=self.seconds
                )
            except subprocess.TimeoutExpired as error:
                raise DataError(
                    "skada did not end in time",
                    where=self.method,
                    got=f"{self.seconds:g} s",
                    hint="seconds= gives more, most= takes fewer rows",
                ) from error
            except OSError as error:
                raise OptionError(
                    "this interpreter cannot be started", where=f"python, {PYTHON}", got=python
                ) from error
            told = (done.stderr.strip().splitlines() or [""])[-1]
            if done.returncode == LACKS:
                raise MissingExtraError(told, "skada", self.method)
            if done.returncode:
                raise DataError("skada could not be fitted", where=self.method, got=told[:300])
            with np.load(folder / "found.npz", allow_pickle=False) as found:
                return {key: found[key] for key in ("coef", "intercept")}
