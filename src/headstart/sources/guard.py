"""What a card that came with somebody's model may ask for, before a network is built from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.core.errors import SourceError
from headstart.core.types import AnyArray
from headstart.sources.cards import SourceCard

MOST = 10_000_000
"""The largest number in the configuration of a network: a vocabulary is far below it."""
LARGEST_PICTURE = 4_096
_REPEATED = ("layer", "depth", "block", "stage")
_FETCHES = (
    "attn_implementation",
    "_attn_implementation",
    "_attn_implementation_internal",
    "auto_map",
    "backbone",
    "code_revision",
    "custom_pipelines",
    "experts_implementation",
    "quantization_config",
    "use_kernels",
    "use_pretrained_backbone",
    "use_timm_backbone",
)
"""What makes transformers fetch or run something that is not in the model."""
_NAME = "abcdefghijklmnopqrstuvwxyz0123456789_."


def check_card(card: SourceCard, tensors: Mapping[str, AnyArray]) -> None:
    """Check that a card asks for no more than what its tensors hold, and fetches nothing.

    Parameters
    ----------
    card : SourceCard
        As a model brought it: nothing in it is trusted.
    tensors : mapping of str to ndarray
        The weights that lie in the model.

    Raises
    ------
    SourceError
    """
    for path, value in _leaves(dict(card.config), "config"):
        *way, key = path.split(".")
        if set(_FETCHES) & {*way, key} and value not in (None, False, "", "eager", "sdpa"):
            _refuse(card, "its configuration would fetch or run something else", path, value)
        most = MOST
        if any(word in key.lower() for word in _REPEATED):
            most = max(len(tensors), 100)
        if isinstance(value, int | float) and abs(value) > most:
            _refuse(card, "its configuration asks for more than its weights hold", path, value)
    for path, value in _leaves(dict(card.input), "input"):
        most = LARGEST_PICTURE if path.endswith("size") else MOST
        if isinstance(value, int | float) and abs(value) > most:
            _refuse(card, "no source takes inputs of this size", path, value)
    name = card.config.get("model") if card.family == "timm" else ""
    if not isinstance(name, str) or set(name.lower()) - set(_NAME):
        _refuse(card, "not the name of a network", "config.model", name)


def check_tokenizer(text: str) -> None:
    """Check that no pattern in a ``tokenizer.json`` repeats a group.

    Such patterns, like ``(a+)+``, can take for ever on a short text; no tokenizer that people use
    has one.

    Raises
    ------
    SourceError
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"not the description of a tokenizer: {error}") from error
    parts = {key: value for key, value in found.items() if key != "model"} if _is(found) else {}
    for path, value in _leaves(parts, "tokenizer"):
        if path.endswith(".Regex") and isinstance(value, str) and _repeats_a_group(value):
            raise SourceError(
                "a pattern of the tokenizer repeats a group, which may never end",
                where=path,
                got=value[:80],
            )


def _is(value: Any) -> bool:
    return isinstance(value, Mapping)


def _repeats_a_group(pattern: str) -> bool:
    """Say whether a quantifier without an end follows a group."""
    at = 0
    in_class = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 2
            continue
        if char == "[":
            in_class += 1
        elif char == "]" and in_class:
            in_class -= 1
        elif char == ")" and not in_class and pattern[at + 1 : at + 2] in ("*", "+", "{"):
            return True
        at += 1
    return False


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what is in nested dicts and lists, with the names on the way."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part, path)
    else:
        yield path, value


def _refuse(card: SourceCard, what: str, where: str, got: Any) -> None:
    raise SourceError(what, where=f"{card.name}, {where}", got=str(got)[:80])
