"""The service beside LitServe and MLServer: the same exported model, in one run, by turns.

    python benchmarks/serve_speed.py MODEL_EXPORT --litserve PYTHON --mlserver PYTHON

Each server runs in an environment of its own and calls ``headstart.bundle.runner`` of MODEL_EXPORT.
Requests hold one text each. Rounds go by turns over the servers, so that what else the machine does
falls on all of them; told are the medians over rounds. The CPU time a request is that of the whole
server (all its processes), less that of the model alone, measured without a server in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import machine
from serve_client import Client, body_of, service
from serve_proof import text

RESULTS = Path(__file__).resolve().parent / "results"
LITSERVE = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import litserve
    from runner import Model

    class Served(litserve.LitAPI):
        def setup(self, device):
            self.model = Model(sys.argv[1], threads=1)

        def decode_request(self, request):
            return request["items"]

        def predict(self, items):
            labels, shares, confidence, abstained = self.model.answer(items)
            return [
                {"label": str(label), "confidence": float(c), "probabilities": list(map(float, p))}
                for label, c, p in zip(labels, confidence, shares)
            ]

        def encode_response(self, output):
            return {"predictions": output}

    if __name__ == "__main__":
        server = litserve.LitServer(Served(api_path="/predict"), accelerator="cpu", timeout=30)
        server.run(
            host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="error"
        )
"""
MLSERVER = """
    import sys
    from mlserver import MLModel
    from mlserver.codecs import StringCodec, NumpyCodec
    from mlserver.types import InferenceResponse

    class Served(MLModel):
        async def load(self):
            where = self.settings.parameters.uri
            sys.path.insert(0, where)
            from runner import Model
            self.model = Model(where, threads=1)
            return True

        async def predict(self, payload):
            items = StringCodec.decode_input(payload.inputs[0])
            labels, shares, confidence, abstained = self.model.answer(items)
            return InferenceResponse(
                model_name=self.name,
                outputs=[
                    StringCodec.encode_output("label", [str(label) for label in labels]),
                    NumpyCodec.encode_output("confidence", confidence),
                    NumpyCodec.encode_output("probabilities", shares),
                ],
            )
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def started(command: list[str], folder: str, port: int, path: str) -> Iterator[tuple[int, int]]:
    """Yield (port, process id) of a server, once it answers."""
    with Path(folder, "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )
        try:
            end = time.monotonic() + 90
            while not asyncio.run(answers(port, path)):
                if time.monotonic() > end or process.poll() is not None:
                    raise SystemExit(Path(folder, "log").read_text()[-2000:])
                time.sleep(0.2)
            yield port, process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


async def answers(port: int, path: str) -> bool:
    client = Client(port)
    try:
        return (await client.ask(b"", path=path, method="GET"))[0] == 200
    except Exception:  # it is not there yet, in whatever way
        return False
    finally:
        client.close()


@contextlib.contextmanager
def litserve(python: str, model: Path) -> Iterator[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "server.py").write_text(textwrap.dedent(LITSERVE))
        port = free_port()
        command = [python, "server.py", str(model), str(port)]
        with started(command, folder, port, "/health") as found:
            yield found


@contextlib.contextmanager
def mlserver(python: str, model: Path) -> Iterator[tuple[int, int]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "served.py").write_text(textwrap.dedent(MLSERVER))
        ports = {"http_port": free_port(), "grpc_port": free_port(), "metrics_port": free_port()}
        said = {**ports, "host": "127.0.0.1", "debug": False, "parallel_workers": 0}
        Path(folder, "settings.json").write_text(json.dumps(said))
        told = {"name": "m", "implementation": "served.Served", "parameters": {"uri": str(model)}}
        Path(folder, "model-settings.json").write_text(json.dumps(told))
        command = [str(Path(python).parent / "mlserver"), "start", folder]
        ready = "/v2/models/m/ready"
        with started(command, folder, ports["http_port"], ready) as found:
            yield found


def v2_body(items: list[str]) -> bytes:
    one = {"name": "text", "datatype": "BYTES", "shape": [len(items)], "data": items}
    return json.dumps({"inputs": [one]}).encode()


def tree_cpu(pid: int) -> float:
    """Return the CPU seconds of a process and of all that it started."""
    from serve_client import cpu_seconds

    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    waiting, total = [pid], 0.0
    while waiting:
        one = waiting.pop()
        waiting += parents.get(one, [])
        with contextlib.suppress(OSError):
            total += cpu_seconds(one)
    return total


async def load(port: int, path: str, make: Any, clients: int, seconds: float) -> list[float]:
    """Return the seconds of each request of closed-loop clients."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def go(number: int) -> None:
        client = Client(port)
        while time.perf_counter() < end:
            begun = time.perf_counter()
            status, _, body = await client.ask(make([text(number)]), path=path)
            if status != 200:
                raise SystemExit(f"{status}: {body[:300]!r}")
            times.append(time.perf_counter() - begun)
            number += clients
        client.close()

    await asyncio.gather(*[go(number) for number in range(clients)])
    return times


def alone(model: Path) -> float:
    """Return the CPU seconds of the model a text."""
    from headstart.serve import open_predictor

    predictor = open_predictor(model)
    predictor.predict([text(0)])
    rounds = []
    for turn in range(7):
        begun = time.process_time()
        for number in range(100):
            predictor.predict([text(100 * turn + number)])
        rounds.append((time.process_time() - begun) / 100)
    return statistics.median(rounds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--litserve", metavar="PYTHON")
    parser.add_argument("--mlserver", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    model = given.model.resolve()
    servers: dict[str, tuple[Any, str, Callable[[list[str]], bytes]]] = {
        "headstart serve": (
            lambda: headstart(model),
            "/predict",
            body_of,
        )
    }
    if given.litserve:
        servers["LitServe"] = (lambda: litserve(given.litserve, model), "/predict", body_of)
    if given.mlserver:
        infer = "/v2/models/m/infer"
        servers["MLServer"] = (lambda: mlserver(given.mlserver, model), infer, v2_body)
    found: dict[str, Any] = {name: {} for name in servers}
    with contextlib.ExitStack() as stack:
        running = {
            name: (*stack.enter_context(make()), path, body)
            for name, (make, path, body) in servers.items()
        }
        for port, _, path, body in running.values():
            asyncio.run(load(port, path, body, 4, 1.0))
        for clients in (1, 16, 64):
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in running}
            for _ in range(given.rounds):
                for name, (port, pid, path, body) in running.items():
                    before = tree_cpu(pid)
                    times = sorted(asyncio.run(load(port, path, body, clients, given.seconds)))
                    spent = tree_cpu(pid) - before
                    rounds[name].append(
                        {
                            "a second": len(times) / given.seconds,
                            "p50 ms": 1000 * times[len(times) // 2],
                            "p99 ms": 1000 * times[int(0.99 * (len(times) - 1))],
                            "CPU ms": 1000 * spent / len(times),
                        }
                    )
            for name, each in rounds.items():
                found[name][clients] = {
                    key: round(statistics.median(one[key] for one in each), 2) for key in each[0]
                }
                sys.stdout.write(f"{clients} clients, {name}: {found[name][clients]}\n")
                sys.stdout.flush()
    model_ms = round(1000 * alone(model), 3)
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    result = {
        "command": " ".join(["python", *words]),
        "model alone, CPU ms": model_ms,
        "servers": found,
        "rounds": given.rounds,
        "machine": machine(),
    }
    sys.stdout.write(f"the model alone: {model_ms} ms\n")
    (RESULTS / "serve_speed.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


@contextlib.contextmanager
def headstart(model: Path) -> Iterator[tuple[int, int]]:
    with service(model) as (port, process):
        yield port, process.pid


if __name__ == "__main__":
    sys.exit(main())
