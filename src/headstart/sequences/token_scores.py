"""Scores of words by a tuned encoder, and its loss on tagged sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.types import FloatArray, IntArray, Reporter
from headstart.sequences.encoder import batches_of, joined, padded, pieces_of, windows_of
from headstart.sequences.tuned import Tuned


class Sentences:
    """Tagged sentences cut for an encoder.

    Parameters
    ----------
    words : sequence of tuples of str
        None is empty.
    codes : sequence of ndarray of int64
        The tags of their words.
    net : Tuned
    """

    def __init__(self, words: Sequence[Any], codes: Sequence[IntArray], net: Tuned) -> None:
        pieces = pieces_of(net.backbone)
        self.windows = [windows_of(one, pieces) for one in words]
        self.codes = list(codes)
        self.sizes = [max(len(window.ids) for window in one) for one in self.windows]

    def __len__(self) -> int:
        return len(self.codes)


def tag_loss(net: Tuned, sentences: Sentences, index: Sequence[int]) -> Tensor:
    """Return the mean cross-entropy of the words of a batch of sentences."""
    places = [(at, i) for at in index for i in range(len(sentences.windows[at]))]
    hidden = net(*padded([sentences.windows[at][i].ids for at, i in places]))
    parts: dict[int, list[Tensor]] = {}
    for row, (at, i) in enumerate(places):
        parts.setdefault(at, []).append(hidden[row, : len(sentences.windows[at][i].ids)])
    states = torch.cat(
        [joined(parts[at], sentences.windows[at], len(sentences.codes[at])) for at in index]
    )
    truth = torch.from_numpy(np.concatenate([sentences.codes[at] for at in index]))
    return nn.functional.cross_entropy(net.scores(states), truth)


def scored(
    net: Tuned, sentences: Sequence[Any], outputs: int, reporter: Reporter
) -> list[FloatArray]:
    """Return the scores of the words of each sentence, (words, outputs)."""
    pieces = pieces_of(net.backbone)
    windows = [windows_of(words, pieces) if words else [] for words in sentences]
    places = [(at, i) for at, one in enumerate(windows) for i in range(len(one))]
    rows = [windows[at][i].ids for at, i in places]
    hidden: dict[tuple[int, int], Tensor] = {}
    done = 0
    for batch in batches_of([len(row) for row in rows]):
        made = net(*padded([rows[one] for one in batch]))
        for row, one in enumerate(batch):
            hidden[places[one]] = made[row, : len(rows[one])]
        done += len(batch)
        reporter.progress("tagging", done, len(rows), "sentences")
    found: list[FloatArray] = []
    for at, parts in enumerate(windows):
        if not parts:
            found.append(np.zeros((0, outputs), dtype=np.float32))
            continue
        states = joined([hidden[at, i] for i in range(len(parts))], parts, len(sentences[at]))
        found.append(net.scores(states).float().numpy())
    return found
