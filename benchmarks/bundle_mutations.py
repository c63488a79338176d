"""Twenty thousand damaged and forged models: does any load that is not the same model?

    python bundle_mutations.py [--n 20000] [--seed 0]

Two sound models (a standalone probe with every kind of file, and one of a sequence task), each as
a directory and as an archive, are changed at random: bits flipped, bytes set, cut, doubled, moved
from elsewhere, fields of JSON edited; in half of the cases every sha256 and the digest are then
made to fit again, as a forger would. Each is opened and asked. A change of any byte that is not
forged must be refused, or the model must have the same files, byte for byte. A forged one must be
refused with an error of headstart's own, or answer without an error that nobody foresaw.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "bundle"))

import hostile  # noqa: E402
from tiny_models import contents_of  # noqa: E402
from tiny_sequences import ASKED, saved_tagger  # noqa: E402

from headstart import bundle  # noqa: E402
from headstart.bundle.verified import verified_files  # noqa: E402
from headstart.core.errors import HeadstartError  # noqa: E402

ODD: list[Any] = [None, True, -1, 0, 2**63, 2**70, 1e308, "", "../x", "\x00", [], {}, "x" * 9999]
FORGED = """\
A forged model that loads is one that nothing in it contradicts: another decision, version
or model card, a weight too small to matter for the golden outputs, or a part that they do
not touch, which is how some answer otherwise. A forger could as well write a whole model
anew. Only a signature tells: `headstart sign`, `headstart verify --key`."""
WAYS = ("bit", "byte", "cut", "twice", "moved", "zeros", "grown")


def damaged(raw: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Change some bytes."""
    way = str(rng.choice(WAYS))
    at = int(rng.integers(max(len(raw), 1)))
    until = min(at + int(rng.integers(1, 64)), len(raw))
    if way == "bit" and raw:
        return way, raw[:at] + bytes([raw[at] ^ (1 << int(rng.integers(8)))]) + raw[at + 1 :]
    if way == "byte":
        return way, raw[:at] + rng.bytes(1) + raw[at + 1 :]
    if way == "cut":
        return way, raw[:at] if rng.random() < 0.5 else raw[:at] + raw[until:]
    if way == "twice":
        return way, raw[:until] + raw[at:]
    if way == "moved":
        other = int(rng.integers(max(len(raw), 1)))
        return way, raw[:at] + raw[other : other + until - at] + raw[until:]
    if way == "zeros":
        return way, raw[:at] + b"\0" * (until - at) + raw[until:]
    return "grown", raw[:at] + rng.bytes(until - at) + raw[at:]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of nested JSON."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, part in pairs:
        found.append((value, key))
        if isinstance(part, dict | list):
            found += places(part)
    return found


def edited(raw: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Change a field of JSON: another value, another field's value, none, or one more."""
    said = json.loads(raw)
    found = places(said)
    if not found:
        return "field", b'{"x": 1}'
    inside, key = found[int(rng.integers(len(found)))]
    other, name = found[int(rng.integers(len(found)))]
    way = int(rng.integers(5))
    old = inside[key]
    if way == 0:
        inside[key] = ODD[int(rng.integers(len(ODD)))]
    elif way == 1:
        inside[key] = json.loads(json.dumps(other[name]))
    elif way == 2:
        del inside[key]
    elif way == 3 and isinstance(inside, dict):
        inside[f"{key}_"] = inside.pop(key)
    elif isinstance(old, int | float) and not isinstance(old, bool):
        inside[key] = type(old)(old * float(rng.choice([-1, 0, 2, 1e3])) + int(rng.integers(2)))
    else:
        inside[key] = [old]
    return "field", json.dumps(said, indent=1, ensure_ascii=False).encode("utf-8", "replace")


def header_edited(raw: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Change a field in the header of safetensors."""
    length = int.from_bytes(raw[:8], "little")
    _, head = edited(raw[8 : 8 + length], rng)
    return "header", len(head).to_bytes(8, "little") + head + raw[8 + length :]


def mutated(files: hostile.Files, rng: np.random.Generator) -> tuple[str, hostile.Files, bool]:
    """Return what was done, the files, and whether every digest was made to fit."""
    name = str(rng.choice(sorted(files)))
    raw, forged = files[name], bool(rng.random() < 0.5)
    if forged and name.endswith(".json") and rng.random() < 0.7:
        way, made = edited(raw, rng)
    elif forged and name.endswith(".safetensors") and rng.random() < 0.4:
        way, made = header_edited(raw, rng)
    else:
        way, made = damaged(raw, rng)
    changed = {**files, name: made}
    if not forged:
        return f"{way} in {name}", changed, False
    try:
        return f"{way} in {name}, forged", hostile.resealed(changed), True
    except (ValueError, KeyError, TypeError, AttributeError):  # a manifest that is none any more
        return f"{way} in {name}", changed, False


def outcome(path: Path, asked: Any) -> tuple[str, Any]:
    """Open and ask a model; say how that ended."""
    try:
        loaded = bundle.load(path)
        loaded.predict(asked)
    except HeadstartError as error:
        return "refused", error
    except Exception as error:
        return "unforeseen", error
    return "loaded", loaded


def answered(model: Any, asked: Any) -> str:
    """Return what a model answers, rounded as no golden output tells apart."""
    if hasattr(model, "estimator"):
        return str(np.round(model.predict_proba(asked), 2).tolist())
    return str(model.predict(asked))


def same(path: Path, files: hostile.Files) -> bool:
    """Say whether what lies at a path is the sound model, byte for byte."""
    found = verified_files(path)
    return {**found.raw, hostile.MANIFEST: found.said} == files


def run(n: int, seed: int, home: Path) -> dict[str, Any]:
    """Try ``n`` mutations; return what became of them."""
    rng = np.random.default_rng(seed)
    contents = contents_of(("probe", "classification", "text"))
    sound = [
        (bundle.save(home / "probe", contents), ["my order", "x" * 40]),
        (saved_tagger(home / "tagger"), ASKED),
    ]
    told: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    wrong: list[str] = []
    where: Counter[str] = Counter()
    started, slowest = time.perf_counter(), 0.0
    for path, asked in sound:
        assert outcome(path, asked)[0] == "loaded"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for turn in range(n):
        path, asked = sound[turn % 2]
        files = {one.name: one.read_bytes() for one in path.iterdir()}
        zipped = turn % 4 >= 2
        target = home / f"m{turn}{'.zip' if zipped else ''}"
        if zipped and rng.random() < 0.4:
            hostile.archive(target, files)
            way, raw = damaged(target.read_bytes(), rng)
            target.write_bytes(raw)
            way, forged = f"{way} in the archive", False
        else:
            way, changed, forged = mutated(files, rng)
            (hostile.archive if zipped else hostile.directory)(target, changed)
        began = time.perf_counter()
        how, what = outcome(target, asked)
        slowest = max(slowest, time.perf_counter() - began)
        if how == "loaded" and not forged and not same(target, files):
            how = "loaded, and is another model"
        elif how == "loaded":
            how = "loaded, forged" if forged else "loaded, the same bytes"
        else:
            errors[type(what).__name__] += 1
        if how in ("unforeseen", "loaded, and is another model"):
            wrong.append(f"{turn}: {how}: {way}: {what!r}"[:300])
        if how == "loaded, forged":
            where[way.removesuffix(", forged").split(" in ")[1]] += 1
            answers = answered(what, asked)
            told["forged, other answers"] += answers != answered(bundle.load(path), asked)
        told[how] += 1
        told["forged"] += forged
        told["archives"] += zipped
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    return {
        "n": n,
        "seed": seed,
        "told": dict(told),
        "errors": dict(errors),
        "wrong": wrong,
        "forged_in": dict(where.most_common()),
        "grown_mb": round(grown),
        "slowest_seconds": round(slowest, 2),
        "seconds": round(time.perf_counter() - started),
    }


def table(found: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    told = found["told"]
    rows = [
        ("mutated models", f"{found['n']:,}"),
        ("of these as an archive", f"{told.get('archives', 0):,}"),
        ("of these with every sha256 made to fit again", f"{told.get('forged', 0):,}"),
        ("refused", f"{told.get('refused', 0):,}"),
        ("loaded: the same model, byte for byte", f"{told.get('loaded, the same bytes', 0):,}"),
        (
            "loaded: forged, every sha256 and golden output fits",
            f"{told.get('loaded, forged', 0):,}",
        ),
        (
            "loaded, not forged, and another model",
            f"{told.get('loaded, and is another model', 0):,}",
        ),
        ("an error that is not headstart's", f"{told.get('unforeseen', 0):,}"),
        ("of the forged ones, other answers", f"{told.get('forged, other answers', 0):,}"),
        ("memory grown by", f"{found['grown_mb']} MB"),
        ("slowest", f"{found['slowest_seconds']} s"),
    ]
    lines = ["| what | number |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)]
    kinds = ", ".join(f"{name} {count:,}" for name, count in sorted(found["errors"].items()))
    return "\n".join(
        [
            "# Damaged and forged models",
            "",
            f"`make proof-bundles`: {found['n']:,} mutations, seed {found['seed']}, "
            f"{found['seconds']} s. {__doc__.split('    python')[1].split(chr(10), 2)[2].strip()}",
            "",
            *lines,
            "",
            f"Errors: {kinds}.",
            "",
            "What was forged and loads lay in: "
            + ", ".join(f"{name} {count:,}" for name, count in found["forged_in"].items())
            + ".",
            "",
            FORGED,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=HERE / "results" / "bundles.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        found = run(given.n, given.seed, Path(home))
    given.output.write_text(table(found))
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["wrong"]))


if __name__ == "__main__":
    main()
