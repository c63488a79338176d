"""A small convolutional network for images and mels, trained from nothing on few of them.

Everything random comes from one generator made of the seed; torch's global state is left as found.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from headstart.core.types import AnyArray, FloatArray
from headstart.encode.lanes import one_thread

SIDE = 32  # pixels a side that the network sees
WIDTHS = (16, 32, 64, 96)
STEPS = 1200  # at most so many gradient steps ...
EPOCHS = 60  # ... or passes over the images, whichever is fewer
FEWEST_STEPS = 200
BATCH = 32
LARGE_BATCH = 128  # from LARGE images on
LARGE = 4000
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 5e-2
SMOOTHING = 0.1
PREDICT_BATCH = 64
Change = Callable[[torch.Tensor, torch.Generator], torch.Tensor]
"""Augments a batch of shape (n, 3, side, side)."""


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network: weights by name, and how pixels are normalised."""

    weights: dict[str, AnyArray]
    n_outputs: int

    def scores(self, images: npt.NDArray[np.uint8]) -> FloatArray:
        """Return the raw outputs of shape (n, n_outputs) for uint8 images (n, side, side, 3)."""
        model = _net(self.n_outputs, seed=0)
        model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in self.weights.items()})
        model.eval()
        parts = [np.zeros((0, self.n_outputs))]
        with torch.inference_mode():
            for start in range(0, len(images), PREDICT_BATCH):
                part = np.asarray(images[start : start + PREDICT_BATCH])
                short = PREDICT_BATCH - len(part)  # one batch size: the same bits for any cut
                full = np.concatenate([part, np.zeros((short, *part.shape[1:]), np.uint8)])
                parts.append(model(_shrink(full)).double().numpy()[: len(part)])
        return np.concatenate(parts)

    def arrays(self) -> dict[str, AnyArray]:
        """Return the weights as named arrays."""
        return dict(self.weights)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, AnyArray], n_outputs: int) -> Network:
        """Rebuild a network from :meth:`arrays`."""
        return cls(dict(arrays), n_outputs)


def _net(n_outputs: int, seed: int) -> Any:
    """Make the network with weights drawn from the seed; torch's own generator is put back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _layers(n_outputs).to(memory_format=torch.channels_last)


def _layers(n_outputs: int) -> Any:
    layers: list[nn.Module] = []
    channels = 3
    for place, width in enumerate(WIDTHS):
        layers += [
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        if place < len(WIDTHS) - 1:
            layers.append(nn.MaxPool2d(2))
        channels = width
    layers += [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * channels, n_outputs)]
    return nn.Sequential(*layers)


def _shrink(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Average down to SIDE x SIDE; values from -1 to 1."""
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    if x.shape[-1] != SIDE or x.shape[-2] != SIDE:
        x = functional.interpolate(x, (SIDE, SIDE), mode="area")
    return x.contiguous(memory_format=torch.channels_last)


def _augment(x: torch.Tensor, generator: torch.Generator, flip: bool) -> torch.Tensor:
    """Shift, rotate, scale and brighten each image by its own amounts."""
    n = len(x)

    def draw(spread: float) -> torch.Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * spread

    angle, scale = draw(math.radians(12)), 1 + draw(0.12)
    mirror = torch.ones(n)
    if flip:
        mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    theta = torch.stack([cos * mirror, -sin, draw(0.2), sin * mirror, cos, draw(0.2)], dim=1)
    grid = functional.affine_grid(theta.view(n, 2, 3), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    contrast, light = 1 + draw(0.25).view(n, 1, 1, 1), draw(0.2).view(n, 1, 1, 1)
    x = x * contrast + light
    return x.contiguous(memory_format=torch.channels_last)


def mel_changes(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift and stretch in time, a little in pitch; other levels; stripes left out (SpecAugment).

    Parameters
    ----------
    x : tensor of shape (n, channels, pitch, time)
    generator : torch.Generator
    """
    n, side = len(x), x.shape[-1]

    def draw(spread: float) -> torch.Tensor:
        return (torch.rand(n, generator=generator) * 2 - 1) * spread

    none = torch.zeros(n)
    theta = torch.stack([1 + draw(0.15), none, draw(0.15), none, 1 + draw(0.05), draw(0.06)], dim=1)
    grid = functional.affine_grid(theta.view(n, 2, 3), list(x.shape), align_corners=False)
    x = functional.grid_sample(x, grid, padding_mode="border", align_corners=False)
    x = x * (1 + draw(0.2).view(n, 1, 1, 1)) + draw(0.15).view(n, 1, 1, 1)
    for along, widest in ((-1, 5), (-2, 4)):
        width = torch.randint(0, widest + 1, (n, 1), generator=generator)
        first = torch.randint(0, side, (n, 1), generator=generator)
        at = torch.arange(side)[None]
        left_out = (at >= first) & (at < first + width)
        shape = (n, 1, 1, side) if along == -1 else (n, 1, side, 1)
        x = torch.where(left_out.view(shape), x.mean(dim=(2, 3), keepdim=True), x)
    return x.contiguous(memory_format=torch.channels_last)


def steps_for(n: int) -> tuple[int, int]:
    """Return batch size and number of steps for n images: EPOCHS passes, FEWEST_STEPS to STEPS."""
    batch = min(LARGE_BATCH if n >= LARGE else BATCH, n)
    return batch, min(max(EPOCHS * n // batch, FEWEST_STEPS), STEPS)


def train(
    images: npt.NDArray[np.uint8],
    target: AnyArray,
    n_classes: int | None,
    *,
    seed: int,
    flip: bool = False,
    change: Change | None = None,
) -> Network:
    """Train by AdamW with a one-cycle rate, augmentation and label smoothing.

    Parameters
    ----------
    images : ndarray of shape (n, side, side, 3), uint8
    target : ndarray of shape (n,)
        Classes 0 ... n_classes - 1, or standardised numbers if ``n_classes`` is None.
    n_classes : int or None
    seed : int
    flip : bool
        Also mirror images left to right.
    change : callable, optional
        Augments a batch, given a generator; by default as suits photographs.

    Returns
    -------
    Network
        At most STEPS steps were made, however many images there are.
    """
    with one_thread():  # its operations are too small to share
        return _train(images, target, n_classes, seed, change or partial(_augment, flip=flip))


def _train(
    images: npt.NDArray[np.uint8],
    target: AnyArray,
    n_classes: int | None,
    seed: int,
    change: Change,
) -> Network:
    n = len(images)
    batch, steps = steps_for(n)
    generator = torch.Generator().manual_seed(seed)
    model = _net(n_classes or 1, seed).train()
    y = torch.from_numpy(np.asarray(target))
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    order = torch.randperm(n, generator=generator)
    place = 0
    for step in range(steps):
        if place + batch > n:
            order, place = torch.randperm(n, generator=generator), 0
        picked = order[place : place + batch]
        place += batch
        warm, done = 0.15, step / steps
        rate = done / warm if done < warm else 0.5 * (1 + math.cos(math.pi * (done - warm) / 0.85))
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * max(rate, 1e-3)
        x = change(_shrink(np.asarray(images[np.sort(picked.numpy())])), generator)
        truth = y[torch.sort(picked).values]
        loss = _loss(model(x), truth, n_classes)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    weights = {k: np.ascontiguousarray(v.detach().numpy()) for k, v in model.state_dict().items()}
    return Network(weights, n_classes or 1)


def _loss(scores: Any, truth: torch.Tensor, n_classes: int | None) -> Any:
    if n_classes is None:
        return functional.mse_loss(scores[:, 0], truth.float())
    return functional.cross_entropy(scores, truth.long(), label_smoothing=SMOOTHING)
