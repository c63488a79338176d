"""Saved states as nodes that the runner knows: one function a strategy.

A node is plain JSON and arrays, see ``headstart.bundle.runner.heads``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from headstart.core.errors import BundleError
from headstart.core.types import AnyArray, Kind, Modality, State
from headstart.strategies import STRATEGIES

MODALITIES: tuple[Modality, ...] = ("text", "image", "table")
"""What can be exported; for the rest see ``REFUSED``."""
REFUSED: Mapping[str, str] = {
    "audio": "models of sounds need torch to hear them as their source does",
    "sequence": "models that answer with texts, tags or spans are not exported",
}
"""What cannot be exported, and why."""
FOLDED = 16_000_000  # numbers: n-gram coefficients up to so many are kept as such
SIDE = 32  # pixels that the small network sees


class Head(NamedTuple):
    """A node: its settings, and its arrays by name."""

    spec: dict[str, Any]
    arrays: dict[str, AnyArray]
    network: Mapping[str, AnyArray] | None = None
    """Weights of the small network of pictures that belongs to it."""


class Asked(NamedTuple):
    """What is to be exported."""

    kind: Kind
    modality: Modality
    state: State

    @property
    def numbers(self) -> dict[str, Any]:
        """What a node says where it predicts numbers."""
        return {"numbers": True} if self.kind == "regression" else {}


def head_of(strategy: str, asked: Asked) -> Head:
    """Return the node of a fitted strategy.

    Parameters
    ----------
    strategy : str
        A name in ``STRATEGIES``.
    asked : Asked

    Raises
    ------
    BundleError
        Its modality, or the strategy, cannot be exported.
    """
    if asked.modality in REFUSED:
        raise BundleError(
            f"this model cannot be exported: {REFUSED[asked.modality]}",
            allowed=MODALITIES,
            hint="serve the saved model itself: headstart serve MODEL",
        )
    if strategy not in HEADS:
        raise BundleError(
            f"models of strategy {strategy!r} cannot be exported",
            allowed=list(HEADS),
            hint="serve the saved model itself: headstart serve MODEL",
        )
    return HEADS[strategy](asked)


def _within(head: Head, name: str) -> dict[str, AnyArray]:
    return {f"{name}.{key}": array for key, array in head.arrays.items()}


def _part(arrays: Mapping[str, AnyArray], start: str) -> dict[str, AnyArray]:
    return {
        key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)
    }


def _wide(array: AnyArray) -> AnyArray:
    return np.asarray(array, dtype=np.float64)


def _linear(asked: Asked) -> Head:
    arrays, meta = asked.state.arrays, asked.state.meta
    coef, intercept = _wide(arrays["coef"]), arrays.get("intercept")
    if intercept is None:
        intercept = np.array([float(meta["intercept"])])
    if coef.ndim == 1:
        coef = coef[:, None]
    found = {"coef": coef, "intercept": _wide(intercept).reshape(-1)}
    if "centre" in arrays:
        found["centre"] = _wide(arrays["centre"])
    return Head({"form": "linear", **asked.numbers}, found)


def _cosine(asked: Asked) -> Head:
    arrays, sharp = asked.state.arrays, float(asked.state.meta["sharpness"])
    found = {"coef": sharp * _wide(arrays["directions"]).T, "centre": _wide(arrays["centre"])}
    return Head({"form": "linear"}, found | {"intercept": sharp * _wide(arrays["offsets"])})


def _prototypes(asked: Asked) -> Head:
    """Minus a squared distance is a linear score, but for what all classes share."""
    sharp, means = float(asked.state.meta["sharpness"]), _wide(asked.state.arrays["prototypes"])
    found = {"coef": 2.0 * sharp * means.T, "intercept": -sharp * (means**2).sum(axis=1)}
    return Head({"form": "linear"}, found | {"centre": _wide(asked.state.arrays["centre"])})


def _knn(asked: Asked) -> Head:
    arrays, meta = asked.state.arrays, asked.state.meta
    targets = arrays.get("targets")
    if targets is None:
        targets = np.eye(len(meta["classes"]))[arrays["codes"]]
    spec = {"form": "nearest", "neighbours": int(meta["n_neighbors"]), **asked.numbers}
    return Head(
        spec,
        {"features": arrays["features"], "targets": _wide(targets), "centre": arrays["centre"]},
    )


def _tip_adapter(asked: Asked) -> Head:
    arrays, meta = asked.state.arrays, asked.state.meta
    targets = np.eye(len(meta["classes"]))[arrays["codes"]]
    spec = {"form": "cache", "settings": [float(number) for number in meta["numbers"]]}
    kept = {name: _wide(arrays[name]) for name in ("rows", "named", "centre")}
    return Head(spec, kept | {"targets": targets})


def _conse(asked: Asked) -> Head:
    meta = asked.state.meta
    spec = {"form": "combined", "top": int(meta["top"]), "sharpness": float(meta["sharpness"])}
    return Head(spec, {name: _wide(array) for name, array in asked.state.arrays.items()})


def _majority(asked: Asked) -> Head:
    if asked.kind == "regression":
        value = np.array([float(asked.state.meta["mean"])])
    else:
        value = _wide(asked.state.arrays["class_prior"])
    return Head({"form": "constant", **asked.numbers}, {"value": value})


def _adapted(asked: Asked) -> Head:
    arrays, meta = asked.state.arrays, asked.state.meta
    table = asked.modality == "table"
    own = _part(arrays, "form.") if table else dict(arrays)
    spec: dict[str, Any] = {"form": "lines"}
    if asked.kind == "classification":
        spec = {"form": "adapted", "kind": meta["form"]}
    kept = {f"form.{name}": array for name, array in own.items()}
    if table:
        spec["columns"] = list(meta["columns"])
        kept |= {f"scaling.{name}": a for name, a in _part(arrays, "scaling.").items()}
    return Head(spec, kept)


def _enrolled(asked: Asked) -> Head:
    meta, arrays = asked.state.meta, asked.state.arrays
    inner = State(_part(arrays, "base."), dict(meta["inner"]))
    base = head_of(meta["base"], Asked("classification", asked.modality, inner))
    names, old = list(meta["names"]), int(meta["old"])
    classes = names if len(names) == old else sorted(names)
    spec = {"form": "enrolled", "base": base.spec, "by_means": bool(meta["by_means"])}
    spec["order"] = [names.index(name) for name in classes]
    kept = {f"gallery.{name}": array for name, array in _part(arrays, "gallery.").items()}
    return Head(spec, _within(base, "base") | kept)


def _blend(asked: Asked) -> Head:
    meta, arrays = asked.state.meta, asked.state.arrays
    parts = {}
    for name, strategy in (("scratch", "scratch"), ("transfer", meta["transfer"])):
        own = State(_part(arrays, f"{name}."), dict(meta["members"][name]))
        parts[name] = head_of(strategy, asked._replace(state=own))
    one, other = parts["scratch"], parts["transfer"]
    spec = {"form": "blend", "scratch": one.spec, "transfer": other.spec, **asked.numbers}
    if asked.kind == "classification":
        known = [str(name) for name in meta["members"]["scratch"]["classes"]]
        spec["order"] = [known.index(str(n)) for n in meta["members"]["transfer"]["classes"]]
    kept = _within(one, "scratch") | _within(other, "transfer")
    return Head(spec, kept | {"weights": _wide(arrays["weights"])}, one.network)


def _scratch(asked: Asked) -> Head:
    if asked.kind == "classification" and len(asked.state.meta["classes"]) == 1:
        return Head({"form": "constant"}, {"value": np.ones(1)})
    return {"text": _ngrams, "image": _pictures, "table": _table}[asked.modality](asked)


def _ngrams(asked: Asked) -> Head:
    arrays, names = asked.state.arrays, list(asked.state.meta["analysers"])
    spec = {"form": "ngrams", "analysers": names, **asked.numbers}
    kept = {
        f"{name}.{what}": arrays[f"{name}.{what}"]
        for name in names
        for what in ("vocabulary", "idf")
    }
    coef = _wide(arrays["model.coef"])
    if "model.rows.data" in arrays:
        n, width = (int(side) for side in arrays["model.rows.shape"])
        data, indices = arrays["model.rows.data"], arrays["model.rows.indices"].astype(np.int64)
        starts = arrays["model.rows.indptr"].astype(np.int64)
        if width * coef.shape[1] <= min(FOLDED, 4 * len(data)):
            owner = np.repeat(np.arange(n), np.diff(starts))
            folded = np.zeros((width, coef.shape[1]))
            for column in range(coef.shape[1]):
                each = data.astype(np.float64) * coef[owner, column]
                folded[:, column] = np.bincount(indices, each, minlength=width)
            coef = folded
        else:
            kept |= {"rows.data": data, "rows.indices": indices, "rows.starts": starts}
    kept |= {"coef": coef.astype(np.float32), "intercept": _wide(arrays["model.intercept"])}
    return Head(spec, kept)


def _pictures(asked: Asked) -> Head:
    arrays, meta = asked.state.arrays, asked.state.meta
    told = dict(asked.numbers)
    if told:
        told |= {"centre": float(meta["centre"]), "spread": float(meta["spread"])}
    network = _part(arrays, "network.")
    if network:
        spec = {"form": "network", "side": SIDE, "outputs": int(meta["outputs"]), **told}
        return Head(spec, {}, network)
    names = list(meta["descriptors"])
    kept = {f"{name}.{what}": arrays[f"{name}.{what}"] for name in names for what in _SCALE}
    kept |= {name: _wide(arrays[f"linear.{name}"]) for name in ("coef", "intercept")}
    return Head({"form": "descriptors", "descriptors": names, **told}, kept)


_SCALE = ("mean", "spread")


def _table(asked: Asked) -> Head:
    arrays, meta = asked.state.arrays, asked.state.meta
    columns = list(meta["columns"])
    trees = _part(arrays, "trees.")
    if trees:
        kept = {f"trees.{name}": array for name, array in trees.items()}
        return Head({"form": "trees", "columns": columns, **asked.numbers}, kept)
    kept = {f"scaling.{name}": array for name, array in _part(arrays, "scaling.").items()}
    kept |= {name: _wide(arrays[f"linear.{name}"]) for name in ("coef", "intercept")}
    return Head({"form": "table", "columns": columns, **asked.numbers}, kept)


HEADS: Mapping[str, Callable[[Asked], Head]] = {
    "majority": _majority,
    "scratch": _scratch,
    "knn": _knn,
    "prototypes": _prototypes,
    "zero-shot": _cosine,
    "conse": _conse,
    "tip-adapter": _tip_adapter,
    "enrolled": _enrolled,
    "adapted": _adapted,
    "adapted-table": _adapted,
    "blend": _blend,
    **{
        name: _linear
        for name in STRATEGIES
        if STRATEGIES[name].tunes or name in ("probe", "anchored", "few-shot", "eszsl", "alpha-tim")
    },
}
"""How a model of each strategy is exported."""

HOW: Mapping[str, str] = {
    "majority": "a constant",
    "scratch": "n-grams, descriptors or columns in numpy; the small network of pictures in ONNX",
    "knn": "the labelled rows, in numpy",
    "conse": "the classifier and the names, in numpy",
    "tip-adapter": "the labelled rows, in numpy",
    "enrolled": "the head it had, and the class means",
    "adapted": "what is left of the adapter, in numpy",
    "adapted-table": "what is left of the adapter, in numpy",
    "blend": "both members, weighted",
    **{
        name: "the tuned source in ONNX, a linear head"
        for name in STRATEGIES
        if STRATEGIES[name].tunes
    },
    "weighted-layers": "the layers weighted in ONNX, a linear head",
}
"""What is written, where it is not simply a linear head; the table of docs/export.md."""


def table_row(name: str) -> str:
    """Return what docs/export.md says of a strategy: which modalities, and how."""
    spec = STRATEGIES[name]
    cells = ["yes" if one in spec.modalities else "" for one in MODALITIES]
    return " | ".join([f"| `{name}`", *cells, HOW.get(name, "a linear head")]) + " |"
