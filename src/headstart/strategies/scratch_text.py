"""Texts without transfer: TF-IDF of words and characters with a regularised linear model.

The field's standard opponent on texts (Wang & Manning, ACL 2012): word 1-2-grams, character
2-5-grams or both, whichever cross-validation within the training texts prefers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from headstart.core.errors import DataError
from headstart.core.types import FloatArray, State
from headstart.strategies.gram_hashes import Analyser
from headstart.strategies.ngrams import Tfidf, fit_tfidf
from headstart.strategies.saved_classes import SavedClasses
from headstart.strategies.softmax import probabilities
from headstart.strategies.targets import labels_of, seed_of, targets_of
from headstart.strategies.views import (
    DUAL,
    Linear,
    Tuned,
    fit_classifier,
    fit_regressor,
    join,
    tune_classifier,
    tune_regressor,
)

CHARACTERS = 4_000_000  # character n-grams are used up to so many characters of training text
WEIGHTS = 6_000_000  # at most so many weights (features x classes); the rarest n-grams go first
CANDIDATES: dict[str, tuple[Analyser, ...]] = {
    "words": ("word",),
    "characters": ("char",),
    "words and characters": ("word", "char"),
}
PAPER = "Wang & Manning, ACL 2012"


def texts_of(X: Any) -> list[str]:
    """Check that X is a sequence of texts and return it as a list."""
    if isinstance(X, str):
        raise DataError(
            "one text instead of a list of texts", where="X", got=X[:40], hint="pass [text]"
        )
    texts = list(X)
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                "not a text", where=f"X, item {place}", got=type(text).__name__, allowed="str"
            )
    return texts


class _ScratchText(BaseEstimator):
    """What both kinds share: the n-grams and the linear model on them."""

    _tfidf: dict[str, Tfidf]
    _model: Linear

    def __init__(self, *, random_state: int | None = 0, cv: int = 3) -> None:
        self.random_state = random_state
        self.cv = cv

    def _views(
        self, texts: Sequence[str], n_outputs: int
    ) -> tuple[dict[str, Any], dict[str, tuple[Analyser, ...]], str]:
        """Fit every analyser; returns rows by analyser, the candidates, and a remark."""
        size = sum(map(len, texts))
        candidates, remark = dict(CANDIDATES), ""
        if size > CHARACTERS:
            candidates = {"words": ("word",)}
            remark = f"; characters left out: more than {CHARACTERS:,} of them to read"
        small = len(texts) <= DUAL
        views: dict[str, Any] = {}
        self._tfidf = {}
        for analyser in dict.fromkeys(name for names in candidates.values() for name in names):
            self._tfidf[analyser], views[analyser] = fit_tfidf(
                texts,
                analyser,
                min_count=1 if small else 2,
                max_features=None if small else max(WEIGHTS // (2 * n_outputs), 1000),
            )
        return views, candidates, remark

    def _keep(self, tuned: Tuned, names: Sequence[str], remark: str) -> None:
        self._tfidf = {name: self._tfidf[name] for name in names}
        inner = ", ".join(f"{name} {score:.3f}" for name, score in tuned.scores.items())
        detail = f"inner {self._score_name} {inner}; {tuned.note}" if inner else tuned.note
        self.chosen_ = (
            f"TF-IDF of {tuned.name}, {self._model_name} C={tuned.strength:g} ({detail}{remark})"
        )

    def _scores(self, X: Any) -> FloatArray:
        check_is_fitted(self, "chosen_")
        texts = texts_of(X)
        views = {name: tfidf.transform(texts) for name, tfidf in self._tfidf.items()}
        return self._model.scores(join(views, list(views)))

    def to_state(self) -> State:
        """Return what was learned as arrays and JSON."""
        check_is_fitted(self, "chosen_")
        arrays = {f"model.{name}": array for name, array in self._model.arrays().items()}
        for name, tfidf in self._tfidf.items():
            arrays[f"{name}.vocabulary"] = tfidf.vocabulary.view(np.int64)
            arrays[f"{name}.idf"] = tfidf.idf
        meta = {
            "params": self.get_params(),
            "analysers": list(self._tfidf),
            "chosen": self.chosen_,
        }
        return State(arrays, meta)

    def _restore(self, state: State) -> None:
        self._tfidf = {
            name: Tfidf(
                name,
                np.ascontiguousarray(state.arrays[f"{name}.vocabulary"]).view(np.uint64),
                state.arrays[f"{name}.idf"],
            )
            for name in state.meta["analysers"]
        }
        for name, tfidf in self._tfidf.items():
            if len(tfidf.vocabulary) != len(tfidf.idf):
                raise DataError("n-grams and their weights differ in number", where=name)
        own = {
            name.removeprefix("model."): array
            for name, array in state.arrays.items()
            if name.startswith("model.")
        }
        self._model = Linear.from_arrays(own)
        self.chosen_ = state.meta["chosen"]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


class ScratchText(SavedClasses, ClassifierMixin, _ScratchText):
    """TF-IDF of word and character n-grams with logistic regression, tuned by cross-validation.

    Parameters
    ----------
    random_state : int or None
        Deals the items to inner folds.
    cv : int, >= 2
        Inner folds.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    chosen_ : str
        Which n-grams and which C won, with the inner scores.

    Notes
    -----
    Above 2,000 texts, n-grams of a single text are left out and a stratified sample of 2,000 texts
    does the tuning; character n-grams are left out above 4 million characters of training text;
    at most 6 million weights (classes x n-grams, the rarest go first).

    References
    ----------
    Wang & Manning, Baselines and Bigrams, ACL 2012.

    Examples
    --------
    >>> texts = ["good film", "a good one", "bad film", "a bad one"]
    >>> ScratchText().fit(texts, ["+", "+", "-", "-"]).predict(["good", "bad"]).tolist()
    ['+', '-']
    """

    _score_name = "accuracy"
    _model_name = "logistic regression"

    def fit(self, X: Any, y: Any) -> ScratchText:
        """Fit on texts X (n strings) and labels y.

        Raises
        ------
        DataError
            An item is not a string, or X and y differ in length, or are empty.
        """
        texts = texts_of(X)
        labels = labels_of(y, len(texts))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        k = len(self.classes_)
        views, candidates, remark = self._views(texts, k)
        if k == 1:
            self._model = Linear(np.zeros((1, 1)), np.zeros(1))
            self._tfidf = {}
            self.chosen_ = "the only class"
            return self
        seed = seed_of(self.random_state)
        tuned, _, _ = tune_classifier(views, candidates, codes, k, n_folds=self.cv, seed=seed)
        names = candidates[tuned.name]
        self._model = fit_classifier(join(views, names), codes, k, tuned.strength)
        self._keep(tuned, names, remark)
        return self

    def predict_proba(self, X: Any) -> FloatArray:
        """Return class probabilities of shape (n, k), columns in the order of ``classes_``."""
        check_is_fitted(self, "chosen_")
        if len(self.classes_) == 1:
            return np.ones((len(texts_of(X)), 1))
        return probabilities(self._scores(X))


class ScratchTextRegressor(RegressorMixin, _ScratchText):
    """TF-IDF of word and character n-grams with ridge regression, tuned by leave-one-out.

    Parameters
    ----------
    random_state : int or None
        Draws the sample that tunes (above 2,000 texts).
    cv : int
        Not used by ridge, whose leave-one-out is exact; present for a common signature.

    Attributes
    ----------
    chosen_ : str
        Which n-grams and which penalty won, with the inner R2.

    References
    ----------
    Wang & Manning, Baselines and Bigrams, ACL 2012.

    Examples
    --------
    >>> texts = ["one star", "two stars", "nine stars", "ten stars"]
    >>> ScratchTextRegressor().fit(texts, [1.0, 2.0, 9.0, 10.0]).predict(["ten"]).shape
    (1,)
    """

    _score_name = "R2"
    _model_name = "ridge"

    def fit(self, X: Any, y: Any) -> ScratchTextRegressor:
        """Fit on texts X (n strings) and numbers y.

        Raises
        ------
        DataError
            An item is not a string, a number is not finite, or X and y differ in length.
        """
        texts = texts_of(X)
        target = targets_of(y, len(texts))
        views, candidates, remark = self._views(texts, 1)
        tuned, _, _ = tune_regressor(views, candidates, target, seed=seed_of(self.random_state))
        names = candidates[tuned.name]
        self._model = fit_regressor(join(views, names), target, tuned.strength)
        self._keep(tuned, names, remark)
        return self

    def predict(self, X: Any) -> FloatArray:
        """Return the predicted number of each text."""
        return self._scores(X)[:, 0]

    @classmethod
    def from_state(cls, state: State) -> ScratchTextRegressor:
        """Rebuild a fitted estimator; it predicts bit-identically."""
        self = cls(**state.meta["params"])
        self._restore(state)
        return self
