"""Tuning a Whisper on transcripts: what is trained, how long, and when it stops."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from headstart.core.errors import DataError
from headstart.core.types import AnyArray, Decision, IntArray, Reporter
from headstart.sequences.base import Examples
from headstart.sequences.speech_hear import Ear, mels_of, windows_of
from headstart.sources.speech_model import SpeechSource
from headstart.sources.speech_net import SpeechNetwork
from headstart.strategies.tuning.lora import adapt, merge
from headstart.strategies.tuning.schedule import rate

RANK, ALPHA = 8, 16.0
FEWEST_TO_VALIDATE = 24
"""Examples below which all are learnt from, for few epochs."""
VALIDATED = 0.15
SMOOTHING = 0.1
BATCH = 8
_CLIP = 1.0
_NONE = -100


@dataclass(frozen=True)
class Recipe:
    """How a strategy trains.

    Parameters
    ----------
    rate : float
        Peak learning rate of AdamW.
    summary : str
        What is trained, for people.
    hears : bool
        Whether the encoder learns too: its states cannot be kept then.
    """

    rate: float
    summary: str
    hears: bool = False


RECIPES = {
    "partial": Recipe(1e-4, "the last third of the decoder's layers; the rest is frozen"),
    "lora": Recipe(1e-3, f"low-rank updates (rank {RANK}) of the decoder; the encoder is frozen"),
    "finetune": Recipe(2e-5, "all weights, of encoder and decoder", hears=True),
}


@dataclass(frozen=True, eq=False)
class Tuned:
    """What training made.

    Parameters
    ----------
    source : SpeechSource
        With the tuned network.
    arrays : dict of str to ndarray
        What changed, by name; see `rebuilt`.
    decisions : tuple of Decision
    """

    source: SpeechSource
    arrays: dict[str, AnyArray]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, eq=False)
class _Lesson:
    item: Any
    ids: list[int]


def epochs_for(n: int, *, validated: bool) -> int:
    """Return how many passes over n examples: many over few, and fewer where nothing stops them.

    Examples
    --------
    >>> [epochs_for(n, validated=True) for n in (40, 400, 4000)]
    [20, 12, 3]
    >>> epochs_for(6, validated=False)
    8
    """
    if not validated:
        return 8
    return min(20, max(3, round(600 * BATCH / max(n, 1))))


def held_for_stopping(groups: AnyArray, seed: int) -> IntArray:
    """Return the positions of about 15 % of the examples, whole groups; none where they are few.

    Parameters
    ----------
    groups : array of shape (n,)
    seed : int
    """
    names, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    wanted = round(VALIDATED * len(groups))
    none = np.zeros(0, dtype=np.int64)
    if len(groups) < FEWEST_TO_VALIDATE:
        return none
    order = np.random.default_rng(seed).permutation(len(names))
    chosen: list[int] = []
    taken = 0
    for one in order:
        if taken < wanted and taken + counts[one] <= max(2 * wanted, 1):
            chosen.append(int(one))
            taken += int(counts[one])
    return np.flatnonzero(np.isin(codes, chosen)).astype(np.int64) if chosen else none


def copied(network: SpeechNetwork, *, hears: bool) -> SpeechNetwork:
    """Return a network of its own; what no strategy but one changes is shared, not copied."""
    shared = {} if hears else {id(part): part for part in (network.blocks, network.tokens)}
    return copy.deepcopy(network, shared)


def _lora(name: str, layer: nn.Module) -> bool:
    return name.startswith("layers.")


def trained_names(network: SpeechNetwork, strategy: str) -> list[str]:
    """Return the parameters that a strategy trains as they are (not those that it adds)."""
    if strategy == "finetune":
        fixed = "blocks.0.position"  # sinusoids, that no Whisper learnt
        return [name for name, _ in network.named_parameters() if not name.startswith(fixed)]
    count = max(1, round(len(network.layers) / 3))
    first = len(network.layers) - count
    kept = tuple(f"layers.{i}." for i in range(first, len(network.layers)))
    return [name for name, _ in network.named_parameters() if name.startswith((*kept, "norm."))]


def tune(
    ear: Ear,
    examples: Examples,
    *,
    strategy: str,
    language: str | None,
    seed: int,
    reporter: Reporter,
    epochs: int | None = None,
) -> Tuned:
    """Tune a source on recordings with transcripts.

    Parameters
    ----------
    ear : Ear
        Of the untouched source, whose states are kept.
    examples : Examples
    strategy : {"lora", "partial", "finetune"}
    language : str or None
    seed : int
    reporter : Reporter
    epochs : int, optional
        The rule's, if not given.

    Raises
    ------
    DataError
        Nothing can be learnt from.
    """
    source, recipe = ear.source, RECIPES[strategy]
    lessons, kept, said = _lessons(ear, examples, language, reporter)
    held = held_for_stopping(examples.groups[kept], seed)
    learnt = np.setdiff1d(np.arange(len(lessons)), held)
    network = copied(source.network, hears=recipe.hears)
    generator = torch.Generator().manual_seed(seed)
    parameters = _trainable(network, strategy, generator)
    tuned = replace(source, network=network)
    room = _Room(ear, tuned, language, hears=recipe.hears)
    passes = epochs_for(len(learnt), validated=len(held) > 0) if epochs is None else epochs
    steps = passes * math.ceil(len(learnt) / BATCH)
    optimiser = torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=0.01)
    order = np.random.default_rng(seed)
    best, best_loss, best_at, step = None, math.inf, 0, 0
    if len(held):
        best, best_loss = _kept(parameters), room.loss_over(lessons, held)
    for epoch in range(passes):
        for batch in _batches(learnt, lessons, order):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * rate(step, steps, warmup=0.1)
            optimiser.zero_grad()
            loss = room.loss([lessons[i] for i in batch], smoothing=SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, _CLIP)
            optimiser.step()
            step += 1
            reporter.progress(
                f"{strategy}: learning", step, steps, "steps", f"loss {float(loss.detach()):.2f}"
            )
        if len(held):
            now = room.loss_over(lessons, held)
            if now < best_loss:
                best, best_loss, best_at = _kept(parameters), now, epoch + 1
            elif epoch + 1 - best_at >= max(3, passes // 4):
                break
    if best is not None:
        with torch.no_grad():
            for parameter, value in zip(parameters, best, strict=True):
                parameter.copy_(value)
    said.append(_told(strategy, len(learnt), len(held), passes, best_at))
    arrays = _arrays(network, strategy)
    merge(network)
    network.requires_grad_(False)
    return Tuned(tuned, arrays, tuple(said))


def _told(strategy: str, learnt: int, held: int, passes: int, best_at: int) -> Decision:
    what = f"{strategy} trains {RECIPES[strategy].summary}"
    if not held:
        why = f"{passes} passes over all {learnt} examples: too few to spare some for stopping"
    elif best_at:
        why = (
            f"pass {best_at} of {passes} over {learnt} examples, where {held} others that were "
            "set apart were told best"
        )
    else:
        why = f"{held} examples that were set apart were told worse after every pass: it is kept"
    return Decision(what, why)


def _lessons(
    ear: Ear, examples: Examples, language: str | None, reporter: Reporter
) -> tuple[list[_Lesson], IntArray, list[Decision]]:
    """Return what can be learnt from: recordings of one window, their tokens not too many."""
    source = ear.source
    most = source.network.most - len(source.tokens.prompt(language)) - 1
    lessons, kept, long, silent = [], [], [], 0
    for i, (item, text) in enumerate(zip(examples.inputs, examples.targets, strict=True)):
        count = sum(1 for _ in ear.windows(item))
        ids = source.ids(text)
        reporter.progress("listening", i + 1, examples.n, "recordings")
        if count == 1 and 0 < len(ids) <= most:
            lessons.append(_Lesson(item, ids))
            kept.append(i)
        elif count > 1 or len(ids) > most:
            long.append(examples.ids[i])
        else:
            silent += 1
    if not lessons:
        raise DataError(
            "nothing can be learnt from: every recording is silent or longer than 30 s",
            got=f"{examples.n} recordings",
            hint="cut them, with their transcripts, into pieces of at most 30 s",
        )
    said = []
    if long:
        what = f"{len(long)} of {examples.n} recordings are judged on, but not learnt from"
        why = f"more than 30 s, or {most} tokens: which words are in which window is not known"
        said.append(Decision(what, why))
    if silent:
        what = f"{silent} of {examples.n} recordings are silent, or have no word: not learnt from"
        said.append(Decision(what, "there is nothing to hear, or to write"))
    return lessons, np.array(kept, dtype=np.int64), said


def _trainable(
    network: SpeechNetwork, strategy: str, generator: torch.Generator
) -> list[nn.Parameter]:
    if strategy == "lora":
        return adapt(network, rank=RANK, alpha=ALPHA, generator=generator, targets=_lora)
    names = set(trained_names(network, strategy))
    found = [parameter for name, parameter in network.named_parameters() if name in names]
    for parameter in found:
        parameter.requires_grad_(True)
    return found


def _batches(
    learnt: IntArray, lessons: Sequence[_Lesson], order: np.random.Generator
) -> list[list[int]]:
    """Return a pass in batches of similar length, in random order."""
    noise = order.uniform(0.8, 1.2, size=len(learnt))
    lengths = np.array([len(lessons[i].ids) for i in learnt]) * noise
    ranked = learnt[np.argsort(lengths, kind="stable")]
    cut = [ranked[i : i + BATCH].tolist() for i in range(0, len(ranked), BATCH)]
    return [cut[i] for i in order.permutation(len(cut))]


class _Room:
    """Where lessons become batches and losses."""

    def __init__(self, ear: Ear, tuned: SpeechSource, language: str | None, *, hears: bool) -> None:
        self.ear, self.tuned, self.hears = ear, tuned, hears
        self.prompt = tuned.tokens.prompt(language)

    def loss(self, lessons: Sequence[_Lesson], *, smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy of the tokens of transcripts and their ends."""
        logits, wanted = self._told(lessons)
        return functional.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=_NONE, label_smoothing=smoothing
        )

    def loss_over(self, lessons: Sequence[_Lesson], which: IntArray) -> float:
        """Return the mean over the tokens of all lessons, without learning."""
        ranked = sorted(which.tolist(), key=lambda i: (len(lessons[i].ids), i))
        total, count = 0.0, 0
        with torch.no_grad():
            for start in range(0, len(ranked), BATCH):
                batch = [lessons[i] for i in ranked[start : start + BATCH]]
                tokens = sum(len(one.ids) + 1 for one in batch)
                total += float(self.loss(batch)) * tokens
                count += tokens
        return total / count

    def _told(self, lessons: Sequence[_Lesson]) -> tuple[Tensor, Tensor]:
        states, mask = self._states([one.item for one in lessons])
        end, prompt = self.tuned.tokens.end, self.prompt
        longest = max(len(one.ids) for one in lessons)
        given = torch.full((len(lessons), len(prompt) + longest), end)
        wanted = torch.full_like(given, _NONE)
        for row, one in enumerate(lessons):
            given[row, : len(prompt)] = torch.tensor(prompt)
            given[row, len(prompt) : len(prompt) + len(one.ids)] = torch.tensor(one.ids)
            answer = torch.tensor([*one.ids, end])
            wanted[row, len(prompt) - 1 : len(prompt) - 1 + len(answer)] = answer
        network = self.tuned.network
        logits, _ = network.write(given, network.heard(states), mask)
        return logits, wanted

    def _states(self, items: Sequence[Any]) -> tuple[Tensor, Tensor]:
        """Return states (n, t, width) and which of them count, kept or made anew."""
        if not self.hears:
            return _stacked([next(self.ear.windows(item)).states for item in items])
        rate_ = int(self.tuned.card.input["rate"])
        mels, mask = _stacked(
            [mels_of(self.tuned, next(windows_of(item, rate=rate_))) for item in items]
        )
        return self.tuned.network.encode(mels, mask)


def _stacked(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    out = torch.zeros(len(rows), max(len(row) for row in rows), rows[0].shape[1])
    mask = torch.zeros(out.shape[:2], dtype=torch.int64)
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return out, mask


def _kept(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


def _arrays(network: SpeechNetwork, strategy: str) -> dict[str, AnyArray]:
    """Return what was learnt by name: A and B of low-rank updates, or whole tensors."""
    if strategy != "lora":
        own = dict(network.named_parameters())
        return {
            name: own[name].detach().numpy().copy() for name in trained_names(network, strategy)
        }
    found = {}
    for name, layer in network.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            update: Any = layer.parametrizations.weight[0]
            found[f"{name}.A"] = update.A.detach().numpy().copy()
            found[f"{name}.B"] = update.B.detach().numpy().copy()
    return found


def rebuilt(source: SpeechSource, strategy: str, arrays: dict[str, AnyArray]) -> SpeechSource:
    """Return the source with what was learnt put back.

    Raises
    ------
    ValueError
        The arrays are not those of this source and strategy.
    """
    network = copied(source.network, hears=RECIPES[strategy].hears)
    generator = torch.Generator().manual_seed(0)
    parameters = _trainable(network, strategy, generator)
    own = _arrays(network, strategy)
    shapes = {name: array.shape for name, array in own.items()}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise ValueError(f"expected {len(own)} arrays, got {len(arrays)} or of other shapes")
    if not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("arrays are not finite float32")
    with torch.no_grad():  # both are in the order of the network
        for parameter, name in zip(parameters, own, strict=True):
            parameter.copy_(torch.from_numpy(np.array(arrays[name])))
    merge(network)
    return replace(source, network=network.requires_grad_(False))
