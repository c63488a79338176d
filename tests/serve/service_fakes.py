"""Predictors that a test understands, and services of them."""

from __future__ import annotations

import io
import threading
import time
from typing import Any

import httpx
import numpy as np

from headstart.core.errors import DataError
from headstart.serve.app import create_app
from headstart.serve.drift import Reference
from headstart.serve.logs import Logs
from headstart.serve.predictor import Answer
from headstart.serve.settings import Settings

CLASSES = ("even", 'o"dd')


class Length:
    """Tells whether a text has an even or an odd number of characters."""

    kind = "classification"
    classes = CLASSES
    digest = "abcdef012345"
    examples = False

    def __init__(self, modality: str = "text", columns: Any = (), seconds: float = 0.0) -> None:
        self.modality, self.columns, self.seconds = modality, tuple(columns), seconds
        self.calls: list[int] = []
        self.seen: list[Any] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, items: Any) -> list[Answer]:
        self.gate.wait(20)
        self.calls.append(len(items))
        if any(isinstance(item, str) and item.startswith("slow") for item in items):
            time.sleep(self.seconds)
        found = []
        for place, item in enumerate(items):
            if item == "bad":
                raise DataError("this item is bad", where=f"items[{place}]", hint="send another")
            if item == "crash":
                raise RuntimeError(f"secret {item}")
            self.seen.append(item)
            odd = len(item) % 2
            found.append(Answer(CLASSES[odd], 0.75, len(item) > 40, (1.0 - odd, float(odd))))
        return found

    def explain(self, item: Any) -> dict[str, Any] | None:
        if item == "why":
            return {"kind": "text", "method": "occlusion", "tokens": [], "confidence": 0.5}
        return None

    def nearest(self, item: Any) -> list[dict[str, Any]]:
        return []

    def info(self) -> dict[str, Any]:
        task = {"modality": self.modality, "kind": self.kind, "classes": list(self.classes)}
        told = [{"name": name, "type": held} for name, held in self.columns]
        return {
            "task": {**task, "columns": told, "label": "label"},
            "headline": "Counts characters.",
            "source": None,
            "licence": None,
            "score": {"estimate": float("nan")},
            "gain": None,
        }

    def reference(self) -> Reference:
        return Reference()


class Number(Length):
    kind = "regression"
    classes = ()

    def predict(self, items: Any) -> list[Answer]:
        return [Answer(float(len(item))) for item in items]


class Asker:
    """Asks a service in this process, as a client of this machine."""

    def __init__(self, predictor: Any, **settings: Any) -> None:
        self.log = io.StringIO()
        self.predictor = predictor
        self.app = create_app(predictor, Settings(**settings), logs=Logs(self.log))
        self.service = self.app.state.service

    def client(self, **more: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", **more)

    async def post(self, path: str = "/predict", **more: Any) -> httpx.Response:
        async with self.client() as client:
            return await client.post(path, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        async with self.client() as client:
            return await client.get(path, **more)


def picture(width: int = 8, height: int = 6, kind: str = "PNG", seed: int = 0) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()
