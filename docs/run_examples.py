"""Run every command and example of README.md and docs/*.md, and compare what they print.

Each page has an empty directory and one Python namespace of its own; its blocks run in the order
in which they stand. Console blocks: a line that starts with ``$ `` is run; the lines below it are
what it must print. Numbers may differ (another processor, another second), words may not; a line
``...`` stands for any number of lines. A command that ends in ``# exit 2`` must exit so, and what
it says on stderr is compared. In Python blocks a comment ``# -> text`` is a line that must be
printed. Commands that set up a machine (``make``, ``pip``, ``git``) are not run here: CI runs them
itself. All pages share a cache that borrows the two default sources, and no others: what else is
installed on this machine would take part in races and be listed. The README runs alone, the other
pages two at a time with a thread each, for most of them wait for one core.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from headstart.fetch import cache_root

ROOT = Path(__file__).resolve().parent.parent
SETUP = ("make", "pip", "git", "python", "cd")
NUMBER = re.compile(r"[-+]?\d[\d,]*(\.\d+)?")
EXIT = re.compile(r"# exit (\d)$")
DONE = "-- end of the block --"
DRIVER = f"""
import json, sys
space = {{"__name__": "__main__"}}
for line in sys.stdin:
    exec(compile(json.loads(line), "page", "exec"), space)
    print({DONE!r}, flush=True)
"""
FENCE = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


AT_ONCE = min(2, os.cpu_count() or 1)


@dataclass
class Page:
    """A page: what was run of it, and the blocks that did not do what it says."""

    name: str
    blocks: list[tuple[str, str]]
    environment: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def ran(self, what: str, right: bool) -> None:
        """Note that something was run."""
        self.lines.append(f"  {'ok ' if right else 'BAD'} {what}\n")


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


def run_console(page: Page, block: str, place: Path) -> None:
    """Run the commands of a block in ``place``."""
    environment = {**os.environ, **page.environment, "COLUMNS": "110"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for command, expected in commands(block):
        if shlex.split(command)[0] in SETUP:
            continue
        done = subprocess.run(
            command, shell=True, cwd=place, env=environment, capture_output=True, text=True
        )
        exit_code = EXIT.search(command)
        right = done.returncode == (int(exit_code[1]) if exit_code else 0)
        heard = done.stderr if exit_code else done.stdout
        printed = [masked(line) for line in heard.splitlines() if line.strip()]
        wanted = [masked(line) for line in expected if line.strip()]
        page.ran(f"$ {command}", right)
        if not right:
            page.failures.append(f"$ {command}\n{done.stdout}\n{done.stderr}")
        elif wanted and not matches(wanted, printed):
            shown = "\n".join(["expected:", *wanted, "printed:", *printed])
            page.failures.append(f"$ {command}\n{shown}")


class Namespace:
    """The Python process of a page, started when the first block comes."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.errors = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115
        self.process: subprocess.Popen[str] | None = None

    def run(self, page: Page, block: str) -> None:
        """Run a block and compare what it prints."""
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER],
                cwd=self.place,
                env={**os.environ, **page.environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        printed: list[str] = []
        ended = False
        if self.process.poll() is None:
            self.process.stdin.write(json.dumps(block) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if ended := line.strip() == DONE:
                    break
                printed.append(masked(line))
        page.ran(f"python: {block.splitlines()[0]}", ended)
        if not ended:
            self.errors.seek(0)
            page.failures.append(f"{block}\n{self.errors.read()}")
            return
        wanted = [masked(line.split("# ->", 1)[1]) for line in block.splitlines() if "# ->" in line]
        missing = [line for line in wanted if line not in printed]
        if missing:
            page.failures.append(f"not printed: {missing}\nprinted: {printed}")

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.communicate()
        self.errors.close()


def run_page(page: Page) -> Page:
    """Run the blocks of a page in their order, in a directory of their own."""
    with tempfile.TemporaryDirectory() as folder:
        namespace = Namespace(Path(folder))
        for language, block in page.blocks:
            if language == "console":
                run_console(page, block, Path(folder))
            else:
                namespace.run(page, block)
        namespace.close()
    return page


def borrow(root: Path) -> None:
    """Make ``root`` the cache, with the two default sources in it."""
    (root / "sources").mkdir()
    for name in ("efficientnet-lite0", "minilm"):
        installed = cache_root() / "sources" / name
        if not installed.is_dir():
            sys.exit(f"{name} is not installed: make sources")
        (root / "sources" / name).symlink_to(installed, target_is_directory=True)
    os.environ["HEADSTART_CACHE"] = str(root)


def main(names: list[str]) -> int:
    """Run all pages, or those whose path ends so; return the exit code."""
    with tempfile.TemporaryDirectory() as cache:
        borrow(Path(cache))
        return run_pages(names)


def run_pages(names: list[str]) -> int:
    """Run the pages; say what failed; return the exit code."""
    pages = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        name = str(path.relative_to(ROOT))
        blocks = FENCE.findall(path.read_text(encoding="utf-8"))
        if blocks and (not names or name.endswith(tuple(names))):
            pages.append(Page(name, blocks))
    alone = [page for page in pages if page.name == "README.md" or len(pages) == 1]
    others = [page for page in pages if page not in alone]
    for page in others:
        page.environment = {"OMP_NUM_THREADS": "1"}
    failed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in (alone, others):
            for page in pool.map(run_page, some):
                sys.stdout.write(f"{page.name}: {len(page.blocks)} blocks\n{''.join(page.lines)}")
                sys.stdout.flush()
                failed += len(page.failures)
    for page in pages:
        for what in page.failures:
            sys.stdout.write(f"\nFAILED {page.name}\n{what}\n")
    sys.stdout.write(f"{failed} failed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
