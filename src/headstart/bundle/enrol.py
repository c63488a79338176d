"""New classes for a fitted model, pairs compared, and a model written once more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.bundle.contents import BundleContents
from headstart.bundle.inputs import prepared
from headstart.bundle.manifest import SOURCE, TOKENIZER
from headstart.core.errors import BundleError, DataError, OptionError
from headstart.core.types import (
    AnyArray,
    Candidate,
    Decision,
    FloatArray,
    Gain,
    Score,
    Task,
    subset,
)
from headstart.data.labels import class_name

if TYPE_CHECKING:
    from headstart.bundle.model import Bundle
    from headstart.sources import Backbone
    from headstart.strategies.gallery import Gallery

ENROLLED = "enrolled"
FALSE_ACCEPT = 0.01
PROMISES = ("abstention", "calibration")  # what a fit found out and a new class undoes
MOST_ENCODED = 1000  # training items that are encoded anew for the class means of a tuned source
ASSUMES = (
    "pairs like those of the training items; each class was compared about a centre that does not "
    "know it. A tuned source has seen these items, so its rates are too good"
)


# ------------------------------------------------------------------ new classes


def enrolled(bundle: Bundle, name: str, items: Any) -> Bundle:
    """Return a model that also knows a class, from examples; see ``Bundle.enrol``."""
    from headstart.strategies.enrolled_head import EnrolledHead, with_class, wrapped

    if bundle.manifest.source is None:
        raise OptionError(
            "classes can be enrolled where a pretrained source makes the features",
            where="strategy",
            got=bundle.manifest.strategy,
            hint="fit with --strategy probe",
        )
    if not bundle.classes:
        raise OptionError("a regression model has no classes to add one to")
    if not isinstance(name, str) or not name.strip():
        raise OptionError("not the name of a class", where="name", got=name, allowed="a text")
    name = class_name(name)
    gallery = _gallery(bundle)
    ready = prepared(items, bundle.modality)
    if not len(ready):
        raise DataError("a class is enrolled from one example or more", where=name, got="none")
    state = bundle.state
    if bundle.manifest.strategy != ENROLLED:
        state = wrapped(
            bundle.manifest.strategy,
            state,
            gallery,
            modality=bundle.modality,
            names=list(bundle.classes),
        )
    state = with_class(state, name, bundle.features(ready))
    estimator = EnrolledHead.from_state(state)
    was = bundle.manifest.result
    extra = {key: value for key, value in was.get("extra", {}).items() if key not in PROMISES}
    lost = (
        ", and what was promised about its risk is gone"
        if len(extra) < len(was.get("extra", {}))
        else ""
    )
    made = Decision(
        f"class {name!r} enrolled from {len(ready)} example(s)",
        f"the scores were measured before, without it; the model answers always{lost}",
        "fit again with it to measure it",
    )
    decisions = [*was.get("decisions", ()), dict(vars(made))]
    result = {**was, "decisions": decisions, "extra": extra}
    manifest = replace(
        bundle.manifest,
        strategy=ENROLLED,
        classes=tuple(str(one) for one in estimator.classes_),
        input={key: value for key, value in bundle.manifest.input.items() if key != "side"},
        result=result,
        files={},
        digest="",
    )
    return bundle.changed(manifest, estimator, state)


def _gallery(bundle: Bundle) -> Gallery:
    if bundle.gallery is None:
        from headstart.strategies.base import STRATEGIES

        if STRATEGIES[bundle.manifest.strategy].by_classes:
            raise OptionError(
                "this model learnt classes from no item: it has no means of them",
                where=bundle.manifest.strategy,
                hint="to add a class, name it in --classes",
            )
        raise OptionError(
            "this model was saved without the means of its classes",
            where=bundle.manifest.strategy,
            hint="fit again with this version of headstart",
        )
    return bundle.gallery


# ------------------------------------------------------------------ pairs


def similarity(bundle: Bundle, a: Any, b: Any) -> FloatArray:
    """Return how alike the items at the same place are; see ``Bundle.similarity``."""
    one, other = (_all_features(bundle, items) for items in (a, b))
    if len(one) != len(other):
        raise DataError(
            "pairs need as many items on both sides", where="b", got=len(other), allowed=[len(one)]
        )
    if bundle.gallery is not None:
        return bundle.gallery.similarity(one, other)
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine: FloatArray = (one * other).sum(axis=1) / np.where(length > 0.0, length, 1.0)
    return np.clip(cosine, -1.0, 1.0)


def verified(bundle: Bundle, a: Any, b: Any, false_accept: float) -> AnyArray:
    """Say which pairs are of one class; see ``Bundle.verify``."""
    if bundle.manifest.source is None or not bundle.classes:
        raise OptionError("pairs can be verified by a classifier that uses a source")
    threshold = _gallery(bundle).threshold(false_accept)
    result: AnyArray = similarity(bundle, a, b) >= threshold
    return result


def _all_features(bundle: Bundle, items: Any) -> FloatArray:
    return bundle.features(prepared(items, bundle.modality)).astype(np.float64)


def verification(gallery: Gallery | None) -> dict[str, Any] | None:
    """Return what a bundle says of verification; None where nothing is known."""
    if gallery is None:
        return None
    return {**gallery.facts(FALSE_ACCEPT), "assumes": ASSUMES}


# ------------------------------------------------------------------ class means


def with_gallery(
    contents: BundleContents, task: Task, features: FloatArray | None
) -> BundleContents:
    """Return the contents with the means of the classes, where they use a source.

    Parameters
    ----------
    contents : BundleContents
    task : Task
        What the model was fitted to.
    features : ndarray of shape (n, d), or None
        Of the untuned source. Where the model tuned it, or weighs its layers, at most
        MOST_ENCODED training items, classes evenly, are encoded anew.
    """
    if contents.source is None or not contents.classes or task.labels is None:
        return contents
    from headstart.strategies.gallery_fit import gallery_of

    place = {name: code for code, name in enumerate(contents.classes)}
    codes = np.array([place[str(label)] for label in task.labels])
    if len(set(codes.tolist())) < len(contents.classes):
        return contents  # a class without an item: told by its name alone
    tuned = any("tuned." in name for name in contents.state.arrays)
    if tuned or contents.state.meta.get("given") or features is None:
        from headstart import encode
        from headstart.bundle.write import in_memory

        kept = _evenly(codes, len(place))
        some, codes = subset(task.items, kept), codes[kept]
        features = encode.features(some, in_memory(contents).backbone()).array
    return replace(contents, gallery=gallery_of(features, codes, len(place)))


def _evenly(codes: AnyArray, n_classes: int) -> AnyArray:
    each = max(1, MOST_ENCODED // n_classes)
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes, minlength=n_classes)
    within = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(order[within < each])


# ------------------------------------------------------------------ written once more


def contents_of(bundle: Bundle) -> BundleContents:
    """Return what a bundle was made of, so that it can be saved.

    Raises
    ------
    SourceError, IntegrityError, BundleError
        Its source is not here any more.
    """
    from headstart import sources

    m = bundle.manifest
    record, found, answers = m.source, m.result, bundle.answers
    state = bundle.state
    if bundle.training:
        state = replace(state, meta=dict(state.meta) | {"history": list(bundle.training)})
    return BundleContents(
        modality=m.modality,
        kind=m.kind,
        strategy=m.strategy,
        state=state,
        metric=m.metric,
        classes=m.classes,
        label_name=m.label_name,
        columns=m.columns,
        side=m.input.get("side", 64),
        source=None if record is None else sources.SourceCard.from_json(dict(record.card)),
        backbone=_untuned(bundle),
        standalone=record is not None and record.standalone,
        score=Score(**found["score"]) if found["score"] else None,
        gain=Gain(**found["gain"]) if found["gain"] else None,
        baselines={name: Score(**one) for name, one in found["baselines"].items()},
        decisions=tuple(Decision(**one) for one in found["decisions"]),
        candidates=tuple(_candidate(one) for one in found["candidates"]),
        extra=found["extra"],
        fingerprint=m.fingerprint,
        n=m.n,
        answers=None if answers.always and answers.calibration is None else answers,
        gallery=None if m.strategy == ENROLLED else bundle.gallery,
        evidence=bundle.kept,
    )


def _candidate(found: dict[str, Any]) -> Candidate:
    given = dict(found)
    score = given.pop("score")
    return Candidate(score=Score(**score) if score else None, **given)


def _untuned(bundle: Bundle) -> Backbone | None:
    """Return the source as it was before the model tuned it."""
    record = bundle.manifest.source
    if record is None:
        return None
    if not hasattr(bundle.estimator, "tuned"):
        return bundle.backbone()
    if bundle.origin is not None:
        return bundle.origin
    from headstart.bundle.origin import from_bundle, from_catalogue

    if not record.standalone:
        return from_catalogue(record, bundle.reporter)
    from headstart.bundle.codec import from_safetensors

    assert bundle.home is not None
    try:
        weights = from_safetensors((bundle.home / SOURCE).read_bytes(), SOURCE)
        words = bundle.home / TOKENIZER
        text = words.read_text(encoding="utf-8") if words.exists() else None
    except OSError as error:
        raise BundleError(
            "the model that this one was made of is not there any more", where=str(bundle.home)
        ) from error
    return from_bundle(record, weights, text)
