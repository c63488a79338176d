"""Golden inputs and outputs: what a bundle must still predict, wherever it is loaded.

The inputs are ours, never the user's: fixed sentences, drawn images, made sounds, rows made from
column means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.bundle.codec import from_json, from_safetensors, plain
from headstart.bundle.columns import Column, golden_rows, to_frame
from headstart.bundle.manifest import GOLDEN, GOLDEN_ARRAYS, Manifest
from headstart.core.errors import BundleCorruptError, HeadstartError
from headstart.core.types import AnyArray, FloatArray, Kind, Modality, Pair
from headstart.strategies import STRATEGIES
from headstart.strategies.plain import plain_inputs

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "I would like to cancel my order, please.",
    "An unhurried, warm and quietly funny film that stays with you for days.",
    "¿Dónde está la estación? 42 °C!",
)
IMAGE_SIDE = 32
MOST_GOLDEN = 64
RATE = 16_000
"""Of the golden sounds, a second each."""
HEAD_TOLERANCE = 1e-4
"""Largest difference of a golden probability, or of a golden value relative to its size."""
FEATURE_TOLERANCE = 0.05
"""Largest relative difference (Euclidean norm) of golden features; bfloat16 stays below it."""


@dataclass(frozen=True, eq=False)
class Golden:
    """Golden inputs with what the model made of them when it was saved.

    Parameters
    ----------
    texts : tuple of str
    rows : list of dict
        Of a table.
    images : uint8 array of shape (m, side, side, 3), or None
    sounds : int16 array of shape (m, samples), or None
    features : float32 array of shape (m, d), or None
        Of the source.
    outputs : float64 array
        Probabilities (m, k), or values (m,).
    """

    texts: tuple[str, ...]
    rows: list[dict[str, Any]]
    images: AnyArray | None
    features: FloatArray | None
    outputs: FloatArray
    sounds: AnyArray | None = None


def drawn_images(side: int) -> AnyArray:
    """Draw three colour images: a slope, a disc on it, and a chequerboard of coarse squares.

    Parameters
    ----------
    side : int
        Pixels.

    Returns
    -------
    uint8 array of shape (3, side, side, 3)
    """
    y, x = np.mgrid[0:side, 0:side] * 255 // max(side - 1, 1)
    slope = np.stack([x, y, 255 - x], axis=-1)
    disc = np.where(((x - 128) ** 2 + (y - 110) ** 2 < 70**2)[..., None], (220, 40, 60), slope)
    squares = np.where(((x // 64 + y // 64) % 2)[..., None], slope[::-1], (30, 90, 40))
    return np.stack([slope, disc, squares]).astype(np.uint8)


def made_sounds() -> AnyArray:
    """Make three sounds: a rising tone, a chord that dies away, and clicks at a steady pace.

    Returns
    -------
    int16 array of shape (3, RATE)
    """
    time = np.arange(RATE) / RATE
    rising = np.sin(2 * np.pi * (200 * time + 900 * time**2))
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (262, 330, 392)) / 3
    clicks = np.exp(-40 * (time * 8 % 1)) * np.sin(2 * np.pi * 3000 * time)
    waves = np.stack([0.5 * rising, 0.8 * chord * np.exp(-3 * time), 0.6 * clicks])
    return np.rint(waves * 32767).astype(np.int16)


def golden_items(modality: Modality, columns: Any, side: int) -> Any:
    """Return the golden items of a modality: texts, images, sounds or the rows of a table."""
    if modality == "table":
        return golden_rows(columns)
    if modality == "audio":
        return made_sounds()
    return drawn_images(side) if modality == "image" else list(TEXTS)


def outputs(estimator: Any, kind: Kind, inputs: Any) -> FloatArray:
    """Return probabilities (n, k), or values (n,), as float64."""
    made = estimator.predict_proba if kind == "classification" else estimator.predict
    return np.asarray(made(inputs), dtype=np.float64)


def to_files(golden: Golden) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Return what ``golden.json`` and ``golden.safetensors`` hold."""
    arrays: dict[str, AnyArray] = {"outputs": golden.outputs}
    if golden.images is not None:
        arrays["images"] = golden.images
    if golden.sounds is not None:
        arrays["sounds"] = golden.sounds
    if golden.features is not None:
        arrays["features"] = golden.features
    return {"texts": list(golden.texts), "rows": plain(golden.rows, GOLDEN)}, arrays


def from_files(json_raw: bytes, arrays_raw: bytes, manifest: Manifest) -> Golden:
    """Read the golden files.

    Raises
    ------
    BundleCorruptError
        When they are not what ``to_files`` makes.
    """
    said, arrays = from_json(json_raw, GOLDEN), from_safetensors(arrays_raw, GOLDEN_ARRAYS)
    texts, rows = said.get("texts"), said.get("rows")
    sound = (
        set(said) == {"texts", "rows"}
        and isinstance(texts, list)
        and isinstance(rows, list)
        and all(isinstance(text, str) for text in texts)
        and all(isinstance(row, dict) for row in rows)
    )
    if not sound or texts is None or rows is None:
        raise BundleCorruptError("not golden texts and rows", where=GOLDEN)
    golden = Golden(
        tuple(texts),
        rows,
        arrays.pop("images", None),
        arrays.pop("features", None),
        arrays.pop("outputs", np.empty(0)),
        arrays.pop("sounds", None),
    )
    wrong = _wrong(golden, manifest)
    if arrays or wrong:
        raise BundleCorruptError(wrong or "unknown arrays", where=GOLDEN_ARRAYS, got=[*arrays])
    return golden


def _wrong(golden: Golden, manifest: Manifest) -> str:
    """Say what is wrong with the shapes and types of golden arrays; nothing is the empty text."""
    images, sounds, features = golden.images, golden.sounds, golden.features
    parts: tuple[Any, ...] = (golden.texts, golden.rows, images, sounds, features)
    counts = {len(part) for part in parts if part is not None and len(part)}
    ends = (len(manifest.classes),) if manifest.kind == "classification" else ()
    if len(counts) != 1 or max(counts) > MOST_GOLDEN:
        return "golden inputs are missing, or of different number"
    if golden.outputs.shape != (*counts, *ends) or golden.outputs.dtype != np.float64:
        return "golden outputs are of the wrong shape or type"
    if not np.isfinite(golden.outputs).all():
        return "golden outputs are not numbers"
    if images is not None and (images.dtype != np.uint8 or images.ndim != 4):
        return "golden images are of the wrong shape or type"
    if sounds is not None and (sounds.dtype != np.int16 or sounds.ndim != 2 or not sounds.size):
        return "golden sounds are of the wrong shape or type"
    if (features is None) != (manifest.source is None):
        return "golden features belong to a source"
    if features is not None and (features.dtype != np.float32 or features.ndim != 2):
        return "golden features are of the wrong shape or type"
    present = {
        "text": bool(golden.texts),
        "table": bool(golden.rows),
        "image": images is not None,
        "audio": sounds is not None,
    }
    others = sum(present.values()) - 1
    return "" if present[manifest.modality] and not others else "golden inputs of another modality"


def raw_items(golden: Golden, modality: Modality, columns: Sequence[Column]) -> Any:
    """Return the golden inputs as items: texts, images, sounds, or a data frame."""
    if modality == "table":
        return to_frame(golden.rows, columns)
    if golden.sounds is not None:
        return [(sound, RATE) for sound in golden.sounds]
    return list(golden.texts) if golden.images is None else golden.images


def head_inputs(
    golden: Golden, strategy: str, modality: Modality, columns: Sequence[Column]
) -> Any:
    """Return what the estimator takes: the golden features, items, or a pair of both."""
    blend = STRATEGIES[strategy].combines
    if golden.features is not None and not blend:
        return golden.features
    items = raw_items(golden, modality, columns)
    if modality == "audio":
        items = plain_inputs(items, modality)
    return Pair(items, golden.features) if blend else items


def check_head(golden: Golden, estimator: Any, manifest: Manifest) -> None:
    """Check that the estimator still makes the golden outputs.

    Raises
    ------
    BundleCorruptError
        It does not.
    """
    try:
        inputs = head_inputs(golden, manifest.strategy, manifest.modality, manifest.columns)
        got = outputs(estimator, manifest.kind, inputs)
    except Exception as error:  # a state that is not the strategy's own can fail anywhere
        raise BundleCorruptError(
            f"the model cannot predict its golden inputs: {error}", where=GOLDEN
        ) from error
    want = golden.outputs
    scale = 1.0 if manifest.kind == "classification" else 1.0 + np.abs(want)
    if got.shape != want.shape or not bool((np.abs(got - want) <= HEAD_TOLERANCE * scale).all()):
        raise BundleCorruptError(
            "the model does not predict what it predicted when it was saved",
            where=GOLDEN,
            hint="the versions of libraries it was made with are in its manifest",
        )


def check_source(golden: Golden, backbone: Any, manifest: Manifest) -> None:
    """Check that a source reads the golden inputs, and makes the golden features of them.

    Raises
    ------
    BundleCorruptError
        It does not.
    """
    from headstart import encode

    items = raw_items(golden, manifest.modality, manifest.columns)
    try:
        found = encode.features(list(items), backbone, cache=False)
    except (HeadstartError, MemoryError):
        raise
    except Exception as error:  # weights and tokenizers that do not fit can fail anywhere
        raise BundleCorruptError(
            f"the source cannot read the golden inputs: {error}", where=GOLDEN
        ) from error
    check_features(golden, found.array)


def check_features(golden: Golden, got: FloatArray) -> None:
    """Check that the source still makes the golden features.

    Raises
    ------
    BundleCorruptError
        It does not.
    """
    want = golden.features
    assert want is not None
    if got.shape == want.shape:
        away = np.linalg.norm(np.asarray(got, dtype=np.float64) - want, axis=1)
        if bool((away <= FEATURE_TOLERANCE * np.linalg.norm(want, axis=1)).all()):
            return
    raise BundleCorruptError(
        "the source does not make the features it made when the model was saved",
        where=GOLDEN_ARRAYS,
        hint="the versions of libraries it was made with are in its manifest",
    )
