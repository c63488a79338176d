"""Tuning an encoder with a head over its tokens: LoRA, or all blocks but the embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import BundleCorruptError
from headstart.core.types import SILENT, AnyArray, IntArray, Reporter
from headstart.sequences.encoder import layers
from headstart.strategies.tuning import lora
from headstart.strategies.tuning.rules import epochs_for, validation_for
from headstart.strategies.tuning.schedule import rate as rate_at

if TYPE_CHECKING:
    from headstart.sequences.base import Examples
    from headstart.sources.backbone import Backbone

METHODS = ("lora", "finetune")
RANK = 8
RATES = {"lora": (1e-3, 3e-3), "finetune": (1e-4, 3e-3)}
"""Of the source and of the head, as ``strategies.tuning`` measured them for texts."""
BATCH = 16
PATIENCE = 4
STAGE = "tuning"


class Learnt(nn.Module):
    """A network of which a part is trained: that part is saved."""

    def learnt(self) -> dict[str, nn.Parameter]:
        """Return what is trained, by name."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}

    def arrays(self) -> dict[str, AnyArray]:
        """Return what is trained as float32 arrays."""
        return {
            name: one.detach().cpu().numpy().astype(np.float32)
            for name, one in self.learnt().items()
        }

    def fill(self, arrays: Mapping[str, AnyArray]) -> Self:
        """Set what ``arrays`` returned; returns itself, ready to answer.

        Raises
        ------
        BundleCorruptError
            Names or shapes are not those of this network.
        """
        want = {name: tuple(one.shape) for name, one in self.learnt().items()}
        got = {name: tuple(np.shape(one)) for name, one in arrays.items()}
        if want != got:
            wrong = sorted(n for n in want.keys() | got.keys() if want.get(n) != got.get(n))
            raise BundleCorruptError(
                f"{len(wrong)} tensors are missing, left over or of another shape",
                got={name: got.get(name, "missing") for name in wrong[:3]},
                allowed=str({name: want.get(name, "none") for name in wrong[:3]}),
            )
        with torch.no_grad():
            for name, one in self.learnt().items():
                one.copy_(torch.tensor(np.asarray(arrays[name], dtype=np.float32)))
        return self.eval()


class Tuned(Learnt):
    """An encoder of which a part is trained, and a linear head over its tokens.

    Parameters
    ----------
    backbone : Backbone
        Changed in place.
    outputs : int
        Of the head.
    method : {"lora", "finetune"}
    seed : int
        Draws the head and the low-rank updates.

    References
    ----------
    Peters et al., "Deep contextualized word representations", NAACL 2018 (the mean of layers).
    """

    def __init__(self, backbone: Backbone, outputs: int, method: str, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.backbone, self.method = backbone, method
        for weight in backbone.parameters():
            weight.requires_grad_(False)
        if method == "lora":
            lora.adapt(backbone.blocks, rank=RANK, alpha=2.0 * RANK, generator=generator)
        else:
            blocks = list(backbone.blocks)
            for block in blocks[1:] or blocks:
                for weight in block.parameters():
                    weight.requires_grad_(True)
        self.head = nn.utils.skip_init(nn.Linear, backbone.card.dim, outputs)
        with torch.no_grad():
            self.head.weight.normal_(0.0, 0.02, generator=generator)
            self.head.bias.zero_()
        self.head_mix = nn.Parameter(torch.zeros(len(backbone.blocks)))
        self.dropout = nn.Dropout(0.1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the states of tokens, (n, t, width): a learnt mean over the layers."""
        width = (self.backbone.card.dim,)
        found = [nn.functional.layer_norm(one, width) for one in layers(self.backbone, ids, mask)]
        shares = torch.softmax(self.head_mix, dim=0)
        mixed = found[0] * shares[0]
        for share, one in zip(shares[1:], found[1:], strict=True):
            mixed = mixed + share * one
        return mixed

    def scores(self, hidden: Tensor) -> Tensor:
        """Return what the head makes of states."""
        return self.head(self.dropout(hidden))


def train(
    net: nn.Module,
    learnt: Mapping[str, nn.Parameter],
    n: int,
    loss: Callable[[Sequence[int]], Tensor],
    score: Callable[[], float] | None,
    *,
    rates: tuple[float, float],
    seed: int,
    sizes: Sequence[int],
    batch: int = BATCH,
    epochs: int | None = None,
    reporter: Reporter = SILENT,
) -> int:
    """Train a network, and keep its state of the best epoch.

    Parameters
    ----------
    net : nn.Module
    learnt : mapping of name to parameter
        Those whose name starts with ``head`` have the second rate.
    n : int
        Examples, at least 1.
    loss : callable
        ``loss(index)`` of a batch.
    score : callable, optional
        More is better; without it all epochs are done and the last counts.
    rates : tuple of float
    seed : int
    sizes : sequence of int, length n
        Examples of like size make a batch.
    batch : int
    epochs : int, optional
        By the number of examples if not given.
    reporter : Reporter

    Returns
    -------
    int
        The number of epochs after which it was best.
    """
    heads = [one for name, one in learnt.items() if name.startswith("head")]
    others = [one for name, one in learnt.items() if not name.startswith("head")]
    parts = [(others, rates[0]), (heads, rates[1])]
    groups = [{"params": part, "lr": rate, "peak": rate} for part, rate in parts if part]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    epochs = epochs or epochs_for("text", n)
    total = epochs * -(-n // batch)
    best, kept, at, step = -np.inf, copied(learnt), 0, 0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        for epoch in range(1, epochs + 1):
            net.train()
            for index in _order(sizes, batch, rng):
                for group in optimiser.param_groups:
                    group["lr"] = group["peak"] * rate_at(step, total)
                optimiser.zero_grad()
                value = loss(index)
                value.backward()
                nn.utils.clip_grad_norm_(list(learnt.values()), 1.0)
                optimiser.step()
                step += 1
                reporter.progress(STAGE, step, total, "steps")
            net.eval()
            reached = float(epoch) if score is None else score()
            if reached > best:
                best, kept, at = reached, copied(learnt), epoch
            elif epoch - at >= PATIENCE:
                break
    with torch.no_grad():
        for name, one in learnt.items():
            one.copy_(kept[name])
    net.eval()
    return at


def copied(learnt: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return what parameters hold now."""
    return {name: one.detach().clone() for name, one in learnt.items()}


def _order(sizes: Sequence[int], batch: int, rng: Any) -> list[list[int]]:
    """Return batches of examples of like size, in random order."""
    window = batch * 20
    order = rng.permutation(len(sizes))
    found = []
    for first in range(0, len(order), window):
        part = sorted(order[first : first + window].tolist(), key=lambda one: sizes[one])
        found += [part[i : i + batch] for i in range(0, len(part), batch)]
    return [found[i] for i in rng.permutation(len(found))]


def held_out(examples: Examples, seed: int) -> tuple[IntArray, IntArray]:
    """Return (to train on, to validate on): whole groups, none where there are too few examples."""
    everything = np.arange(examples.n)
    share = validation_for(examples.n, 1)
    groups = np.unique(examples.groups)
    if not share or len(groups) < 4:
        return everything, np.zeros(0, dtype=np.int64)
    order = np.random.default_rng(seed).permutation(groups)
    wanted, chosen = share * examples.n, []
    size = 0
    for group in order[: len(groups) // 2]:
        if size >= wanted:
            break
        chosen.append(group)
        size += int((examples.groups == group).sum())
    inside = np.isin(examples.groups, chosen)
    return everything[~inside], everything[inside]
