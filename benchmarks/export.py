"""Exports against the models they were made of: parity, cold start, speed, size.

Models of real texts (reviews), pictures (textures) and rows (wine-white) are fitted to some items
and asked about others. Cold start is a process of its own, from its start to the printed answer;
wall seconds count what else the machine does, CPU seconds (user and system) do not. Speed is one
call with all items, one thread.

    python benchmarks/export.py --runs 9 [--python VENV/bin/python]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from common import machine, write_result
from headstart import bundle, data, encode, sources, strategies
from headstart.bundle.exporting.write import expected
from headstart.bundle.inputs import prepared
from headstart.bundle.runner import open_export
from headstart.sources.store import is_installed
from headstart.strategies.plain import plain_inputs

MODELS = (
    ("reviews", "probe", "minilm"),
    ("reviews", "probe", "e5-small"),
    ("reviews", "probe", "mpnet"),
    ("reviews", "scratch", None),
    ("textures", "probe", "efficientnet-lite0"),
    ("textures", "probe", "efficientnet-lite0@stage6.1:3"),
    ("textures", "scratch", None),
    ("wine-white", "scratch", None),
)
LABELS = {"wine-white": "quality"}
FITTED, ASKED = 300, 200  # items at most


def fitted(
    name: str, strategy: str, source: str | None, folder: Path, examples: Path
) -> tuple[Any, Any]:
    """Return a bundle fitted to a part of an example, and items of another part."""
    home = examples / name
    if not home.exists():
        data.fetch_example(name, home)
    path = home if name == "textures" else home / f"{name}.csv"
    task = data.read(str(path), label=LABELS.get(name))
    order = np.random.default_rng(0).permutation(task.n)
    cut = min(FITTED, task.n // 2)
    seen, asked = task.take(order[:cut]), task.take(order[cut : cut + ASKED])
    backbone = None if source is None else sources.load(source)
    if backbone is None:
        inputs = plain_inputs(seen.items, task.modality)
    else:
        inputs = encode.features(seen.items, backbone, precision="float32").array
    model = strategies.make(strategy, kind=task.kind, modality=task.modality)
    contents = bundle.BundleContents(
        modality=task.modality,
        kind=task.kind,
        strategy=strategy,
        state=model.fit(inputs, seen.labels).to_state(),
        metric="accuracy" if task.classes else "r2",
        classes=tuple(str(one) for one in getattr(model, "classes_", ())),
        columns=bundle.columns_of(seen.items) if task.modality == "table" else (),
        source=None if backbone is None else backbone.card,
        backbone=backbone,
        standalone=backbone is not None,
    )
    where = bundle.save(folder / f"{name}-{strategy}-{source}".replace("/", "_"), contents)
    return bundle.load(where), asked.items


def input_of(items: Any, modality: str, folder: Path) -> str:
    """Return the first item as the runner's command takes it."""
    if modality != "table":
        return str(items[0])
    items.iloc[:1].to_csv(folder / "one.csv", index=False)
    return str(folder / "one.csv")


def cold(python: str, where: Path, given: str, runs: int) -> dict[str, float]:
    """Return median wall and CPU seconds of processes that predict one item."""
    wall, cpu = [], []
    for _ in range(runs + 1):  # the first warms the disk cache and is not counted
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [python, str(where / "runner.py"), given]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(time.perf_counter() - started)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    found = {"wall": wall[1:], "cpu": cpu[1:]}
    return {name: round(float(np.median(values)), 3) for name, values in found.items()} | {
        "wall_best": round(min(wall[1:]), 3)
    }


def rate(predict: Any, items: Any, n: int) -> float:
    """Return items a CPU second, the best of three."""
    best = np.inf
    for _ in range(3):
        started = time.process_time()
        predict(items)
        best = min(best, time.process_time() - started)
    return round(n / best, 1)


def measured(case: tuple[str, str, str | None], folder: Path, options: Any) -> Any:
    """Return the row of one model."""
    model, items = fitted(*case, folder, options.examples or folder)
    started = time.process_time()
    where = model.export(folder / "export" / "-".join(map(str, case)).replace("/", "_"))
    took = time.process_time() - started
    opened = open_export(where, threads=1)
    table = model.modality == "table"
    asked = items.to_dict("records") if table else items
    want = expected(model, prepared(items, model.modality, model.manifest.columns))
    labels, shares, _, _ = opened.answer(asked)
    away = np.abs((shares if opened.classes else labels) - want)
    usual = model.predict_proba(items) if opened.classes else model.predict(items)
    size = sum(file.stat().st_size for file in where.rglob("*") if file.is_file())
    return {
        "data": case[0],
        "strategy": case[1],
        "source": case[2],
        "asked": len(asked),
        "largest_difference": float(f"{away.max():.2g}"),
        "same_labels": float((model.predict(items) == labels).mean()),
        "largest_difference_from_the_bundle_at_its_fastest": float(
            f"{np.abs((shares if opened.classes else labels) - usual).max():.2g}"
        ),
        "megabytes": round(size / 1e6, 1),
        "export_cpu_seconds": round(took, 1),
        "cold_start_seconds": cold(
            options.python, where, input_of(items, model.modality, folder), options.runs
        ),
        "items_a_cpu_second": {
            "export": rate(opened.predict, asked, len(asked)),
            "bundle": rate(model.predict, items, len(asked)),
        },
    }


def main() -> None:
    """Measure every model whose source is installed, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--python", default=sys.executable, help="that runs the exports")
    parser.add_argument("--examples", type=Path, help="a folder that holds the examples already")
    parser.add_argument("--only", default="", help="a part of a source's name")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for case in MODELS:
            base = str(case[2]).split("@")[0]
            if options.only not in base:
                continue
            if case[2] is not None and not is_installed(sources.card(base)):
                sys.stderr.write(f"{base} is not installed: left out\n")
                continue
            rows.append(measured(case, Path(name), options))
            sys.stderr.write(f"{rows[-1]}\n")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    write_result("export", {"machine": machine(), "load_at_the_end": load, "rows": rows})


if __name__ == "__main__":
    main()
