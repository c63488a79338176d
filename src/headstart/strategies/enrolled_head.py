"""A model that took in classes after it was fitted, without being trained again.

A new class is the mean of its rows, scaled like the class means that the model was fitted with. A
softmax over the distances to all means gives each new class its probability; what is left is
shared among the old classes as the model shares it. Plain numpy, unless the model needs more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from headstart.core.errors import DataError, OptionError
from headstart.core.types import AnyArray, FloatArray, Modality, State
from headstart.data.labels import class_name
from headstart.strategies import base
from headstart.strategies.gallery import Gallery

HOISTED = ("given", "history")  # what a bundle looks for in the meta of a tuned source
BASE, GALLERY = "base.", "gallery."


def wrapped(
    strategy: str, state: State, gallery: Gallery, *, modality: Modality, names: list[Any]
) -> State:
    """Return the state of a model that can take in classes, of a fitted classifier's state.

    Parameters
    ----------
    strategy : str
        Of the fitted classifier; of a blend it is the member that transfers which goes on.
    state : State
    gallery : Gallery
        Its classes in the order of ``names``.
    modality : {"image", "text", "audio"}
    names : list
        The classes, in the order of the classifier's ``classes_``.
    """
    if base.STRATEGIES[strategy].combines:
        strategy, state = _member(state)
    arrays = {BASE + name: array for name, array in state.arrays.items()}
    arrays |= {GALLERY + name: array for name, array in gallery.arrays().items()}
    inner = {key: value for key, value in state.meta.items() if key not in HOISTED}
    meta: dict[str, Any] = {key: state.meta[key] for key in HOISTED if key in state.meta}
    meta |= {"base": strategy, "modality": modality, "inner": inner, "names": list(names)}
    # of one row a class, the distances say how sure to be; the classifier cannot know
    meta["by_means"] = bool(gallery.scale[1] == 0.0)
    return State(arrays, meta | {"old": len(names)})


def _member(state: State) -> tuple[str, State]:
    """Return the transferring member of a blend."""
    meta = state.meta
    arrays = {
        name.removeprefix("transfer."): array
        for name, array in state.arrays.items()
        if name.startswith("transfer.")
    }
    lifted = {key: meta[key] for key in HOISTED if key in meta}
    return meta["transfer"], State(arrays, dict(meta["members"]["transfer"]) | lifted)


def with_class(state: State, name: Any, X: AnyArray) -> State:
    """Return the state that knows one more class.

    Parameters
    ----------
    state : State
        From :func:`wrapped`, or from here.
    name : str
        Of the type of the other names; blanks around a text are taken off.
    X : ndarray of shape (n, d)
        Features of its examples, one or more.

    Raises
    ------
    OptionError
        The class is known already, has no name, or one of another type than the others.
    DataError
        There is no example, or its features are not d finite numbers.
    """
    gallery, names = _gallery(state.arrays), state.meta["names"]
    name = _clean(name, names)
    if name in names:
        raise OptionError(
            "the model knows this class already", where="name", got=name, hint="choose another name"
        )
    if X.ndim != 2 or not len(X) or X.shape[1] != len(gallery.centre) or not np.isfinite(X).all():
        raise DataError(
            "a class is enrolled from one example or more",
            where=str(name),
            got=X.shape,
            allowed=f"rows of {len(gallery.centre)} finite numbers",
        )
    grown = gallery.grown(X)
    kept = {key: array for key, array in state.arrays.items() if not key.startswith(GALLERY)}
    arrays = kept | {GALLERY + key: array for key, array in grown.arrays().items()}
    return State(arrays, dict(state.meta) | {"names": [*names, name]})


def _clean(name: Any, names: list[Any]) -> Any:
    """Return a name as data would read it; it sorts among the others."""
    if isinstance(name, np.generic):
        name = name.item()
    texts = [isinstance(one, str) for one in names]
    if isinstance(name, str):
        name = class_name(name)
    if not isinstance(name, str | int | float) or set(texts) != {isinstance(name, str)}:
        raise OptionError(
            "a class is named like the others: by a text among texts, by a number among numbers",
            where="name",
            got=name,
            allowed="a text" if texts[0] else "a number",
        )
    if name == "":
        raise OptionError("not the name of a class", where="name", got=name, allowed="a text")
    return name


def _gallery(arrays: Mapping[str, AnyArray]) -> Gallery:
    return Gallery.of(
        {
            name.removeprefix(GALLERY): array
            for name, array in arrays.items()
            if name.startswith(GALLERY)
        }
    )


class EnrolledHead:
    """A fitted classifier, and the classes that it took in since.

    Parameters
    ----------
    model : fitted classifier
    gallery : Gallery
    names : list
        The classifier's classes in its order, then those that were taken in.
    by_means : bool
        Share among the old classes by distances too, not as the classifier does.
    """

    def __init__(self, model: Any, gallery: Gallery, names: list[Any], *, by_means: bool) -> None:
        self.model, self.gallery, self.names, self.by_means = model, gallery, names, by_means
        self.old = len(model.classes_)
        new = names[self.old :]
        # without new classes the labels keep their type
        self.classes_: AnyArray = model.classes_
        if new:
            self.classes_ = np.array(sorted(names), dtype=object)
        place = {name: column for column, name in enumerate(names)}
        self._order = np.array([place[name] for name in self.classes_.tolist()])
        if hasattr(model, "tuned"):  # the source below needs what was tuned in it
            self.tuned, self.given = model.tuned, model.given

    def predict_proba(self, X: Any) -> FloatArray:
        """Return (n, k) probabilities; columns in the order of ``classes_``."""
        own = np.asarray(self.model.predict_proba(X), dtype=np.float64)
        if len(self.names) == self.old:
            return own
        shares = self.gallery.shares(np.asarray(X))
        if not self.by_means:
            left = shares[:, : self.old].sum(axis=1, keepdims=True)
            shares[:, : self.old] = left * own
        result: FloatArray = shares[:, self._order]
        return result

    def predict(self, X: Any) -> AnyArray:
        """Return the n most probable labels."""
        labels: AnyArray = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Open what :func:`wrapped` or :func:`with_class` returned.

        Raises
        ------
        ValueError
            The state is none of them.
        """
        meta = state.meta
        inner = State(
            {
                name.removeprefix(BASE): array
                for name, array in state.arrays.items()
                if name.startswith(BASE)
            },
            dict(meta["inner"]) | {key: meta[key] for key in HOISTED if key in meta},
        )
        if meta["base"] == "enrolled":
            raise ValueError("an enrolled model within an enrolled model")
        model = base.open_state(
            meta["base"], kind="classification", modality=meta["modality"], state=inner
        )
        gallery, names = _gallery(state.arrays), list(meta["names"])
        old = meta["old"]
        known = [str(name) for name in model.classes_.tolist()]
        if len(gallery.means) != len(names) or known != [str(name) for name in names[:old]]:
            raise ValueError("the class means are not those of the model")
        if old != len(known) or len(set(names)) != len(names):
            raise ValueError("a class stands twice, or is missing")
        return cls(model, gallery, names, by_means=bool(meta["by_means"]))
