"""The description of the service that programs read: OpenAPI 3.1, true for the model served."""

from __future__ import annotations

from typing import Any

from headstart._version import __version__
from headstart.serve import v2
from headstart.serve.service import Service

_WORDS = {
    400: "The body is not what it says it is.",
    401: "There is no key, or it is wrong.",
    403: "The service does not go by this name, or a page of another site asks.",
    404: "There is nothing under this address.",
    405: "This cannot be done here.",
    408: "The body did not come in time.",
    413: "More than one request may bring.",
    415: "Another type of body than is taken.",
    422: "An item cannot be used; `where` names it.",
    429: "Too many wrong keys.",
    500: "The service failed; its log says where.",
    501: "This service cannot do that.",
    503: "More is asked than can be answered now, or the service is stopping.",
    504: "There was no answer in time.",
}
ASKING = (400, 401, 403, 405, 408, 413, 415, 422, 429, 500, 503, 504)
READING = (401, 403, 405, 429, 500)
_SCHEMAS = "#/components/schemas/"
NUMBER = {"type": ["number", "null"]}
TEXT = {"type": ["string", "null"]}


def described(service: Service) -> dict[str, Any]:
    """Return the OpenAPI document of a service."""
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"headstart: {service.settings.name}",
            "version": __version__,
            "description": service.info()["headline"],
        },
        "paths": _paths(service),
        "components": {"schemas": _schemas(service)},
    }
    if service.settings.api_key is not None:
        found["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "basic": {"type": "http", "scheme": "basic"},
        }
        found["security"] = [{"bearer": []}, {"key": []}, {"basic": []}]
    return found


def item_schema(service: Service) -> dict[str, Any]:
    """Return what an item of this model is."""
    predictor, limits = service.predictor, service.limits
    if predictor.modality == "text":
        return {"type": "string", "maxLength": limits.characters}
    if predictor.modality == "table":
        cells = {
            name: {"type": ["number", "string", "boolean", "null"]} for name, _ in predictor.columns
        }
        return {
            "type": "object",
            "properties": cells,
            "required": list(cells),
            "maxProperties": limits.columns,
        }
    coded = {"type": "string", "contentEncoding": "base64"}
    return {
        "type": "object",
        "properties": {"b64": coded},
        "required": ["b64"],
        "additionalProperties": False,
    }


def example_item(service: Service) -> Any:
    """Return an item to try with."""
    predictor = service.predictor
    if predictor.modality == "text":
        return "A warm, funny and beautifully acted film."
    if predictor.modality == "table":
        return {name: 1.5 if held == "number" else None for name, held in predictor.columns}
    return {"b64": "the bytes of the file in base64"}


def _body(service: Service, more: dict[str, Any], *, one: bool) -> dict[str, Any]:
    item = {"$ref": f"{_SCHEMAS}Item"}
    many = {"type": "array", "items": item, "minItems": 1, "maxItems": 1}
    if not one:
        many["maxItems"] = service.limits.items
    keys = {"items": many, "item": item, **({"text": item} if _texts(service) else {})}
    required = ["label"] if "label" in more else []
    shapes = [
        {
            "type": "object",
            "properties": {key: held, **more},
            "required": [key, *required],
            "additionalProperties": False,
        }
        for key, held in keys.items()
    ]
    file = {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"}
    form: dict[str, Any] = {"files": {"type": "array", "items": file}}
    if _texts(service):
        form["text"] = {"type": "array", "items": {"type": "string"}}
    fields = {name: {"type": "string"} for name in more}
    example = {"items": [example_item(service)]}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": shapes}, "example": example},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {**form, **fields},
                    "additionalProperties": False,
                }
            },
        },
    }


def _texts(service: Service) -> bool:
    return service.predictor.modality == "text"


def _answers(schema: str, statuses: tuple[int, ...], *, status: int = 200) -> dict[str, Any]:
    error = {"$ref": f"{_SCHEMAS}Error"}
    found = {str(status): _json("Done.", {"$ref": f"{_SCHEMAS}{schema}"})}
    return found | {str(code): _json(_WORDS[code], error) for code in statuses}


def _json(words: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": schema}}}


def _get(summary: str, schema: str, statuses: tuple[int, ...] = READING, **more: Any) -> Any:
    return {"get": {"summary": summary, "responses": _answers(schema, statuses), **more}}


def _paths(service: Service) -> dict[str, Any]:
    label = {"type": "number"} if service.predictor.kind == "regression" else {"type": "string"}
    correction = {"label": label, "predicted": {"type": ["string", "number", "null"]}}
    plain = {"text/plain": {"schema": {"type": "string"}}}
    metrics = _get("The numbers of the service, as Prometheus reads them.", "Status")
    metrics["get"]["responses"]["200"] = {"description": "Done.", "content": plain}
    free: dict[str, Any] = {"security": []}
    corrections = _get("How many corrections are stored.", "Count", (*READING, 501))
    corrections["post"] = {
        "summary": "Store the right label of one item.",
        "requestBody": _body(service, correction, one=True),
        "responses": _answers("Count", (*ASKING, 501), status=201),
    }
    return {
        "/predict": {
            "post": {
                "summary": "Answer items.",
                "requestBody": _body(service, {}, one=False),
                "responses": _answers("Predictions", ASKING),
            }
        },
        "/explain": {
            "post": {
                "summary": "What in one item speaks for the answer, and which examples are alike.",
                "requestBody": _body(service, {}, one=True),
                "responses": _answers("Explained", (*ASKING, 501)),
            }
        },
        "/corrections": corrections,
        "/info": _get("What the model is and how well it was measured.", "Info"),
        "/metrics": metrics,
        "/healthz": _get("Whether the process lives.", "Status", (403, 405, 500), **free),
        "/readyz": _get("Whether it takes requests.", "Status", (403, 405, 500, 503), **free),
        **_paths_v2(service),
    }


def _paths_v2(service: Service) -> dict[str, Any]:
    name = {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": [service.settings.name]},
    }
    paths = {
        "/v2": _get("The server.", "Server"),
        "/v2/health/live": _get("Whether the process lives.", "Live", (403, 405, 500), security=[]),
        "/v2/health/ready": _get(
            "Whether it takes requests.", "Ready", (403, 405, 500, 503), security=[]
        ),
        "/v2/models/{model}": _get("The model.", "Model", (*READING, 404), parameters=[name]),
        "/v2/models/{model}/ready": _get(
            "Whether the model is ready.", "ModelReady", (*READING, 404, 503), parameters=[name]
        ),
        "/v2/models/{model}/infer": {
            "post": {
                "summary": "Answer items, in the Open Inference Protocol.",
                "parameters": [name],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {
                            "schema": {"$ref": f"{_SCHEMAS}Infer"},
                            "example": _infer_example(service),
                        }
                    },
                },
                "responses": _answers("Inferred", (*ASKING, 404)),
            }
        },
    }
    for path, verbs in paths.items():
        for verb in verbs.values():
            for status, answer in verb["responses"].items():
                if status >= "400" and "/models/" in path:
                    answer["content"]["application/json"]["schema"] = {
                        "$ref": f"{_SCHEMAS}PlainError"
                    }
    return paths


def _infer_example(service: Service) -> dict[str, Any]:
    item = example_item(service)
    told = v2.model(service)["inputs"]
    if service.predictor.modality == "table":
        data = [item[one["name"]] for one in told]
    else:
        data = [item if isinstance(item, str) else item["b64"]]
    return {
        "inputs": [
            {**one, "shape": [1], "data": [value]} for one, value in zip(told, data, strict=True)
        ]
    }


def _object(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **more}, "required": list(required)}


def _schemas(service: Service) -> dict[str, Any]:
    from headstart.serve.schemas import schemas

    return {"Item": item_schema(service), **schemas()}
