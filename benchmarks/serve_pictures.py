"""Make the image model that the proof of the service asks: handwritten digits of scikit-learn.

python benchmarks/serve_pictures.py DIRECTORY
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import headstart as hs
from headstart import bundle


def main(target: Path) -> int:
    if (target / "export.json").is_file():
        return 0
    found = load_digits()
    picked = np.concatenate([np.flatnonzero(found.target == digit)[:6] for digit in range(10)])
    images = [(16 * found.images[i]).clip(0, 255).astype(np.uint8) for i in picked]
    labels = [f"digit {found.target[i]}" for i in picked]
    result = hs.fit(images, label=labels, strategy="probe", curve=False)
    with tempfile.TemporaryDirectory() as folder:
        result.save(Path(folder, "model"))
        bundle.export(Path(folder, "model"), target)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
