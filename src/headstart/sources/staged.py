"""Any transformers encoder as an ordered list of blocks, without knowing its code.

The layers of an encoder are called with arguments that differ from one architecture to the next
(masks, rotary tables, biases). They are not reimplemented here but recorded: the front of the
model runs until it calls its first layer, which tells the arguments; the layers then run one by
one; and the model is run once more with its layers bypassed for what comes after them (a final
norm, a pooler). Where that does not give what the model itself gives, the model is one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.sources import hf_audio
from headstart.sources.backbone import Backbone, pool_tokens
from headstart.sources.cards import SourceCard


@dataclass(frozen=True, eq=False)
class Running:
    """The state between two layers: hidden states, and what every layer is called with."""

    batch: Any
    hidden: Any
    args: tuple[Any, ...] = ()
    kwargs: Any = None
    as_tuple: bool = False


class _Reached(Exception):  # noqa: N818 (a signal, not an error)
    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        super().__init__("the first layer was reached")
        self.call = (args, kwargs)


class _Front(nn.Module):
    """Everything before the first layer; owns the modules in it."""

    def __init__(self, model: nn.Module, layers: list[nn.Module], parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._model, self._first = (model,), (layers[0],)

    def forward(self, state: Running) -> Running:
        def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            raise _Reached(args, kwargs)

        handle = self._first[0].register_forward_pre_hook(stop, with_kwargs=True)
        try:
            call(self._model[0], state.batch)
        except _Reached as reached:
            args, kwargs = reached.call
        finally:
            handle.remove()
        if args:
            return replace(state, hidden=args[0], args=args[1:], kwargs=dict(kwargs))
        kwargs = dict(kwargs)
        return replace(state, hidden=kwargs.pop("hidden_states"), kwargs=kwargs)


class _Step(nn.Module):
    """One layer of the encoder."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, state: Running) -> Running:
        out = self.layer(state.hidden, *state.args, **state.kwargs)
        if isinstance(out, tuple):
            return replace(state, hidden=out[0], as_tuple=True)
        return replace(state, hidden=out)


class _Tail(nn.Module):
    """Everything after the last layer; owns the modules in it."""

    def __init__(self, model: nn.Module, layers: list[nn.Module], parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self._model, self._layers = (model,), tuple(layers)

    def forward(self, state: Running) -> Running:
        hidden = (state.hidden,) if state.as_tuple else state.hidden
        with _bypassed(self._layers, hidden):
            return replace(state, hidden=call(self._model[0], state.batch))


class _Whole(nn.Module):
    """The model as one block."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, state: Running) -> Running:
        return replace(state, hidden=call(self.model, state.batch))


@contextmanager
def _bypassed(layers: tuple[nn.Module, ...], out: Any) -> Iterator[None]:
    for layer in layers:
        object.__setattr__(layer, "forward", lambda *args, **kwargs: out)
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "forward")


def call(model: nn.Module, batch: Any) -> Any:
    """Run a transformers model on a batch: (ids, mask), pixels, or arguments by name."""
    if isinstance(batch, dict):
        return model(**batch)
    if isinstance(batch, tuple):
        return model(input_ids=batch[0], attention_mask=batch[1])
    return model(pixel_values=batch)


def probe(card: SourceCard) -> Any:
    """Return a small batch of two, the same every time, the second text shorter than the first."""
    if card.modality == "audio":
        return hf_audio.probe(card.input)
    if card.modality == "image":
        side = card.input["size"]
        return torch.linspace(-1, 1, 2 * 3 * side * side).reshape(2, 3, side, side).sin()
    t = min(6, card.input["max_tokens"])
    ids = torch.arange(2 * t).reshape(2, t) % min(card.config.get("vocab_size", 100), 100)
    mask = torch.ones(2, t, dtype=torch.int64)
    mask[1, t - 1 :] = 0
    return ids, mask


class HubBackbone(Backbone):
    """A transformers encoder as a backbone; its blocks are its layers where that can be proven."""

    def __init__(self, card: SourceCard, model: nn.Module, probe: Any) -> None:
        staged = _staged(model)
        blocks = staged or [("model", _Whole(model))]
        super().__init__(card, blocks)
        self._model = (model,)
        self.eval()
        model.eval()
        if staged and not self._agrees(probe):
            self.block_names = ("model",)
            self.blocks = nn.ModuleList([_Whole(model)])

    def start(self, batch: Any) -> Running:
        """Return the state that the first block takes."""
        return Running(self._named(batch), None)

    def pool(self, state: Any) -> Tensor:
        """Return the features of shape (n, dim) of the state after the last block."""
        return self._pooled(state.hidden, state.batch)

    def pool_layer(self, state: Any) -> Tensor:
        """Return the features of shape (n, width) of the state after any block."""
        if isinstance(state.hidden, Tensor):
            output = SimpleNamespace(last_hidden_state=state.hidden)
            return self._pooled(output, state.batch)
        return self.pool(state)

    def tensors(self) -> dict[str, Any]:
        """Return all weights by the names that transformers gives them."""
        return {
            name: tensor.detach().cpu().numpy()
            for name, tensor in self._model[0].state_dict().items()
        }

    def _named(self, batch: Any) -> Any:
        if self.card.modality == "audio":
            return hf_audio.named(self._model[0], batch, self.card.input)
        return batch

    def _pooled(self, output: Any, batch: Any) -> Tensor:
        spec = self.card.input
        if self.card.modality == "audio":
            return hf_audio.pooled(self._model[0], output, batch, spec)
        hidden = output.last_hidden_state
        if self.card.modality == "text":
            return pool_tokens(hidden, batch[1], spec["pooling"], normalise=spec["normalise"])
        if spec["pooling"] == "cls":
            return hidden[:, 0]
        if getattr(output, "pooler_output", None) is not None:
            return output.pooler_output.flatten(1)
        return hidden.mean(dim=(2, 3)) if hidden.ndim == 4 else hidden.mean(dim=1)

    @torch.no_grad()
    def _agrees(self, probe: Any) -> bool:
        batch = self._named(probe)
        expected = self._pooled(call(self._model[0], batch), batch)
        try:
            found = self(probe)
        except Exception:  # whatever a layer of unknown code may raise
            return False
        return torch.allclose(found, expected, rtol=1e-5, atol=1e-6)


def _staged(model: nn.Module) -> list[tuple[str, nn.Module]] | None:
    """Return the blocks of a model whose layers are one list of alike modules; None for others."""
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    alike = [found for found in lists if len(found) > 1 and len({type(one) for one in found}) == 1]
    if not alike:
        return None
    chosen = max(alike, key=lambda found: sum(one.numel() for one in found.parameters()))
    order = _in_order(model, chosen)
    if order is None:
        return None
    layers, at = list(chosen), order.index(chosen)
    blocks: list[tuple[str, nn.Module]] = [("embeddings", _Front(model, layers, order[:at]))]
    blocks += [(f"layer{i}", _Step(layer)) for i, layer in enumerate(layers, start=1)]
    return [*blocks, ("output", _Tail(model, layers, order[at + 1 :]))]


def _in_order(module: nn.Module, chosen: nn.ModuleList) -> list[nn.Module] | None:
    """Return the largest modules that do not hold the chosen list, with it, as they are defined.

    None where a module that holds it has weights of its own beside it, which no block could own.
    """
    if any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False))):
        return None
    order: list[nn.Module] = []
    for child in module.children():
        if child is chosen or chosen not in list(child.modules()):
            order.append(child)
            continue
        inner = _in_order(child, chosen)
        if inner is None:
            return None
        order += inner
    return order
