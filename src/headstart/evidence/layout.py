"""Items as points of a map: alike ones lie close together."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.types import AnyArray, FloatArray, Modality

FEW = 12
"""Items below which the map is the first two principal components."""
COMPONENTS = 30
WIDEST = 4_096
PERPLEXITY = 30.0


def layout(rows: FloatArray, *, seed: int = 0) -> tuple[FloatArray, str]:
    """Lay items out on a plane, each coordinate within 0 to 1.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Features.
    seed : int

    Returns
    -------
    ndarray of shape (n, 2)
    str
        How, in words: t-SNE (van der Maaten and Hinton, JMLR 2008) of the principal components;
        of few items the principal components themselves.
    """
    from threadpoolctl import threadpool_limits

    n = len(rows)
    held = np.nan_to_num(np.asarray(rows, dtype=np.float64))
    held = held - held.mean(axis=0) if n else held
    count = min(COMPONENTS, *held.shape) if held.size else 0
    if not count or not np.any(held):
        return np.full((n, 2), 0.5), "no features differ"
    with threadpool_limits(1):  # more threads add up in another order, to other coordinates
        components = _components(held, count)
        how = "the first two principal components"
        if n >= FEW and count >= 2:
            from sklearn.manifold import TSNE

            perplexity = min(PERPLEXITY, (n - 1) / 4)
            plain = components / max(float(components[:, 0].std()), 1e-12)
            components = TSNE(
                2, perplexity=perplexity, init=plain[:, :2] * 1e-4, max_iter=600, random_state=seed
            ).fit_transform(plain.astype(np.float32))
            how = f"t-SNE, perplexity {perplexity:g}"
    if components.shape[1] == 1:
        components = np.column_stack([components, np.zeros(n)])
    return _within(components[:, :2]), how


def _components(held: FloatArray, count: int) -> FloatArray:
    """Return the principal components, each with the sign that makes its largest value positive."""
    left, sizes, _ = np.linalg.svd(held, full_matrices=False)
    components = left[:, :count] * sizes[:count]
    signs = np.sign(components[np.abs(components).argmax(axis=0), np.arange(count)])
    found: FloatArray = components * np.where(signs == 0, 1.0, signs)
    return found


def _within(points: FloatArray) -> FloatArray:
    low, high = points.min(axis=0), points.max(axis=0)
    wide = np.where(high > low, high - low, 1.0)
    placed = np.where(high > low, (points - low) / wide, 0.5)
    found: FloatArray = np.round(placed, 4)
    return found


def rows_of(items: Any, modality: Modality, features: FloatArray | None) -> tuple[FloatArray, str]:
    """Return items as numbers to lay out: features of a source, or what shows in them.

    Parameters
    ----------
    items : sequence of length n, or DataFrame
    modality : {"image", "text", "audio", "table"}
    features : ndarray of shape (n, d) or None

    Returns
    -------
    ndarray of shape (n, d)
    str
        What the numbers are, in words.
    """
    if features is not None:
        return features, "features"
    if modality == "table":
        return _table(items), "columns"
    if modality == "text":
        from sklearn.feature_extraction.text import TfidfVectorizer

        try:
            words = TfidfVectorizer(sublinear_tf=True, max_features=WIDEST).fit_transform(items)
        except ValueError:  # no words at all
            return np.zeros((len(items), 1)), "words"
        return np.asarray(words.toarray()), "words"
    from headstart.strategies.plain import plain_inputs

    side = 24
    made: AnyArray = np.asarray(plain_inputs(items, modality, side=side))
    return made.reshape(len(made), -1).astype(np.float64), (
        "pixels" if modality == "image" else "sounds"
    )


def _table(frame: Any) -> FloatArray:
    """Return standardised numbers, and a column for each of the commonest values of the others."""
    import pandas as pd

    from headstart.data.columns import bare

    blocks = []
    bared = bare(frame)
    for place in range(bared.shape[1]):
        column = bared.iloc[:, place]
        if column.dtype.kind in "fiub":
            values = column.astype("float64").to_numpy()
            values = np.where(np.isfinite(values), values, np.nan)
            spread = float(np.nanstd(values)) if np.isfinite(values).any() else 0.0
            if spread > 0:
                blocks.append(np.nan_to_num((values - np.nanmean(values)) / spread)[:, None])
        else:
            common = column.astype(str).value_counts().index[:20]
            shown = pd.get_dummies(column.astype(str))
            blocks.append(shown.reindex(columns=common, fill_value=False).to_numpy(dtype=float))
    return np.hstack(blocks) if blocks else np.zeros((len(frame), 1))
