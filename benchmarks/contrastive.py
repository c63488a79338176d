"""Contrastive tuning of texts against heads on frozen features, on small tasks of intents.

    python benchmarks/contrastive.py --data ../../shared/data --seeds 3

Tasks are drawn from CLINC150: 2, 5 or 15 intents that are near one another (the nearest class means
of MiniLM features to an intent that is drawn), and 10 intents drawn at random; 2, 4, 8 or 16 labels
of each; judged on those intents' part of the official test. It is what ``select.prior`` and
``select.gate`` know of contrastive tuning, beside ``results/few_shot.md``. Results go to
``results/contrastive.jsonl``, sums to ``results/contrastive.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import RESULTS, machine
from headstart import sources, strategies
from headstart.encode import features

LINES, TABLE = RESULTS / "contrastive.jsonl", RESULTS / "contrastive.md"
TASKS = ((2, True), (5, True), (15, True), (10, False))
SHOTS = (2, 4, 8, 16)
FROZEN = ("probe", "prototypes")
TEXT: dict[str, Any] = {"kind": "classification", "modality": "text"}


def read(data: Path, part: str) -> pd.DataFrame:
    return pd.read_csv(data / "clinc150" / f"{part}.csv").rename(columns={"intent": "label"})


def near(train: pd.DataFrame, backbone: Any) -> np.ndarray:
    """Return the cosine between the class means of 20 texts each."""
    some = train.groupby("label").head(20)
    found = np.asarray(features(some["text"].tolist(), backbone).array)
    names = np.array(sorted(train["label"].unique()))
    means = np.stack([found[(some["label"] == name).to_numpy()].mean(axis=0) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means @ means.T)


def measure(
    train: pd.DataFrame, test: pd.DataFrame, backbone: Any, shots: int, seed: int
) -> dict[str, float]:
    """Return the accuracy of each, and the processor seconds of contrastive tuning."""
    parts = [one.sample(shots, random_state=seed) for _, one in train.groupby("label")]
    drawn = pd.concat(parts)
    texts, labels = drawn["text"].tolist(), drawn["label"].to_numpy(dtype=object)
    judged, truth = test["text"].tolist(), test["label"].to_numpy(dtype=object)
    mine, theirs = (features(each, backbone).array for each in (texts, judged))
    found = {}
    for name in FROZEN:
        model = strategies.make(name, random_state=seed, **TEXT).fit(mine, labels)
        found[name] = float(np.mean(model.predict(theirs) == truth))
    started = time.process_time()
    tuned = strategies.make("contrastive", random_state=seed, source=backbone, **TEXT)
    tuned.fit(texts, labels)
    found["cpu"] = round(time.process_time() - started, 1)
    found["contrastive"] = float(np.mean(tuned.predict(judged) == truth))
    return found


def interval(leads: np.ndarray) -> str:
    """Return the mean and its interval (Student's t over tasks), in points."""
    from scipy.stats import t

    mean = 100 * leads.mean()
    half = 100 * t.ppf(0.975, len(leads) - 1) * leads.std(ddof=1) / np.sqrt(len(leads))
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def write(lines: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(lines)
    frame["lead"] = frame["contrastive"] - frame["probe"]
    text = [
        "# Contrastive tuning of texts on small tasks",
        "",
        "Written by `python benchmarks/contrastive.py`, whose head says what the tasks are. "
        f"Machine: {json.dumps(machine())}.",
        "",
        "Points above the probe on the same labels, mean over tasks with its 95 % interval:",
        "",
        "| labels a class | tasks | contrastive - probe | worst | probe | processor s, median |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for shots, own in [*frame.groupby("shots"), ("all", frame)]:
        lead, took = own["lead"].to_numpy(), own["cpu"].median()
        text.append(
            f"| {shots} | {len(own)} | {interval(lead)} | {100 * lead.min():+.1f} | "
            f"{own['probe'].mean():.3f} | {took:.0f} |"
        )
    text += ["", "| intents | labels a class | tasks | points above the probe | probe |"]
    text += ["| --- | --- | --- | --- | --- |"]
    for (k, close, shots), own in frame.groupby(["k", "near", "shots"]):
        kind = "near" if close else "any"
        text.append(
            f"| {k}, {kind} | {shots} | {len(own)} | {100 * own['lead'].mean():+.1f} | "
            f"{own['probe'].mean():.3f} |"
        )
    TABLE.write_text("\n".join(text) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, test = (read(options.data, part) for part in ("train", "test"))
    backbone = sources.load("minilm")
    names, cosine = np.array(sorted(train["label"].unique())), near(train, backbone)
    lines = [json.loads(one) for one in LINES.read_text().splitlines()] if LINES.exists() else []
    done = {(one["seed"], one["k"], one["near"], one["shots"]) for one in lines}
    for seed in range(options.seeds):
        for k, close in TASKS:
            rng = np.random.default_rng([seed, k])
            if close:
                own = names[np.argsort(-cosine[rng.integers(len(names))])[:k]]
            else:
                own = rng.choice(names, k, replace=False)
            pair = [each[each["label"].isin(own)] for each in (train, test)]
            for shots in SHOTS:
                if (seed, k, close, shots) in done:
                    continue
                key = {"seed": seed, "k": k, "near": close, "shots": shots}
                lines.append(key | measure(pair[0], pair[1], backbone, shots, seed))
                with LINES.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    write(lines)


if __name__ == "__main__":
    main()
