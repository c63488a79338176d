"""Open models under watch: ``python hostile_watch.py SOUND PATH...``, a line of JSON a path.

Whatever is opened outside the model, compiled, run, connected or imported anew is told; memory may
grow by half a gigabyte, and no model may take longer than a few seconds.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy.ma  # noqa: F401  numpy imports it when it first needs it

from headstart import bundle
from headstart.core.errors import HeadstartError

MORE = 1_500_000_000
"""Bytes of address space above what the sound model takes."""
SECONDS = 20
WATCHED = (
    "open",
    "exec",
    "compile",
    "import",
    "ctypes.dlopen",
    "marshal.loads",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "socket.getaddrinfo",
    "subprocess.Popen",
    "urllib.Request",
)
seen: list[tuple[str, str]] = []
watching: list[str] = []


def hook(event: str, args: Any) -> None:
    if not watching or event not in WATCHED:
        return
    first = args[0] if args else ""
    if event == "open":
        if isinstance(first, int):
            return  # a file that is open already
        name = str(first)
        # a name alone is opened inside the directory that is held open
        if "/" not in name or name.startswith(watching[0]):
            return
    elif event in ("exec", "compile"):
        first = getattr(first, "co_filename", type(first).__name__)
    elif event == "import" and str(first) in sys.modules:
        return
    seen.append((event, str(first)[:200]))


def outcome(path: str) -> tuple[str, str]:
    """Open a model and let it predict; say how that ended."""
    try:
        loaded = bundle.load(path)
        loaded.predict(["a" * 33 + " my order", "x" * 40])
    except HeadstartError as error:
        return type(error).__name__, str(error)
    except MemoryError:
        return "MemoryError", ""
    except TimeoutError:
        return "TimeoutError", ""
    except Exception as error:
        return f"unforeseen {type(error).__name__}", str(error)
    return "loaded", loaded.manifest.digest


def late(*_: Any) -> None:
    raise TimeoutError


def main(sound: str, paths: list[str]) -> None:
    broken = Path(sound).with_name("nothing-here")
    outcome(sound)
    outcome(str(broken))  # now everything is imported, also what errors need
    sys.addaudithook(hook)
    signal.signal(signal.SIGALRM, late)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MORE, taken + MORE))
    for path in paths:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seen.clear()
        signal.alarm(SECONDS)
        started = time.perf_counter()
        watching.append(path)
        how, words = outcome(path)
        watching.clear()
        signal.alarm(0)
        told = {
            "path": path,
            "how": how,
            "words": words[:300],
            "seen": list(dict.fromkeys(seen)),
            "grown_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            "seconds": round(time.perf_counter() - started, 2),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
