"""Tuning a source of sounds against a probe on it: speakers and drums, few labels, three draws.

``python audio_tuning.py --speakers FOLDER --drums FOLDER``: folders with a sub-folder a class,
files anywhere below. Measured were six speakers of the Asterisk prompts (Debian packages
asterisk-core-sounds-{en,es,fr,it,ru}-wav and asterisk-prompt-it-menardi-wav, 45 recordings each)
and ten kinds of hits of the package hydrogen-drumkits. Each draw takes 5 labels a class and judges
on 10 others a class. The rate of biases, 0.0001, was chosen on two draws that are not among these;
that of texts, 0.001, is shown beside. Rows of ``results/audio_tuning.jsonl`` that are there are not
run again, and ``results/audio_tuning.md`` and ``.json`` are made of all. One thread, processor
seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import RESULTS, machine
from headstart import sources, strategies
from headstart.data.sound_file import SUFFIXES

LABELS, JUDGED, SEEDS = 5, 10, (0, 1, 2)
# data, source, strategy, parameters, seeds: what is dear has fewer
RUNS: list[tuple[str, str, str, dict[str, Any], tuple[int, ...]]] = [
    *(("speakers", "ge2e", name, {}, SEEDS) for name in ("probe", "lora", "partial", "bitfit")),
    ("speakers", "ge2e", "bitfit", {"rate": 0.001}, SEEDS),
    ("speakers", "ge2e", "partial", {"augment": 0.0}, SEEDS),
    ("speakers", "ge2e", "partial", {"augment": 1.0}, SEEDS),
    ("speakers", "ge2e", "weighted-layers", {}, SEEDS),
    *(
        (data, "whisper-base", name, {}, SEEDS)
        for data in ("speakers", "drums")
        for name in ("probe", "weighted-layers")
    ),
    *((data, "whisper-base@layer1", "probe", {}, SEEDS) for data in ("speakers", "drums")),
    ("speakers", "ge2e", "lora", {"augment": 0.0}, SEEDS),
    ("speakers", "whisper-base", "partial", {}, SEEDS[:2]),
    ("drums", "whisper-base", "partial", {"augment": 0.0}, SEEDS[:1]),
    ("speakers", "whisper-base", "lora", {"epochs": 5}, SEEDS[:1]),
]


def items_of(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return the recordings below a folder and their classes: the names of their folders."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return [str(path) for path in paths], np.array([p.parent.name for p in paths], dtype=object)


def draw(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the labelled and of the judged items."""
    rng = np.random.default_rng(seed)
    train, test = [], []
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        train += places[:LABELS].tolist()
        test += places[LABELS : LABELS + JUDGED].tolist()
    return np.sort(train), np.sort(test)


def one(
    source: str,
    strategy: str,
    params: dict[str, Any],
    items: list[str],
    labels: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    """Fit on one draw and judge it."""
    train, test = draw(labels, seed)
    backbone = sources.load(source)
    heard, asked = ([items[i] for i in places] for places in (train, test))
    started = time.process_time()
    model = strategies.make(
        strategy,
        kind="classification",
        modality="audio",
        random_state=seed,
        source=backbone,
        **params,
    )
    model.fit(heard, labels[train])
    fit = time.process_time() - started
    right = model.predict(asked) == labels[test]
    return {"right": [int(value) for value in right], "fit_seconds": round(fit, 1)}


def gain(rows: list[dict[str, Any]], base: list[dict[str, Any]]) -> list[float]:
    """Return the mean gain in points over the probe of the same draws, with its 95 % interval."""
    paired = [(row, other) for row in rows for other in base if other["seed"] == row["seed"]]
    lead = np.concatenate(
        [np.array(row["right"], float) - np.array(other["right"]) for row, other in paired]
    )
    picks = np.random.default_rng(0).integers(0, len(lead), (4000, len(lead)))
    low, high = np.percentile(lead[picks].mean(axis=1), [2.5, 97.5])
    return [round(100 * float(value), 1) for value in (lead.mean(), low, high)]


def table(rows: list[dict[str, Any]], what: list[tuple[str, str, str, dict[str, Any]]]) -> Any:
    """Return the results: a row a data set, source, strategy and parameters."""
    found = []
    for data, source, strategy, params in what:
        own = [row for row in rows if key(row)[:4] == (data, source, strategy, str(params))]
        base = [row for row in rows if key(row)[:4] == (data, source, "probe", "{}")]
        if not own:
            continue
        found.append(
            {
                "data": data,
                "source": source,
                "strategy": strategy,
                "params": params,
                "draws": len(own),
                "accuracy": round(float(np.mean([np.mean(row["right"]) for row in own])), 4),
                "over probe, points": gain(own, base) if strategy != "probe" and base else None,
                "fit_seconds": round(float(np.median([row["fit_seconds"] for row in own])), 1),
            }
        )
    return found


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what tells a row from others."""
    return row["data"], row["source"], row["strategy"], str(row["params"]), row["seed"]


def page(found: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """Return the page."""
    lines = [
        "# Tuning a source of sounds",
        "",
        f"`{facts['command']}`, {facts['machine']['cpu']}, {facts['machine']['cores']} cores, one "
        f"thread. {LABELS} labels a class, {JUDGED} others a class judged, a draw a seed. Gains "
        "over the probe of the same draws, in points of accuracy, with 95 % bootstrap intervals "
        "over the judged items; processor seconds of a fit, the middle one (those of probes "
        "and `weighted-layers` hardly count the encoding: features came from the cache).",
        "",
        "| data | source | strategy | parameters | draws | accuracy | over probe | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        over = row["over probe, points"]
        said = "" if over is None else f"{over[0]:+.1f} [{over[1]:+.1f}, {over[2]:+.1f}]"
        params = ", ".join(f"{name}={value}" for name, value in row["params"].items())
        lines.append(
            f"| {row['data']} | {row['source']} | {row['strategy']} | {params} | {row['draws']} | "
            f"{row['accuracy']:.3f} | {said} | {row['fit_seconds']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run what is not there yet and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speakers", type=Path, required=True)
    parser.add_argument("--drums", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=900.0, help="begin nothing after these")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = {name: items_of(getattr(options, name)) for name in ("speakers", "drums")}
    log = RESULTS / "audio_tuning.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {key(row) for row in rows}
    for name, source, strategy, params, seeds in RUNS:
        for seed in seeds:
            row: dict[str, Any] = {"data": name, "source": source, "strategy": strategy}
            row |= {"params": params, "seed": seed}
            if key(row) in done or time.process_time() > options.seconds:
                continue
            row |= one(source, strategy, params, *data[name], seed)
            rows.append(row)
            with log.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(*key(row), np.mean(row["right"]), row["fit_seconds"], file=sys.stderr, flush=True)
    facts = {"command": "python audio_tuning.py --speakers FOLDER --drums FOLDER"}
    facts |= {"machine": machine()}
    found = table(rows, [run[:4] for run in RUNS])
    (RESULTS / "audio_tuning.json").write_text(json.dumps(facts | {"rows": found}, indent=1) + "\n")
    (RESULTS / "audio_tuning.md").write_text(page(found, facts))


if __name__ == "__main__":
    main()
