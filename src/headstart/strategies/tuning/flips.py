"""Whether images may be mirrored: where a mirrored image still shows its class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart import encode
from headstart.core.types import AnyArray, FloatArray
from headstart.data.images import read_image
from headstart.strategies import base as dictionary
from headstart.strategies.frozen import stratified_folds

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

MOST = 300  # images that are mirrored and looked at


def mirrored_are_alike(
    X: Any, backbone: Backbone, features: FloatArray, codes: AnyArray, *, seed: int
) -> bool:
    """Say whether a probe knows mirrored held-out images as well as plain ones.

    Halves of the images take turns. Mirroring may cost at most what chance explains: one standard
    error of McNemar's paired difference.

    Parameters
    ----------
    X : sequence of length n
        Images.
    backbone : Backbone
    features : ndarray of shape (n, d)
        Of the plain images.
    codes : ndarray of shape (n,), int
    seed : int
    """
    counts = np.bincount(codes)
    if len(counts[counts > 0]) < 2 or counts[counts > 0].min() < 2:
        return False
    rng = np.random.default_rng(seed)
    index = np.sort(rng.permutation(len(codes))[:MOST])
    shown = [np.asarray(read_image(X[int(i)]))[:, ::-1].copy() for i in index]
    mirrored = np.asarray(encode.features(shown, backbone, cache=False).array)
    folds = stratified_folds(codes, 2, seed)
    lost = won = 0
    for fold in (0, 1):
        train = np.flatnonzero(folds != fold)
        held = np.flatnonzero(folds[index] == fold)
        if len(np.unique(codes[train])) < 2 or not len(held):
            return False
        probe = dictionary.make("probe", kind="classification", modality="image", random_state=seed)
        probe.fit(np.asarray(features[train]), codes[train])
        plain = probe.predict(np.asarray(features[index[held]])) == codes[index[held]]
        other = probe.predict(mirrored[held]) == codes[index[held]]
        lost += int((plain & ~other).sum())
        won += int((other & ~plain).sum())
    return bool(lost - won <= np.sqrt(lost + won))
