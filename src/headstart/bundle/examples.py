"""What a bundle keeps of the items it was judged on and learnt from: evidence, and neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.bundle.codec import from_json, from_safetensors, plain, to_json, to_safetensors
from headstart.bundle.manifest import EVIDENCE, EXAMPLES, Manifest
from headstart.core.errors import BundleCorruptError
from headstart.core.types import AnyArray, FloatArray, IntArray

SCHEMA = 1
MOST_ITEMS = 1_000
_LISTS = ("items", "mistakes", "classes", "confused", "importance", "suspects", "findings")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What judged a model, as data, and examples to compare new items with.

    Parameters
    ----------
    facts : mapping
        ``schema``, ``judged``, ``items`` and what else a report shows: what JSON can hold.
    places : ndarray of shape (m,), int64
        Which of ``facts["items"]`` the vectors are of; empty where nothing can be compared.
    vectors : ndarray of shape (m, d), float16
        Features by the source, of length 1.
    """

    facts: Mapping[str, Any]
    places: IntArray
    vectors: AnyArray

    def nearest(self, features: FloatArray, k: int) -> list[list[dict[str, Any]]]:
        """Return the k most similar examples of each row of features, most similar first.

        Parameters
        ----------
        features : ndarray of shape (n, d)
        k : int

        Returns
        -------
        list of length n
            Of dicts: ``id``, ``label``, ``similarity`` (cosine, -1 to 1), ``preview``.
        """
        rows = np.asarray(features, dtype=np.float64)
        if not len(self.places) or not len(rows):
            return [[] for _ in rows]
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        alike = rows @ self.vectors.astype(np.float64).T
        items = self.facts["items"]
        told = []
        for row in alike:
            best = np.argsort(-row, kind="stable")[:k]
            told.append(
                [
                    {
                        "id": items[self.places[j]]["id"],
                        "label": items[self.places[j]]["label"],
                        "similarity": round(float(np.clip(row[j], -1.0, 1.0)), 4),
                        "preview": items[self.places[j]].get("preview"),
                    }
                    for j in best
                ]
            )
        return told

    def without_items(self) -> Evidence:
        """Return the same evidence without anything that shows what is in the items."""
        facts = dict(self.facts)
        for name in ("items", "mistakes", "suspects"):
            facts[name] = [_bare(one) for one in facts.get(name) or []]
        if facts.get("findings") is not None:  # None says that nobody looked
            facts["findings"] = [{**one, "examples": []} for one in facts["findings"]]
        facts["duplicates"] = None
        return Evidence(facts, np.zeros(0, np.int64), np.zeros((0, 0), np.float16))


def _bare(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item without what shows its content; its name stays."""
    hidden = ("preview", "explanation")
    return {key: None if key in hidden else value for key, value in one.items()}


def to_files(evidence: Evidence) -> dict[str, bytes]:
    """Return the files that hold evidence."""
    raw = {EVIDENCE: to_json(plain(dict(evidence.facts), EVIDENCE))}
    if len(evidence.places):
        arrays = {"places": evidence.places, "vectors": evidence.vectors}
        raw[EXAMPLES] = to_safetensors(arrays, EXAMPLES)
    return raw


def from_files(raw: Mapping[str, bytes], manifest: Manifest) -> Evidence | None:
    """Read evidence; None where a bundle has none.

    Raises
    ------
    BundleCorruptError
    """
    if EVIDENCE not in raw:
        return None
    facts = from_json(raw[EVIDENCE], EVIDENCE)
    count = _checked(facts)
    places, vectors = np.zeros(0, np.int64), np.zeros((0, 0), np.float16)
    if EXAMPLES in raw:
        arrays = from_safetensors(raw[EXAMPLES], EXAMPLES)
        places, vectors = arrays.get("places", places), arrays.get("vectors", vectors)
        card = {} if manifest.source is None else manifest.source.card
        sound = (
            set(arrays) == {"places", "vectors"}
            and places.dtype == np.int64
            and vectors.dtype == np.float16
            and vectors.shape == (len(places), card.get("dim"))
            and bool(((places >= 0) & (places < count)).all())
            and bool(np.isfinite(vectors).all())
        )
        if not sound:
            raise BundleCorruptError("not examples of this model", where=EXAMPLES)
    return Evidence(facts, places, vectors)


def _checked(facts: Mapping[str, Any]) -> int:
    """Check the shape of what others rely on; return the number of items."""
    wrong = ""
    items = facts.get("items")
    if facts.get("schema") != SCHEMA:
        wrong = f"its schema is {facts.get('schema')!r}"
    elif not isinstance(facts.get("judged"), dict):
        wrong = "it does not say what judged"
    elif not isinstance(items, list) or len(items) > MOST_ITEMS:
        wrong = f"it needs a list of at most {MOST_ITEMS:,} items"
    else:
        for name in _LISTS:
            rows = facts.get(name)
            rows = [] if rows is None else rows
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                wrong = f"{name!r} is no list of objects"
        if not wrong and not all({"id", "label"} <= set(item) for item in items):
            wrong = "an item has no id or no label"
    if wrong:
        raise BundleCorruptError(f"not the evidence of a model: {wrong}", where=EVIDENCE)
    return len(items or ())
