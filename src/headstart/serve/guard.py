"""The door of the service: who may come in, what each answer carries, what is logged of it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from headstart.core.errors import DataError
from headstart.serve.problems import Problem, busy, of_data, plain_error
from headstart.serve.service import Service
from headstart.serve.settings import is_loopback

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    b"default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; "
    b"object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
OPEN = frozenset(("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"))
"""What is answered without a key."""

ROUTES = frozenset(
    (
        *OPEN,
        *("/", "/predict", "/explain", "/corrections", "/info", "/metrics", "/docs"),
        *("/openapi.json", "/v2", "/static"),
    )
)
GONE = 499
"""What is logged of a request whose caller went away; nobody is answered so."""

FAILURES, MINUTE = 30, 60.0
"""Wrong keys in a minute, of one address, after which it must wait."""

_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_V2 = re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?(/ready|/infer)?")
_JSON = (b"content-type", b"application/json")
_SAFE = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_PAGE = (
    (b"content-security-policy", POLICY),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


class Gone(Exception):  # noqa: N818
    """The caller went away."""


@dataclass(slots=True)
class Request:
    """One request while it is answered.

    Parameters
    ----------
    scope : mapping
        ASGI's.
    headers : dict of bytes to bytes
        The last of each name.
    rid : bytes
        Its id.
    route : str
        For the metrics: one of a fixed set.
    items : int or None
        How many were asked.
    status : int
        Of the answer; 0 before there is one.
    """

    scope: Scope
    headers: dict[bytes, bytes]
    rid: bytes
    route: str
    items: int | None = None
    status: int = 0
    held: int = 0
    values: dict[str, Any] = field(default_factory=dict)


Handler = Callable[[Service, Request, Receive, Send], Awaitable[None]]


class Guard:
    """ASGI middleware around everything.

    Parameters
    ----------
    app : ASGI application
    service : Service
    direct : mapping of (method, path) to handler
        What is answered without going through the application: the paths that must be fast.
    """

    def __init__(
        self, app: App, service: Service, direct: dict[tuple[str, str], Handler] | None = None
    ) -> None:
        self.app, self.service, self.direct = app, service, direct or {}
        key = service.settings.api_key
        self._key = None if key is None else _digest(key.encode())
        self._strict = service.settings.loopback
        self._hosts = {
            host.lower() for host in (*service.settings.allowed_hosts, service.settings.host)
        }
        self._wrong: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
                return
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        headers = dict(scope["headers"])
        rid = headers.get(b"x-request-id", b"")
        if not _ID.fullmatch(rid):
            rid = secrets.token_hex(8).encode()
        path = scope["path"]
        request = Request(scope, headers, rid, route_of(path))
        scope["headstart"] = request
        try:
            await self._answer(request, path, receive, send)
        finally:
            self.service.held -= request.held
            seconds = time.perf_counter() - begun
            self.service.metrics.request(request.route, request.status, seconds)
            self.service.logs.request(
                rid.decode(),
                scope["method"],
                request.route,
                request.status,
                1000 * seconds,
                request.items,
            )

    async def _answer(self, request: Request, path: str, receive: Receive, send: Send) -> None:
        scope = request.scope
        try:
            self._admit(request, path)
            handler = self.direct.get((scope["method"], path))
            if handler is not None:
                await handler(self.service, request, receive, send)
            else:
                await self.app(scope, receive, self._dressed(request, send))
        except Gone:
            request.status = GONE
        except Problem as problem:
            await refuse(self.service, request, send, problem)
        except DataError as error:
            await refuse(self.service, request, send, of_data(error))
        except asyncio.CancelledError:
            request.status = request.status or GONE
            raise
        except Exception as error:
            self.service.logs.failure(request.rid.decode(), error)
            hint = f"the log has it under {request.rid.decode()}"
            failed = Problem(500, "the service failed at this request", hint=hint)
            await refuse(self.service, request, send, failed)

    def _admit(self, request: Request, path: str) -> None:
        """Refuse who may not ask.

        Raises
        ------
        Problem
            401, 403, 429.
        """
        headers = request.headers
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self._strict and not self._known(host):
            raise Problem(
                403,
                "the service does not go by this name",
                where="Host",
                hint="use 127.0.0.1 or localhost; `headstart serve --allow-host NAME` adds one",
            )
        if self._key is not None and path not in OPEN:
            self._check_key(request)
        if request.scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            origin = headers.get(b"origin")
            site = headers.get(b"sec-fetch-site", b"none")
            foreign = origin is not None and _netloc(origin) != host
            if foreign or site in (b"cross-site", b"same-site"):
                raise Problem(
                    403, "pages of other sites may not ask this service", where="Origin", close=True
                )

    def _known(self, host: str) -> bool:
        name = host.rsplit(":", 1)[0] if re.search(r":\d+$", host) else host
        return bool(name) and (name in self._hosts or is_loopback(name))

    def _check_key(self, request: Request) -> None:
        given = _given_key(request.headers)
        if given is not None and hmac.compare_digest(_digest(given), self._key or b""):
            return
        client = (request.scope.get("client") or ("unknown",))[0]
        now = time.monotonic()
        wrong = self._wrong.setdefault(client, deque())
        while wrong and now - wrong[0] > MINUTE:
            wrong.popleft()
        if given is not None:
            if len(wrong) >= FAILURES:
                raise Problem(
                    429,
                    "too many wrong keys",
                    headers={"Retry-After": str(int(MINUTE - (now - wrong[0])) + 1)},
                    close=True,
                )
            wrong.append(now)
        if len(self._wrong) > 10_000:
            self._wrong = {c: w for c, w in self._wrong.items() if w and now - w[-1] <= MINUTE}
        raise Problem(
            401,
            "this needs a key" if given is None else "the key is not right",
            where="Authorization",
            hint="send the header Authorization: Bearer KEY, or X-API-Key: KEY",
            headers={"WWW-Authenticate": 'Basic realm="headstart", charset="UTF-8"'},
            close=True,
        )

    def _dressed(self, request: Request, send: Send) -> Send:
        """Return ``send`` with the headers that every answer has."""
        service = self.service

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                given = list(message.get("headers", []))
                names = {name for name, _ in given}
                more = [(b"x-request-id", request.rid)]
                more += [pair for pair in (*_SAFE, *_PAGE) if pair[0] not in names]
                if service.draining:
                    more.append((b"connection", b"close"))
                message = {**message, "headers": given + more}
            await send(message)

        return dressed


async def reply(
    service: Service,
    request: Request,
    send: Send,
    body: bytes,
    *,
    status: int = 200,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    content_type: tuple[bytes, bytes] = _JSON,
    close: bool = False,
) -> None:
    """Send an answer."""
    request.status = status
    sent = [
        content_type,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request.rid),
        *_SAFE,
        *headers,
    ]
    if close or service.draining:
        sent.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": sent})
    if request.scope["method"] == "HEAD":
        body = b""
    await send({"type": "http.response.body", "body": body})


async def refuse(service: Service, request: Request, send: Send, problem: Problem) -> None:
    """Send a problem; where an answer has begun already, the connection is broken off."""
    if request.status:
        raise RuntimeError("the answer had begun") from problem
    body = problem.body()
    if request.route.startswith("/v2/models"):
        body = plain_error(body)
    headers = tuple((k.lower().encode(), v.encode()) for k, v in problem.headers.items())
    await reply(
        service,
        request,
        send,
        body,
        status=problem.status,
        headers=headers,
        close=problem.close,
    )


async def read_body(service: Service, request: Request, receive: Receive) -> bytes:
    """Return the body of a request.

    Raises
    ------
    Problem
        408, 413, 503.
    Gone
        The caller went away.
    """
    limits = service.limits
    length = request.headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > 18 or int(length) > limits.body_bytes):
        raise _too_large(limits.body_bytes)
    try:
        async with asyncio.timeout(limits.receive_seconds):
            chunks: list[bytes] = []
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk = message.get("body", b"")
                chunks.append(chunk)
                request.held += len(chunk)
                service.held += len(chunk)
                if request.held > limits.body_bytes:
                    raise _too_large(limits.body_bytes)
                if service.held > limits.memory_bytes:
                    problem = busy("the service holds as much as it can")
                    problem.close = True
                    raise problem
                if not message.get("more_body"):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError:
        raise Problem(
            408,
            f"the body did not come within {limits.receive_seconds:g} s",
            hint="send less in one request",
            close=True,
        ) from None


def _too_large(most: int) -> Problem:
    return Problem(
        413,
        f"the body is larger than {most:,} bytes",
        hint="send the items in several requests",
        close=True,
    )


def route_of(path: str) -> str:
    """Return what a path is counted as."""
    if path in ROUTES:
        return path
    if path.startswith(("/static/", "/docs/")):
        return path[: path.index("/", 1)]
    found = _V2.fullmatch(path)
    if found:
        return f"/v2/models/{{model}}{found[1] or ''}"
    return "(other)"


def _netloc(origin: bytes) -> str | None:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower() or None
    except ValueError:
        return None


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _given_key(headers: dict[bytes, bytes]) -> bytes | None:
    given = headers.get(b"x-api-key")
    if given is not None:
        return given.strip()
    kind, _, rest = headers.get(b"authorization", b"").partition(b" ")
    if kind.lower() == b"bearer":
        return rest.strip()
    if kind.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return None
