"""Run every command and example of README.md and docs/*.md, and compare what they print.

Console blocks: a line that starts with ``$ `` is run; the lines below it are what it must print.
Numbers may differ (another processor, another second), words may not; a line ``...`` stands for
any number of lines. Python blocks run one after another in one namespace for each page; a comment
``# -> text`` after an expression is what it must print. Commands that set up a machine
(``make``, ``pip``, ``git``) are not run here: CI runs them itself.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETUP = ("make", "pip", "git", "python", "cd")
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")
FENCE = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Failure:
    """A block that did not do what the page says."""

    page: str
    what: str


def masked(line: str) -> str:
    """Return a line with its numbers and runs of blanks made equal."""
    return re.sub(r"\s+", " ", NUMBER.sub("#", line)).strip()


def matches(expected: list[str], printed: list[str]) -> bool:
    """Compare masked lines; ``...`` stands for any number of lines."""
    if not expected:
        return True
    if expected[0] == "...":
        return any(matches(expected[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and expected[0] == printed[0] and matches(expected[1:], printed[1:])


def commands(block: str) -> list[tuple[str, list[str]]]:
    """Return the commands of a console block, each with the lines it should print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1] and found[-1][0].endswith("\\"):
            found[-1] = (found[-1][0][:-1] + line[2:], [])
        elif found:
            found[-1][1].append(line)
    return found


def run_console(page: str, block: str, place: Path, failures: list[Failure]) -> None:
    """Run the commands of a block in ``place``."""
    environment = dict(os.environ, COLUMNS="110")
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for command, expected in commands(block):
        if shlex.split(command)[0] in SETUP:
            continue
        done = subprocess.run(
            command, shell=True, cwd=place, env=environment, capture_output=True, text=True
        )
        printed = [masked(line) for line in done.stdout.splitlines() if line.strip()]
        wanted = [masked(line) for line in expected if line.strip()]
        sys.stdout.write(f"  {'ok ' if done.returncode == 0 else 'BAD'} $ {command}\n")
        if done.returncode != 0:
            failures.append(Failure(page, f"$ {command}\n{done.stdout}\n{done.stderr}"))
        elif wanted and not matches(wanted, printed):
            shown = "\n".join(["expected:", *wanted, "printed:", *printed])
            failures.append(Failure(page, f"$ {command}\n{shown}"))


def run_python(page: str, script: str, place: Path, failures: list[Failure]) -> None:
    """Run the Python blocks of a page as one script in ``place``."""
    done = subprocess.run([sys.executable, "-c", script], cwd=place, capture_output=True, text=True)
    sys.stdout.write(f"  {'ok ' if done.returncode == 0 else 'BAD'} python blocks\n")
    if done.returncode != 0:
        failures.append(Failure(page, done.stderr))
        return
    wanted = [masked(line.split("# ->", 1)[1]) for line in script.splitlines() if "# ->" in line]
    printed = [masked(line) for line in done.stdout.splitlines() if line.strip()]
    missing = [line for line in wanted if line not in printed]
    if missing:
        failures.append(Failure(page, f"not printed: {missing}\nprinted: {printed}"))


def main() -> int:
    """Run all pages; return the exit code."""
    failures: list[Failure] = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        page = str(path.relative_to(ROOT))
        blocks = FENCE.findall(path.read_text(encoding="utf-8"))
        if not blocks:
            continue
        sys.stdout.write(f"{page}: {len(blocks)} blocks\n")
        with tempfile.TemporaryDirectory() as folder:
            for language, block in blocks:
                if language == "console":
                    run_console(page, block, Path(folder), failures)
            script = "\n".join(block for language, block in blocks if language == "python")
            if script:
                run_python(page, script, Path(folder), failures)
    for failure in failures:
        sys.stdout.write(f"\nFAILED {failure.page}\n{failure.what}\n")
    sys.stdout.write(f"{len(failures)} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
