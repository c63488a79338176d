"""SIGKILL at random moments of ``fit`` and of ``save``: nothing corrupt is ever left behind.

Each round starts ``headstart fit`` on a cache that all rounds share (so that half-written entries
would be met), kills it at a random moment, and then checks that whatever is at MODEL loads or is
absent; every tenth round also that the same command, run again, works and gives the numbers of an
undisturbed run. Rounds of ``save`` kill while a bundle is replaced.

    python benchmarks/kills.py --rounds 50
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import headstart as hs
from common import machine, write_result
from headstart.core.errors import HeadstartError
from headstart.fetch import cache_root

WORDS = "horse wolf rabbit eagle salmon beetle tiger goat bread soup cheese noodles pancake salad"

SAVER = """
import sys
import headstart as hs
texts = {texts!r}
result = hs.fit(texts, label={labels!r}, strategy="probe")
print("ready", flush=True)
for _ in range(100000):
    result.save(sys.argv[1], overwrite=True)
"""


def sentences() -> tuple[list[str], list[str]]:
    """Return texts and labels, enough to take a moment."""
    words = WORDS.split()
    texts = [f"note {i}: the {words[i % 14]} was seen again" for i in range(140)]
    return texts, ["animal" if i % 14 < 8 else "food" for i in range(140)]


def environment(root: Path) -> dict[str, str]:
    """Return an environment with a feature cache of its own that borrows the installed weights."""
    cache = root / "cache"
    cache.mkdir(exist_ok=True)
    if not (cache / "sources").exists():
        (cache / "sources").symlink_to(cache_root() / "sources", target_is_directory=True)
    return os.environ | {"HEADSTART_CACHE": str(cache), "HEADSTART_OFFLINE": "1"}


def numbers(stdout: str) -> dict:
    """Return what must repeat of ``fit --json``."""
    found = json.loads(stdout)
    for candidate in found["candidates"]:
        candidate.pop("seconds")
    return {key: found[key] for key in ("score", "gain", "chosen", "candidates")}


def kill_fits(rounds: int, root: Path, rng: random.Random) -> dict:
    """Kill ``fit`` at random moments."""
    table = root / "notes.csv"
    texts, labels = sentences()
    lines = ["text,label", *(f"{t},{y}" for t, y in zip(texts, labels, strict=True))]
    table.write_text("\n".join(lines) + "\n")
    env = environment(root)
    model = root / "model"
    command = [sys.executable, "-m", "headstart", "fit", str(table), "-o", str(model), "--json"]
    command += ["--quiet", "--strategy", "probe", "--strategy", "scratch"]
    started = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    whole, truth = time.perf_counter() - started, numbers(done.stdout)
    killed = bad = 0
    for number in range(rounds):
        if number % 2:  # every other round starts from an empty cache of features
            shutil.rmtree(root / "cache" / "features", ignore_errors=True)
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            process.wait(rng.uniform(0.1, whole))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed += 1
        try:
            hs.load(model)
        except HeadstartError:
            bad += 1
        if number % 10 == 9:
            again = subprocess.run(command, env=env, capture_output=True, text=True)
            bad += again.returncode != 0 or numbers(again.stdout) != truth
    return {"rounds": rounds, "killed before the end": killed, "corrupt or different": bad}


def kill_saves(rounds: int, root: Path, rng: random.Random) -> dict:
    """Kill a process that replaces a bundle again and again."""
    env = environment(root)
    texts, labels = sentences()
    model = root / "replaced"
    code = SAVER.format(texts=texts[:28], labels=labels[:28])
    bad = missing = 0
    for _ in range(rounds):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(model)], env=env, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(rng.uniform(0.0, 0.4))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        try:
            hs.load(model)
        except HeadstartError as error:
            if model.exists():
                bad += 1
                sys.stderr.write(f"{error}\n")
            else:
                missing += 1
    leftovers = [p.name for p in root.iterdir() if p.name.startswith(".") and "replaced" in p.name]
    return {"rounds": rounds, "corrupt": bad, "absent": missing, "left beside": len(leftovers)}


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--save-rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        fits = kill_fits(options.rounds, Path(name), rng)
        saves = kill_saves(options.save_rounds, Path(name), rng)
    write_result("kills", {"fit": fits, "save": saves, "machine": machine()})
    if fits["corrupt or different"] or saves["corrupt"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
