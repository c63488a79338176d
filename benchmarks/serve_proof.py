"""What the service promises, tried on a real model: load, slow callers, stops, bombs.

    python benchmarks/serve_proof.py --text MODEL --image MODEL [--only cases tags ...]

MODEL is a bundle or an export; the service runs as ``headstart serve`` on this machine, and so do
the clients. Results go to ``results/serve.json``; ``serve_table.py`` makes a page of them.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from common import machine
from serve_client import (
    Client,
    Lost,
    Refused,
    body_of,
    forget_peak,
    form_of,
    memory,
    service,
)

WORDS = ["a", "warm", "and", "funny", "film", "that", "stays", "clumsy", "boring", "far", "too"]
RESULTS = Path(__file__).resolve().parent / "results"


def text(number: int) -> str:
    rng = random.Random(number)
    return f"{number} " + " ".join(rng.choices(WORDS, k=rng.randint(3, 25)))


def get(port: int, path: str) -> bytes:
    async def once() -> bytes:
        client = Client(port)
        found = await client.ask(b"", path=path, method="GET")
        client.close()
        return found[2]

    return asyncio.run(once())


def statuses(port: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in get(port, "/metrics").decode().splitlines():
        hit = re.match(r'headstart_requests_total\{.*status="(\d+)"\} ([\d.e+]+)', line)
        if hit:
            found[hit[1]] += int(float(hit[2]))
    return found


# --------------------------------------------------------------------------------- the parts


def cases(model: str, image: str) -> dict[str, Any]:
    """1,000 cases made up by schemathesis against the live service."""
    with (
        tempfile.TemporaryDirectory() as folder,
        service(model, "--corrections", folder, "--max-items", "50") as (port, _),
    ):
        command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
        command += [f"http://127.0.0.1:{port}/openapi.json", "--max-examples", "60"]
        command += [
            "--seed",
            "1",
            "--continue-on-failure",
            "--no-color",
            "--no-shrink",
            "--max-time",
            "240",
        ]
        command += ["--checks", "not_a_server_error,status_code_conformance"]
        command += ["--checks", "content_type_conformance,response_schema_conformance"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = statuses(port)
    said = [line.strip() for line in done.stdout.splitlines() if "generated" in line]
    failures = re.findall(r"^- (.*)$", done.stdout, re.MULTILINE)
    return {
        "requests": sum(found.values()),
        "statuses": dict(found),
        "500": found["500"],
        "schemathesis": said[-1] if said else done.stdout[-300:],
        "failures": sorted(set(failures))[:20],
    }


def tags(model: str, image: str) -> dict[str, Any]:
    """5,000 requests at concurrency 64: cancelled ones and bad ones among them."""
    from headstart.serve import open_predictor

    texts = [text(number) for number in range(400)]
    truth = [answer.probabilities for answer in open_predictor(model).predict(texts)]
    tally: Counter[str] = Counter()
    furthest = 0.0

    async def one(client: Client, number: int) -> None:
        nonlocal furthest
        rng = random.Random(number)
        picked = rng.choices(range(len(texts)), k=rng.choice((1, 1, 1, 2, 5)))
        rid = f"request-{number}"
        what = rng.random()
        if what < 0.1:
            task = asyncio.create_task(client.ask(body_of([texts[i] for i in picked]), rid=rid))
            await asyncio.sleep(rng.random() * 0.05)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            client.close()
            tally["cancelled"] += 1
            return
        if what < 0.2:
            bad = rng.choice((b"{", b'{"items": [3]}', b'{"path": "/etc/passwd"}', b"[]", b"\xff"))
            status, headers, _ = await client.ask(bad, rid=rid)
            tally["bad refused" if status in (400, 422) else f"bad answered with {status}"] += 1
            tally["wrong id"] += headers.get("x-request-id") != rid
            return
        status, headers, body = await client.ask(body_of([texts[i] for i in picked]), rid=rid)
        tally["wrong id"] += headers.get("x-request-id") != rid
        if status != 200:
            tally[f"answered with {status}"] += 1
            return
        made = json.loads(body)["predictions"]
        away = [
            abs(p - want)
            for one, i in zip(made, picked, strict=True)
            for p, want in zip(one["probabilities"].values(), truth[i], strict=True)
        ]
        furthest = max(furthest, *away)
        tally["right" if max(away) < 0.005 else "wrong"] += 1

    async def run(port: int) -> None:
        numbers = iter(range(5000))

        async def go() -> None:
            client = Client(port)
            for number in numbers:
                await one(client, number)
            client.close()

        await asyncio.gather(*[go() for _ in range(64)])

    with service(model) as (port, _):
        begun = time.perf_counter()
        asyncio.run(run(port))
        seconds = time.perf_counter() - begun
    return {**tally, "furthest probability": furthest, "seconds": round(seconds, 1)}


def overload(model: str, image: str) -> dict[str, Any]:
    """Four times as many requests (of 100 texts) as can be answered, for 20 s."""
    bodies = [body_of([text(100 * n + place) for place in range(100)]) for n in range(20)]
    tally: Counter[str] = Counter()
    health: list[float] = []
    held: list[float] = []

    async def capacity(port: int) -> float:
        done, end = 0, time.perf_counter() + 4

        async def go() -> None:
            nonlocal done
            client = Client(port)
            while time.perf_counter() < end:
                await client.ask(bodies[done % 20])
                done += 1
            client.close()

        await asyncio.gather(*[go() for _ in range(16)])
        return done / 4

    async def look(port: int, pid: int, end: float) -> None:
        client = Client(port)
        while time.perf_counter() < end:
            begun = time.perf_counter()
            status, _, _ = await client.ask(b"", path="/healthz", method="GET")
            health.append(time.perf_counter() - begun)
            tally[f"health {status}"] += 1
            held.append(memory(pid))
            await asyncio.sleep(0.2)
        client.close()

    async def run(port: int, pid: int) -> float:
        able = await capacity(port)
        rate, begun = 4 * able, time.perf_counter()
        free: list[Client] = []
        looking = asyncio.create_task(look(port, pid, begun + 20))

        async def one(number: int) -> None:
            client = free.pop() if free else Client(port)
            try:
                status, _, _ = await client.ask(bodies[number % 20])
                tally[str(status)] += 1
            except (Lost, Refused) as error:
                tally[type(error).__name__] += 1
            free.append(client)

        tasks, number = set(), 0
        while (now := time.perf_counter() - begun) < 20:
            while number < now * rate:
                task = asyncio.create_task(one(number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
            await asyncio.sleep(0.005)
        await asyncio.gather(*tasks, looking)
        for client in free:
            client.close()
        return able

    with service(model) as (port, process):
        able = asyncio.run(run(port, process.pid))
    quarter = max(1, len(held) // 4)
    return {
        **tally,
        "capacity a second": round(able),
        "health, worst s": round(max(health), 3),
        "memory MB, first quarter": round(statistics.median(held[:quarter])),
        "memory MB, last quarter": round(statistics.median(held[-quarter:])),
        "memory MB, most": round(max(held)),
    }


def slow(model: str, image: str) -> dict[str, Any]:
    """100 clients that send a byte a second, headers or body, while others are served."""
    closed: list[float] = []
    served: list[float] = []

    async def crawl(port: int, head: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begun = time.perf_counter()
        writer.write(head)
        ended = asyncio.create_task(reader.read())
        while not ended.done() and time.perf_counter() - begun < 30:
            try:
                writer.write(b"a")
            except ConnectionError:
                break
            await asyncio.wait([ended], timeout=1)
        closed.append(time.perf_counter() - begun)
        writer.close()
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)

    async def others(port: int, done: asyncio.Event) -> None:
        client = Client(port)
        while not done.is_set():
            begun = time.perf_counter()
            status, _, _ = await client.ask(body_of([text(len(served))]))
            assert status == 200, status
            served.append(time.perf_counter() - begun)
            await asyncio.sleep(0.02)
        client.close()

    async def run(port: int) -> None:
        done = asyncio.Event()
        meanwhile = asyncio.create_task(others(port, done))
        heads = [b"POST /predict HTTP/1.1\r\nHost: localhost\r\nX: "] * 50
        heads += [
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 5000\r\n\r\n{"text": "'
        ] * 50
        await asyncio.gather(*[crawl(port, head) for head in heads])
        done.set()
        await meanwhile

    with service(model) as (port, _):
        asyncio.run(run(port))
    return {
        "slow clients": len(closed),
        "closed after s, median": round(statistics.median(closed), 1),
        "closed after s, last": round(max(closed), 1),
        "others served": len(served),
        "others, worst s": round(max(served), 2),
    }


def stops(model: str, image: str) -> dict[str, Any]:
    """10 times SIGTERM under load of 32 clients."""
    tally: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    took: list[float] = []

    async def run(port: int, process: Any) -> None:
        stopped = asyncio.Event()

        async def go(seed: int) -> None:
            client, number = Client(port), seed
            while True:
                try:
                    status, _, body = await client.ask(body_of([text(number)]))
                    whole = status != 200 or len(json.loads(body)["predictions"]) == 1
                    tally[str(status) if whole else "cut"] += 1
                except Refused:
                    if stopped.is_set():
                        return
                except Lost:
                    tally["lost"] += 1
                number += 32

        clients = [asyncio.create_task(go(seed)) for seed in range(32)]
        await asyncio.sleep(2)
        process.send_signal(signal.SIGTERM)
        stopped.set()
        begun = time.perf_counter()
        await asyncio.gather(*clients)
        code = await asyncio.to_thread(process.wait, 60)
        took.append(time.perf_counter() - begun)
        codes[str(code)] += 1

    for _ in range(10):
        with service(model) as (port, process):
            asyncio.run(run(port, process))
    return {**tally, "exit codes": dict(codes), "stopped after s, worst": round(max(took), 2)}


def bombs_of() -> list[bytes]:
    """Pictures that are small and promise to be huge."""
    from PIL import Image

    found = []
    for side in (5_001, 20_000, 60_000):
        raw = zlib.compress(b"\0" * 1_000_000, 9)
        head = side.to_bytes(4) + side.to_bytes(4) + b"\x08\x02\0\0\0"
        found.append(
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", head)
            + _chunk(b"IDAT", raw)
            + _chunk(b"IEND", b"")
        )
    for kind in ("GIF", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        side = 4_000
        frames = [Image.new("L", (side, side), shade) for shade in range(4)]
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
        if len(buffer.getvalue()) < 14_000_000:
            found.append(buffer.getvalue())
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "TIFF", compression="group4")
    found.append(buffer.getvalue())
    buffer = io.BytesIO()
    Image.new("P", (3_500, 3_500)).save(buffer, "PNG")  # 12.25 megapixels in 2 kB, within the limit
    found.append(buffer.getvalue())
    return found


def _chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + name + data + zlib.crc32(name + data).to_bytes(4)


def mutated(number: int) -> bytes:
    """A small picture of some format with some of its bytes changed, cut or doubled."""
    from PIL import Image

    rng = random.Random(number)
    pixels = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, rng.choice(("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")))
    raw = bytearray(buffer.getvalue())
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(min(len(raw), 200) if rng.random() < 0.5 else len(raw))
        what = rng.random()
        if what < 0.6:
            raw[at] = rng.randrange(256)
        elif what < 0.8:
            del raw[at : at + rng.randint(1, 40)]
        else:
            raw[at:at] = raw[at : at + rng.randint(1, 40)]
        if not raw:
            return b"x"
    return bytes(raw)


def bombs(model: str, image: str) -> dict[str, Any]:
    """Image bombs and 2,000 mutated pictures."""
    tally: Counter[str] = Counter()

    async def run(port: int, pid: int) -> float:
        async def send(pictures: list[bytes], name: str) -> None:
            rest = iter(pictures)

            async def go() -> None:
                client = Client(port)
                for one in rest:
                    body, kind = form_of(one)
                    status, _, _ = await client.ask(body, kind=kind)
                    tally[f"{name}: {status}"] += 1
                client.close()

            await asyncio.gather(*[go() for _ in range(8)])

        whole = [mutated_not(number) for number in range(60)]
        await send(whole, "whole")
        forget_peak(pid)
        before = memory(pid)
        await send(bombs_of() * 3, "bombs")
        await send([mutated(number) for number in range(2000)], "mutated")
        return memory(pid, "VmHWM") - before

    with service(image) as (port, process):
        more = asyncio.run(run(port, process.pid))
    return {**tally, "memory, MB more at most": round(more)}


def mutated_not(number: int) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(number).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG" if number % 2 else "PNG")
    return buffer.getvalue()


PARTS = {
    "cases": cases,
    "tags": tags,
    "overload": overload,
    "slow": slow,
    "stops": stops,
    "bombs": bombs,
}


def good(part: str, found: dict[str, Any]) -> bool:
    """Say whether a part is as promised."""
    if part == "cases":
        return found["requests"] >= 1000 and found["500"] == 0
    if part == "tags":
        told = {"right", "bad refused", "cancelled", "furthest probability", "seconds", "wrong id"}
        return set(found) <= told and found["wrong id"] == 0
    if part == "overload":
        known = {key for key in found if key.isdigit()}
        flat = found["memory MB, last quarter"] - found["memory MB, first quarter"] <= 30
        return known <= {"200", "503", "504"} and flat and found["health, worst s"] <= 1.0
    if part == "slow":
        return found["closed after s, last"] <= 15 and found["slow clients"] == 100
    if part == "stops":
        return not found.get("lost") and not found.get("cut") and found["exit codes"] == {"0": 10}
    answered = {key.split(": ")[1] for key in found if ": " in key}
    return found["memory, MB more at most"] <= 100 and not any(s >= "5" for s in answered)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--only", nargs="*", default=list(PARTS), choices=list(PARTS))
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    kept = RESULTS / "serve.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    for name in given.only:
        begun = time.perf_counter()
        found = PARTS[name](given.text, given.image)
        as_promised = good(name, found)
        results[name] = {"as promised": as_promised, "took s": round(time.perf_counter() - begun)}
        results[name] |= found
        sys.stdout.write(f"{'ok ' if as_promised else 'BAD'} {name}: {json.dumps(found)}\n")
        sys.stdout.flush()
        kept.write_text(json.dumps({**results, "machine": machine()}, indent=1) + "\n")
    return 0 if all(results[name]["as promised"] for name in given.only) else 1


if __name__ == "__main__":
    sys.exit(main())
