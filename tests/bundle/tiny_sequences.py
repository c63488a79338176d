"""A small fitted model of a sequence task, without a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from headstart.bundle.sequence_disk import SequenceContents, save_sequence
from headstart.sequences import kind_of

NAMES = ("anna", "boris", "carla", "dmitri")
PLACES = ("rome", "paris", "oslo", "lima")
ASKED = [("anna", "lives", "in", "oslo"), ("boris", "saw", "lima")]


def tagged() -> Any:
    rows = [
        ([name, "lives", "in", place], ["B-PER", "O", "O", "B-LOC"])
        for name in NAMES
        for place in PLACES
    ]
    return pd.DataFrame(rows, columns=["tokens", "tags"])


def saved_tagger(path: Path) -> Path:
    kind = kind_of("token-classification")
    reading = kind.read(tagged())
    model = kind.plan(reading.train, strategy=["scratch"]).baseline.fit(reading.train, seed=3)
    contents = SequenceContents(
        task="token-classification",
        modality="text",
        metric="span_f1",
        label_name="tags",
        columns={"tokens": "tokens", "tags": "tags"},
        result={
            "score": {"metric": "span_f1", "estimate": 0.9, "low": 0.8, "high": 0.95, "n": 16},
            "gain": None,
            "baselines": {},
            "measures": {"token_accuracy": {"estimate": 0.97, "low": 0.9, "high": 1.0}},
            "judged_by": "5 folds",
            "seed": 3,
            "decisions": [{"what": "task", "why": "--task", "override": ""}],
            "candidates": [],
        },
        fingerprint="f" * 64,
        n=reading.train.n,
    )
    return save_sequence(path, contents, model)
