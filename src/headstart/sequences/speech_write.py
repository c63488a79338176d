"""From states to text: greedy decoding with memory, and the language that is spoken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.sources.speech_model import SpeechSource

_LEAST_TOKENS, _PER_SECOND = 24, 16  # no speech of any script is faster
_PATTERN, _TIMES, _TOKENS = 24, 4, 12  # a loop: so long, so often, in all at least so many
LANGUAGE_SOUNDS = 100
"""Examples that the language is asked of."""


@dataclass(frozen=True)
class Written:
    """What was heard in a window.

    Parameters
    ----------
    ids : tuple of int
    log_probability : float
        Summed over the tokens and the end.
    steps : int
        How many were summed.
    """

    ids: tuple[int, ...]
    log_probability: float
    steps: int


def limit_of(seconds: float, most: int, prompt: int) -> int:
    """Return how many tokens a window of so many seconds may have.

    Examples
    --------
    >>> limit_of(1.0, 448, 4), limit_of(30.0, 448, 4)
    (40, 224)
    """
    room = min(most // 2, most - prompt - 1)
    return max(1, min(room, _LEAST_TOKENS + math.ceil(_PER_SECOND * seconds)))


def loop_of(ids: Sequence[int]) -> int:
    """Return how many tokens at the end repeat what went before; 0 where nothing loops.

    A pattern of up to 24 tokens that stands there 4 times and more, over 12 tokens and more: a
    decoder that goes in circles. Its first time is no repetition.

    Examples
    --------
    >>> loop_of([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]), loop_of([1, 1, 1])
    (9, 0)
    """
    for size in range(1, min(_PATTERN, len(ids) // _TIMES) + 1):
        pattern = list(ids[-size:])
        times = 1
        while list(ids[-(times + 1) * size : -times * size]) == pattern:
            times += 1
        if times >= _TIMES and times * size >= _TOKENS:
            return (times - 1) * size
    return 0


def write(
    source: SpeechSource, states: Tensor, seconds: Sequence[float], language: str | None
) -> list[Written]:
    """Write what is heard in windows of equal length, the likeliest token at each step.

    Parameters
    ----------
    source : SpeechSource
    states : Tensor of shape (n, t, width)
    seconds : sequence of length n
        Of sound, without what pads: the text cannot be longer than speech is fast.
    language : str or None
    """
    network, tokens = source.network, source.tokens
    prompt = tokens.prompt(language)
    limits = [limit_of(one, network.most, len(prompt)) for one in seconds]
    n = len(states)
    said: list[list[int]] = [[] for _ in range(n)]
    sums, steps = [0.0] * n, [0] * n
    never = torch.tensor(tokens.never, dtype=torch.long)
    first = torch.tensor(tokens.not_first, dtype=torch.long)
    alive = list(range(n))
    with torch.inference_mode():
        heard = network.heard(states)
        logits, past = network.write(torch.tensor([prompt] * n), heard, None)
        while alive:
            last = logits[:, -1]
            last[:, never] = -math.inf
            if not steps[alive[0]]:
                last[:, first] = -math.inf
            chosen = last.argmax(dim=1)
            logs = torch.log_softmax(last.double(), dim=1).gather(1, chosen[:, None])[:, 0]
            kept = []
            for row, who in enumerate(alive):
                sums[who] += float(logs[row])
                steps[who] += 1
                token = int(chosen[row])
                if token == tokens.end:
                    continue
                said[who].append(token)
                if loop := loop_of(said[who]):
                    del said[who][-loop:]
                elif len(said[who]) < limits[who]:
                    kept.append(row)
            if not kept:
                break
            if len(kept) < len(alive):
                at = torch.tensor(kept)
                heard = [(keys[at], values[at]) for keys, values in heard]
                past = [(keys[at], values[at]) for keys, values in past]
                chosen, alive = chosen[at], [alive[row] for row in kept]
            logits, past = network.write(chosen[:, None], heard, None, past)
    return [
        Written(tuple(ids), total, count)
        for ids, total, count in zip(said, sums, steps, strict=True)
    ]


def languages_of(source: SpeechSource, states: Tensor) -> Tensor:
    """Return the probability of each language of ``tokens.languages``, (n, languages) float64.

    Parameters
    ----------
    source : SpeechSource
    states : Tensor of shape (n, t, width)
    """
    network, tokens = source.network, source.tokens
    with torch.inference_mode():
        ids = torch.full((len(states), 1), tokens.start)
        logits, _ = network.write(ids, network.heard(states), None)
        known = torch.tensor(list(tokens.languages.values()), dtype=torch.long)
        return torch.softmax(logits[:, -1, known].double(), dim=1)
