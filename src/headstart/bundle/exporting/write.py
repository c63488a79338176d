"""``export``: a saved model becomes a directory that runs without torch, or nothing at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart._version import __version__
from headstart.bundle import disk
from headstart.bundle.codec import plain, to_json, to_safetensors
from headstart.bundle.exporting.heads import REFUSED, Asked, Head, head_of
from headstart.bundle.exporting.shipped import shipped
from headstart.bundle.golden import Golden, golden_items, raw_items
from headstart.bundle.manifest import Manifest
from headstart.bundle.runner.files import (
    ARRAYS,
    FORMAT,
    MANIFEST,
    NETWORK,
    PICTURES,
    SCHEMA,
    TOKENIZER,
)
from headstart.core.errors import BundleError, HeadstartError, OptionError
from headstart.core.types import SILENT, AnyArray, FloatArray, Reporter
from headstart.strategies.plain import SIDE

if TYPE_CHECKING:
    from headstart.bundle.model import Bundle

TOLERANCE = 1e-3
"""Largest difference of a probability, or of a number relative to its size."""
_INFO = ("score", "gain", "baselines", "decisions")
_SHAPES = ((7, 11), (13, 9), (3, 4))
"""Of further golden pictures, in eighths of the side of small ones."""
_LONG = "A long text, so that what is cut off stays cut off: transfer learning that proves it. "


def export(
    model: Bundle | str | Path,
    path: str | Path,
    *,
    overwrite: bool = False,
    reporter: Reporter = SILENT,
) -> Path:
    """Write a model of texts, images or tables as a directory that runs without torch.

    What is written is opened by its own runner and compared with the model on golden inputs
    before it is put in its place.

    Parameters
    ----------
    model : Bundle, or path of one
    path : str or Path
        The directory to make. An empty one is used.
    overwrite : bool
        Replace an export that is there. Anything else that is there is never touched.
    reporter : Reporter
        Told what is done.

    Returns
    -------
    Path
        The directory, links resolved.

    Raises
    ------
    OptionError
        Something is there that may not be replaced.
    BundleError
        The model cannot be exported, or what was made of it predicts something else. Nothing is
        left behind.
    MissingExtraError
        onnx or onnxruntime is not installed.
    """
    where = _target(path, overwrite=overwrite)
    bundle = _opened(model, reporter)
    with_source = bundle.manifest.source is not None
    reporter.say("writing the network as ONNX" if with_source else "writing the model")
    raw = export_files(bundle)
    try:
        with disk.staged(where) as fresh:
            for name, content in raw.items():
                target = fresh / name
                target.parent.mkdir(parents=True, exist_ok=True)
                disk.write(target, content)
            away = compared(fresh)
    except OSError as error:
        raise BundleError(
            f"the export could not be written: {error.strerror or error}", where=str(where)
        ) from error
    reporter.say(f"it predicts what the model predicts: at most {away:.1g} apart")
    return where


def _opened(model: Any, reporter: Reporter) -> Bundle:
    from headstart.bundle.read import load
    from headstart.bundle.sequence import SequenceBundle

    found = load(model, reporter=reporter) if isinstance(model, str | Path) else model
    if isinstance(found, SequenceBundle):
        raise BundleError(
            f"this model cannot be exported: {REFUSED['sequence']}",
            allowed="models of classes or numbers",
        )
    return found


def _target(path: str | Path, *, overwrite: bool) -> Path:
    """Return the path, if it may be written to."""
    where = Path(os.path.realpath(path))
    if not os.path.lexists(where):
        return where
    if not where.is_dir():
        raise OptionError("a file is in the way", where=str(where), hint="choose another name")
    present = disk.listing(where)
    if present and MANIFEST not in present:
        raise OptionError(
            "a directory that is no export is in the way",
            where=str(where),
            hint="choose another name; headstart replaces nothing but its own exports",
        )
    if present and not overwrite:
        raise OptionError("an export is there already", where=str(where), hint="--overwrite")
    return where


def export_files(bundle: Bundle) -> dict[str, bytes]:
    """Return the files of an export by their names.

    Raises
    ------
    BundleError, MissingExtraError
        As :func:`export`.
    """
    m = bundle.manifest
    head = head_of(m.strategy, Asked(m.kind, m.modality, bundle.state))
    raw, spec, dim = _networks(bundle, head)
    arrays = {f"head.{name}": array for name, array in head.arrays.items()}
    answers = None if bundle.answers is None else bundle.answers.to_state()
    if answers is not None:
        arrays |= {f"answers.{name}": array for name, array in answers.arrays.items()}
    said, kept = _golden(bundle)
    arrays |= {f"golden.{name}": array for name, array in kept.items()}
    raw[ARRAYS] = to_safetensors(arrays, ARRAYS)
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "headstart": __version__,
        "digest": m.digest,
        "modality": m.modality,
        "kind": m.kind,
        "strategy": m.strategy,
        "label": m.label_name,
        "classes": list(m.classes),
        "columns": [{"name": column.name, "type": column.type} for column in m.columns],
        "dim": dim,
        "input": spec,
        "head": head.spec,
        "answers": None if answers is None else dict(answers.meta),
        "info": _info(m),
        "golden": said,
        "tolerance": TOLERANCE,
        "files": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in sorted(raw.items())
        },
    }
    return {**raw, **shipped(m, raw, head.spec), MANIFEST: to_json(plain(manifest, MANIFEST))}


def _networks(bundle: Bundle, head: Head) -> tuple[dict[str, bytes], dict[str, Any], int]:
    """Return the networks and the tokenizer as files, how items are read, and the features."""
    raw: dict[str, bytes] = {}
    spec, dim = dict(bundle.manifest.input), 0
    if head.network is not None:
        from headstart.bundle.exporting.pictures import small_graph

        raw[PICTURES] = small_graph(head.network, int(head_side(head.spec)))
    if bundle.manifest.source is not None:
        from headstart.bundle.exporting.sources import source_graph

        backbone = bundle.backbone()
        raw[NETWORK] = source_graph(backbone)
        spec, dim = spec | dict(backbone.card.input), int(bundle_width(backbone))
        if bundle.modality == "text":
            raw[TOKENIZER] = _tokenizer(backbone)
    return raw, spec, dim


def head_side(spec: dict[str, Any]) -> int:
    """Return the side of what the small network sees, in a model or in a blend with one."""
    return int(spec["side"] if spec["form"] == "network" else spec["scratch"]["side"])


def bundle_width(backbone: Any) -> int:
    """Return how many features a source makes of an item."""
    import torch

    from headstart.sources.backbone import blank

    with torch.no_grad():
        return int(backbone(blank(backbone.card)).shape[1])


def _tokenizer(backbone: Any) -> bytes:
    """Return the tokenizer as the source reads texts: cut, and not padded."""
    from headstart.encode.text import token_ids

    _, tokenizer = token_ids([], backbone)
    text: str = tokenizer.to_str()
    return text.encode()


def _info(m: Manifest) -> dict[str, Any]:
    """Return what is known of the model, for people and for the service."""
    source = None
    if m.source is not None:
        card = m.source.card
        source = {
            "name": m.source.name,
            "title": card.get("title"),
            "licence": m.source.licence,
            "pretrained_on": card.get("pretrained_on"),
            "weights_sha256": m.source.weights_sha256,
        }
    found = {
        "headstart": m.headstart,
        "modality": m.modality,
        "kind": m.kind,
        "strategy": m.strategy,
        "metric": m.metric,
        "label": m.label_name,
        "classes": list(m.classes),
        "source": source,
        "n": m.n,
        "versions": dict(m.versions),
    }
    found |= {name: m.result.get(name) for name in _INFO}
    extra = m.result.get("extra")
    kept = ("judged_by", "calibration", "abstention", "label_multiplier", "shots")
    held = extra if isinstance(extra, dict) else {}
    return found | {"extra": {name: held[name] for name in kept if name in held}}


def _golden(bundle: Bundle) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Return items of our own, never the user's, and what the model makes of them."""
    m = bundle.manifest
    side = int(m.input.get("side", SIDE))
    given = golden_items(m.modality, m.columns, side)
    said: dict[str, Any] = {"texts": [], "rows": []}
    kept: dict[str, AnyArray] = {}
    if m.modality == "image":
        items: Any = [*given, *(_odd(side, *shape) for shape in _SHAPES)]
        kept = {f"image{place:02d}": image for place, image in enumerate(items)}
    elif m.modality == "text":
        items = said["texts"] = [*given, ".", _LONG * 40]
    else:
        said["rows"] = given
        items = raw_items(Golden((), given, None, None, np.empty(0)), m.modality, m.columns)
    return said, kept | {"outputs": expected(bundle, items)}


def _odd(side: int, high: int, wide: int) -> AnyArray:
    """Return a drawn picture whose sides differ from what is looked at, and from each other."""
    picture = golden_items("image", (), max(high, wide) * side // 8)[1]
    return np.ascontiguousarray(picture[: high * side // 8, : wide * side // 8])


def expected(bundle: Bundle, items: Any) -> FloatArray:
    """Return what a model predicts when its source computes in float32: (n, k), or (n,)."""
    from headstart import encode
    from headstart.bundle.golden import outputs
    from headstart.core.types import Pair
    from headstart.strategies import STRATEGIES
    from headstart.strategies.plain import plain_inputs

    m = bundle.manifest
    inputs: Any = None
    spec = STRATEGIES[m.strategy]
    if m.source is None or spec.combines:
        inputs = plain_inputs(items, m.modality, side=int(m.input.get("side", SIDE)))
    if m.source is not None:
        features = encode.features(items, bundle.backbone(), cache=False, precision="float32").array
        inputs = Pair(inputs, features) if spec.combines else features
    made = outputs(bundle.estimator, m.kind, inputs)
    return bundle.answers.probabilities(made) if m.classes else made


def compared(directory: Path) -> float:
    """Return how far an export predicts from its model on the golden inputs.

    Raises
    ------
    BundleError
        Farther than ``TOLERANCE``, or it does not run.
    """
    from headstart.bundle.runner import open_export

    try:
        away = open_export(directory).check()
    except HeadstartError as error:
        raise BundleError(
            f"the export does not run: {error.what}", where=error.where, hint=error.hint
        ) from error
    if not away <= TOLERANCE:
        raise BundleError(
            "the export does not predict what the model predicts; nothing was written",
            got=float(f"{away:.3g}"),
            allowed=f"at most {TOLERANCE} apart",
            hint="serve the saved model itself: headstart serve MODEL",
        )
    return away
