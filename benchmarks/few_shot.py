"""Few labels of texts: headstart against SetFit and sentence-transformers + logistic regression.

    python benchmarks/few_shot.py --data ../../shared/data --reviews reviews.csv --peers VENV
    python benchmarks/few_shot.py --table

All take the same weights (all-MiniLM-L6-v2; ``--weights`` is its sentence-transformers folder), the
same 1, 2, 4, 8 or 16 labels a class, the same seeds, and are judged on the same texts: 1000 reviews
of films of which none trains, and CLINC150's official test. ``--method`` names columns:
``setfit``, ``st+lr``, ``default`` (``headstart.fit`` left to itself, told of the judging part) or
any strategy of headstart for texts. ``setfit`` and ``st+lr`` run in the environment at ``--peers``:
``pip install setfit==1.2.0 sentence-transformers==6.2.0`` with this project's constraints.

SetFit runs with its published defaults: one epoch over oversampled pairs, batches of 16 pairs.
On CLINC150 that would be 22 thousand pairs at 1 label a class and 1.4 million at 8, so there it
gets ``num_iterations=20``, its paper's number: 40 pairs a text. ``--setfit-seeds 1`` runs those
points, minutes to an hour each, with one seed.

Every run is a line of ``results/few_shot.jsonl``; a run that is there is not done again. Methods
take turns run by run. Seconds are those of training, on the clock (``seconds``) and of the
processor (``cpu``, which others on the machine hardly change): the weights are loaded before, and
each method has trained on four words; of ours nothing is cached. For ``default`` they are all of
``fit``, judging included. ``--table`` sums the lines up in ``results/few_shot.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import RESULTS, machine

LINES = RESULTS / "few_shot.jsonl"
PEERS = ("setfit", "st+lr")
DEFAULT = "default"
METHODS = ("st+lr", "probe", "contrastive", "setfit", DEFAULT)
SHOTS = (1, 2, 4, 8, 16)
JUDGING = 1000  # reviews that judge
ITERATIONS = {"reviews": None, "clinc150": 20}  # of SetFit; None: its default
WARM = pd.DataFrame({"text": ["good", "bad"] * 2, "label": ["a", "b"] * 2})  # no first run counts
WORTH = -0.005  # what the paired interval must not be below


def reviews(options: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return film reviews to draw from, and those of other films that judge."""
    frame = pd.read_csv(options.reviews)[["text", "label", "movie"]]
    films = np.random.default_rng(0).permutation(frame["movie"].unique())
    judges = frame["movie"].isin(films[: len(films) // 2])
    return frame[~judges], frame[judges].sample(JUDGING, random_state=0)


def clinc150(options: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return CLINC150's training texts, and its official test without what is out of scope."""
    parts = (pd.read_csv(options.data / "clinc150" / f"{name}.csv") for name in ("train", "test"))
    train, test = (part.rename(columns={"intent": "label"}) for part in parts)
    return train, test


DATA = {"reviews": reviews, "clinc150": clinc150}


def drawn(train: pd.DataFrame, shots: int, seed: int) -> pd.DataFrame:
    """Return so many rows of every class, the same for every method."""
    rng = np.random.default_rng([seed, shots])
    labels = train["label"].to_numpy()
    places = [
        rng.choice(np.flatnonzero(labels == label), shots, replace=False)
        for label in np.unique(labels)
    ]
    return train.iloc[np.sort(np.concatenate(places))]


class Peers:
    """SetFit and sentence-transformers in a process of their own."""

    def __init__(self, options: Any) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None

    def run(
        self, method: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, data: str
    ) -> dict[str, Any]:
        """Train one of the two; return its predictions, seconds and pairs."""
        if self._process is None:
            python = self._options.peers / "bin" / "python"
            script = Path(__file__).with_name("few_shot_setfit.py")
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            log = (self._options.peers / "few_shot.log").open("w")
            self._process = subprocess.Popen([python, script], text=True, stderr=log, **pipes)
            for peer in PEERS:
                self.run(peer, WARM, WARM, 0, "warm")
        job = {
            "method": method,
            "weights": str(self._options.weights.resolve()),
            "texts": train["text"].tolist(),
            "labels": train["label"].tolist(),
            "test": test["text"].tolist(),
            "seed": seed,
            "iterations": ITERATIONS.get(data, 1),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{method} ended: see {self._options.peers / 'few_shot.log'}")
        found: dict[str, Any] = json.loads(answer)
        return found


def own(
    method: str, train: pd.DataFrame, test: pd.DataFrame, seed: int, budget: str
) -> dict[str, Any]:
    """Train a strategy of headstart, or let ``headstart.fit`` choose; nothing is cached.

    Texts that judge are not among those told to ``headstart.fit`` where they are among those that
    train, too: it would leave out the latter, and the others learn from them.
    """
    if method != DEFAULT and train is not WARM:
        own(method, WARM, WARM, seed, budget)
    import headstart
    from headstart import sources, strategies

    installed = Path(os.environ.get("HEADSTART_CACHE", Path.home() / ".cache" / "headstart"))
    texts, labels = train["text"].tolist(), train["label"].to_numpy(dtype=object)
    judged = test["text"].tolist()
    with tempfile.TemporaryDirectory() as empty:
        (Path(empty) / "sources").symlink_to((installed / "sources").resolve())
        before = os.environ.get("HEADSTART_CACHE")
        os.environ["HEADSTART_CACHE"] = empty
        try:
            if method == DEFAULT:
                columns = ["text", "label"]
                start = now()
                part = test.loc[~copied(test["text"], train["text"]), columns]
                result = headstart.fit(
                    train[columns], label="label", text="text", test=part, seed=seed, budget=budget
                )
                took = since(start)
                return took | {"predictions": named(result.predict(judged)), "chose": told(result)}
            given: dict[str, Any] = {"source": sources.load("minilm")}
            model = strategies.make(
                method, kind="classification", modality="text", random_state=seed, **given
            )
            start = now()
            model.fit(texts, labels)
            took = since(start)
            return took | {"predictions": model.predict(judged).tolist()}
        finally:
            if before is None:
                del os.environ["HEADSTART_CACHE"]
            else:
                os.environ["HEADSTART_CACHE"] = before


def copied(texts: Any, others: Any) -> Any:
    """Return which texts repeat one of the others, nearly or wholly."""
    from headstart.data import duplicate_groups

    groups = duplicate_groups([*texts, *others], "text").groups
    return np.isin(groups[: len(texts)], groups[len(texts) :])


def now() -> tuple[float, float]:
    """Return the time on the clock and of the processor."""
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> dict[str, float]:
    """Return the seconds since then."""
    clock, cpu = now()
    return {"seconds": round(clock - start[0], 3), "cpu": round(cpu - start[1], 3)}


def named(found: Any) -> list[str]:
    """Return the labels among what a result predicts."""
    column = found["label"] if hasattr(found, "columns") else found
    return [str(one) for one in column]


def told(result: Any) -> str:
    """Return the strategy that ``headstart.fit`` chose."""
    return str(getattr(getattr(result, "chosen", None), "strategy", ""))


def lines() -> list[dict[str, Any]]:
    """Return the runs that have been done."""
    if not LINES.exists():
        return []
    return [json.loads(line) for line in LINES.read_text("utf-8").splitlines() if line.strip()]


def measure(options: Any, peers: Peers, key: dict[str, Any], parts: Any) -> None:
    """Do one run, unless its line is there."""
    if any(all(line[name] == value for name, value in key.items()) for line in lines()):
        return
    method, seed = key["method"], key["seed"]
    train = drawn(parts[0], key["shots"], seed)
    load = os.getloadavg()[0]
    if method in PEERS:
        found = peers.run(method, train, parts[1], seed, key["data"])
    else:
        found = own(method, train, parts[1], seed, options.budget)
    right = np.array(found.pop("predictions")) == parts[1]["label"].to_numpy().astype(str)
    line = {
        **key,
        "accuracy": round(float(right.mean()), 5),
        "seconds": found.pop("seconds"),
        "cpu": found.pop("cpu"),
        "cpu_load": round(load, 2),
        "threads": int(os.environ.get("OMP_NUM_THREADS", 0)),
        **{name: value for name, value in found.items() if value},
        "n": len(right),
        "right": np.packbits(right).tobytes().hex(),
    }
    LINES.parent.mkdir(exist_ok=True)
    with LINES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    sys.stderr.write(" ".join(f"{name}={line[name]}" for name in list(line)[:7]) + "\n")


def table(options: Any) -> None:
    """Write the table of all runs."""
    from few_shot_table import write

    write(lines(), RESULTS / "few_shot.md", PEERS, machine(), WORTH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--on", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--method", nargs="+", default=list(METHODS))
    parser.add_argument("--shots", nargs="+", type=int, default=list(SHOTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--data", type=Path, default=Path("../../shared/data"))
    parser.add_argument("--reviews", type=Path, default=Path("reviews/reviews.csv"))
    parser.add_argument("--peers", type=Path, default=Path(".venv-peers"), help="their environment")
    parser.add_argument("--weights", type=Path, default=Path(".minilm"), help="MiniLM for them")
    parser.add_argument("--setfit-seeds", type=int, default=3, help="seeds of SetFit on CLINC150")
    parser.add_argument("--budget", default="4m", help="of default; on two threads half of it")
    parser.add_argument("--table", action="store_true", help="sum up what is there")
    options = parser.parse_args()
    if not options.table:
        peers = Peers(options)
        for data in options.on:
            parts = DATA[data](options)
            for shots in options.shots:
                for place, seed in enumerate(options.seeds):
                    for method in options.method:
                        dear = method == "setfit" and data == "clinc150"
                        if dear and place >= options.setfit_seeds:
                            continue
                        key = {"data": data, "shots": shots, "seed": seed, "method": method}
                        measure(options, peers, key, parts)
    table(options)


if __name__ == "__main__":
    main()
