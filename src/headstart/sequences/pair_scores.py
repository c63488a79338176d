"""Questions with contexts cut for an encoder, and where it says that an answer starts and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.errors import OptionError
from headstart.core.types import FloatArray, IntArray, Reporter
from headstart.sequences.encoder import Pieces, batches_of, padded
from headstart.sequences.question_files import Gold, Question
from headstart.sequences.tuned import Tuned

OVERLAP = 4
"""Windows share a part of their context: one in so many of its tokens."""
NEVER = -1e4


@dataclass(frozen=True, eq=False)
class Pair:
    """A question with a part of its context, as the source reads it.

    Parameters
    ----------
    ids : tuple of int
    first : int
        Where the context's tokens begin.
    offsets : ndarray of shape (tokens of the context, 2)
        Characters of each.
    """

    ids: tuple[int, ...]
    first: int
    offsets: IntArray


def pairs_of(asked: Question, pieces: Pieces) -> list[Pair]:
    """Cut a context into windows that overlap, each after the question.

    A question keeps its first tokens, up to a third of what the source reads at once.

    Raises
    ------
    OptionError
        The source reads too few tokens at once.
    """
    question = pieces.tokenizer.encode(_clean(asked.question), add_special_tokens=False).ids
    question = question[: pieces.limit // 3]
    whole = pieces.tokenizer.encode(_clean(asked.context), add_special_tokens=False)
    head = (*pieces.before, *question, *pieces.between)
    room = pieces.limit - len(head) - len(pieces.after)
    if room < 4:
        raise OptionError("this source reads too few tokens at once", where="source", got=room)
    offsets = np.asarray(whole.offsets, dtype=np.int64).reshape(-1, 2)
    found, at = [], 0
    while True:
        part = whole.ids[at : at + room]
        ids = (*head, *part, *pieces.after)
        found.append(Pair(ids, len(head), offsets[at : at + room]))
        if at + room >= len(whole.ids):
            return found
        at += room - room // OVERLAP


def _clean(text: str) -> str:
    """Return a text that a tokenizer takes, of the same length in characters."""
    return "".join("?" if "\ud800" <= sign <= "\udfff" else sign for sign in text)


def places_of(pair: Pair, gold: Gold) -> tuple[int, int]:
    """Return the first and last token of the (first) answer; 0, 0 where the window has none."""
    for text, start in gold:
        end = start + len(text)
        touched = np.flatnonzero((pair.offsets[:, 1] > start) & (pair.offsets[:, 0] < end))
        whole = len(touched) and pair.offsets[touched[-1], 1] >= end
        if whole and pair.offsets[touched[0], 0] <= start:
            return pair.first + int(touched[0]), pair.first + int(touched[-1])
    return 0, 0


class Pairs:
    """Questions with answers cut for an encoder: an example of training is a window.

    Parameters
    ----------
    asked : sequence of Question
    golds : sequence of tuples of (answer, start)
    pieces : Pieces
    """

    def __init__(self, asked: Sequence[Any], golds: Sequence[Any], pieces: Pieces) -> None:
        self.pairs: list[Pair] = []
        self.places: list[tuple[int, int]] = []
        for one, gold in zip(asked, golds, strict=True):
            for pair in pairs_of(one, pieces):
                self.pairs.append(pair)
                self.places.append(places_of(pair, gold))
        self.sizes = [len(pair.ids) for pair in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)


def logits(net: Tuned, pairs: Sequence[Pair]) -> Tensor:
    """Return start and end scores of tokens, (n, t, 2): the first token stands for no answer."""
    ids, mask = padded([pair.ids for pair in pairs])
    made = net.scores(net(ids, mask))
    allowed = torch.zeros_like(ids, dtype=torch.bool)
    for row, pair in enumerate(pairs):
        allowed[row, pair.first : pair.first + len(pair.offsets)] = True
    allowed[:, 0] = True
    return made.masked_fill(~allowed[:, :, None], NEVER)


def pair_loss(net: Tuned, pairs: Pairs, index: Sequence[int]) -> Tensor:
    """Return the mean cross-entropy of where answers start and end."""
    made = logits(net, [pairs.pairs[at] for at in index])
    places = torch.tensor([pairs.places[at] for at in index])
    entropy = torch.nn.functional.cross_entropy
    return (entropy(made[:, :, 0], places[:, 0]) + entropy(made[:, :, 1], places[:, 1])) / 2


@dataclass(frozen=True, eq=False)
class Found:
    """The best part of a context.

    Parameters
    ----------
    start, end : int
        Characters.
    sure : float
        Its share among all parts of all windows.
    lead : float
        Log-odds over "no answer".
    """

    start: int
    end: int
    sure: float
    lead: float


def best_parts(
    net: Tuned, asked: Sequence[Question], pieces: Pieces, longest: int, reporter: Reporter
) -> list[Found | None]:
    """Return the best part of each context by start plus end, at most ``longest`` tokens; or None.

    Parameters
    ----------
    net : Tuned
    asked : sequence of Question
    pieces : Pieces
    longest : int
    reporter : Reporter
    """
    cut = [pairs_of(one, pieces) for one in asked]
    places = [(at, i) for at, one in enumerate(cut) for i in range(len(one))]
    flat = [cut[at][i] for at, i in places]
    scores: dict[tuple[int, int], FloatArray] = {}
    done = 0
    with torch.inference_mode():
        for batch in batches_of([len(pair.ids) for pair in flat]):
            made = logits(net, [flat[one] for one in batch]).float().numpy()
            for row, one in enumerate(batch):
                scores[places[one]] = made[row, : len(flat[one].ids)].astype(np.float64)
            done += len(batch)
            reporter.progress("answering", done, len(flat), "questions")
    return [
        _best(one, [scores[at, i] for i in range(len(one))], longest) for at, one in enumerate(cut)
    ]


def _best(pairs: Sequence[Pair], scores: Sequence[FloatArray], longest: int) -> Found | None:
    best: tuple[float, int, int] | None = None
    all_of_them, nulls = [], []
    for pair, one in zip(pairs, scores, strict=True):
        one = one - _log_sum(one)  # windows of one context are compared as probabilities
        nulls.append(one[0].sum())
        inner = one[pair.first : pair.first + len(pair.offsets)]
        size = len(inner)
        if not size:
            continue
        both = inner[:, 0][:, None] + inner[:, 1][None, :]
        fits = np.triu(np.ones((size, size), bool)) & ~np.triu(np.ones((size, size), bool), longest)
        fits &= (pair.offsets[:, 1] > pair.offsets[:, 0])[:, None]
        both = np.where(fits, both, -np.inf)
        all_of_them.append(both[fits])
        at = int(both.argmax())
        value = float(both.flat[at])
        if best is None or value > best[0]:
            start, end = divmod(at, size)
            best = (value, int(pair.offsets[start, 0]), int(pair.offsets[end, 1]))
    if best is None or not np.isfinite(best[0]):
        return None
    values = np.concatenate(all_of_them)
    sure = float(1.0 / np.exp(values - best[0]).sum())
    return Found(best[1], best[2], sure, best[0] - float(min(nulls)))


def _log_sum(values: FloatArray) -> FloatArray:
    top = values.max(axis=0)
    return np.asarray(top + np.log(np.exp(values - top).sum(axis=0)))
