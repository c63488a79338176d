"""A backbone with a head on it: which of its parameters train, and what has changed since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray, IntArray
from headstart.sources.backbone import Backbone
from headstart.strategies.tuning import lora
from headstart.strategies.tuning.items import Midway, SoundBatch
from headstart.strategies.tuning.settings import Settings

_NORMS = (nn.modules.batchnorm._BatchNorm,)


class RowEmbedding(nn.Module):
    """An embedding of which only some rows are kept: those of the tokens that occur.

    The rows of tokens that do not occur get no gradient, so without weight decay on them nothing
    is lost; the optimiser's work and memory shrink from the vocabulary to what is used of it.

    Parameters
    ----------
    full : nn.Embedding
    used : ndarray of int
        The ids that may be looked up, sorted.
    """

    lookup: Tensor

    def __init__(self, full: nn.Embedding, used: IntArray) -> None:
        super().__init__()
        self.full = (full,)  # in a tuple: its parameters are not this module's
        self.used = torch.from_numpy(np.asarray(used, dtype=np.int64))
        self.weight = nn.Parameter(full.weight.detach()[self.used].clone())
        lookup = torch.full((full.num_embeddings,), -1, dtype=torch.int64)
        lookup[self.used] = torch.arange(len(used))
        self.register_buffer("lookup", lookup, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the rows of ids (n, t) as (n, t, width)."""
        return functional.embedding(self.lookup[ids], self.weight)


class Network(nn.Module):
    """A backbone and a linear head on its standardised features.

    Parameters
    ----------
    backbone : Backbone
        Changed in place by training.
    outputs : int
    mean : ndarray of shape (dim,)
    scale : float
        The head sees ``(features - mean) / scale``, so that one rate suits every source.
    """

    mean: Tensor

    def __init__(self, backbone: Backbone, outputs: int, mean: FloatArray, scale: float) -> None:
        super().__init__()
        self.backbone = backbone
        # not initialised at random: that would draw from torch's global generator
        self.head: nn.Linear = nn.utils.skip_init(nn.Linear, len(mean), outputs)
        self.register_buffer("mean", torch.tensor(np.asarray(mean, dtype=np.float32)))
        self.scale = float(scale)
        self.first_trained = 0
        self._batch_norm = "frozen"
        self._trainable: list[list[nn.Parameter]] = [[] for _ in backbone.blocks]
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()

    @property
    def n_blocks(self) -> int:
        """How many blocks the backbone has."""
        return len(self.backbone.blocks)

    def start_head(self, coef: FloatArray, intercept: FloatArray) -> None:
        """Let the head be a linear model on raw features: coef (dim, k) and intercept (k,)."""
        weight = torch.tensor(np.asarray(coef, dtype=np.float64).T)
        bias = torch.tensor(np.asarray(intercept, dtype=np.float64))
        with torch.no_grad():
            self.head.weight.copy_(weight * self.scale)
            self.head.bias.copy_(bias + weight @ self.mean.double().to(weight.device))

    def linear(self) -> tuple[FloatArray, FloatArray]:
        """Return the head as coef (dim, k) and intercept (k,) on raw features, float64."""
        weight = self.head.weight.detach().cpu().double() / self.scale
        bias = self.head.bias.detach().cpu().double() - weight @ self.mean.cpu().double()
        return np.ascontiguousarray(weight.T.numpy()), bias.numpy()

    def run_prefix(self, batch: Any, stop: int) -> Any:
        """Return the state after the first ``stop`` blocks, without gradients."""
        with torch.no_grad():
            state = self.backbone.start(batch)
            for block in self.backbone.blocks[:stop]:
                state = block(state)
        return state

    def forward(self, batch: Any, first: int = 0) -> tuple[Tensor, Tensor]:
        """Return features (n, dim) and outputs (n, k), both float32.

        Parameters
        ----------
        batch
            What ``backbone.start`` takes, or the state before block ``first``.
        first : int
        """
        if isinstance(batch, SoundBatch):
            rows = [self._pooled(part, first) for part in batch.parts]
            features = batch.averaged(torch.cat(rows))
        else:
            features = self._pooled(batch, first)
        return features, self.head((features - self.mean) / self.scale)

    def _pooled(self, batch: Any, first: int) -> Tensor:
        """Return the backbone's features (n, dim), float32, of a batch or a state."""
        frozen = self.first_trained
        state = batch
        if isinstance(batch, Midway):
            told = self.run_prefix(batch.batch, 1)
            state = replace(told, hidden=batch.hidden, as_tuple=batch.as_tuple)
        if first == 0:
            state = self.run_prefix(batch, frozen) if frozen else self.backbone.start(batch)
            first = frozen
        for block in self.backbone.blocks[first:]:
            state = block(state)
        pooled: Tensor = self.backbone.pool(state).float()
        return pooled

    def prepare(self, settings: Settings, used: IntArray | None, generator: torch.Generator) -> int:
        """Say what trains, as the settings ask; return the first block that may.

        Parameters
        ----------
        settings : Settings
        used : ndarray of int or None
            Token ids that occur, where the items are texts.
        generator : torch.Generator
            Draws LoRA's start.

        Raises
        ------
        OptionError
            There are fewer blocks than shall train, or nothing in them that can.
        """
        depth = self.n_blocks if settings.depth is None else settings.depth
        if not 0 <= depth <= self.n_blocks:
            raise OptionError(
                "the source has not so many blocks",
                where="depth",
                got=depth,
                allowed=f"0 to {self.n_blocks}",
            )
        first = self.n_blocks - depth
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(False)
        for block in self.backbone.blocks[first:]:
            if settings.train == "lora":
                if _adaptable(block):
                    lora.adapt(block, rank=settings.rank, alpha=settings.alpha, generator=generator)
                continue
            for name, parameter in block.named_parameters():
                if settings.train == "all" or _bias(name):
                    parameter.requires_grad_(True)
        if depth and not any(p.requires_grad for p in self.backbone.parameters()):
            raise _nothing_to_train(self.backbone, settings, first)
        for _, parameter in self.head_trained():
            parameter.requires_grad_(True)
        if settings.train == "all" and first == 0 and used is not None:
            self._keep_rows(used)
        if settings.dropout is not None:
            for module in self.backbone.blocks[first:].modules():
                if isinstance(module, nn.Dropout):
                    module.p = settings.dropout
        self._trainable = [
            [p for p in block.parameters() if p.requires_grad] for block in self.backbone.blocks
        ]
        self._batch_norm = settings.batch_norm
        self.train_from(first)
        return first

    def _keep_rows(self, used: IntArray) -> None:
        """Put the rows in use in the place of the word embedding."""
        looked_up = self._looked_up(used)
        for parent in list(self.backbone.blocks[0].modules()):
            for name, child in list(parent.named_children()):
                if (
                    isinstance(child, nn.Embedding)
                    and child in looked_up
                    and child.num_embeddings > 4 * len(used)
                    and child.weight.requires_grad
                    and not isinstance(parent, nn.ModuleList)  # whoever calls it is elsewhere
                ):
                    child.weight.requires_grad_(False)
                    setattr(parent, name, RowEmbedding(child, used))

    def _looked_up(self, used: IntArray) -> list[Any]:
        """Return the embeddings of the first block that are given the ids of tokens."""
        ids = torch.from_numpy(np.array([[used[-1], used[0]]], dtype=np.int64))
        found: list[Any] = []

        def note(module: nn.Module, given: tuple[Any, ...]) -> None:
            if given and isinstance(given[0], Tensor) and torch.equal(given[0].cpu(), ids):
                found.append(module)

        tables = [m for m in self.backbone.blocks[0].modules() if isinstance(m, nn.Embedding)]
        handles = [table.register_forward_pre_hook(note) for table in tables]
        try:
            self.eval()
            self.run_prefix((ids, torch.ones_like(ids)), 1)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def train_from(self, first: int) -> None:
        """Let the blocks from ``first`` on train (of what may), and no others."""
        self.first_trained = first
        for place, parameters in enumerate(self._trainable):
            for parameter in parameters:
                parameter.requires_grad_(place >= first)
                if place < first:
                    parameter.grad = None

    def blocks_trained(self) -> list[list[tuple[str, nn.Parameter]]]:
        """Return what may train in each block, by name within the network."""
        names = {id(p): name for name, p in self.named_parameters()}
        return [[(names[id(p)], p) for p in block] for block in self._trainable]

    def head_trained(self) -> list[tuple[str, nn.Parameter]]:
        """Return what trains at the head's rate, by name: the head, and the query of attention."""
        found = [(f"head.{name}", p) for name, p in self.head.named_parameters()]
        query = getattr(self.backbone, "query", None)
        if query is not None:
            found.append(("backbone.query", query))
        return found

    def named_trained(self) -> dict[str, Tensor]:
        """Return every tensor that training may change: parameters, moving statistics, head."""
        found: dict[str, Tensor] = {}
        for block in self.blocks_trained():
            found |= dict(block)
        found |= dict(self.head_trained())
        if self._batch_norm == "train":
            trained = {id(p) for block in self._trainable for p in block}
            for prefix, module in self.named_modules():
                if isinstance(module, _NORMS) and id(module.weight) in trained:
                    for name in ("running_mean", "running_var"):
                        found[f"{prefix}.{name}"] = getattr(module, name)
        return found

    @contextlib.contextmanager
    def training_mode(self) -> Iterator[None]:
        """Put what trains into training mode, what is frozen into evaluation mode."""
        self.eval()
        for place, block in enumerate(self.backbone.blocks):
            if place >= self.first_trained and self._trainable[place]:
                block.train()
        moving = self._batch_norm == "train"
        for module in self.backbone.modules():
            if isinstance(module, _NORMS):
                own = module.weight is not None and module.weight.requires_grad
                module.train(moving and own)
        try:
            yield
        finally:
            self.eval()

    def hold_statistics(self) -> None:
        """Let no statistics of batch norm move until the mode is set again."""
        for module in self.backbone.modules():
            if isinstance(module, _NORMS):
                module.eval()

    def changed(self) -> dict[str, AnyArray]:
        """Return what training changed in the backbone, by the backbone's own names.

        LoRA is merged by this, kept rows are put back. ``rows.NAME`` are rows of the tensor NAME,
        and ``index.NAME`` which; every other tensor is whole.
        """
        names = set(self.named_trained())
        adapted = {
            f"{prefix}.weight"
            for prefix, module in self.named_modules()
            if parametrize.is_parametrized(module, "weight")
        }
        lora.merge(self.backbone)
        found: dict[str, AnyArray] = {}
        state = dict(self.named_parameters()) | dict(self.named_buffers())
        for name, tensor in state.items():
            if name not in names | adapted or name.startswith("head."):
                continue
            short = name.removeprefix("backbone.")
            array = tensor.detach().cpu().numpy().copy()
            owner = self.get_submodule(name.rpartition(".")[0])
            if isinstance(owner, RowEmbedding):
                found[f"rows.{short}"] = array
                found[f"index.{short}"] = owner.used.numpy()
            else:
                found[short] = array
        return found


def _bias(name: str) -> bool:
    """Say whether a parameter is a bias, by its name; an LSTM has ``bias_ih_l0`` and the like."""
    return name.rpartition(".")[2].startswith("bias")


def _nothing_to_train(backbone: Backbone, settings: Settings, first: int) -> OptionError:
    """Return the error for blocks that have nothing of what shall train."""
    wanted = {"lora": "linear layer or 1x1 convolution for LoRA", "biases": "bias"}
    return OptionError(
        f"the blocks that would train have no {wanted.get(settings.train, 'weight')}",
        where=f"the source {backbone.card.name}",
        got=", ".join(backbone.block_names[first:]),
        hint="another strategy, as partial or finetune; or another source",
    )


def _adaptable(block: nn.Module) -> bool:
    """Say whether LoRA finds a layer in a block: a linear one, or a 1x1 convolution."""
    return any(
        isinstance(layer, nn.Linear)
        or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1)
        for layer in block.modules()
    )
