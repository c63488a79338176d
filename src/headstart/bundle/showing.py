"""What a bundle can show beside its predictions: why, what is alike, and what judged it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.inputs import prepared
from headstart.core.errors import OptionError

if TYPE_CHECKING:
    from headstart.explain import Asked


class Showing:
    """The part of a bundle that explains predictions and shows examples."""

    @property
    def evidence(self: Any) -> dict[str, Any] | None:
        """What judged the model: items, mistakes, measures of classes; None where it has none."""
        return None if self.kept is None else dict(self.kept.facts)

    def explain(
        self: Any, items: Any, labels: Sequence[str | None] | None = None
    ) -> list[dict[str, Any]]:
        """Return which parts of each item its prediction rests on, by hiding them.

        Parameters
        ----------
        items : sequence of length n, or DataFrame
            As for ``predict``.
        labels : sequence of length n of str or None, optional
            The class that is looked at; by default the predicted one.

        Returns
        -------
        list of dict, length n
            As ``headstart.explain.explain`` says: a weight is how far the label's probability (or
            the predicted number) falls when the part is hidden.

        Raises
        ------
        OptionError, UnknownNameError, DataError, IntegrityError, BundleCorruptError
            As for ``predict``; also for a label that is no class.
        """
        from headstart.explain import explain

        ready = prepared(items, self.modality, self.manifest.columns)
        given = ready.to_dict("records") if hasattr(ready, "iloc") else ready
        return explain(self._asked(), given, labels=labels)

    def nearest(self: Any, items: Any, k: int = 3) -> list[list[dict[str, Any]]]:
        """Return the most similar of the examples that the model keeps.

        Parameters
        ----------
        items : sequence of length n, or DataFrame
            As for ``predict``.
        k : int
            How many, at least 1.

        Returns
        -------
        list of length n
            Of dicts, most similar first: ``id``, ``label``, ``similarity`` (cosine of the
            features, -1 to 1) and ``preview``. Empty lists where no example is kept.

        Raises
        ------
        OptionError
            ``k`` is below 1.
        DataError, IntegrityError, BundleCorruptError
            As for ``predict``.
        """
        if k < 1:
            raise OptionError("at least one neighbour must be asked for", where="k", got=k)
        ready = prepared(items, self.modality, self.manifest.columns)
        if self.kept is None or not len(self.kept.places):
            return [[] for _ in range(len(ready))]
        return list(self.kept.nearest(self.features(ready), k))

    def _asked(self: Any) -> Asked:
        """Return the model as an explanation asks it."""
        from headstart.explain import Asked

        def answer(given: list[Any]) -> Any:
            if self.classes:
                return self.predict_proba(given)
            return np.asarray(self.predict(given), dtype=np.float64)

        typical = {one.name: one.mean for one in self.manifest.columns if one.type == "number"}
        return Asked(answer, self.modality, self.classes, typical)
