"""Meta-learning against a plain classifier of the same classes, and against a frozen source.

Emoji as eight sets drew them: 1,543 signs, 6 to 8 pictures each. Whole signs are split by the seed:
64 % train, 16 % choose, 20 % judge. Every method trains a Conv-4 of 32 channels on 32 x 32 pixels
for the same seconds of processor time, and answers the same 600 episodes of unseen signs.

    python benchmarks/metalearning.py --work FOLDER [--seeds 0 1 2] [--seconds 60]
    python benchmarks/metalearning.py --table
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import emoji_data
from headstart import encode, sources
from headstart.core.types import SILENT
from headstart.meta import Collection, Plan, Run, read_collection
from headstart.meta.start import start_from

METHODS = ("rfs", "protonet", "anil", "fomaml", "reptile")
RESULTS = Path(__file__).parent / "results"
LITE = "efficientnet-lite0, frozen"


def measured(collection: Collection, seed: int, seconds: float) -> dict[str, object]:
    """Return what every method reaches with one seed."""
    plan = Plan(seed=seed, steps=100_000, patience=10_000, budget=1e9)
    base, _ = start_from(collection, None, size=32, width=32, seed=seed)
    run = Run(collection, base, plan, scratch=True, depth=None)
    items = [collection.items[int(place)] for place in run.places]
    answers, changed = {}, {}
    for method in METHODS:
        answers[method], changed[method] = run.train(method, seconds, clock=time.process_time)
        print(f"seed {seed}, {method}: {answers[method].validation:.3f}", flush=True)
    squares = encode.pixels(items, side=16).reshape(len(items), -1)
    answers["pixels"] = run.answers(np.asarray(squares, dtype=np.float32) / 255)
    features = encode.features(items, sources.load("efficientnet-lite0"), reporter=SILENT)
    answers[LITE] = run.answers(np.array(features.array))
    result = run.judged(answers, changed, methods=METHODS, named=())
    lite = answers[LITE].heads["prototypes"]
    prototypes = {str(shots): float(lite[shots].mean()) for shots in run.tests}
    return result.to_json() | {"seconds_each": seconds, "lite0_prototypes": prototypes}


def table(runs: list[dict]) -> str:
    """Return the page of results."""
    lines = [
        "# Meta-learning on emoji: 5 ways, unseen signs, 600 episodes a seed",
        "",
        f"{len(runs)} {'seed' if len(runs) == 1 else 'seeds'}, "
        f"{runs[0]['seconds_each']:.0f} s of one core of training for each method (Conv-4, 32 "
        "channels, 32 x 32 pixels); `make bench-meta`. Each cell: mean accuracy over seeds, and "
        "in brackets that of each seed with 1.96 sd / sqrt(600). `head`: which head on the frozen "
        "features the validation signs preferred.",
        "",
    ]
    classes = [
        f"{r['classes']['train']}/{r['classes']['validation']}/{r['classes']['test']}" for r in runs
    ]
    lines += [f"Signs that train/choose/judge: {', '.join(classes)}.", ""]
    for kind, title in (
        ("as_source", "As a source: frozen features and the better head"),
        ("own", "Answered each method's own way (MAML and Reptile adapt the whole network)"),
    ):
        lines += [
            f"## {title}",
            "",
            "| | head | 1-shot | 5-shot | 1-shot - rfs | 5-shot - rfs |",
            "|---|---|---|---|---|---|",
        ]
        gains = "over_rfs" if kind == "as_source" else "own_over_rfs"
        for name in [row["name"] for row in runs[0]["rows"]]:
            rows = [next(row for row in r["rows"] if row["name"] == name) for r in runs]
            if not rows[0][kind]:
                continue
            heads = "/".join(dict.fromkeys(row["head"] for row in rows))
            heads = heads if kind == "as_source" else "own"
            cells = [_cell([row[kind][shots] for row in rows]) for shots in ("1", "5")]
            cells += [
                _cell([row[gains][shots] for row in rows], "+") if rows[0][gains] else "-"
                for shots in ("1", "5")
            ]
            lines.append(f"| {name} | {heads} | " + " | ".join(cells) + " |")
        lines.append("")
    lite = [r["lite0_prototypes"] for r in runs]
    means = ", ".join(
        f"{shots}-shot {np.mean([one[shots] for one in lite]):.3f}" for shots in lite[0]
    )
    lines += [f"Frozen efficientnet-lite0 with prototypes: {means}.", ""]
    lines += [
        "## Training",
        "",
        "| | steps a seed | best after | validation accuracy |",
        "|---|---|---|---|",
    ]
    for name in METHODS:
        rows = [next(row for row in r["rows"] if row["name"] == name) for r in runs]
        cells = [
            ", ".join(str(row["trained"]["steps"]) for row in rows),
            ", ".join(str(row["trained"]["best_step"]) for row in rows),
            ", ".join(f"{row['validation']:.3f}" for row in rows),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    chosen = ", ".join(f"seed {r['seed']}: {r['chosen']}" for r in runs)
    lines += ["", f"Chosen by the validation signs: {chosen}.", ""]
    return "\n".join(lines)


def _cell(found: list[dict], sign: str = "") -> str:
    mean = np.mean([one["estimate"] for one in found])
    each = ", ".join(
        f"{one['estimate']:{sign}.3f} +- {one['high'] - one['estimate']:.3f}" for one in found
    )
    return f"{mean:{sign}.3f} ({each})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path(".emoji"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    path = RESULTS / "metalearning.json"
    if not asked.table:
        torch.set_num_threads(1)
        emoji_data.fetch(asked.work)
        collection = read_collection(emoji_data.make(asked.work, asked.work / "signs"))
        runs = json.loads(path.read_text())["runs"] if path.exists() else []
        runs = [run for run in runs if run["seconds_each"] == asked.seconds]
        for seed in asked.seeds:
            if any(run["seed"] == seed for run in runs):
                continue  # a run that is there is not done again
            runs.append(measured(collection, seed, asked.seconds))
            path.write_text(json.dumps({"runs": runs}, indent=1) + "\n")
            (RESULTS / "metalearning.md").write_text(table(runs))
    runs = json.loads(path.read_text())["runs"]
    page = table(runs)
    (RESULTS / "metalearning.md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
