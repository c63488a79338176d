"""The Open Inference Protocol, version 2: what other model servers speak.

Texts, pictures and sounds are one input of type BYTES (the latter two in base64); a table is one
input for each column. Outputs are ``label``, ``confidence``, ``abstained`` and ``probabilities``.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any

from headstart._version import __version__
from headstart.serve.asking import SMALL, ask
from headstart.serve.guard import Receive, Request, Send, read_body, reply
from headstart.serve.predictor import Answer
from headstart.serve.problems import Problem
from headstart.serve.reading import checked, parse_json
from headstart.serve.service import Service

INPUT = {"text": "text", "image": "image", "audio": "audio"}
NUMBERS = frozenset(("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"))
FLOATS = frozenset(("FP16", "FP32", "FP64"))
TYPES = (*sorted(NUMBERS), *sorted(FLOATS), "BOOL", "BYTES")
_CELLS = {"number": "FP64", "flag": "BOOL"}


def server() -> dict[str, Any]:
    """Return what ``GET /v2`` tells."""
    return {"name": "headstart", "version": __version__, "extensions": []}


def model(service: Service) -> dict[str, Any]:
    """Return what ``GET /v2/models/{model}`` tells."""
    predictor = service.predictor
    inputs = [
        {"name": name, "datatype": _CELLS.get(held, "BYTES"), "shape": [-1]}
        for name, held in predictor.columns
    ]
    if predictor.modality != "table":
        inputs = [{"name": INPUT[predictor.modality], "datatype": "BYTES", "shape": [-1]}]
    number = predictor.kind == "regression"
    outputs = [{"name": "label", "datatype": "FP64" if number else "BYTES", "shape": [-1]}]
    if not number:
        outputs += [
            {"name": "confidence", "datatype": "FP64", "shape": [-1]},
            {"name": "abstained", "datatype": "BOOL", "shape": [-1]},
        ]
    if predictor.classes:
        k = len(predictor.classes)
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, k]})
    return {
        "name": service.settings.name,
        "versions": [predictor.digest],
        "platform": "headstart",
        "inputs": inputs,
        "outputs": outputs,
    }


def check_name(service: Service, name: str, version: str | None = None) -> None:
    """Refuse another model's name.

    Raises
    ------
    Problem
        404.
    """
    if name != service.settings.name or version not in (None, service.predictor.digest):
        raise Problem(404, "there is no such model", hint=f"there is {service.settings.name}")


async def infer(service: Service, request: Request, receive: Receive, send: Send) -> None:
    """Answer ``POST /v2/models/{model}/infer``."""
    kind = request.headers.get(b"content-type", b"application/json").partition(b";")[0]
    if kind.strip().lower() != b"application/json" or (
        b"inference-header-content-length" in request.headers
    ):
        raise Problem(
            415, "the body must be JSON; binary data is not taken", where="Content-Type", close=True
        )
    body = await read_body(service, request, receive)
    plain = len(body) <= SMALL and service.wanted.modality in ("text", "table")
    read = _read(body, service) if plain else await asyncio.to_thread(_read, body, service)
    items, wanted, rid = read
    request.items = len(items)
    answers = await ask(service, items, receive)
    found: dict[str, Any] = {
        "model_name": service.settings.name,
        "model_version": service.predictor.digest,
        "outputs": [one for one in outputs_of(answers, service) if one["name"] in wanted],
    }
    if rid is not None:
        found["id"] = rid
    await reply(service, request, send, json.dumps(found).encode())


def _read(body: bytes, service: Service) -> tuple[list[Any], set[str], str | None]:
    """Return the items of a request, the outputs it wants, and its id."""
    held = parse_json(body)
    if not isinstance(held, dict):
        raise Problem(400, "the body is not an object", where="body")
    rid = held.get("id")
    if rid is not None and (not isinstance(rid, str) or len(rid) > 200):
        raise Problem(400, "this is not a text of at most 200 characters", where="id")
    items = checked(items_of(held.get("inputs"), service), service.wanted)
    return items, _wanted(held.get("outputs"), service), rid


def items_of(inputs: Any, service: Service) -> list[Any]:
    """Return the items that the inputs of a request hold.

    Raises
    ------
    Problem
        400, 413.
    """
    if not isinstance(inputs, list) or not inputs:
        raise Problem(400, "this must be a list of tensors", where="inputs")
    if len(inputs) > service.limits.columns:
        raise Problem(413, "there are too many inputs", where="inputs")
    tensors = {}
    for place, one in enumerate(inputs):
        name, values = _tensor(one, f"inputs[{place}]", service.limits.items)
        if name in tensors:
            raise Problem(400, "two inputs have the same name", where=name[:80])
        tensors[name] = values
    if service.predictor.modality != "table":
        if len(tensors) != 1:
            raise Problem(400, "this model takes one input", where="inputs")
        return next(iter(tensors.values()))
    lengths = {len(values) for values in tensors.values()}
    if len(lengths) != 1:
        raise Problem(400, "the inputs are not all of one length", where="inputs")
    return [dict(zip(tensors, row, strict=True)) for row in zip(*tensors.values(), strict=True)]


def _tensor(one: Any, where: str, most: int) -> tuple[str, list[Any]]:
    if not isinstance(one, dict):
        raise Problem(400, "this is not a tensor", where=where)
    name, kind, shape, data = (one.get(key) for key in ("name", "datatype", "shape", "data"))
    if not isinstance(name, str) or not name:
        raise Problem(400, "the tensor has no name", where=where)
    if not isinstance(kind, str) or kind not in TYPES:
        raise Problem(400, f"the datatype must be one of {', '.join(TYPES)}", where=where)
    sizes = shape if isinstance(shape, list) else []
    sound = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
    if not sizes or not sound or len(sizes) > 2 or (len(sizes) == 2 and sizes[1] != 1):
        raise Problem(400, "the shape must be [n] or [n, 1]", where=where)
    if not isinstance(data, list):
        raise Problem(400, "the data must be a list", where=where)
    if len(data) > most:
        raise Problem(413, f"there may be {most:,} items in one request", where=where)
    flat = [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]
    if sizes[0] != len(flat):
        raise Problem(
            400, f"the shape says {sizes[0]} values, and there are {len(flat)}", where=where
        )
    for value in flat:
        _check_type(value, kind, where)
    return name, flat


def _check_type(value: Any, kind: str, where: str) -> None:
    if value is None:
        return  # a gap in a table
    fits = (
        isinstance(value, str)
        if kind == "BYTES"
        else isinstance(value, bool)
        if kind == "BOOL"
        else isinstance(value, int) and not isinstance(value, bool)
        if kind in NUMBERS
        else isinstance(value, int | float) and not isinstance(value, bool)
    )
    if not fits:
        raise Problem(400, f"a value is not of the type {kind}", where=where)


def _wanted(outputs: Any, service: Service) -> set[str]:
    known = {one["name"] for one in model(service)["outputs"]}
    if outputs is None or outputs == []:
        return known
    if not isinstance(outputs, list):
        raise Problem(400, "this must be a list", where="outputs")
    names = [one.get("name") if isinstance(one, dict) else None for one in outputs]
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise Problem(
                400, "there is no such output", where="outputs", hint=", ".join(sorted(known))
            )
    return {str(name) for name in names}


def outputs_of(answers: Sequence[Answer], service: Service) -> list[dict[str, Any]]:
    """Return answers as tensors."""
    n = len(answers)
    data: dict[str, list[Any]] = {}
    data["label"] = [one.label for one in answers]
    data["confidence"] = [one.confidence for one in answers]
    data["abstained"] = [one.abstained for one in answers]
    data["probabilities"] = [
        p if math.isfinite(p) else None for one in answers for p in one.probabilities
    ]
    return [
        {
            "name": one["name"],
            "datatype": one["datatype"],
            "shape": [n, *one["shape"][1:]],
            "data": data[one["name"]],
        }
        for one in model(service)["outputs"]
    ]
