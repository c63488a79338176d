"""Boosted trees grown on the source, and more of them grown on the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, IntArray
from headstart.strategies.adaptation.base import Adapter
from headstart.strategies.adaptation.boosted_forms import TreesForm, single
from headstart.strategies.adaptation.domains import Domains
from headstart.strategies.adaptation.held_out import LEAST, better, row_losses, splits
from headstart.strategies.adaptation.tree_arrays import added, from_trees, scaled
from headstart.strategies.heads import sigmoid, softmax_rows
from headstart.strategies.trees import export

ROUNDS = (1, 2, 5, 10, 20, 50, 100)  # numbers of further rounds compared
TRUSTS = (1.0, 0.5, 0.25)  # what the source's scores are multiplied by
FOLDS = 5
L2 = 1.0


class BoostOn(Adapter):
    """Grow gradient-boosted trees on the source, then more on the labelled rows of the target.

    The further trees start from the scores of the source's trees: each fits the Newton step of the
    log loss of the target's rows. How many, and how far the source's scores are drawn towards 0
    before, is chosen by target rows held out; none, the source's
    trees as they are, stays unless another number is better by a t test at 10 %.

    Parameters
    ----------
    source_rounds : int, >= 1
        Rounds of boosting on the source; a round is one tree, or a tree for each of > 2 classes.
    most_rounds : int, >= 0
        Further rounds at most.
    learning_rate : float, > 0
    max_leaf_nodes : int, >= 2
        Of the source's trees; those of the target have at most 6 leaves.
    random_state : int or None

    Attributes
    ----------
    rounds_ : int
        Further rounds.
    trust_ : float
        What the source's scores are multiplied by before: 1, or less where it is too sure.

    Notes
    -----
    scikit-learn's histogram trees cannot start from given scores, and their ``warm_start`` wants
    the data they began with; so the further trees are plain regression trees on the negative
    gradient over the curvature, weighted by the curvature, with the leaves ``-G / (H + 1)`` of
    XGBoost. Features are read in float32. The trees need no scaling.

    References
    ----------
    Friedman, Annals of Statistics 2001; Chen & Guestrin (XGBoost), KDD 2016.

    Examples
    --------
    >>> from headstart.strategies.adaptation import BoostOn
    >>> X, y = [[i / 10.0] for i in range(80)], ["a"] * 40 + ["b"] * 40
    >>> there, known = [[i / 10.0] for i in range(80)], ["a"] * 60 + ["b"] * 20
    >>> BoostOn().fit(X, y, there, known).predict([[3.0], [5.0], [7.0]]).tolist()
    ['a', 'a', 'b']
    """

    scale = False

    def __init__(
        self,
        *,
        source_rounds: int = 100,
        most_rounds: int = 50,
        learning_rate: float = 0.1,
        max_leaf_nodes: int = 15,
        random_state: int | None = 0,
    ) -> None:
        self.source_rounds = source_rounds
        self.most_rounds = most_rounds
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.random_state = random_state

    def _adapt(self, domains: Domains) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        if not self.learning_rate > 0:
            raise OptionError("must be positive", where="learning_rate", got=self.learning_rate)
        grown = HistGradientBoostingClassifier(
            max_iter=self.source_rounds,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=min(10, max(1, len(domains.X) // 20)),
            early_stopping=False,
            categorical_features=None,
            random_state=self.random_state,
        ).fit(single(domains.X), domains.codes)
        source = export(grown)
        rows, codes = single(domains.target[domains.known]), domains.target_codes[domains.known]
        self.rounds_, self.trust_ = 0, 1.0
        if not len(rows):
            self.decisions_ = (Decision("source-only", "no row of the target has a label"),)
            return TreesForm(source)
        self._choose(rows, codes, source.raw(rows))
        if not self.rounds_:
            return TreesForm(source)
        source = scaled(source, self.trust_)
        further = _Rounds(rows, codes, source.raw(rows), self.learning_rate)
        further.grow(self.rounds_)
        k = source.roots.shape[1]
        return TreesForm(added(source, from_trees(further.trees, further.leaves, np.zeros(k), k)))

    def _choose(self, rows: FloatArray, codes: IntArray, raw: FloatArray) -> None:
        points = [point for point in ROUNDS if point <= self.most_rounds]
        if not points or len(rows) < LEAST:
            why = f"{len(rows)} labels in the target, at most {self.most_rounds} further rounds"
            self.decisions_ = (Decision("source-only", why),)
            return
        base = row_losses(probabilities(raw), codes)
        losses = np.empty((len(TRUSTS), len(points), len(rows)))
        for train, test in splits(codes, self.random_state or 0, FOLDS):
            for part, trust in zip(losses, TRUSTS, strict=True):
                further = _Rounds(rows[train], codes[train], trust * raw[train], self.learning_rate)
                scores, done = trust * raw[test], 0
                for place, point in enumerate(points):
                    scores += further.grow(point - done, rows[test])
                    done = point
                    part[place, test] = row_losses(probabilities(scores), codes[test])
        means = losses.mean(axis=2)
        which, best = divmod(int(means.argmin()), len(points))
        why = (
            f"log loss of {len(rows)} held-out target rows {means[which, best]:.3f}, "
            f"of the source's trees {base.mean():.3f}"
        )
        what = "source-only"
        if better(losses[which, best], base):
            self.rounds_, self.trust_ = points[best], TRUSTS[which]
            what = f"{self.rounds_} further rounds, the source's scores times {self.trust_:g}"
        self.decisions_ = (Decision(what, why, "most_rounds=0 forbids further rounds"),)


def probabilities(raw: FloatArray) -> FloatArray:
    """Return (n, k) probabilities of scores (n, k), or (n, 1) for two classes."""
    if raw.shape[1] == 1:
        second = sigmoid(raw)
        return np.hstack([1.0 - second, second])
    return softmax_rows(raw)


class _Rounds:
    """Newton boosting of the log loss, started from given scores."""

    def __init__(
        self, rows: FloatArray, codes: IntArray, raw: FloatArray, learning_rate: float
    ) -> None:
        self.rows, self.raw, self.rate = rows.astype(np.float32), raw.copy(), learning_rate
        k = raw.shape[1]
        self.truth = (codes[:, None] == (np.arange(k) if k > 1 else 1)).astype(np.float64)
        self.trees: list[Any] = []
        self.leaves: list[FloatArray] = []

    def grow(self, rounds: int, asked: FloatArray | None = None) -> FloatArray:
        """Grow so many further rounds; return what they add to the scores of the rows asked."""
        asked = self.rows[:0] if asked is None else asked.astype(np.float32)
        total = np.zeros((len(asked), self.raw.shape[1]))
        for _ in range(rounds):
            p = probabilities(self.raw)[:, -self.raw.shape[1] :]
            step = np.zeros_like(self.raw)
            for column in range(self.raw.shape[1]):
                gradient = p[:, column] - self.truth[:, column]
                curvature = np.maximum(p[:, column] * (1.0 - p[:, column]), 1e-6)
                tree, value = self._tree(gradient, curvature)
                step[:, column] = value[tree.tree_.apply(self.rows)]
                if len(asked):
                    total[:, column] += value[tree.tree_.apply(asked)]
                self.trees.append(tree)
                self.leaves.append(value)
            self.raw += step
        return total

    def _tree(self, gradient: FloatArray, curvature: FloatArray) -> tuple[Any, FloatArray]:
        from sklearn.tree import DecisionTreeRegressor

        tree = DecisionTreeRegressor(
            max_leaf_nodes=6,
            min_samples_leaf=min(10, max(1, len(gradient) // 10)),
            random_state=0,
        ).fit(self.rows, -gradient / curvature, sample_weight=curvature, check_input=False)
        at = tree.tree_.apply(self.rows)
        size = tree.tree_.node_count
        sums = np.bincount(at, gradient, size), np.bincount(at, curvature, size)
        return tree, -self.rate * sums[0] / (sums[1] + L2)
