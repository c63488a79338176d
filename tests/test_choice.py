"""What ``fit`` says is enough to make the same choice by hand, from public parts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import headstart as hs
from headstart import data, encode, evaluate, sources, strategies
from headstart.evaluate import Predictions, assemble
from tests import samples
from tests.strategies.tuning.tuned_tiny import tokenizer_json

pytestmark = pytest.mark.weights


def by_hand(told: dict[str, Any], task: Any, X: Any) -> dict[str, Predictions]:
    """Predict out of fold with each candidate that JSON names, by estimators and splits alone."""
    folds = data.split(task, n_splits=5, seed=told["seed"])
    held = np.concatenate([test for _, test in folds])
    places = np.split(np.arange(len(held)), np.cumsum([len(test) for _, test in folds])[:-1])
    found = {}
    for one in told["candidates"]:
        name = f"{one['source']} + {one['strategy']}" if one["source"] else one["strategy"]
        if one["estimate"] is None or one["strategy"] == "blend" or "dropped" in one["reason"]:
            continue
        pieces = []
        for train, test in folds:
            model = strategies.make(
                one["strategy"], kind="classification", modality="text", random_state=told["seed"]
            )
            own = X[one["source"]]
            learnt = own[train] if one["source"] else [own[i] for i in train]
            asked = own[test] if one["source"] else [own[i] for i in test]
            model.fit(learnt, task.labels[train])
            pieces.append(
                Predictions(
                    model.predict(asked).astype(str).astype(object),
                    model.predict_proba(asked),
                    tuple(model.classes_),
                )
            )
        found[name] = assemble(len(held), zip(places, pieces, strict=True))
    return found


def test_the_same_choice_by_hand(weights: Any) -> None:
    frame = samples.topics(20)
    raced = ["scratch", "probe", "knn", "prototypes"]
    result = hs.fit(frame, label="topic", seed=3, strategy=raced)
    told = json.loads(json.dumps(result.to_json()))
    task = data.read(frame, label="topic")
    X = {None: task.items, "minilm": encode.features(task.items, sources.load("minilm")).array}
    found = by_hand(told, task, X)
    held = np.concatenate([test for _, test in data.split(task, n_splits=5, seed=3)])
    values = {who: evaluate.value("accuracy", task.labels[held], one) for who, one in found.items()}
    estimates = {
        f"{one['source']} + {one['strategy']}" if one["source"] else one["strategy"]: one[
            "estimate"
        ]
        for one in told["candidates"]
        if one["estimate"] is not None
    }
    assert {"scratch", "majority", "minilm + probe"} <= set(values)
    assert values == pytest.approx({who: estimates[who] for who in values}, abs=1e-12)
    transfers = {who: v for who, v in estimates.items() if who not in ("scratch", "majority")}
    assert told["transfer"]["source"] == "minilm"
    chosen = f"{told['chosen']['source']} + {told['chosen']['strategy']}"
    assert estimates[chosen] == max(transfers.values()) > estimates["scratch"]
    assert any(line.startswith(f"ship {chosen}") for line in told["decisions"])


def test_the_options_that_were_decided_give_the_same_model(weights: Any) -> None:
    frame = samples.topics(20)
    result = hs.fit(frame, label="topic", strategy=["scratch", "probe"], source="minilm")
    chosen = result.to_json()["chosen"]
    again = hs.fit(
        frame,
        label="topic",
        source=chosen["source"],
        strategy=chosen["strategy"],
        metric="accuracy",
    )
    texts = ["the goat", "a tasty soup", "an old lorry"]
    np.testing.assert_array_equal(again.predict_proba(texts), result.predict_proba(texts))


def test_a_source_that_is_named_races_and_knows_nothing(weights: Any, tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=405,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
    )
    place = tmp_path / "random"
    transformers.BertModel(config, add_pooling_layer=False).eval().save_pretrained(place)
    (place / "tokenizer.json").write_text(tokenizer_json())
    result = hs.fit(samples.topics(), label="topic", source=["minilm", str(place)], budget="1s")
    assert result.chosen.source == "minilm"
    named = [one for one in result.candidates if one.source == str(place)]
    frozen = [one for one in named if one.strategy in ("probe", "knn", "prototypes")]
    assert len(frozen) == 3
    assert all(one.status == "lost" and one.score is not None for one in frozen)
