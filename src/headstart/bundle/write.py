"""``save``: a fitted model -> the bytes of each file of its bundle."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart._version import __version__
from headstart.bundle import examples, golden
from headstart.bundle.codec import plain, to_json, to_safetensors
from headstart.bundle.contents import BundleContents, result_of
from headstart.bundle.manifest import (
    ANSWERS,
    ANSWERS_ARRAYS,
    GALLERY,
    GOLDEN,
    GOLDEN_ARRAYS,
    MANIFEST,
    MODEL,
    README,
    SOURCE,
    STATE,
    TOKENIZER,
    TRAINING,
    Manifest,
    SourceRecord,
    dump,
    file_records,
)
from headstart.bundle.model import Bundle
from headstart.bundle.model_card import card_of
from headstart.bundle.origin import with_tuned
from headstart.bundle.store import check_target, put
from headstart.core.errors import BundleError
from headstart.core.types import SILENT, Reporter

if TYPE_CHECKING:
    from headstart.sources import Backbone

_LIBRARIES = ("numpy", "scikit-learn", "torch", "tokenizers", "safetensors")


def save(path: str | Path, contents: BundleContents, *, overwrite: bool = False) -> Path:
    """Save a fitted model as a directory, or as one file where ``path`` ends in ``.zip``.

    It is written beside ``path`` and moved there whole: killed at any moment, ``path`` is what it
    was or what it shall be. The same contents give the same bytes.

    Parameters
    ----------
    path : str or Path
        The directory or the ``.zip`` to make. An empty directory is used.
    contents : BundleContents
    overwrite : bool
        Replace a model that is there. Anything else that is there is never touched.

    Returns
    -------
    Path
        The path, links resolved.

    Raises
    ------
    OptionError
        Something is there that may not be replaced.
    BundleError
        The contents do not fit together, or writing failed.
    """
    where = check_target(path, overwrite=overwrite)
    return put(where, _files(contents))


def in_memory(contents: BundleContents, *, reporter: Reporter = SILENT) -> Bundle:
    """Return a fitted model as a bundle that was never saved: it predicts just the same.

    Parameters
    ----------
    contents : BundleContents
    reporter : Reporter
        Told the progress of encoding.

    Raises
    ------
    BundleError
        The contents do not fit together.
    """
    estimator, backbone = _checked(contents), _backbone(contents)
    manifest = _manifest(contents, backbone, {})
    if backbone is not None:
        backbone = with_tuned(estimator, backbone)
    curves = tuple(contents.state.meta.get("history", ()))
    return Bundle(
        manifest,
        estimator,
        None,
        backbone=backbone,
        reporter=reporter,
        training=curves,
        answers=contents.answers,
        state=contents.state,
        gallery=contents.gallery,
        evidence=contents.evidence,
        origin=contents.backbone,
    )


def _files(contents: BundleContents) -> dict[str, bytes]:
    """Return the bytes of each file of a bundle, the manifest last."""
    estimator, backbone = _checked(contents), _backbone(contents)
    proof = _golden(contents, estimator, backbone and with_tuned(estimator, backbone))
    from headstart.strategies.tuning.curves import as_lines

    said, arrays = golden.to_files(proof)
    meta = dict(contents.state.meta)
    curves = meta.pop("history", ())
    raw = {
        MODEL: to_safetensors(contents.state.arrays, MODEL),
        STATE: to_json(plain(meta, STATE)),
        GOLDEN: to_json(said),
        GOLDEN_ARRAYS: to_safetensors(arrays, GOLDEN_ARRAYS),
    }
    if curves:
        raw[TRAINING] = as_lines(curves).encode()
    if contents.answers is not None:
        state = contents.answers.to_state()
        raw[ANSWERS] = to_json(plain(state.meta, ANSWERS))
        raw[ANSWERS_ARRAYS] = to_safetensors(state.arrays, ANSWERS_ARRAYS)
    if contents.gallery is not None:
        raw[GALLERY] = to_safetensors(contents.gallery.arrays(), GALLERY)
    if contents.evidence is not None:
        raw |= examples.to_files(contents.evidence)
    if contents.standalone and backbone is not None:
        raw[SOURCE] = to_safetensors(backbone.tensors(), SOURCE)
        if backbone.tokenizer is not None:
            raw[TOKENIZER] = backbone.tokenizer.to_str().encode()
    raw[README] = card_of(_manifest(contents, backbone, {})).encode()
    return {**raw, MANIFEST: dump(_manifest(contents, backbone, raw))}


def _manifest(contents: BundleContents, backbone: Any, raw: Mapping[str, bytes]) -> Manifest:
    return Manifest(
        headstart=__version__,
        kind=contents.kind,
        modality=contents.modality,
        strategy=contents.strategy,
        metric=contents.metric,
        label_name=contents.label_name,
        classes=contents.classes,
        columns=contents.columns,
        input=_input(contents),
        source=_record(contents, backbone),
        result=result_of(contents),
        fingerprint=contents.fingerprint,
        n=contents.n,
        versions=versions(),
        files=file_records(raw),
    )


def _checked(contents: BundleContents) -> Any:
    """Check that the contents fit together; return the estimator as a reader will rebuild it."""
    from headstart import strategies

    estimator = strategies.open_state(
        contents.strategy, kind=contents.kind, modality=contents.modality, state=contents.state
    )
    needs = strategies.STRATEGIES[contents.strategy].uses_source
    wrong = ""
    if needs != (contents.source is not None):
        wrong = f"strategy {contents.strategy!r} {'needs a' if needs else 'uses no'} source"
    elif [str(name) for name in getattr(estimator, "classes_", ())] != list(contents.classes):
        wrong = "classes are not those of the fitted model"
    elif contents.modality == "table" and not contents.columns:
        wrong = "a table needs its columns"
    elif contents.standalone and contents.source is None:
        wrong = "there is no source whose weights the bundle could carry"
    if wrong:
        raise BundleError(f"this cannot be saved: {wrong}")
    return estimator


def _backbone(contents: BundleContents) -> Backbone | None:
    if contents.source is None or contents.backbone is not None:
        return contents.backbone
    from headstart import sources

    return sources.load(contents.source)


def _record(contents: BundleContents, backbone: Backbone | None) -> SourceRecord | None:
    card = contents.source
    if card is None or backbone is None:
        return None
    return SourceRecord(
        card.name, backbone.weights_sha256, card.licence, contents.standalone, card.to_json()
    )


def _input(contents: BundleContents) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if contents.source is not None:
        found = dict(contents.source.input) | dict(contents.state.meta.get("given", {}))
    if contents.modality == "image" and _without_source(contents):
        found["side"] = contents.side
    return found


def _without_source(contents: BundleContents) -> bool:
    """Say whether the model, or a member of it, takes the items without a source."""
    from headstart import strategies

    return contents.source is None or strategies.STRATEGIES[contents.strategy].combines


def _golden(contents: BundleContents, estimator: Any, backbone: Backbone | None) -> golden.Golden:
    """Let the model predict the golden inputs."""
    side = contents.side if _without_source(contents) else golden.IMAGE_SIDE
    items = golden.golden_items(contents.modality, contents.columns, side)
    features = None
    if backbone is not None:
        from headstart import encode

        given = [(each, golden.RATE) for each in items] if contents.modality == "audio" else items
        found = encode.features(list(given), backbone, cache=False, precision="float32")
        features = np.array(found.array, dtype=np.float32)
    modality = contents.modality
    proof = golden.Golden(
        texts=tuple(items) if modality == "text" else (),
        rows=items if modality == "table" else [],
        images=items if modality == "image" else None,
        sounds=items if modality == "audio" else None,
        features=features,
        outputs=np.empty(0),
    )
    inputs = golden.head_inputs(proof, contents.strategy, contents.modality, contents.columns)
    made = golden.outputs(estimator, contents.kind, inputs)
    return replace(proof, outputs=made)


def versions() -> dict[str, str]:
    """Return the versions of headstart, Python and the libraries that make a model."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"headstart": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # an environment put together without metadata
            found[name] = "unknown"
    return found
