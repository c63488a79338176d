"""A card that came with a model gets no more than its weights hold, and fetches nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import SourceError
from headstart.sources import catalogue
from headstart.sources.guard import check_card, check_tokenizer
from headstart.strategies.saved_classes import unpack_classes

WEIGHTS = {f"w{i}": np.zeros(1) for i in range(200)}
BERT: dict[str, Any] = {"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12}


def some_card(**changes: Any) -> Any:
    return replace(catalogue()["minilm"], **changes)


def test_the_cards_of_the_catalogue_are_sound():
    for card in catalogue().values():
        check_card(card, WEIGHTS)
    check_card(some_card(family="hf", config={**BERT, "attn_implementation": "sdpa"}), WEIGHTS)
    check_card(some_card(family="timm", config={"model": "vit_tiny_patch16_224.augreg"}), WEIGHTS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"config": {"hidden": 10**9}}, "more than its weights hold"),
        ({"config": {"layers": 10**5}}, "more than its weights hold"),
        ({"config": {"a": {"b": [{"num_hidden_layers": 300}]}}}, "more than its weights hold"),
        ({"config": {"x": -1e300}}, "more than its weights hold"),
        ({"input": {"size": 10**6}}, "inputs of this size"),
        ({"input": {"rate": 10**12}}, "inputs of this size"),
        ({"config": {"auto_map": {"AutoModel": "x.py"}}}, "fetch or run"),
        ({"config": {"text_config": {"_attn_implementation": "evil/kernel"}}}, "fetch or run"),
        ({"config": {"backbone": "resnet50", "use_timm_backbone": True}}, "fetch or run"),
        ({"family": "timm", "config": {"model": "hf-hub:evil/model"}}, "not the name of a network"),
        ({"family": "timm", "config": {"model": "local-dir:/etc"}}, "not the name of a network"),
        ({"family": "timm", "config": {"model": ["x"]}}, "not the name of a network"),
    ],
)
def test_what_a_card_may_not_ask_for(changes, words):
    with pytest.raises(SourceError, match=words):
        check_card(some_card(**changes), WEIGHTS)


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "^(a|aa)*$", "(x+x+){5,}y", r"(\w|[a-z])+", "((a))*", r"([)]a)*", r"(\))+"],
)
def test_patterns_that_may_never_end_are_refused(pattern):
    text = json.dumps({"pre_tokenizer": {"pretokenizers": [{"pattern": {"Regex": pattern}}]}})
    with pytest.raises(SourceError, match="repeats a group"):
        check_tokenizer(text)


@pytest.mark.parametrize(
    "pattern",
    [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|\s*[\r\n]+|\s+",
        " {2,}",
        r"[)]+",
        r"\)+",
    ],
)
def test_patterns_that_people_use_are_read(pattern):
    check_tokenizer(json.dumps({"normalizer": {"pattern": {"Regex": pattern}}, "model": {}}))


def test_what_is_no_tokenizer_is_told():
    for text in ("{", "[" * 100_000, "\ud800"):
        with pytest.raises(SourceError, match="not the description"):
            check_tokenizer(text)
    check_tokenizer("[]")  # what parses is for the tokenizer itself to refuse


def test_class_names_take_no_more_room_than_they_need():
    for names, kind in (
        (["a", "b"], "<U500000000"),
        (["a"], "O,O"),
        (["x" * 1_000_000] + ["y"] * 100, "object"),
    ):
        with pytest.raises(ValueError, match=r"classes of type|too long"):
            unpack_classes({"classes": names, "classes_dtype": kind})
    found = unpack_classes({"classes": ["a", "bcd"], "classes_dtype": "<U3"})
    assert found.tolist() == ["a", "bcd"]
    wider = unpack_classes({"classes": ["a"], "classes_dtype": "<U700"})  # a part of longer names
    assert wider.dtype == np.dtype("<U700")
    assert unpack_classes({"classes": [1, 2], "classes_dtype": "<i8"}).dtype == np.int64
