"""``load``: a directory or an archive -> a Bundle, each byte verified before it is used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.bundle import disk, examples
from headstart.bundle.codec import bounded, from_json, from_safetensors
from headstart.bundle.golden import check_head, from_files
from headstart.bundle.manifest import (
    ANSWERS,
    ANSWERS_ARRAYS,
    GALLERY,
    GOLDEN,
    GOLDEN_ARRAYS,
    MANIFEST,
    MAX_BYTES,
    MODEL,
    SOURCE,
    STATE,
    TOKENIZER,
    TRAINING,
    Manifest,
)
from headstart.bundle.model import Bundle
from headstart.bundle.sequence import SequenceBundle
from headstart.bundle.sequence_disk import open_sequence
from headstart.bundle.sequence_manifest import SequenceManifest
from headstart.bundle.verified import verified_files
from headstart.core.errors import BundleCorruptError, BundleError, OptionError
from headstart.core.types import SILENT, Reporter, State
from headstart.sources.hub import hub_name

if TYPE_CHECKING:
    from headstart.strategies import StrategySpec
    from headstart.strategies.answers import Answers
    from headstart.strategies.gallery import Gallery


def load(
    path: str | Path,
    *,
    verify: bool = True,
    max_bytes: int = MAX_BYTES,
    verify_key: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> Bundle | SequenceBundle:
    """Open a saved model. No code in it is run; each file is verified before it is parsed.

    The order: the manifest (and its signature, where ``verify_key`` is given), the exact set of
    files, that each is a regular file (no link), its size, its sha256, then those same bytes
    parsed and checked, and the golden outputs compared. The golden features of a source are
    compared when the source is first used. An archive is read in memory, in the same order.

    Parameters
    ----------
    path : str or Path
        The directory or the ``.zip`` that ``save`` wrote, or ``hf://user/name``: a repository of
        the Hugging Face hub, ``@revision`` behind it where one is meant.
    verify : bool
        False leaves out sha256 and golden outputs: only for a bundle verified a moment ago.
    max_bytes : int
        Of all its files together; a larger model is refused before it is read.
    verify_key : str or Path, optional
        A public key in PEM. The model must then carry a signature made with its private key.
    reporter : Reporter
        Told when weights are fetched, and the progress of encoding.

    Returns
    -------
    Bundle, or SequenceBundle for a model that was fitted with ``task``

    Raises
    ------
    BundleError
        There is no bundle.
    BundleVersionError
        A newer headstart wrote it.
    BundleCorruptError
        It is damaged, incomplete, holds more than it should, or is not signed with the key.
    OptionError, MissingExtraError
        The key cannot be read, or what reads signatures is not installed.
    FetchError
        It cannot be fetched from the hub.

    Examples
    --------
    >>> import headstart as hs
    >>> hs.load("model").info["strategy"]                      # doctest: +SKIP
    'probe'
    """
    where = Path(path) if hub_name(path) else Path(os.path.realpath(path))
    key = None if verify_key is None else Path(verify_key)
    disk.recover(where)
    tries = 3
    while True:
        tries -= 1
        identity = _identity(where)
        try:
            return _load(where, verify, max_bytes, key, reporter)
        except BundleError:
            if not tries or identity == _identity(where):
                raise  # otherwise another process replaced it while it was read


def load_predictor(
    path: str | Path,
    *,
    verify: bool = True,
    max_bytes: int = MAX_BYTES,
    verify_key: str | Path | None = None,
    reporter: Reporter = SILENT,
) -> Bundle:
    """Open a saved model that predicts classes or numbers; as ``load``.

    Raises
    ------
    OptionError
        The model is one of a sequence task.
    BundleError, BundleVersionError, BundleCorruptError
        As ``load``.
    """
    found = load(path, verify=verify, max_bytes=max_bytes, verify_key=verify_key, reporter=reporter)
    if isinstance(found, SequenceBundle):
        raise OptionError(
            "this needs a model of classes or numbers",
            where=str(path),
            got=found.manifest.task,
            hint="predict and evaluate take models of this task",
        )
    return found


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Return what tells one saved model from its replacement."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _load(
    path: Path, verify: bool, max_bytes: int, key: Path | None, reporter: Reporter
) -> Bundle | SequenceBundle:
    found = verified_files(path, verify=verify, max_bytes=max_bytes, key=key)
    if isinstance(found.manifest, SequenceManifest):
        return open_sequence(found.manifest, found.raw, path, reporter)
    manifest, raw = found.manifest, dict(found.raw)
    estimator, state = _estimator(manifest, raw.pop(MODEL), raw.pop(STATE))
    golden = from_files(raw.pop(GOLDEN), raw.pop(GOLDEN_ARRAYS), manifest)
    if verify:
        check_head(golden, estimator, manifest)
    return Bundle(
        manifest,
        estimator,
        golden,
        weights=from_safetensors(raw[SOURCE], SOURCE) if SOURCE in raw else None,
        tokenizer=_text(raw[TOKENIZER]) if TOKENIZER in raw else None,
        path=path,
        reporter=reporter,
        training=_lines(raw[TRAINING]) if TRAINING in raw else (),
        answers=_answers(raw[ANSWERS], raw[ANSWERS_ARRAYS], manifest) if ANSWERS in raw else None,
        state=state,
        gallery=_gallery(raw[GALLERY], manifest) if GALLERY in raw else None,
        evidence=examples.from_files(raw, manifest),
    )


def _lines(raw: bytes) -> tuple[dict[str, Any], ...]:
    """Read JSON Lines: an object a line."""
    if wrong := bounded(raw):
        raise BundleCorruptError(f"not JSON that is read here: {wrong}", where=TRAINING)
    return tuple(from_json(line, TRAINING) for line in raw.splitlines())


def _estimator(manifest: Manifest, arrays_raw: bytes, meta_raw: bytes) -> tuple[Any, State]:
    """Rebuild the fitted estimator, with its state; only strategies that headstart has go."""
    from headstart import strategies

    spec = strategies.STRATEGIES.get(manifest.strategy)
    if spec is None or not spec.opens(manifest.kind, manifest.modality):
        raise BundleCorruptError(
            f"no strategy {manifest.strategy!r} does {manifest.kind} of {manifest.modality} data",
            where=MANIFEST,
            allowed=sorted(strategies.STRATEGIES),
        )
    if spec.uses_source != (manifest.source is not None):
        raise BundleCorruptError("a source where the strategy uses none, or none", where=MANIFEST)
    _side(manifest, spec)
    state = State(from_safetensors(arrays_raw, MODEL), from_json(meta_raw, STATE))
    try:
        estimator = strategies.open_state(
            manifest.strategy, kind=manifest.kind, modality=manifest.modality, state=state
        )
        classes = [str(name) for name in getattr(estimator, "classes_", ())]
    except Exception as error:  # a state that is not the strategy's own can fail anywhere
        raise BundleCorruptError(
            f"the state is none of strategy {manifest.strategy!r}: {error}", where=STATE
        ) from error
    if classes != list(manifest.classes):
        raise BundleCorruptError("manifest and model have other classes", where=STATE)
    return estimator, state


def _gallery(raw: bytes, manifest: Manifest) -> Gallery:
    """Read the means of the classes."""
    from headstart.strategies.gallery import Gallery

    try:
        gallery = Gallery.of(from_safetensors(raw, GALLERY))
        assert manifest.source is not None
        if gallery.means.shape != (len(manifest.classes), int(manifest.source.card["dim"])):
            raise ValueError(f"means of shape {gallery.means.shape}")
    except Exception as error:  # what is not its own can fail anywhere
        raise BundleCorruptError(
            f"not the means of the model's classes: {error}", where=GALLERY
        ) from error
    return gallery


def _answers(meta_raw: bytes, arrays_raw: bytes, manifest: Manifest) -> Answers:
    """Read what calibrates the model and when it abstains, and try it once."""
    import numpy as np

    from headstart.strategies.answers import Answers

    state = State(from_safetensors(arrays_raw, ANSWERS_ARRAYS), from_json(meta_raw, ANSWERS))
    try:
        answers = Answers.from_state(state)
        count = len(manifest.classes)
        shares = answers.probabilities(np.full((1, count), 1.0 / count))
        seen = None
        if answers.scope is not None:
            assert manifest.source is not None
            seen = np.zeros((1, int(manifest.source.card["dim"])), dtype=np.float32)
        answers.abstains(shares.max(axis=1), seen)
    except Exception as error:  # what is not its own can fail anywhere
        raise BundleCorruptError(
            f"not what calibrates a model or lets it abstain: {error}", where=ANSWERS
        ) from error
    return answers


def _side(manifest: Manifest, spec: StrategySpec) -> None:
    """Check the one input setting that the bundle itself acts on."""
    if manifest.modality == "image" and (spec.combines or not spec.uses_source):
        side = manifest.input.get("side")
        if type(side) is not int or not 1 <= side <= 1024:
            raise BundleCorruptError("no sound image size", where=MANIFEST, got=side)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BundleCorruptError("not text in UTF-8", where=TOKENIZER) from None
