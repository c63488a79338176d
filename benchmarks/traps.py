"""Traps: data on which transfer cannot help. Is it shipped all the same, and does it harm?

    make bench-traps

Every trap goes through `headstart.fit` as a user would call it. What it ships is then compared
with scratch, trained on the same items, on a large independent part that fit never saw. *Negative
transfer shipped* is counted where that difference is significantly below zero (95 % interval,
paired). Results go to `benchmarks/results/traps.json` and `traps.md`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import headstart as hs
from common import RESULTS, machine, write_result

BASELINES = ("scratch", "majority")
FROZEN = ("scratch", "probe", "knn", "prototypes")
"""Named with scratch beside them, so that the guard stays: nothing is tuned for minutes."""
TEXTS: dict[str, Any] = {"strategy": FROZEN, "source": "minilm"}
PICTURES: dict[str, Any] = {"strategy": FROZEN, "source": "efficientnet-lite0"}
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Trap:
    """One draw of a trap.

    Parameters
    ----------
    train : dict
        What `headstart.fit` is given.
    items, labels : the independent part
    chance : bool
        True where the labels are random, so that every model's true gain is exactly zero: a
        positive verdict is then false, and there is no harm to be done.
    """

    train: dict[str, Any]
    items: Any
    labels: Any
    chance: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class Materials:
    """What the traps are made of: fetched or written once."""

    def __init__(self, home: Path, reviews: Path | None) -> None:
        self.home = home
        if reviews is None:
            reviews = hs.data.fetch_example("reviews", home / "reviews") / "reviews.csv"
        frame = pd.read_csv(reviews).drop_duplicates("text")
        self.texts, self.fresh = frame["text"].tolist(), frame["label"].tolist()
        self._source: Path | None = None

    def draw(self, seed: int, each: int, held: int) -> tuple[list[int], list[int]]:
        """Return positions of `each` reviews of both classes, and of `held` others."""
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(self.texts))
        labels = np.array(self.fresh)[order]
        train = np.concatenate([order[labels == name][:each] for name in sorted(set(labels))])
        rest = order[~np.isin(order, train)][:held]
        return rng.permutation(train).tolist(), rest.tolist()

    def unrelated_source(self) -> str:
        """Return a text source that knows nothing: BERT of large random weights on letters."""
        if self._source is None:
            self._source = unrelated_source(self.home / "unrelated")
        return str(self._source)


def unrelated_source(place: Path, seed: int = 0) -> Path:
    """Write a source whose features are a chaotic random function of the letters of a text."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoModel, BertConfig

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS]
    config = BertConfig(
        vocab_size=len(marks),
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=130,
        initializer_range=1.0,
    )
    torch.manual_seed(seed)
    AutoModel.from_config(config).eval().save_pretrained(place)
    made = Tokenizer(models.WordLevel({mark: i for i, mark in enumerate(marks)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.enable_truncation(128)
    made.save(str(place / "tokenizer.json"))
    return place


def nonsense(texts: list[str], seed: int) -> list[str]:
    """Replace every word by a made-up one, the same everywhere: counts stay, meaning goes."""
    rng = np.random.default_rng(seed)
    words = sorted({word for text in texts for word in text.lower().split()})
    made: set[str] = set()
    while len(made) < len(words):
        made.add("".join(rng.choice(list(LETTERS), int(rng.integers(4, 10)))))
    new = dict(zip(words, rng.permutation(sorted(made)).tolist(), strict=True))
    return [" ".join(new[word] for word in text.lower().split()) for text in texts]


def near(text: str, kind: int) -> str:
    """Return a text that a person would call the same."""
    return (text.upper(), f"  {text} !", text.replace(" ", "  ") + ".")[kind % 3]


def permuted_labels(have: Materials, seed: int) -> Trap:
    """Real reviews, 29 of each class, with random labels."""
    train, held = have.draw(seed, 29, 1000)
    rng = np.random.default_rng(1000 + seed)
    names = ["fresh", "rotten"] * 29
    return Trap(
        {
            "data": [have.texts[i] for i in train],
            "label": rng.permutation(names).tolist(),
            **TEXTS,
        },
        [have.texts[i] for i in held],
        rng.choice(names, len(held)).tolist(),
        chance=True,
    )


def nonsense_words(have: Materials, seed: int) -> Trap:
    """Real reviews, 150 of each class, every word replaced by a made-up one."""
    train, held = have.draw(seed, 150, 3000)
    texts = nonsense([have.texts[i] for i in [*train, *held]], seed)
    return Trap(
        {
            "data": texts[: len(train)],
            "label": [have.fresh[i] for i in train],
            **TEXTS,
        },
        texts[len(train) :],
        [have.fresh[i] for i in held],
    )


def unrelated(have: Materials, seed: int) -> Trap:
    """Real reviews, 150 of each class, and a source of random weights that reads letters."""
    train, held = have.draw(seed, 150, 3000)
    return Trap(
        {
            "data": [have.texts[i] for i in train],
            "label": [have.fresh[i] for i in train],
            "strategy": FROZEN,
            "source": have.unrelated_source(),
        },
        [have.texts[i] for i in held],
        [have.fresh[i] for i in held],
    )


def repeated_in_test(have: Materials, seed: int) -> Trap:
    """Random labels; of 100 test items 60 repeat training items, with their labels."""
    train, held = have.draw(seed, 100, 1000)
    rng = np.random.default_rng(2000 + seed)
    names = ["fresh", "rotten"]
    labels = rng.permutation(names * 100).tolist()
    texts = [have.texts[i] for i in train]
    copies = [texts[i] if i < 30 else near(texts[i], i) for i in range(60)]
    test = [*copies, *(have.texts[i] for i in held[:40])]
    test_labels = [*labels[:60], *rng.choice(names, 40).tolist()]
    return Trap(
        {
            "data": pd.DataFrame({"text": texts, "label": labels}),
            "label": "label",
            "test": pd.DataFrame({"text": test, "label": test_labels}),
            **TEXTS,
        },
        [have.texts[i] for i in held[40:]],
        rng.choice(names, len(held) - 40).tolist(),
        chance=True,
        facts={"repeated": 60},
    )


def repeated_within(have: Materials, seed: int) -> Trap:
    """Random labels; every item comes three times with the same label, once exactly."""
    train, held = have.draw(seed, 40, 1000)
    rng = np.random.default_rng(3000 + seed)
    names = ["fresh", "rotten"]
    labels = rng.permutation(names * 40).tolist()
    texts = [have.texts[i] for i in train]
    tripled = [*texts, *texts, *(near(text, i) for i, text in enumerate(texts))]
    return Trap(
        {"data": tripled, "label": labels * 3, **TEXTS},
        [have.texts[i] for i in held],
        rng.choice(names, len(held)).tolist(),
        chance=True,
    )


def one_column(n: int, seed: int, classes: int = 3) -> pd.DataFrame:
    """Return a table of 20 columns of noise and one that tells the class nine times of ten."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"c{i}": rng.standard_normal(n) for i in range(20)})
    codes = np.arange(n) % classes
    told = np.where(rng.random(n) < 0.9, codes, rng.integers(classes, size=n))
    frame["c7"] = told + 0.2 * rng.standard_normal(n)
    frame["class"] = [f"kind {code}" for code in codes]
    return frame


def one_informative_column(have: Materials, seed: int) -> Trap:
    """A table of 20 columns of noise and one that tells; no source suits a table."""
    train, held = one_column(120, 4000 + seed), one_column(2000, 5000 + seed)
    return Trap(
        {"data": train, "label": "class"}, held.drop(columns="class"), held["class"].tolist()
    )


def one_informative_word(have: Materials, seed: int) -> Trap:
    """The same table written as texts, so that a source of texts offers its noise."""
    frames = one_column(87, 4000 + seed), one_column(2000, 5000 + seed)
    texts = [
        [
            " ".join(f"{name}{chr(97 + int(np.clip(round(x + 2), 0, 4)))}" for name, x in row)
            for row in (
                zip(frame.columns[:-1], cells, strict=True)
                for cells in frame.drop(columns="class").itertuples(index=False)
            )
        ]
        for frame in frames
    ]
    return Trap(
        {"data": texts[0], "label": frames[0]["class"].tolist(), **TEXTS},
        texts[1],
        frames[1]["class"].tolist(),
    )


def digits(have: Materials, seed: int, each: int = 8, held: int = 1000) -> Trap:
    """scikit-learn's 8 x 8 digits as pictures, 8 of each: photographs teach nothing about them."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    target = data.target[order]
    train = np.concatenate([order[target == digit][:each] for digit in range(10)])
    rest = order[~np.isin(order, train)][:held]

    def pictures(index: Any) -> list[Any]:
        grey = (data.images[index] * 255 / 16).astype(np.uint8)
        return [Image.fromarray(one).convert("RGB") for one in grey]

    names = np.array([f"digit {digit}" for digit in data.target])
    return Trap(
        {"data": pictures(train), "label": names[train].tolist(), **PICTURES},
        pictures(rest),
        names[rest].tolist(),
    )


TRAPS: dict[str, tuple[Callable[[Materials, int], Trap], int]] = {
    "permuted labels": (permuted_labels, 20),
    "nonsense words": (nonsense_words, 10),
    "unrelated source": (unrelated, 10),
    "repeated in the test part": (repeated_in_test, 10),
    "repeated in the training part": (repeated_within, 10),
    "one informative column": (one_informative_column, 5),
    "one informative word": (one_informative_word, 10),
    "digits as pictures": (digits, 5),
}
"""Each trap with its number of seeds; what takes longest comes last."""


def sprung(trap: Trap, seed: int) -> dict[str, Any]:
    """Fit, and compare what is shipped with scratch on the independent part."""
    started = time.perf_counter()
    result = hs.fit(**trap.train, curve=False, seed=seed)
    seconds = time.perf_counter() - started
    row: dict[str, Any] = {
        "seed": seed,
        "shipped": result.chosen.name,
        "verdict": result.gain.verdict,
        "gain claimed": [result.gain.estimate, result.gain.low, result.gain.high],
        "judged": result.gain.n,
        "trained on": result.task.n,
        "true gain": 0.0,
        "negative transfer shipped": False,
        "seconds": round(seconds, 1),
        **trap.facts,
    }
    truth = np.array(trap.labels, dtype=object)
    if result.chosen.strategy in BASELINES:
        row["accuracy"] = float(np.mean(result.predict(trap.items) == truth))
        return row
    alone = {key: value for key, value in trap.train.items() if key not in ("strategy", "source")}
    scratch = hs.fit(**alone, strategy="scratch", curve=False, seed=seed)
    shipped, other = (one.model.predictions(trap.items) for one in (result, scratch))
    found = hs.evaluate.gain(result.metric, truth, shipped, other, seed=seed)
    row["accuracy"] = hs.evaluate.value("accuracy", truth, shipped)
    if not trap.chance:
        row["true gain"] = found.estimate
        row["true gain interval"] = [found.low, found.high]
        row["negative transfer shipped"] = found.high < 0
    return row


def summary(name: str, rows: list[dict[str, Any]], chance: bool) -> dict[str, Any]:
    """Return the counts of a trap."""
    transfers = [row for row in rows if row["shipped"] not in BASELINES]
    return {
        "trap": name,
        "runs": len(rows),
        "transfer shipped": len(transfers),
        "negative transfer shipped": sum(row["negative transfer shipped"] for row in rows),
        "called positive": sum(row["verdict"] == "positive" for row in rows),
        "called positive, falsely": sum(
            row["verdict"] == "positive" and row["true gain"] <= 0 for row in rows
        ),
        "mean true gain of what was shipped": float(np.mean([row["true gain"] for row in rows])),
        "worst true gain": float(min(row["true gain"] for row in rows)),
        "mean accuracy": float(np.mean([row["accuracy"] for row in rows])),
        "labels are random": chance,
        "seconds a fit": float(np.median([row["seconds"] for row in rows])),
    }


def table(found: list[dict[str, Any]]) -> str:
    """Return the summaries as Markdown."""
    lines = [
        "# Traps",
        "",
        "Made by `make bench-traps`. Data on which transfer cannot help, through `headstart.fit`. "
        "*Negative transfer shipped*: what was shipped is significantly below scratch on 1,000 to "
        "3,000 independent items. *Falsely positive*: the verdict says positive where the true "
        "gain is not above zero.",
        "",
        "| trap | runs | transfer shipped | negative transfer shipped | falsely positive "
        "| mean true gain, points | worst, points | s a fit |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        mean, worst = (
            "0 (labels are random)" if row["labels are random"] else f"{100 * row[key]:+.1f}"
            for key in ("mean true gain of what was shipped", "worst true gain")
        )
        lines.append(
            f"| {row['trap']} | {row['runs']} | {row['transfer shipped']} "
            f"| {row['negative transfer shipped']} | {row['called positive, falsely']} "
            f"| {mean} | {worst} | {row['seconds a fit']:.1f} |"
        )
    total = {key: sum(row[key] for row in found) for key in ("runs", "negative transfer shipped")}
    shown = f"**{total['negative transfer shipped']} of {total['runs']}**"
    return "\n".join([*lines, "", f"Negative transfer shipped in all: {shown}.", ""])


def main() -> int:
    """Spring the traps and write the results; 1 if negative transfer was shipped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(TRAPS), help="one trap")
    parser.add_argument("--seeds", type=int, help="of each trap, at most")
    parser.add_argument("--reviews", type=Path, help="reviews.csv, where it is here already")
    options = parser.parse_args()
    names = options.only or list(TRAPS)
    summaries, details = [], {}
    with tempfile.TemporaryDirectory() as home:
        have = Materials(Path(home), options.reviews)
        for name in names:
            make, seeds = TRAPS[name]
            rows, chance = [], False
            for seed in range(min(options.seeds or seeds, seeds)):
                trap = make(have, seed)
                chance = trap.chance
                rows.append(sprung(trap, seed))
                sys.stderr.write(f"{name}: {json.dumps(rows[-1])}\n")
            details[name] = rows
            summaries.append(summary(name, rows, chance))
            write(summaries, details)
    return 1 if any(row["negative transfer shipped"] for row in summaries) else 0


def write(summaries: list[dict[str, Any]], details: dict[str, Any]) -> None:
    """Write what is known so far."""
    found = {"traps": summaries, "goal": "0 shipped", "runs": details, "machine": machine()}
    write_result("traps", found)
    (RESULTS / "traps.md").write_text(table(summaries), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
