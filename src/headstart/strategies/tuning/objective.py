"""What is minimised: the loss of each item, its weight, and how validation is scored."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from headstart.core.errors import OutOfMemoryError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.strategies.tuning.items import order_of
from headstart.strategies.tuning.settings import Target


class Objective:
    """Truth and loss of n items.

    Parameters
    ----------
    kind : {"classes", "numbers", "sets"}
        One class an item (cross-entropy), a standardised number (squared error), or any set of
        labels (binary cross-entropy, averaged over the labels).
    truth : ndarray
        Codes (n,), numbers (n,) or indicators (n, k).
    outputs : int
        Of the head.
    weights : ndarray of shape (n,), optional
    smoothing : float
        Of the labels, 0 to 1.
    """

    def __init__(
        self,
        kind: Target,
        truth: AnyArray,
        outputs: int,
        *,
        weights: FloatArray | None = None,
        smoothing: float = 0.0,
    ) -> None:
        self.kind, self.outputs = kind, outputs
        self.truth = torch.from_numpy(np.ascontiguousarray(truth))
        given = np.ones(len(truth)) if weights is None else weights
        self.weights = torch.from_numpy(np.asarray(given, dtype=np.float32))
        self._smoothing = smoothing

    def order(
        self, sizes: IntArray, index: IntArray, batch: int, generator: torch.Generator
    ) -> list[IntArray]:
        """Return the batches of an epoch over the items at ``index``."""
        return order_of(sizes, index, batch, generator)

    def targets(self, index: AnyArray) -> Tensor:
        """Return the targets (m, k) of items as float32, smoothed."""
        truth = self.truth[torch.from_numpy(np.asarray(index))]
        if self.kind == "numbers":
            return truth.float()[:, None]
        if self.kind == "classes":
            hot = functional.one_hot(truth.long(), self.outputs).float()
            return hot * (1 - self._smoothing) + self._smoothing / self.outputs
        return truth.float() * (1 - self._smoothing) + self._smoothing / 2

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (m,) of outputs (m, k) against targets (m, k)."""
        if self.kind == "classes":
            return -(targets * functional.log_softmax(outputs, dim=1)).sum(dim=1)
        if self.kind == "numbers":
            return (outputs - targets).square().mean(dim=1)
        return functional.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(
            dim=1
        )

    def judged(self, outputs: Tensor, index: AnyArray) -> tuple[float, float]:
        """Return (score, loss) of outputs (m, k) for items: more is better, less is better.

        The score is the accuracy, or the share of labels that are right; of numbers, the negative
        loss.
        """
        weights = self.weights[torch.from_numpy(np.asarray(index))].double()
        scores, losses = (each * weights for each in self.each(outputs, index))
        return float(scores.sum() / weights.sum()), float(losses.sum() / weights.sum())

    def each(self, outputs: Tensor, index: AnyArray) -> tuple[Tensor, Tensor]:
        """Return scores (m,) and losses (m,) of outputs (m, k), item by item, without smoothing."""
        truth = self.truth[torch.from_numpy(np.asarray(index))]
        plain = Objective(self.kind, self.truth.numpy(), self.outputs)
        losses = plain.losses(outputs.double(), plain.targets(index).double())
        if self.kind == "numbers":
            return -losses, losses
        if self.kind == "classes":
            return (outputs.argmax(dim=1) == truth).double(), losses
        return ((outputs > 0) == (truth > 0)).double().mean(dim=1), losses


def clearly_better(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> bool:
    """Say whether the first model beats the second on the same items by more than chance explains.

    Its mean score must not be lower, and its mean loss lower by more than one standard error of
    the paired difference: what few items prefer by a hair is chance.

    Parameters
    ----------
    first, second : (scores of shape (m,), losses of shape (m,))
    """
    gain = second[1] - first[1]
    error = float(gain.std()) / len(gain) ** 0.5 if len(gain) > 1 else float("inf")
    return bool(first[0].mean() >= second[0].mean() and float(gain.mean()) > error)


def micro_pieces(n: int, size: int) -> list[slice]:
    """Return the slices that cut n items into pieces of at most ``size``."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error tells that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in text or "out of memory" in text
    )


def no_memory(name: str) -> OutOfMemoryError:
    """Return the error for a source of which not even one item at a time fits."""
    return OutOfMemoryError(
        "not even one item at a time fits into memory",
        where=name,
        hint="a smaller source, fewer blocks (depth), or shorter texts",
    )
