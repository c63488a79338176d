"""A service of a fake model in a process of its own; ``python service_process.py '{limits}'``."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


class Said:
    def say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def progress(self, *unused: Any, **more: Any) -> None:
        pass


def main() -> int:
    from service_fakes import Length

    from headstart.serve.server import listen, serve_predictor
    from headstart.serve.settings import Limits, Settings

    given = json.loads(sys.argv[1])
    seconds = given.pop("model_seconds", 0.0)
    settings = Settings(port=0, limits=Limits(**given))
    return serve_predictor(Length(seconds=seconds), settings, listen(settings), Said())


@contextlib.contextmanager
def served(**limits: Any):
    """Yield the port and the process of a service; it is ended afterwards."""
    command = [sys.executable, str(HERE / "service_process.py"), json.dumps(limits)]
    with started(command) as found:
        yield found


@contextlib.contextmanager
def started(command: list[str], stream: str = "stdout"):
    """Start a service and wait until it says where it is."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE
    )
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    readers = [
        threading.Thread(target=_drain, args=(file, lines if name == stream else None))
        for name, file in (("stdout", process.stdout), ("stderr", process.stderr))
    ]
    for reader in readers:
        reader.start()
    try:
        while "is served at" not in (line := lines.get(timeout=60)):
            assert line, "the service ended"
        yield int(line.split("http://127.0.0.1:")[1].split()[0]), process
    finally:
        process.kill()
        process.wait()
        for reader in readers:
            reader.join()
        process.stdout.close()
        process.stderr.close()


def _drain(file: Any, lines: Any) -> None:
    """Read all that a process says, or it would wait for a reader."""
    for line in file:
        if lines is not None:
            lines.put(line)
    if lines is not None:
        lines.put("")


if __name__ == "__main__":
    sys.exit(main())
