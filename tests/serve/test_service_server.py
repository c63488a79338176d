"""A real service on a loopback socket: slow callers, odd callers, the end."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import socket
import sys
import threading
import time

import httpx
import pytest
from service_process import served, started

from headstart.core.errors import OptionError
from headstart.serve import Settings, workers
from headstart.serve.server import listen, run, url_of

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
JSON = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def hasty():
    """A service that waits for half a second."""
    with served(receive_seconds=0.5, connections=60) as (port, _):
        yield port


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def said(sock):
    """Return all that a service says until it closes."""
    found = b""
    while chunk := sock.recv(65536):
        found += chunk
    return found


def test_answers(hasty):
    with httpx.Client(base_url=f"http://127.0.0.1:{hasty}") as client:
        answer = client.post("/predict", json={"items": ["ab", "abc"]})
        assert [one["label"] for one in answer.json()["predictions"]] == ["even", 'o"dd']
        assert "server" not in answer.headers
        assert client.get("/info").json()["batching"]["why"].startswith("one item takes")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"POST /predict HTTP/1.1\r\nHost: loc", b"408"),
        (JSON + b"Content-Length: 20\r\n\r\n{", b"408"),
        (JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", b"408"),
    ],
)
def test_who_sends_slowly_is_closed_and_others_are_served(hasty, sent, status):
    with connect(hasty) as slow:
        slow.sendall(sent)
        begun = time.monotonic()
        answer = httpx.post(f"http://127.0.0.1:{hasty}/predict", json={"text": "abc"})
        assert answer.status_code == 200
        found = said(slow)
        assert time.monotonic() - begun < 5
    if status is None:
        assert found == b""
    else:
        assert found.startswith(b"HTTP/1.1 " + status)
        assert b"connection: close" in found.lower()
        assert json.loads(found.partition(b"\r\n\r\n")[2])["error"]["code"] == "too_slow"


def test_one_byte_at_a_time_is_slow_too(hasty):
    with connect(hasty) as slow:
        begun = time.monotonic()
        for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"a" * 10_000:
            slow.sendall(bytes([byte]))
            if select.select([slow], [], [], 0.02)[0]:
                break
        assert slow.recv(65536).startswith(b"HTTP/1.1 408")
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 no http\r\n\r\n", b"400"),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000, b"431"),
        (b"GET /" + b"a" * 100_000, b"431"),
        (JSON + b"Content-Length: 99999999999\r\n\r\n{", b"413"),
        (JSON + b"Content-Length: -5\r\n\r\n{", b"400"),
        (b"POST /predict HTTP/1.1\r\nHost: localhost\r\n\r\n", b"415"),
        (b"GET /healthz HTTP/1.0\r\n\r\n", b"403"),
    ],
)
def test_odd_requests(hasty, sent, status):
    with connect(hasty) as sock:
        sock.sendall(sent)
        found = b""
        while b"\r\n\r\n" not in found and (chunk := sock.recv(65536)):
            found += chunk
    assert found.startswith(b"HTTP/1.1 " + status)


def test_too_many_connections(hasty):
    held = [connect(hasty) for _ in range(60)]
    try:
        with connect(hasty) as sock:
            found = said(sock)
        assert found.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in found
    finally:
        for one in held:
            one.close()


def test_requests_of_one_connection_are_answered_in_order(hasty):
    body = [json.dumps({"text": "a" * n}).encode() for n in (1, 2, 3)]
    with connect(hasty) as sock:
        for one in body[:-1]:
            sock.sendall(JSON + b"Content-Length: %d\r\n\r\n%s" % (len(one), one))
        last = JSON + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s"
        sock.sendall(last % (len(body[-1]), body[-1]))
        found = said(sock)
    answers = [json.loads(part.split(b"\r\n\r\n")[1]) for part in found.split(b"HTTP/1.1 ")[1:]]
    assert [one["predictions"][0]["label"] for one in answers] == ['o"dd', "even", 'o"dd']


def asked(port, method, path, body=None):
    """Ask over a connection of its own; httpx would be slow to make so many clients."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    headers = {"Content-Type": "application/json"} if body else {}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def wait_for(port, n):
    """Wait until so many requests are in the line."""
    end = time.monotonic() + 15
    while f"headstart_queue_requests {n}.0" not in asked(port, "GET", "/metrics")[1]:
        assert time.monotonic() < end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_accepted_is_answered_before_the_end(number):
    with served(model_seconds=2.0) as (port, process):
        found = []

        def ask(text):
            status, body = asked(port, "POST", "/predict", json.dumps({"text": text}))
            found.append((text, status, json.loads(body)["predictions"][0]["label"]))

        threads = [threading.Thread(target=ask, args=("a" * (n + 1),)) for n in range(11)]
        threads.insert(0, threading.Thread(target=ask, args=("slowly",)))
        for place, thread in enumerate(threads):
            thread.start()
            if place in (0, 11):
                wait_for(port, place + 1)
        process.send_signal(number)
        for thread in threads:
            thread.join()
        assert process.wait(10) == 0
        texts = ["slowly", *("a" * (n + 1) for n in range(11))]
        assert sorted(found) == sorted(
            (text, 200, ("even", 'o"dd')[len(text) % 2]) for text in texts
        )
        with pytest.raises(OSError):
            connect(port)


def test_a_port_that_is_taken_and_an_address_of_another_machine():
    with connect_listener() as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError, match="cannot listen"):
            run("model", Settings(port=port))
    with pytest.raises(OptionError, match="cannot listen"):
        listen(Settings(host="192.0.2.1", api_key="0123456789abcdef"))
    with listen(Settings(port=0)) as sock:
        assert url_of(Settings(port=0), sock).startswith("http://127.0.0.1:")


def connect_listener():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


@pytest.fixture(scope="module")
def majority_model(tmp_path_factory):
    sys.path.insert(0, str(os.path.join(os.path.dirname(__file__), "..", "bundle")))  # noqa: PTH118, PTH120
    try:
        from tiny_models import contents_of
    finally:
        sys.path.pop(0)
    from headstart import bundle

    contents = contents_of(("majority", "classification", "text"))
    return bundle.save(tmp_path_factory.mktemp("model") / "fruit", contents)


def test_several_processes_from_the_command_line(majority_model, tmp_path):
    command = [sys.executable, "-m", "headstart", "serve", str(majority_model), "--port", "0"]
    command += ["--workers", "2", "--corrections", str(tmp_path)]
    with started(command, "stderr") as (port, process):
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(20):
                body = {"text": "a"}
                answer = client.post("/predict", json=body, headers={"Connection": "close"})
                assert answer.json()["predictions"][0]["label"] == "birnen"
            text = client.get("/metrics").text
            assert 'headstart_requests_total{route="/predict",status="200"} 20.0' in text
            assert client.get("/info").json()["name"] == "fruit"
            assert client.get("/").status_code in (200, 404)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_worker_ends_with_its_parent(monkeypatch):
    done = []

    class Parent:
        def join(self):
            done.append("waited")

    monkeypatch.setattr(workers.os, "kill", lambda *which: done.append(which))
    workers._end_with(None)
    assert done == []
    workers._end_with(Parent())
    assert done == ["waited", (os.getpid(), signal.SIGTERM)]
