"""``/predict``, ``/explain`` and ``/corrections``: from bytes to items to the model and back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from headstart.serve.forms import read_form
from headstart.serve.guard import Gone, Receive, Request, Send, read_body, reply
from headstart.serve.problems import Problem
from headstart.serve.reading import Asked, read_json
from headstart.serve.service import Service
from headstart.serve.work import Call

SMALL = 64 * 1024
"""Bytes of a body that is parsed at once; larger ones are parsed in a thread."""


async def read_items(
    service: Service, request: Request, receive: Receive, *, more: tuple[str, ...] = ()
) -> Asked:
    """Return what a request asks.

    Raises
    ------
    Problem
        400, 408, 413, 415, 422, 503.
    Gone
    """
    kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    form = kind == b"multipart/form-data"
    if not form and kind != b"application/json":
        raise Problem(
            415,
            "the body must be JSON or a form",
            where="Content-Type",
            hint="send application/json or multipart/form-data",
            close=True,
        )
    body = await read_body(service, request, receive)

    def read() -> Asked:
        if form:
            return read_form(body, request.headers[b"content-type"], service.wanted, more=more)
        return read_json(body, service.wanted, more=more)

    plain = len(body) <= SMALL and service.wanted.modality in ("text", "table")
    asked = read() if plain else await asyncio.to_thread(read)
    request.items = len(asked.items)
    return asked


async def ask(
    service: Service, items: Sequence[Any], receive: Receive, call: Call | None = None
) -> list[Any]:
    """Ask the model; what nobody waits for any more is taken out of the line.

    Raises
    ------
    Problem
        503, 504.
    DataError
    Gone
    """
    loop = asyncio.get_running_loop()
    asking = loop.create_task(service.work.ask(items, call))
    watching = loop.create_task(_until_gone(receive))
    try:
        await asyncio.wait((asking, watching), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            raise Gone
        return asking.result()
    finally:
        asking.cancel()
        watching.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def predict(service: Service, request: Request, receive: Receive, send: Send) -> None:
    """Answer ``POST /predict``."""
    asked = await read_items(service, request, receive)
    answers = await ask(service, asked.items, receive)
    await reply(service, request, send, service.body(answers, asked.names))


async def explain(service: Service, request: Request, receive: Receive, send: Send) -> None:
    """Answer ``POST /explain``."""
    asked = await read_items(service, request, receive)
    item = _one(asked)
    predictor = service.predictor

    def call(items: Sequence[Any]) -> list[Any]:
        return [predictor.explain(items[0]), predictor.nearest(items[0])]

    found, nearest = await ask(service, [item], receive, call)
    if found is None and not nearest:
        raise Problem(501, "this model cannot say why it answers so", hint="bundles of classes can")
    body = {"model": predictor.digest, "explanation": found, "nearest": nearest}
    await reply(service, request, send, json.dumps(body).encode())


async def correct(service: Service, request: Request, receive: Receive, send: Send) -> None:
    """Answer ``POST /corrections``."""
    kept = service.corrections
    if kept is None:
        raise Problem(
            501,
            "this service keeps no corrections",
            hint="start it with --corrections DIR",
            close=True,
        )
    asked = await read_items(service, request, receive, more=("label", "predicted"))
    item = _one(asked)
    if "label" not in asked.fields:
        raise Problem(422, "there is no label", where="label", hint="send the right label with it")
    label, predicted = asked.fields["label"], asked.fields.get("predicted")
    digest, rid = service.predictor.digest, request.rid.decode()
    await asyncio.to_thread(kept.add, item, label, predicted, digest, rid)
    service.metrics.corrections.inc()
    await reply(service, request, send, json.dumps({"n": len(kept)}).encode(), status=201)


def _one(asked: Asked) -> Any:
    if len(asked.items) != 1:
        raise Problem(422, f"this takes one item, and there are {len(asked.items):,}")
    return asked.items[0]
