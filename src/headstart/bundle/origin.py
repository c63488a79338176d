"""Where a bundle's source comes from: the bundle itself, or the catalogue on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headstart.bundle.manifest import MODEL, SOURCE, SourceRecord
from headstart.core.errors import BundleCorruptError, HeadstartError, IntegrityError, SourceError
from headstart.core.types import AnyArray, Reporter

if TYPE_CHECKING:
    from headstart.sources import Backbone


def from_bundle(
    record: SourceRecord, weights: dict[str, AnyArray], tokenizer: str | None
) -> Backbone:
    """Rebuild the source that a bundle carries.

    Raises
    ------
    BundleCorruptError
        The weights are not what the card describes.
    """
    from headstart import sources

    try:
        card = sources.SourceCard.from_json(dict(record.card))
        return sources.from_state(card, weights, tokenizer)
    except HeadstartError:
        raise
    except Exception as error:  # hostile weights and cards can fail anywhere
        raise BundleCorruptError(f"the source cannot be rebuilt: {error}", where=SOURCE) from error


def from_catalogue(record: SourceRecord, reporter: Reporter) -> Backbone:
    """Load the source by its name. Only the name is taken from the bundle, never its addresses.

    Raises
    ------
    SourceError
        It is not here and cannot be fetched.
    IntegrityError
        Its weights are not those the model was made with.
    """
    from headstart import sources

    backbone = sources.load(record.name, reporter=reporter)
    if backbone.weights_sha256 != record.weights_sha256:
        raise IntegrityError(
            f"the source {record.name!r} has other weights than those the model was made with",
            got=backbone.weights_sha256,
            allowed=[record.weights_sha256],
            hint="fit again, or use a model that was saved with --standalone",
        )
    return backbone


def with_tuned(estimator: Any, backbone: Backbone) -> Backbone:
    """Return a source with what the model's training changed in it; as it is if nothing was.

    Raises
    ------
    BundleCorruptError
        What was tuned is not of this source.
    """
    if not hasattr(estimator, "tuned"):
        return backbone
    from headstart.strategies.tuned import tuned_backbone

    try:
        return tuned_backbone(backbone, estimator.tuned, estimator.given)
    except SourceError as error:
        raise BundleCorruptError(str(error), where=MODEL) from error
