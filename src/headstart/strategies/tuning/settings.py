"""How a source is tuned: every knob of one training run, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Target = Literal["classes", "numbers", "sets"]
Train = Literal["all", "biases", "lora"]


@dataclass(frozen=True)
class Settings:
    """Every knob of one training run.

    Parameters
    ----------
    train : {"all", "biases", "lora"}
        What trains in the blocks that are not frozen.
    depth : int or None
        How many blocks train, counted from the last; None: all of them.
    gradual : bool
        Start with the last block and unfreeze towards the first (ULMFiT).
    head_first : bool
        Start from the probe's solution, not from a head of zeros.
    rate, head_rate : float
        Peak learning rates of the last block and of the head.
    decay : float
        Factor on the rate from one block to the one before it; 1 gives all the same.
    epochs : int
    batch : int
        Items an optimiser step.
    warmup : float
        Share of the steps over which the rate rises.
    schedule : {"cosine", "one-cycle", "constant", "linear"}
    weight_decay : float
        Of matrices and kernels, never of biases, norms and embeddings.
    clip : float
        Largest norm of the gradient.
    smoothing : float
        Of the labels, 0 to 1.
    dropout : float or None
        Replaces the dropout of the blocks that train; None keeps the source's own.
    validation : float
        Share of the items that chooses among epochs; 0 where there are too few.
    patience : int
        Evaluations without a better one before training stops.
    ema : float
        Averages the weights over about this share of the steps; 0 does not.
    l2_sp, bss : float
        Strengths of the regularisers; 0 leaves them out.
    wise : bool
        Interpolate between the frozen and the tuned model, as validation prefers.
    batch_norm : {"frozen", "train"}
        Whether the statistics of batch norm in blocks that train move.
    views : int
        Augmented views of each image that a cached prefix keeps.
    crop, strength, mixup : float
        Of image augmentation.
    flip : bool
    mask_tokens : float
        Share of the tokens of a text that is masked, 0 to 1.
    size : int
        Pixels of a side of the images that train.
    rank, alpha : LoRA's.
    contrast : float
        Temperature of the contrastive loss that takes the place of the head's; 0: none.
    pooling : {"mean", "attentive"}
        Of the frames of sounds.
    """

    train: Train = "all"
    depth: int | None = None
    gradual: bool = False
    head_first: bool = False
    rate: float = 1e-4
    head_rate: float = 1e-3
    decay: float = 0.9
    epochs: int = 5
    batch: int = 32
    warmup: float = 0.1
    schedule: Literal["cosine", "one-cycle", "constant", "linear"] = "cosine"
    weight_decay: float = 0.01
    clip: float = 1.0
    smoothing: float = 0.1
    dropout: float | None = None
    validation: float = 0.1
    patience: int = 3
    ema: float = 0.0
    l2_sp: float = 0.0
    bss: float = 0.0
    wise: bool = False
    batch_norm: Literal["frozen", "train"] = "frozen"
    views: int = 8
    crop: float = 0.5
    strength: float = 0.5
    mixup: float = 0.0
    flip: bool = False
    mask_tokens: float = 0.0
    size: int = 0
    rank: int = 8
    alpha: float = 16.0
    contrast: float = 0.0
    pooling: Literal["mean", "attentive"] = "mean"
