"""From features, pixels, texts or rows to probabilities or numbers: one function a form of model.

A model is a node of ``export.json`` with its ``form``, settings and parts, and arrays whose names
begin with the part's name. Nothing but these is looked up, so a directory runs no code of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from headstart.bundle.runner.given import Given
from headstart.bundle.runner.tables import for_linear, for_trees
from headstart.core.errors import BundleCorruptError
from headstart.core.types import AnyArray, FloatArray

Spec = Mapping[str, Any]
Arrays = Mapping[str, AnyArray]
Form = Callable[[Spec, Arrays, Given], FloatArray]
FLOOR = 1e-6  # probabilities below this count as this where two are pooled
BLOCK = 2048
DIGITS = 7  # similarities equal to so many decimals are ties


def outputs(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """Return (n, k) probabilities, or n numbers.

    Parameters
    ----------
    spec : mapping
        A node: ``form`` and what the form needs.
    arrays : mapping of name to ndarray
    given : Given

    Raises
    ------
    BundleCorruptError
        There is no such form, or something that it needs is missing.
    """
    form = str(spec.get("form")) if isinstance(spec, Mapping) else ""
    if form not in FORMS:
        raise BundleCorruptError("not a form of model", where="head", got=form, allowed=list(FORMS))
    try:
        return FORMS[form](spec, arrays, given)
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise BundleCorruptError(f"the model of form {form!r} cannot run: {error}") from error


def part(arrays: Arrays, name: str) -> dict[str, AnyArray]:
    """Return the arrays of a part, by their names within it."""
    start = f"{name}."
    return {
        key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)
    }


def softmax(scores: FloatArray) -> FloatArray:
    """Return the softmax of each row; a single column is the log-odds of the second of two."""
    if scores.shape[1] == 1:
        scores = np.hstack([np.zeros_like(scores), scores])
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: FloatArray = shares / shares.sum(axis=1, keepdims=True)
    return result


def unit_rows(X: AnyArray, centre: FloatArray) -> FloatArray:
    """Return rows less the centre, scaled to length 1; rows at the centre stay zero."""
    rows = np.asarray(X).astype(np.float64) - centre
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    result: FloatArray = rows / np.where(length > 0.0, length, 1.0)
    return result


def _told(scores: FloatArray, spec: Spec) -> FloatArray:
    """Return probabilities of scores (n, k), or numbers where the model predicts numbers."""
    if spec.get("numbers"):
        result: FloatArray = scores[:, 0] * spec.get("spread", 1.0) + spec.get("centre", 0.0)
        return result
    return softmax(scores)


def _constant(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    value: FloatArray = np.repeat(arrays["value"][None], given.n, axis=0)
    return value[:, 0] if spec.get("numbers") else value


def _linear(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """A linear model of features; of centred rows of length 1 where there is a centre."""
    rows: FloatArray = given.features.astype(np.float64)
    if "centre" in arrays:
        rows = unit_rows(rows, arrays["centre"])
    return _told(rows @ arrays["coef"] + arrays["intercept"], spec)


def _nearest(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """Averages of the targets of the nearest rows, weighted by closeness."""
    stored = arrays["features"].astype(np.float64)
    queries = unit_rows(given.features, arrays["centre"]).astype(np.float32).astype(np.float64)
    k, result = int(spec["neighbours"]), np.zeros((given.n, arrays["targets"].shape[1]))
    for start in range(0, given.n, BLOCK):
        similar = np.round(queries[start : start + BLOCK] @ stored.T, DIGITS)
        order = np.argsort(-similar, axis=1, kind="stable")[:, :k]
        close = np.take_along_axis(similar, order, axis=1)
        weights = ((1.0 + np.clip(close, -1.0, 1.0)) / 2.0) ** 2 + 1e-9
        weights /= weights.sum(axis=1, keepdims=True)
        result[start : start + BLOCK] = np.einsum("mk,mkt->mt", weights, arrays["targets"][order])
    return result[:, 0] if spec.get("numbers") else result


def _cache(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """Tip-Adapter: a head by names or means, and a cache of labelled rows."""
    alpha, beta, scale, sharpness = (float(number) for number in spec["settings"])
    queries = unit_rows(given.features, arrays["centre"])
    scores = scale * queries @ arrays["named"].T
    for start in range(0, given.n, BLOCK):
        near = np.exp(beta * (queries[start : start + BLOCK] @ arrays["rows"].T - 1.0))
        scores[start : start + BLOCK] += alpha * near @ arrays["targets"]
    return softmax(sharpness * scores)


def _combined(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """ConSE: what a classifier of other classes sees, combined from its likeliest names."""
    seen = softmax(given.features.astype(np.float64) @ arrays["weights"] + arrays["bias"])
    top = int(spec["top"])
    if top < seen.shape[1]:
        least = np.partition(seen, -top, axis=1)[:, -top][:, None]
        seen = np.where(seen >= least, seen, 0.0)
    names = seen @ arrays["names"].astype(np.float64)
    mixed = unit_rows(names, np.zeros(names.shape[1]))
    return softmax(float(spec["sharpness"]) * mixed @ arrays["directions"].T)


def _adapted(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """A classifier adapted to another domain, of features or of the numbers of a table."""
    from headstart.strategies.adaptation.forms import FORMS as ADAPTED

    rows = _rows(spec, arrays, given)
    found: FloatArray = ADAPTED[spec["kind"]].from_arrays(part(arrays, "form")).probabilities(rows)
    return found


def _lines(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """The weighted median of lines, of features or of the numbers of a table."""
    own = part(arrays, "form")
    values = _rows(spec, arrays, given) @ own["coefs"].T + own["intercepts"]
    order = np.argsort(values, axis=1, kind="stable")
    reached = np.cumsum(own["weights"][order], axis=1) >= 0.5 * own["weights"].sum()
    picked = np.take_along_axis(order, reached.argmax(axis=1)[:, None], axis=1)
    result: FloatArray = np.take_along_axis(values, picked, axis=1)[:, 0]
    return result


def _rows(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    if "columns" not in spec:
        return given.features
    return for_linear(given.cells, spec["columns"], part(arrays, "scaling"), given.n)


def _enrolled(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """A classifier and the classes that it took in since."""
    from headstart.strategies.gallery import Gallery

    own = outputs(spec["base"], part(arrays, "base"), given)
    old = own.shape[1]
    if len(spec["order"]) == old:
        return own
    shares = Gallery.of(part(arrays, "gallery")).shares(given.features)
    if not spec["by_means"]:
        shares[:, :old] = shares[:, :old].sum(axis=1, keepdims=True) * own
    result: FloatArray = shares[:, np.array(spec["order"], dtype=np.int64)]
    return result


def _blend(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """Two models of the same items, weighted."""
    one = outputs(spec["scratch"], part(arrays, "scratch"), given)
    other = outputs(spec["transfer"], part(arrays, "transfer"), given)
    a, b = (float(weight) for weight in arrays["weights"])
    if spec.get("numbers"):
        return a * one + b * other
    one = one[:, np.array(spec["order"], dtype=np.int64)]
    return softmax(a * np.log(np.maximum(one, FLOOR)) + b * np.log(np.maximum(other, FLOOR)))


def _ngrams(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """TF-IDF of words, characters or both, and a linear model of it."""
    from headstart.bundle.runner.ngrams import scores

    return _told(scores(spec["analysers"], arrays, given.texts), spec)


def _described(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """Hand-made descriptors of small pictures, and a linear model of them."""
    from headstart.strategies.descriptors import DESCRIBE, in_batches

    names = list(spec["descriptors"])
    if not given.n:
        return _told(np.zeros((0, arrays["coef"].shape[1])), spec)
    views = [
        (
            (in_batches(given.pixels, DESCRIBE[name]) - arrays[f"{name}.mean"])
            / arrays[f"{name}.spread"]
        ).astype(np.float32)
        for name in names
    ]
    whole = np.hstack(views) * np.float32(1.0 / np.sqrt(len(names)))
    return _told(whole.astype(np.float64) @ arrays["coef"] + arrays["intercept"], spec)


def _network(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """A small network that sees small pictures."""
    scores = given.scores(int(spec["side"]), int(spec["outputs"]))
    return _told(scores.astype(np.float64), spec)


def _trees(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """Gradient-boosted trees of a table."""
    from headstart.strategies.trees import Forest

    rows = for_trees(given.cells, spec["columns"], given.n)
    return _told(Forest.from_arrays(part(arrays, "trees")).raw(rows), spec)


def _table(spec: Spec, arrays: Arrays, given: Given) -> FloatArray:
    """A linear model of a table."""
    rows = for_linear(given.cells, spec["columns"], part(arrays, "scaling"), given.n)
    return _told(rows @ arrays["coef"] + arrays["intercept"], spec)


FORMS: Mapping[str, Form] = {
    "constant": _constant,
    "linear": _linear,
    "nearest": _nearest,
    "cache": _cache,
    "combined": _combined,
    "adapted": _adapted,
    "lines": _lines,
    "enrolled": _enrolled,
    "blend": _blend,
    "ngrams": _ngrams,
    "descriptors": _described,
    "network": _network,
    "trees": _trees,
    "table": _table,
}
