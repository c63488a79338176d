"""Exports of the packaged sources: real sentences and drawn photographs, as the model answers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from headstart import bundle, encode, sources, strategies
from headstart.bundle.exporting.write import expected
from headstart.bundle.runner import open_export

sys.path.append(str(Path(__file__).parents[2]))
from samples import topics

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]


def probed(source, items, labels):
    """A probe on the features of a packaged source, as a bundle that carries no weights."""
    backbone = sources.load(source)
    features = encode.features(items, backbone, cache=False, precision="float32").array
    model = strategies.make("probe", kind="classification", modality=backbone.card.modality)
    model.fit(features, labels)
    contents = bundle.BundleContents(
        modality=backbone.card.modality,
        kind="classification",
        strategy="probe",
        state=model.to_state(),
        metric="accuracy",
        classes=tuple(str(name) for name in model.classes_),
        source=backbone.card,
        backbone=backbone,
    )
    return bundle.in_memory(contents)


def agree(model, items, tmp_path):
    opened = open_export(model.export(tmp_path / "export"))
    labels, shares, _, _ = opened.answer(items)
    want = expected(model, items)
    assert np.abs(shares - want).max() < 1e-3
    assert labels.tolist() == [model.classes[place] for place in want.argmax(axis=1)]


def test_sentences_of_every_length_and_script(tmp_path):
    frame = topics(8)
    texts = frame["text"].tolist()
    model = probed("minilm", texts, frame["topic"].to_numpy(object))
    odd = [
        "",
        " ",
        "a\x00b",
        "\ud800 broken",
        "Ünïcödé ﬁ",
        "日本語のテキスト",
        "🦊" * 9,
        "word " * 700,
    ]
    agree(model, [*texts, *odd], tmp_path)


def test_photographs_of_every_shape(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(300, 200), (224, 224), (90, 400), (31, 17), (500, 501), (256, 256)]
    photos = [
        (
            np.add.outer(rng.normal(0, 40, high).cumsum(), rng.normal(0, 40, wide).cumsum())[
                ..., None
            ]
            * rng.normal(1, 0.3, 3)
            + 128
        )
        .clip(0, 255)
        .astype(np.uint8)
        for high, wide in shapes * 2
    ]
    model = probed("efficientnet-lite0", photos, np.array(["sea", "land"] * 6, dtype=object))
    agree(model, photos, tmp_path)
