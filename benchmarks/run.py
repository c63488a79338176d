"""All speed measurements, one after another, in an environment of their own.

    make bench

makes ``.venv-bench`` with headstart and what it is compared with, and runs each script; results go
to ``benchmarks/results``. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-bench"
PEERS = ("sentence-transformers==6.2.0",)
SCRIPTS = (
    "embed_text.py",
    "embed_image.py",
    "first_prediction.py",
    "probe.py",
    "finetune_speed.py",
)


def main() -> int:
    """Set up, run, and return the worst exit code."""
    python = HOME / "bin" / "python"
    if not python.exists():
        venv.create(HOME, with_pip=True)
    constraints = ["-c", str(ROOT / "constraints.txt")]
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-compile", *constraints]
    subprocess.run([*install, "-e", str(ROOT), *PEERS], check=True)
    worst = 0
    for script in SCRIPTS:
        sys.stdout.write(f"== {script}\n")
        sys.stdout.flush()
        done = subprocess.run([str(python), str(ROOT / "benchmarks" / script)], cwd=ROOT)
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
