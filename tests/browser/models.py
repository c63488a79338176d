"""A model of pictures, made in a second: what a race would hand back in minutes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart import bundle, encode, sources, strategies
from headstart.core.types import Gain, Score


def picture_model(folder: Path, place: Path, source: str | None) -> Path:
    """Save a probe on a real source, or scratch without a network, learnt from class folders."""
    items = sorted(folder.glob("*/*.png"))
    labels = np.array([path.parent.name for path in items], dtype=object)
    backbone = sources.load(source) if source else None
    name = "probe" if backbone is not None else "scratch"
    given = {} if backbone is not None else {"network": False}
    inputs = encode.pixels(items) if backbone is None else encode.features(items, backbone).array
    estimator = strategies.make(
        name, kind="classification", modality="image", random_state=0, **given
    ).fit(inputs, labels)
    contents = bundle.BundleContents(
        modality="image",
        kind="classification",
        strategy=name,
        state=estimator.to_state(),
        metric="accuracy",
        classes=tuple(sorted(set(labels))),
        label_name="folder",
        columns=(),
        source=None if backbone is None else backbone.card,
        backbone=backbone,
        standalone=False,
        score=Score("accuracy", 0.9, 0.8, 1.0, len(items)),
        gain=Gain(0.1, -0.1, 0.3, len(items)),
        baselines={},
        decisions=(),
        candidates=(),
        extra={},
        fingerprint="f" * 64,
        n=len(items),
    )
    return bundle.save(place, contents, overwrite=True)
