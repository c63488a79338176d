"""The table of ``few_shot.py``: accuracies, paired intervals over seeds and texts, seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DRAWS = 4000
CLOCKS = ("cpu", "seconds")
Line = dict[str, Any]


def correct(line: Line) -> np.ndarray:
    """Return which of the judging texts a run got right."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(line["right"]), dtype=np.uint8))
    return bits[: line["n"]].astype(float)


def paired(first: Sequence[Line], second: Sequence[Line]) -> tuple[float, float, float, int] | None:
    """Return the mean difference of two methods, its 95 % interval and how many seeds both have.

    Seeds and texts are drawn with replacement, each on its own: a difference must hold for other
    labels and for other texts.
    """
    one, other = ({line["seed"]: correct(line) for line in some} for some in (first, second))
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return None
    gaps = np.stack([one[seed] - other[seed] for seed in seeds])
    rng = np.random.default_rng(0)
    found = np.empty(DRAWS)
    for at in range(DRAWS):
        texts = np.bincount(rng.integers(0, gaps.shape[1], gaps.shape[1]), minlength=gaps.shape[1])
        some = rng.integers(0, len(gaps), len(gaps))
        found[at] = (gaps[some] @ texts).mean() / gaps.shape[1]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(gaps.mean()), float(low), float(high), len(seeds)


def write(lines: list[Line], file: Path, peers: Sequence[str], told: Line, worth: float) -> None:
    """Write the tables of all runs to a file."""
    methods = list(dict.fromkeys([*peers, *sorted({line["method"] for line in lines})]))
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    parts = [
        "# Few labels of texts",
        "",
        "Written by `python benchmarks/few_shot.py --table`; what each column is, and what bounds "
        "SetFit on CLINC150, stands at the head of that script. The same weights (MiniLM), labels "
        f"and judging texts for all. {told['cpu']}, one thread; {versions}; setfit 1.2.0, "
        "sentence-transformers 6.2.0.",
    ]
    for data in ("reviews", "clinc150"):
        own = [line for line in lines if line["data"] == data]
        if own:
            parts += ["", f"## {data}", *_accuracies(own, methods), *_seconds(own, methods)]
            parts += _differences(own, methods, peers, worth)
    file.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _of(lines: Iterable[Line], method: str, shots: int) -> list[Line]:
    return [line for line in lines if line["method"] == method and line["shots"] == shots]


def _shots(lines: list[Line]) -> list[int]:
    return sorted({line["shots"] for line in lines})


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _accuracies(lines: list[Line], methods: list[str]) -> list[str]:
    rows = ["", "Accuracy, mean over seeds (how many, where not 3):", ""]
    rows += [_row(["labels a class", *methods]), _row(["---"] * (len(methods) + 1))]
    for shots in _shots(lines):
        cells = [str(shots)]
        for method in methods:
            found = [line["accuracy"] for line in _of(lines, method, shots)]
            seeds = "" if len(found) in (0, 3) else f" ({len(found)})"
            cells.append(f"{np.mean(found):.3f}{seeds}" if found else "")
        rows.append(_row(cells))
    return rows


def _seconds(lines: list[Line], methods: list[str]) -> list[str]:
    rows = ["", "Processor seconds of training, median; in brackets how many times as long SetFit "]
    rows[-1] += "took, median over the same seeds (on the clock after the comma):"
    rows += ["", _row(["labels a class", *methods]), _row(["---"] * (len(methods) + 1))]
    for shots in _shots(lines):
        setfit = {line["seed"]: line for line in _of(lines, "setfit", shots)}
        cells = [str(shots)]
        for method in methods:
            found = _of(lines, method, shots)
            pairs = [(setfit[line["seed"]], line) for line in found if line["seed"] in setfit]
            cpu, clock = ([one[key] / other[key] for one, other in pairs] for key in CLOCKS)
            told = f" ({np.median(cpu):.1f}, {np.median(clock):.1f})" if cpu else ""
            told = "" if method == "setfit" else told
            seconds = [line["cpu"] for line in found]
            cells.append(f"{np.median(seconds):.1f}{told}" if found else "")
        rows.append(_row(cells))
    return rows


def _differences(
    lines: list[Line], methods: list[str], peers: Sequence[str], worth: float
) -> list[str]:
    own = [method for method in methods if method not in peers]
    rows = ["", "Points above the better of SetFit and st+lr (of those run), paired 95 % interval "]
    rows[-1] += f"over seeds and texts; * where it reaches below {100 * worth:g}:"
    rows += ["", _row(["labels a class", "rival", *own]), _row(["---"] * (len(own) + 2))]
    for shots in _shots(lines):
        rivals = {peer: _of(lines, peer, shots) for peer in peers}
        rivals = {peer: found for peer, found in rivals.items() if found}
        if not rivals:
            continue
        best = max(rivals, key=lambda peer: np.mean([line["accuracy"] for line in rivals[peer]]))
        cells = [str(shots), best]
        for method in own:
            found = paired(_of(lines, method, shots), rivals[best])
            if found is None:
                cells.append("")
                continue
            gap, low, high, _ = found
            mark = "*" if low < worth else ""
            cells.append(f"{100 * gap:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]{mark}")
        rows.append(_row(cells))
    return rows
