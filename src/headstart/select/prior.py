"""What is known of other data: how good sources are, and which heads suit few labels.

On few items luck decides between candidates: of two that are right on 80 % of all, one looks ten
points better on 20 of them, one time of three. What is known before counts as ``PRIOR_ITEMS``
items beside those that were measured: with 10 labels it mostly decides, with 1,000 it is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from headstart.core.types import FloatArray, Modality
from headstart.select.race import Entry
from headstart.sources import SourceCard

PRIOR_ITEMS = 80
"""How many measured items what is known counts for; ``select.rank`` says why so many."""
HEADS = dict.fromkeys(("probe", "prototypes", "contrastive", "finetune", "lp-ft"), 0.02)
"""Lead over nearest neighbours that a strategy has on few labels.

From ``benchmarks/prior.py``. Of tuning nothing is known but where it takes part.
"""
ON_TEXTS = HEADS | {"contrastive": 0.04}
"""The same on texts, where contrastive tuning leads the probe (``benchmarks/contrastive.py``)."""


def prior_of(card: SourceCard) -> float | None:
    """Return the published quality of a source; None where nothing was published."""
    return None if card.prior_source.startswith("none") else card.prior


def priors_of(
    entries: Iterable[Entry], known: Mapping[str, float | None], modality: Modality = "image"
) -> dict[Entry, float]:
    """Return what candidates are expected to score, up to a constant that is the same for all.

    Parameters
    ----------
    entries : iterable of Entry
    known : mapping of source to float or None
        Published quality. A source without any is expected to be as good as the mean.
    modality : {"image", "text", "audio", "table"}

    Examples
    --------
    >>> probe, near = Entry("probe", "a"), Entry("knn", "b")
    >>> list(priors_of([probe, near], {"a": 0.5, "b": 0.6}).values())
    [0.52, 0.6]
    """
    published = [value for value in known.values() if value is not None]
    mean = sum(published) / len(published) if published else 0.0
    heads, found = ON_TEXTS if modality == "text" else HEADS, {}
    for entry in entries:
        quality = known.get(entry.source) if entry.source else None
        lead = heads.get(entry.strategy, 0.0)
        found[entry] = (mean if quality is None else quality) + lead
    return found


def weighed(
    measured: FloatArray, priors: Sequence[float | None], n: int, *, unit: float = 1.0
) -> FloatArray:
    """Return measured scores weighed against published quality, by the rule of ``select.rank``.

    Parameters
    ----------
    measured : ndarray of shape (m,)
    priors : sequence of length m
        0 to 1; None where nothing was published.
    n : int
        Items measured on.
    unit : float
        What a whole of published quality is worth in the metric; negative where less is better.

    Examples
    --------
    >>> weighed(np.array([0.80, 0.82]), [0.60, 0.50], 20).round(3).tolist()
    [0.848, 0.772]
    >>> weighed(np.array([0.80, 0.82]), [0.60, 0.50], 2000).round(3).tolist()
    [0.802, 0.818]
    """
    if not len(measured):
        return measured
    known = [prior for prior in priors if prior is not None]
    usual = float(np.mean(known)) if known else 0.0
    above = np.array([0.0 if prior is None else prior - usual for prior in priors])
    expected = measured.mean() + unit * above
    return (n * measured + PRIOR_ITEMS * expected) / (n + PRIOR_ITEMS)
