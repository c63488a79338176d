"""Who may talk to the studio: this machine, this studio's own page, with the token of this start.

A studio reads files and starts work, so that no other page in the same browser, and no other user
of the machine, may reach it. (A browser sends cookies to every port of an address: whoever opens
another user's server on this machine in the same browser shows it the token.) Each request must
name the host that the studio listens on (against DNS rebinding), carry the token as a cookie that
other sites' pages do not send, and, where it changes something, come from the studio's own page.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob: data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
SEALED = (
    "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data:; media-src data:; font-src data:"
)
"""For the report: it brings its own script and style, and so is kept apart from the studio."""
HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_WELCOME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>headstart</title>
<meta http-equiv="refresh" content="0;url=/"></head><body><p><a href="/">Open the studio</a></p>
</body></html>"""
_CLOSED = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>headstart studio</title></head>
<body><h1>This studio does not know your browser yet</h1>
<p>Open the address that <code>headstart studio</code> printed when it started: it ends in
<code>?token=</code> and a long number. After a restart there is a new one.</p></body></html>"""


def new_token() -> str:
    """Return a token that nobody guesses."""
    return secrets.token_urlsafe(32)


class Guard:
    """Lets only this studio's own page through to an application.

    Parameters
    ----------
    app : ASGI application
    token : str
    hosts : tuple of str
        What the ``Host`` header may be: ``127.0.0.1:8100`` and the like, in lower case.
    once : str
        A token that opens the door a single time: for the browser that is started, whose command
        line every user of the machine can read.
    """

    def __init__(self, app: App, token: str, hosts: tuple[str, ...], once: str = "") -> None:
        self.app, self.token, self.hosts, self._once = app, token, hosts, once
        name = hashlib.sha256(hosts[0].encode()).hexdigest()[:8]
        self.cookie = f"headstart-studio-{name}"  # cookies do not tell ports apart

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if headers.get(b"host", b"").decode("latin-1").lower() not in self.hosts:
            await _answer(send, 421, "this studio is not at that address")
            return
        if scope["path"] == "/" and b"token=" in scope["query_string"]:
            await self._welcome(scope, send)
            return
        if not self._known(headers):
            page = scope["method"] == "GET" and b"text/html" in headers.get(b"accept", b"")
            await _answer(send, 403, _CLOSED if page else "no token", html=page)
            return
        if scope["method"] not in ("GET", "HEAD") and not self._own(headers):
            await _answer(send, 403, "this did not come from the studio's own page")
            return
        await self.app(scope, receive, _with_headers(send))

    def _known(self, headers: MutableMapping[bytes, bytes]) -> bool:
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return False
        found = cookies.get(self.cookie)
        return found is not None and _same(found.value, self.token)

    def _own(self, headers: MutableMapping[bytes, bytes]) -> bool:
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        return origin in {f"http://{host}" for host in self.hosts}

    async def _welcome(self, scope: Scope, send: Send) -> None:
        """Keep the token as a cookie, and take it out of the address."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        first = bool(self._once) and _same(given, self._once)
        if first:
            self._once = ""
        if not first and not _same(given, self.token):
            await _answer(send, 403, _CLOSED, html=True)
            return
        cookie = f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Strict"
        # a page and no redirect: what a link elsewhere leads to would come without the cookie
        await _answer(send, 200, _WELCOME, html=True, cookie=cookie)


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _with_headers(send: Send) -> Send:
    """Return a ``send`` that adds the headers which keep the page safe."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", ())}
            wanted = {**HEADERS, b"content-security-policy": POLICY.encode()}
            added = [pair for pair in wanted.items() if pair[0] not in there]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending


async def _answer(
    send: Send, status: int, text: str, *, html: bool = False, cookie: str = ""
) -> None:
    kind = b"text/html; charset=utf-8" if html else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(text.encode())).encode())]
    if cookie:
        headers.append((b"set-cookie", cookie.encode()))
    policy = b"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers += [*HEADERS.items(), (b"content-security-policy", policy)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})
