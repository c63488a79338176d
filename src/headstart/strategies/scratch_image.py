"""Images without transfer: a linear model on hand-made descriptors, or a small network.

Which of the two, on which descriptors and how strongly penalised, is chosen by cross-validation
within the training images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headstart.core.types import AnyArray, FloatArray
from headstart.strategies.descriptors import DESCRIBE, images_of, in_batches
from headstart.strategies.linear_or_network import (
    LinearOrNetwork,
    LinearOrNetworkClassifier,
    LinearOrNetworkRegressor,
)
from headstart.strategies.targets import seed_of

if TYPE_CHECKING:
    from headstart.strategies.small_cnn import Network

CANDIDATES: dict[str, tuple[str, ...]] = {
    "pixels": ("pixels",),
    "HOG": ("HOG",),
    "HOG and pixels": ("HOG", "pixels"),
    "HOG and colours": ("HOG", "colours"),
    "HOG, colours and pixels": ("HOG", "colours", "pixels"),
}
PAPER = "Dalal & Triggs, CVPR 2005"


class _Images(LinearOrNetwork):
    """How images are described, and what the network sees of them."""

    _candidates = CANDIDATES
    _names = tuple(DESCRIBE)
    _noun = "images"
    _fewest = 2
    flip: bool

    def _checked(self, X: Any) -> npt.NDArray[np.uint8]:
        return images_of(X)

    def _rows(self, name: str, items: AnyArray) -> FloatArray:
        return in_batches(items, DESCRIBE[name])

    def _pictures(self, items: AnyArray) -> npt.NDArray[np.uint8]:
        return items

    def _trained(self, items: AnyArray, target: AnyArray, n_classes: int | None) -> Network:
        from headstart.strategies.small_cnn import train

        seed = seed_of(self.random_state)
        return train(items, target, n_classes, seed=seed, flip=self.flip)


class ScratchImage(_Images, LinearOrNetworkClassifier):
    """HOG, colours and pixels with logistic regression, or a small CNN: what the images prefer.

    Parameters
    ----------
    random_state : int or None
        Deals the images to inner folds, and starts the network.
    cv : int, >= 2
        Inner folds.
    network : bool
        Whether the network may compete.
    flip : bool
        Whether augmentation mirrors images; off, as mirrored digits and hands are others.

    Attributes
    ----------
    classes_ : ndarray of shape (k,)
    chosen_ : str
        Which model won, with the inner scores.

    Notes
    -----
    The network (four convolutions on 32 x 32 pixels) is trained with shifts, rotations, scaling and
    brightness, for at most 1,200 steps however many images there are. It is judged on the same
    held-out images as the linear model. It does not compete below 2 images a class (nothing could
    judge it), nor where the linear model reaches 0.995 on 300 images or more. Above 2,000 images a
    stratified sample of 2,000 tunes the linear model.

    References
    ----------
    Dalal & Triggs, Histograms of oriented gradients, CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> dark, light = np.zeros((4, 32, 32, 3), np.uint8), np.full((4, 32, 32, 3), 200, np.uint8)
    >>> model = ScratchImage(network=False)
    >>> model = model.fit(np.concatenate([dark, light]), ["dark"] * 4 + ["light"] * 4)
    >>> model.predict(light[:1]).tolist()
    ['light']
    """

    def __init__(
        self, *, random_state: int | None = 0, cv: int = 3, network: bool = True, flip: bool = False
    ) -> None:
        self.random_state = random_state
        self.cv = cv
        self.network = network
        self.flip = flip


class ScratchImageRegressor(_Images, LinearOrNetworkRegressor):
    """HOG, colours and pixels with ridge regression, or a small CNN: what the images prefer.

    Parameters
    ----------
    random_state : int or None
        Starts the network, deals the images that judge it.
    cv : int, >= 2
        One image in ``cv`` judges the network.
    network : bool
        Whether the network may compete (from 30 images on).
    flip : bool
        Whether augmentation mirrors images.

    Attributes
    ----------
    chosen_ : str
        Which model won, with the inner R2.

    References
    ----------
    Dalal & Triggs, Histograms of oriented gradients, CVPR 2005.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.stack([np.full((16, 16, 3), level, np.uint8) for level in range(0, 200, 20)])
    >>> round(float(ScratchImageRegressor().fit(X, np.arange(10.0)).predict(X[4:5])[0]), 1)
    4.0
    """

    def __init__(
        self, *, random_state: int | None = 0, cv: int = 3, network: bool = True, flip: bool = False
    ) -> None:
        self.random_state = random_state
        self.cv = cv
        self.network = network
        self.flip = flip
