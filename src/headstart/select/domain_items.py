"""Adapters that tune a source take items; the guard hands out rows, which carry their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from headstart.core.types import SILENT, AnyArray, Decision, FloatArray, IntArray, Reporter
from headstart.evaluate.shift_domain import equal_rows

CAP, FOLDS = 300, 2
"""Rows a side, and folds, of circular validation where a source is tuned in each."""
MOST, LABEL_FOLDS = 1000, 3
"""The same of the comparison by labels."""


def first_equal(X: FloatArray, X_target: FloatArray) -> IntArray:
    """Return for each row of both the place of the first that equals it."""
    group = equal_rows(np.vstack([X, X_target]))
    first, of_row = np.unique(group, return_index=True, return_inverse=True)[1:]
    places: IntArray = first[of_row]
    return places


@dataclass(frozen=True, eq=False)
class Tunable:
    """Items of both domains, and the source that is tuned on them.

    Parameters
    ----------
    source, target : sequences of length n and m
    backbone : Backbone
    reporter : Reporter
    """

    source: Sequence[Any]
    target: Sequence[Any]
    backbone: Any
    reporter: Reporter = SILENT

    def places(self, X: FloatArray, X_target: FloatArray) -> tuple[AnyArray, AnyArray]:
        """Return the place of each row's item; equal rows have that of the first."""
        places = first_equal(X, X_target)
        return places[: len(X)], places[len(X) :]

    def at(self, places: AnyArray) -> list[Any]:
        """Return the items at places: those of the source come first."""
        n = len(self.source)
        return [self.source[at] if at < n else self.target[at - n] for at in places.astype(int)]

    def made(self, unfitted: Any) -> Any:
        """Return an unfitted adapter like the given one, of this source."""
        given = unfitted.get_params(deep=False)
        return type(unfitted)(**given | {"source": self.backbone, "reporter": self.reporter})


class OnItems:
    """An adapter of items, given rows that end in the places of theirs.

    Parameters
    ----------
    make_one : callable
        Returns an unfitted adapter of items.
    both : Tunable
    """

    def __init__(self, make_one: Callable[[], Any], both: Tunable) -> None:
        self._model, self._both = make_one(), both

    def fit(self, X: Any, y: Any, X_target: Any = None, y_target: Any = None) -> Self:
        """Fit to the items of rows."""
        target = None if X_target is None else self._both.at(X_target[:, -1])
        self._model.fit(self._both.at(X[:, -1]), y, target, y_target)
        return self

    def predict(self, X: Any) -> AnyArray:
        """Return the labels of the items of rows."""
        return self._model.predict(self._both.at(X[:, -1]))


def costly(names: Sequence[str]) -> Decision:
    """Say that candidates which tune a source are compared on less."""
    return Decision(
        f"compared on at most {CAP} items a side going to the target and back in {FOLDS} folds, "
        f"and by labels on at most {MOST:,} a side in {LABEL_FOLDS}",
        f"{', '.join(names)} {'tunes' if len(names) == 1 else 'tune'} the source in each fold; "
        "what is handed back learns from all",
    )
