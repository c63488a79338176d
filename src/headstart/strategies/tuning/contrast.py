"""Contrastive tuning: items of a class are pulled together, items of different classes apart.

All pairs of a batch are compared at once, so m items cost m passes and give m (m - 1) / 2 pairs;
however many labels there are, a step sees one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.logistic import fit_logistic
from headstart.strategies.ridge import decompose
from headstart.strategies.tuning.items import count_batches
from headstart.strategies.tuning.objective import Objective, micro_pieces

PIECE = 8  # items of similar length that go through the network together
HEAD_C = 1.0  # inverse penalty of the head, over the mean squared norm of the centred rows


class Pairs(Objective):
    """The supervised contrastive loss of a batch; else as :class:`Objective` of classes.

    Parameters
    ----------
    truth : ndarray of shape (n,)
        Codes of classes.
    outputs : int
        How many classes.
    weights : ndarray of shape (n,), optional
    temperature : float
        What similarities are divided by, above 0.

    References
    ----------
    Khosla et al., Supervised contrastive learning, NeurIPS 2020 (L_out, eq. 2). Tunstall et al.,
    Efficient few-shot learning without prompts, 2022 (tuning on pairs, then a head). Gao et al.,
    Scaling deep contrastive learning batch size under memory limited setup, 2021 (pieces).
    """

    def __init__(
        self,
        truth: AnyArray,
        outputs: int,
        *,
        weights: FloatArray | None = None,
        temperature: float,
    ) -> None:
        super().__init__("classes", truth, outputs, weights=weights)
        self.temperature = temperature

    def loss(self, features: Tensor, index: IntArray) -> Tensor:
        """Return the loss of the features (m, d) of the items at ``index``."""
        truth = self.truth[torch.from_numpy(index)].to(features.device)
        return contrast(features.float(), truth, self.temperature)

    def order(
        self, sizes: IntArray, index: IntArray, batch: int, generator: torch.Generator
    ) -> list[IntArray]:
        """Return the batches of an epoch: see :func:`balanced`."""
        return balanced(self.truth.numpy(), sizes, index, batch, generator)

    def backward(
        self, features_of: Callable[[IntArray], Tensor], index: IntArray, micro: int, noise: Noise
    ) -> float:
        """Add the gradient of a batch's loss to the parameters; return the loss.

        A batch of which all activations fit goes through in pieces of similar length, and back
        once. A larger one goes through twice: without gradients for the features, then piece by
        piece with the gradient of the loss at its features. The same numbers are drawn both times.

        Parameters
        ----------
        features_of : callable
            From places of items to their features (m, d), drawing what is random anew.
        index : ndarray of int
            The batch, sorted by size.
        micro : int
            Items whose activations fit into memory.
        noise : (callable, callable)
            Returns the state of what draws random numbers; takes it back.
        """
        if len(index) <= micro:
            pieces = micro_pieces(len(index), PIECE)
            loss = self.loss(torch.cat([features_of(index[piece]) for piece in pieces]), index)
            loss.backward()
            return float(loss.detach())
        pieces = micro_pieces(len(index), micro)
        keep, put = noise
        states, found = [], []
        with torch.no_grad():
            for piece in pieces:
                states.append(keep())
                found.append(features_of(index[piece]))
        features = torch.cat(found).requires_grad_(True)
        loss = self.loss(features, index)
        loss.backward()
        assert features.grad is not None
        for piece, state in zip(pieces, states, strict=True):
            put(state)
            features_of(index[piece]).backward(features.grad[piece])
        return float(loss.detach())


Noise = tuple[Callable[[], object], Callable[[object], None]]


def contrast(features: Tensor, truth: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of features (m, d) of classes (m,).

    For each item with another of its class in the batch, the mean over those of
    ``-log(exp(s_ip / t) / sum over a != i of exp(s_ia / t))``, s the cosine; then the mean over
    the items of a class, and over the classes. In a batch without two of a class it is 0.
    """
    unit = functional.normalize(features, dim=1)
    own = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    scores = (unit @ unit.T / temperature).masked_fill(own, float("-inf"))
    logs = functional.log_softmax(scores, dim=1)
    same = (truth[:, None] == truth[None, :]) & ~own
    partners = same.sum(dim=1)
    each = -logs.masked_fill(~same, 0.0).sum(dim=1) / partners.clamp(min=1)
    share = (partners > 0) / (partners + 1)  # 1 a class
    return (each * share).sum() / share.sum().clamp(min=1.0)


def balanced(
    truth: IntArray, sizes: IntArray, index: IntArray, batch: int, generator: torch.Generator
) -> list[IntArray]:
    """Return the batches of an epoch, in which every class has a part as large as any other.

    As many batches as the items would fill; each is sorted by size. Classes take turns in an order
    that is drawn anew, and so do the items of a class: at least two of a class in a batch, and no
    item more than twice. The only item of a class comes twice: dropout, or augmentation, makes a
    pair of it.

    Parameters
    ----------
    truth : ndarray of shape (n,)
        Codes of classes.
    sizes : ndarray of shape (n,)
        What items cost.
    index : ndarray of int
        The items that take part.
    batch : int
        Items of a batch.
    generator : torch.Generator
    """
    classes = np.unique(truth[index])
    some = max(1, min(len(classes), batch // 2))  # classes of a batch
    places = [index[truth[index] == code] for code in classes]
    turns = _turns(len(classes), generator)
    items = [_turns(len(own), generator) for own in places]
    batches: list[IntArray] = []
    for _ in range(count_batches(len(index), batch)):
        drawn: list[int] = []
        while len(drawn) < some:
            at = next(turns)
            if at not in drawn:  # where one round of turns ends and the next begins
                drawn.append(at)
        chosen: list[int] = []
        for left, at in zip(range(some, 0, -1), drawn, strict=True):
            share = max(2, round((batch - len(chosen)) / left))
            own = places[at]
            chosen += [int(own[next(items[at])]) for _ in range(min(share, max(2, len(own))))]
        found = np.array(chosen, dtype=np.int64)
        batches.append(found[np.argsort(sizes[found], kind="stable")])
    return batches


def _turns(n: int, generator: torch.Generator) -> Iterator[int]:
    """Yield 0 ... n - 1 in a drawn order, then in another, without end."""
    while True:
        yield from torch.randperm(n, generator=generator).tolist()


def head_of(
    features: FloatArray, codes: IntArray, n_classes: int, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return logistic regression on tuned features: coef (d, k) and intercept (k,).

    Its penalty is fixed: tuned on the same labels, the features tell nothing of how well they do
    on others.
    """
    spectrum = decompose(np.asarray(features, dtype=np.float64), weights)
    total = float(spectrum.values.sum()) / float(spectrum.weights.sum())
    C = HEAD_C / (total if total > 0.0 else 1.0)
    fit = fit_logistic(
        spectrum.rotated,
        spectrum.values,
        codes,
        n_classes,
        C,
        weights=spectrum.weights,
        tol=1e-6,
        dtype=np.float64,
    )
    return spectrum.linear(fit.slopes, fit.offset)
