"""The shapes of answers, as JSON schemas."""

from __future__ import annotations

from typing import Any

from headstart.serve.v2 import TYPES

REF = "#/components/schemas/"
TEXT = {"type": ["string", "null"]}
NUMBER = {"type": ["number", "null"]}
FREE = {"type": ["object", "null"]}
STRING: dict[str, Any] = {"type": "string"}
BOOL: dict[str, Any] = {"type": "boolean"}


def shape(required: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the schema of an object with these required properties, and more that may be."""
    return {"type": "object", "properties": {**required, **more}, "required": list(required)}


def many(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": schema}


def schemas() -> dict[str, Any]:
    """Return the schemas of all answers by their names."""
    error = {"code": STRING, "message": STRING, "where": TEXT, "hint": TEXT}
    prediction = {
        "label": {"type": ["string", "number", "null"]},
        "confidence": NUMBER,
        "abstained": BOOL,
        "probabilities": {"type": "object", "additionalProperties": {"type": "number"}},
    }
    neighbour = {"id": STRING, "label": {"type": ["string", "number"]}, "similarity": NUMBER}
    return {
        "Error": shape({"error": shape(error)}),
        "PlainError": shape({"error": STRING}),
        "Prediction": shape(prediction),
        "Predictions": shape(
            {
                "model": STRING,
                "predictions": many({"$ref": f"{REF}Prediction"}),
                "names": many(STRING),
            }
        ),
        "Explained": shape(
            {"model": STRING, "explanation": FREE, "nearest": many(shape(neighbour, preview=FREE))}
        ),
        "Count": shape({"n": {"type": "integer", "minimum": 0}}),
        "Status": shape({"status": STRING}),
        "Info": _info(),
        **_schemas_v2(),
    }


def _info() -> dict[str, Any]:
    column = shape({"name": STRING, "type": STRING})
    task = {
        "modality": {"type": "string", "enum": ["text", "image", "audio", "table"]},
        "kind": STRING,
        "classes": many(STRING),
        "columns": many(column),
    }
    limits = {"type": "object", "additionalProperties": {"type": "number"}}
    return shape(
        {
            "model": STRING,
            "name": STRING,
            "task": shape(task, label=TEXT),
            "headline": STRING,
            "source": TEXT,
            "licence": TEXT,
            "score": FREE,
            "gain": FREE,
            "limits": limits,
            "examples": BOOL,
            "corrections": BOOL,
            "batching": shape({"on": BOOL, "items": {"type": "integer"}, "why": STRING}),
            "drift": shape({"window": {"type": "integer"}, "tests": many(STRING)}),
        },
        strategy=TEXT,
        headstart=TEXT,
    )


def _schemas_v2() -> dict[str, Any]:
    sizes = many({"type": "integer"})
    kind = {"type": "string", "enum": list(TYPES)}
    told = shape({"name": STRING, "datatype": kind, "shape": sizes})
    tensor = shape({"name": STRING, "datatype": kind, "shape": sizes, "data": {"type": "array"}})
    given = {
        "name": {"type": "string", "minLength": 1},
        "datatype": kind,
        "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        "data": {"type": "array"},
    }
    asked = {"inputs": {"type": "array", "items": shape(given), "minItems": 1}}
    wanted = many(shape({"name": STRING}))
    return {
        "Server": shape({"name": STRING, "version": STRING, "extensions": many(STRING)}),
        "Live": shape({"live": BOOL}),
        "Ready": shape({"ready": BOOL}),
        "ModelReady": shape({"name": STRING, "ready": BOOL}),
        "Model": shape(
            {
                "name": STRING,
                "versions": many(STRING),
                "platform": STRING,
                "inputs": many(told),
                "outputs": many(told),
            }
        ),
        "Infer": shape(asked, id={"type": "string", "maxLength": 200}, outputs=wanted),
        "Inferred": shape(
            {"model_name": STRING, "model_version": STRING, "outputs": many(tensor)}, id=STRING
        ),
    }
