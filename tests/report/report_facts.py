"""Facts as bundles hold them, of every kind of model; numbers are made up, forms are real."""

from __future__ import annotations

import base64
import functools
import io
import math
import wave
from typing import Any

import numpy as np
from PIL import Image

COLOURS = ("blue", "green", "red")


def score(metric: str, estimate: float, half: float = 0.03, n: int = 200) -> dict[str, Any]:
    low, high = estimate - half, estimate + half
    return {"metric": metric, "estimate": estimate, "low": low, "high": high, "n": n}


def gain(verdict: str, estimate: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    base = {"n": 200, "baseline": "scratch", "metric": "accuracy", "verdict": verdict}
    return {"estimate": estimate, "low": low, "high": high, **base, **more}


def source() -> dict[str, Any]:
    card = {
        "title": "sentence-transformers all-MiniLM-L6-v2",
        "pretrained_on": "1.17 billion English sentence pairs",
        "parameters": 22565376,
        "permissive": True,
        "licence_package": "MIT",
        "languages": ["en"],
        "paper": "Wang et al., NeurIPS 2020",
        "origin": {"hub": {"id": "sentence-transformers/all-MiniLM-L6-v2"}},
    }
    return {
        "name": "minilm",
        "weights_sha256": "53aa" * 16,
        "licence": "Apache-2.0",
        "standalone": False,
        "card": card,
    }


def info(**changes: Any) -> dict[str, Any]:
    """What ``Bundle.info`` says of a classifier that transfer made better."""
    told = {
        "path": "models/cells",
        "digest": "ab" * 32,
        "headstart": "0.1.0",
        "modality": "text",
        "kind": "classification",
        "strategy": "probe",
        "metric": "accuracy",
        "label": "label",
        "classes": list(COLOURS),
        "columns": [],
        "input": {},
        "source": source(),
        "score": score("accuracy", 0.872),
        "gain": gain("positive", 0.183, 0.121, 0.244),
        "baselines": {
            "majority": score("accuracy", 0.34),
            "scratch": score("accuracy", 0.689),
        },
        "decisions": [
            {
                "what": "metric accuracy",
                "why": "the classes are of similar size",
                "override": "--metric NAME uses another",
            },
            {
                "what": "ship minilm + probe",
                "why": "it beats scratch on the data that chose it",
                "override": "--strategy scratch",
            },
        ],
        "candidates": [
            candidate("majority", None, 0.33),
            candidate("scratch", None, 0.7),
            candidate("probe", "minilm", 0.88, status="chosen"),
            candidate("knn", "minilm", 0.8),
            {
                "strategy": "blend",
                "source": "minilm",
                "score": None,
                "status": "left out",
                "reason": "too few items",
            },
        ],
        "extra": {
            "judged_by": "200 items that took no part in training or choosing",
            "seed": 7,
            "shots": 16,
            "class_counts": dict.fromkeys(COLOURS, 16),
            **learning(),
            "calibration": {
                "method": "temperature",
                "temperature": 0.8,
                "n": 48,
                "ece_before": score("ece", 0.12),
                "ece_after": score("ece", 0.06),
                "brier_before": None,
                "brier_after": None,
                "why": "a temperature lowers the log loss from 0.41 to 0.33",
            },
        },
        "verification": None,
        "fingerprint": "4e" * 32,
        "n": 48,
        "versions": {"headstart": "0.1.0", "python": "3.11.2", "torch": "2.13.0+cpu"},
        "bytes": 335960,
    }
    return {**told, **changes}


def candidate(name: str, of: str | None, value: float, status: str = "lost") -> dict[str, Any]:
    made = {"strategy": name, "source": of, "status": status, "reason": ""}
    return {**made, "score": score("accuracy", value, 0.09, 48)}


def learning() -> dict[str, Any]:
    points = [
        {
            "n_per_class": float(n),
            "repeats": 3,
            "transfer": end(0.87 - 0.4 / (n + 1)),
            "scratch": end(0.69 - 0.3 / (n + 1)),
            "gain": end(0.18 - 0.1 / (n + 1)),
        }
        for n in (1, 2, 4, 8, 16)
    ]
    return {
        "curve": points,
        "label_multiplier": {
            "estimate": 6.2,
            "low": 4.1,
            "high": None,
            "censored": None,
            "n_transfer": 2.0,
            "n_scratch": 12.4,
        },
        "learning": {
            "transfer": "minilm + probe",
            "unit": "labels a class",
            "jumpstart": end(0.13),
            "asymptote": {**end(0.174), "limit": None},
            "area_ratio": end(0.2),
            "forecast": {"transfer": {"more": 16.0, "n": 16.0, **end(0.02, 0.01)}},
            "no_forecast": None,
        },
    }


def end(value: float, half: float = 0.05) -> dict[str, Any]:
    return {"estimate": value, "low": value - half, "high": value + half}


@functools.cache
def picture(colour: int, side: int = 32) -> dict[str, Any]:
    rng = np.random.default_rng(colour)
    y, x = np.mgrid[0:side, 0:side] / side
    disc = np.hypot(x - 0.3 - 0.4 * rng.random(), y - 0.5) < 0.22
    pixels = np.full((side, side, 3), 235, np.uint8) - (rng.random((side, side, 3)) * 25).astype(
        np.uint8
    )
    pixels[disc] = np.roll([200, 80, 60], colour % 3)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "WEBP", quality=60)
        raw = base64.b64encode(file.getvalue()).decode()
    return {
        "kind": "image",
        "src": f"data:image/webp;base64,{raw}",
        "width": side,
        "height": side,
    }


def sound() -> dict[str, Any]:
    with io.BytesIO() as file:
        with wave.open(file, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(1)
            written.setframerate(8000)
            written.writeframes(bytes(128 + int(60 * math.sin(i / 4)) for i in range(800)))
        raw = base64.b64encode(file.getvalue()).decode()
    return {"kind": "sound", "src": f"data:audio/wav;base64,{raw}", "seconds": 0.1}


def preview(modality: str, i: int, side: int = 32) -> dict[str, Any]:
    if modality == "image":
        return picture(i % 20, side)
    if modality == "sound":
        return sound()
    if modality == "row":
        return {"kind": "row", "values": {"width": 1.5 * i, "colour": "red", "weight": None}}
    return {"kind": "text", "text": f"a film of {i} minutes that I would not see again"}


def explanation(modality: str, label: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": modality,
        "method": "occlusion",
        "label": label,
        "confidence": 0.9,
    }
    if modality == "image":
        told["weights"] = [[0.0, 0.1, 0.0], [0.05, 0.6, -0.2], [0.0, 0.1, 0.0]]
    elif modality == "text":
        words = ("a ", "film ", "that ", "I ", "would ", "not ", "see ", "again")
        weights = (0.0, 0.1, 0.0, 0.01, 0.05, 0.5, -0.2, -0.1)
        told["tokens"] = [
            {"text": word, "weight": weight} for word, weight in zip(words, weights, strict=True)
        ]
    elif modality == "row":
        told["columns"] = [
            {"name": "width", "value": 1.5, "weight": 0.4},
            {"name": "colour", "value": "red", "weight": -0.1},
            {"name": "weight", "value": None, "weight": 0.0},
        ]
    else:
        told["windows"] = [
            {"start": 0.0, "end": 0.05, "weight": 0.3},
            {"start": 0.05, "end": 0.1, "weight": -0.1},
        ]
    return told


def evidence(
    modality: str = "text", n: int = 60, names: tuple[str, ...] = COLOURS, side: int = 32
) -> dict[str, Any]:
    """Evidence of a classifier, as ``evidence.json`` holds it."""
    rng = np.random.default_rng(0)
    items = []
    for i in range(n):
        own = names[i % len(names)]
        other = names[(i + 1) % len(names)]
        wrong = i % 5 == 0
        judged = i % 3 != 2
        angle = 2 * math.pi * (i % len(names)) / len(names)
        x, y = 0.5 + 0.33 * math.cos(angle), 0.5 + 0.33 * math.sin(angle)
        x, y = np.clip(rng.normal((x, y), 0.09), 0, 1)
        items.append(
            {
                "id": f"{own}/{i}.png",
                "part": "judged" if judged else "training",
                "label": own,
                "predicted": (other if wrong else own) if judged else None,
                "confidence": round(float(rng.uniform(0.5, 1)), 3) if judged else None,
                "abstained": False if judged else None,
                "x": float(x),
                "y": float(y),
                "preview": preview(modality, i, side),
            }
        )
    k = len(names)
    counts = [
        [12 if i == j else (2 if j == (i + 1) % k else 0) for j in range(k)] for i in range(k)
    ]
    wrong = [i for i, one in enumerate(items) if one["predicted"] not in (None, one["label"])]
    told: dict[str, Any] = {
        "schema": 1,
        "judged": {"by": "200 items", "n": 200, "metric": "accuracy"},
        "items": items,
        "map": {"method": "t-SNE of the features of minilm, perplexity 30", "n": n},
        "mistakes": [
            {
                "item": i,
                "preview": preview(modality, i, 2 * side),
                "explanation": explanation(modality, str(items[i]["predicted"])),
            }
            for i in wrong[:8]
        ],
        "classes": [
            {
                "name": name,
                "n": 14,
                "predicted": 14,
                "precision": [0.857, 0.7, 0.95],
                "recall": [0.857, 0.68, 0.94],
                "f1": [0.5 + 0.4 * i / k, 0.4 + 0.4 * i / k, 0.6 + 0.38 * i / k],
            }
            for i, name in enumerate(names)
        ],
        "confused": [{"label": names[0], "predicted": names[1 % k], "n": 2}],
        "reliability": {
            "bins": [
                {
                    "low": b / 10,
                    "high": b / 10 + 0.1,
                    "n": 4 * b,
                    "confidence": b / 10 + 0.05,
                    "accuracy": b / 10 - 0.02,
                    "accuracy_low": b / 10 - 0.15,
                    "accuracy_high": min(1.0, b / 10 + 0.1),
                }
                for b in range(4, 10)
            ],
            "ece": 0.07,
        },
        "suspects": [
            {
                "id": items[4]["id"],
                "label": items[4]["label"],
                "proposed": names[0],
                "chance": 0.82,
                "preview": preview(modality, 4, side),
            }
        ],
        "neediest": [{"name": names[0]}],
        "duplicates": {
            "pairs": [
                {
                    "a": items[0]["id"],
                    "b": items[3]["id"],
                    "same": "near",
                    "labels": [names[0], names[1 % k]],
                    "across": True,
                }
            ],
            "groups": 1,
            "items": 2,
        },
        "findings": [
            {"severity": "warning", "what": "classes are of very different size", "examples": []}
        ],
        "skipped": [{"item": "red/broken.png", "reason": "cannot be read"}],
        "shift": None,
    }
    if k <= 60:
        told["confusion"] = {"classes": list(names), "counts": counts}
    return told


def numbers() -> tuple[dict[str, Any], dict[str, Any]]:
    """Info and evidence of a regression."""
    rng = np.random.default_rng(1)
    truth = rng.normal(150, 60, 80)
    said = truth + rng.normal(0, 30, 80)
    facts = info(
        kind="regression",
        modality="table",
        metric="rmse",
        label="dose in mg",
        classes=[],
        score=score("rmse", 30.2, 4),
        gain=gain("positive", 4.12, 2.01, 6.3, metric="rmse"),
        baselines={"majority": score("rmse", 60.0, 5), "scratch": score("rmse", 34.3, 4)},
        candidates=[],
        extra={"judged_by": "80 out-of-fold predictions", "seed": 0, "shots": None},
    )
    items = [
        {
            "id": f"row {i + 1}",
            "part": "judged",
            "label": float(truth[i]),
            "predicted": float(said[i]),
            "confidence": None,
            "abstained": None,
            "x": float(i) / 80,
            "y": float(i * 7 % 80) / 80,
            "preview": preview("row", i),
        }
        for i in range(80)
    ]
    told = {
        "schema": 1,
        "judged": {"by": "80 out-of-fold predictions", "n": 80, "metric": "rmse"},
        "items": items,
        "mistakes": [{"item": 3, "preview": None, "explanation": None}],
        "residuals": {"truth": truth.tolist(), "predicted": said.tolist()},
        "importance": [
            {"column": "age", "estimate": 8.1, "low": 6.0, "high": 10.2},
            {"column": "height", "estimate": 0.2, "low": -0.4, "high": 0.9},
        ],
    }
    return facts, told


def sequence() -> dict[str, Any]:
    """What ``SequenceBundle.info`` says."""
    return {
        "path": "speech",
        "digest": "cd" * 32,
        "headstart": "0.1.0",
        "modality": "audio",
        "kind": "speech-to-text",
        "strategy": "lora",
        "metric": "wer",
        "label": "transcript",
        "classes": [],
        "columns": {"recordings": "audio"},
        "source": source(),
        "score": score("wer", 0.21, n=30),
        "gain": gain("positive", 0.121, 0.05, 0.2, metric="wer", baseline="untouched"),
        "baselines": {"untouched": score("wer", 0.33, n=30)},
        "measures": {"wer": score("wer", 0.21), "cer": score("cer", 0.11)},
        "judged_by": "out-of-fold answers to the 30 examples",
        "seed": 0,
        "decisions": [{"what": "language en", "why": "most sound like it", "override": ""}],
        "candidates": [candidate("untouched", "minilm", 0.3), candidate("lora", "minilm", 0.2)],
        "fingerprint": "ef" * 32,
        "n": 30,
        "versions": {"python": "3.11.2"},
        "bytes": 100,
    }
