"""A sequence task that needs no source: texts in which letters were swapped for others."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

from headstart.core.errors import BundleCorruptError, DataError, OutOfTimeError
from headstart.core.types import SILENT, Decision, State
from headstart.evaluate.additive import Measure
from headstart.evaluate.metrics import SEQUENCE_METRICS
from headstart.sequences.base import (
    Answer,
    Contender,
    Examples,
    Model,
    Plan,
    Reading,
    SequenceKind,
    copies,
    fingerprint,
)

LETTERS = "abcdefghij"
SECRET = dict(zip(LETTERS, "cdefghijab", strict=True))


def exact(truth: str, said: str) -> list[float]:
    return [float(truth == said), 1.0]


def wrong_letters(truth: str, said: str) -> list[float]:
    pairs = sum(one != other for one, other in zip(truth, said, strict=False))
    return [pairs + abs(len(truth) - len(said)), len(truth)]


def ratio(sums):
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[0] / sums[1]


CER = Measure(SEQUENCE_METRICS["cer"], wrong_letters, ratio)
EXACT = Measure(SEQUENCE_METRICS["exact_match"], exact, ratio)


def table(n: int = 40, seed: int = 0, *, noise: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        plain = "".join(rng.choice(list(LETTERS), 6))
        told = "".join(SECRET[c] if rng.random() >= noise else "z" for c in plain)
        rows.append((plain, told, f"s{i % 8}"))
    return pd.DataFrame(rows, columns=["source", "target", "speaker"])


class Letters(Model):
    def __init__(self, strategy: str, mapping: dict[str, str]) -> None:
        self.strategy, self.mapping = strategy, mapping
        self.decisions = (Decision(f"{len(mapping)} letters were learnt", "the toy says so"),)

    def predict(self, inputs, *, reporter=SILENT):
        said = ["".join(self.mapping.get(c, c) for c in one) for one in inputs]
        return [Answer(text, 0.5, {"letters": len(text)}) for text in said]

    def to_state(self):
        return State({}, {"mapping": self.mapping})

    def golden(self):
        return np.array([float(ord(self.mapping.get(c, c))) for c in LETTERS])


def learn(train: Examples, *, seed, reporter=SILENT) -> Model:
    votes: dict[str, Counter] = {}
    for one, other in zip(train.inputs, train.targets, strict=True):
        for c, d in zip(one, other, strict=True):
            votes.setdefault(c, Counter())[d] += 1
    return Letters("finetune", {c: found.most_common(1)[0][0] for c, found in votes.items()})


def harm(train: Examples, *, seed, reporter=SILENT) -> Model:
    return Letters("lora", dict.fromkeys(LETTERS, "?"))


def never(train: Examples, *, seed, reporter=SILENT) -> Model:
    raise OutOfTimeError("the budget is used up")


def fails(train: Examples, *, seed, reporter=SILENT) -> Model:
    raise DataError("this cannot be learnt")


def slow_untouched(train: Examples, *, seed, reporter=SILENT) -> Model:
    reporter.progress("learning", 1, 2)
    return Letters("untouched", {})


def untouched(train: Examples, *, seed, reporter=SILENT) -> Model:
    return Letters("untouched", {})


WAYS = {"finetune": learn, "lora": harm, "partial": never, "bitfit": fails}


class Toy(SequenceKind):
    name = "translation"
    modality = "text"
    measures = (CER, EXACT)
    strategies = ("untouched", *WAYS)
    default = ("finetune",)

    def read(
        self,
        data,
        *,
        label=None,
        text=None,
        path=None,
        group=None,
        test=None,
        columns=None,
        allow_unreadable=0.05,
        reporter=SILENT,
    ):
        frame = pd.read_csv(data) if isinstance(data, str) else data
        label = label or (columns or {}).get("label", "target")
        return Reading(
            self._examples(frame, label, group),
            None if test is None else self._examples(test, label, group),
            "toy",
            label,
            {"text": "source", "label": label},
            fingerprint([one.encode() for one in frame["source"]], list(frame[label])),
            (Decision("the toy was read", "it is small"),),
        )

    def _examples(self, frame, label, group):
        if label not in frame:
            raise DataError(f"there is no column {label!r}")
        own = None if group is None else frame[group].to_numpy()
        return Examples(
            tuple(frame["source"]),
            tuple(frame[label]),
            tuple(f"row {i + 1}" for i in range(len(frame))),
            copies(list(frame["source"]), own),
            grouped=group is not None,
        )

    def read_inputs(self, inputs, *, text=None, path=None, columns=None, reporter=SILENT):
        return tuple(inputs), tuple(inputs), ()

    def items(self, items):
        return tuple(items)

    def plan(self, train, *, source=(), strategy=(), budget=600.0):
        named = tuple(one for one in strategy if one != "untouched")
        ways = [
            Contender(one, None, WAYS[one]) for one in (named or (() if strategy else self.default))
        ]
        base = Contender("untouched", None, untouched)
        return Plan(base, tuple(ways), guarded=not named or "untouched" in strategy)

    def open(self, strategy, source, weights_sha256, state):
        if set(state.meta) != {"mapping"}:
            raise BundleCorruptError("no letters", where="state.json")
        return Letters(strategy, dict(state.meta["mapping"]))
