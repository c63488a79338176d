"""One example a class: the emoji of one vendor, named by those of another.

``python one_shot.py --packages FOLDER`` learns each of 1,250 signs (no people, no flags) from one
picture of Google's set and names Twitter's of the same, and the other way round. Beside: the
nearest neighbour of pixels. Intervals are bootstraps over signs. ``results/one_shot.{json,md}``.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from common import RESULTS, machine, write_result
from emoji_data import SETS, fetch
from headstart import encode, sources, strategies

SOURCES = (
    "efficientnet-lite0",
    "efficientnet-lite0@stage6.1:3",
    "efficientnet-lite2",
    "efficientnet-lite2@stage6.1:3",
)
HEADS = ("knn", "prototypes")
OUT = ("People & Body", "Flags", "Component")
Pictures = Mapping[str, np.ndarray]


def pictures(packages: Path, tag: str) -> dict[str, np.ndarray]:
    """Return the pictures of a set by sign, on white."""
    _, package, version, vendor = next(one for one in SETS if one[0] == tag)
    found = {}
    with tarfile.open(packages / f"{package}-{version}.tgz") as archive:
        listing = archive.extractfile("package/emoji.json")
        assert listing is not None
        for one in json.load(listing):
            if one["category"] in OUT or not one[f"has_img_{vendor}"]:
                continue
            file = archive.extractfile(f"package/img/{vendor}/64/{one['image']}")
            assert file is not None
            picture = Image.open(io.BytesIO(file.read())).convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            white.alpha_composite(picture)
            found[one["unified"]] = np.asarray(white.convert("RGB"))
    return found


def neighbours(known: Pictures, asked: Pictures) -> np.ndarray:
    """Return whether the nearest neighbour of 32 x 32 pixels, centred and of length 1, is right."""

    def flat(some: Pictures) -> np.ndarray:
        small = [np.asarray(Image.fromarray(one).resize((32, 32))) for one in some.values()]
        rows = np.stack(small).reshape(len(small), -1).astype(np.float64)
        rows -= rows.mean(axis=0)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    nearest = (flat(asked) @ flat(known).T).argmax(axis=1)
    return np.asarray(nearest == np.arange(len(known)))


def interval(right: np.ndarray) -> list[float]:
    """Return the mean and its 95 % bootstrap interval over signs."""
    rng = np.random.default_rng(0)
    means = right[rng.integers(0, len(right), (2000, len(right)))].mean(axis=1)
    return [float(right.mean()), *np.percentile(means, [2.5, 97.5]).tolist()]


def main() -> int:
    """Measure both ways, write JSON and a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--sources", nargs="*", default=list(SOURCES))
    given = parser.parse_args()
    fetch(given.packages)
    sets = {tag: pictures(given.packages, tag) for tag in ("google-16", "twitter-16")}
    signs = sorted(set.intersection(*(set(one) for one in sets.values())))
    sets = {tag: {sign: one[sign] for sign in signs} for tag, one in sets.items()}
    ways = (("google-16", "twitter-16"), ("twitter-16", "google-16"))
    rows: list[dict[str, Any]] = []
    for known, asked in ways:
        right = neighbours(sets[known], sets[asked])
        rows.append({"from": known, "to": asked, "what": "pixels", "accuracy": interval(right)})
    labels = np.array(signs, dtype=object)
    for name in given.sources:
        backbone = sources.load(name)
        features = {
            tag: encode.features(list(one.values()), backbone).array for tag, one in sets.items()
        }
        for known, asked in ways:
            for head in HEADS:
                made = strategies.make(
                    head, kind="classification", modality="image", random_state=0
                ).fit(features[known], labels)
                right = made.predict(features[asked]) == labels
                what = f"{name} + {head}"
                row = {"from": known, "to": asked, "what": what, "accuracy": interval(right)}
                rows.append(row)
                sys.stderr.write(f"{row}\n")
    write_result("one_shot", {"signs": len(signs), "rows": rows, "machine": machine()})
    lines = [
        "# One example a class: emoji of another vendor",
        "",
        f"`python benchmarks/one_shot.py`: {len(signs):,} signs, one picture each to learn from; "
        "accuracy on the other vendor's picture of the same signs, 95 % over signs.",
        "",
        "| what | Google to Twitter | Twitter to Google |",
        "|---|---|---|",
    ]
    for what in dict.fromkeys(row["what"] for row in rows):
        cells = [
            "{:.3f} [{:.3f}, {:.3f}]".format(*row["accuracy"])
            for row in rows
            if row["what"] == what
        ]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    (RESULTS / "one_shot.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
