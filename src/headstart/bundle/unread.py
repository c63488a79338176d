"""Whether a model learnt the language of its inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.data.languages import detect, name_of, named

if TYPE_CHECKING:
    from headstart.bundle.model import Bundle

LOOKED = 100
"""Inputs that are looked at."""


def unread(bundle: Bundle, items: Sequence[str]) -> str:
    """Say so where inputs are in a language that the model did not learn from; else nothing.

    Parameters
    ----------
    bundle : Bundle
        Nothing is known of one of another modality, or that an older headstart wrote.
    items : sequence of str

    Returns
    -------
    str
        Empty, or a warning in words.
    """
    extra = bundle.manifest.result.get("extra") or {}
    kept = extra.get("languages") if isinstance(extra, dict) else None
    if bundle.modality != "text" or not isinstance(kept, dict) or not kept:
        return ""
    found = detect(items, n=LOOKED)
    new = [code for code in found.main if code not in kept]
    if not new:
        return ""
    theirs, learnt = named(new), named(kept)
    record = bundle.manifest.source
    if record is None:
        return (
            f"the inputs are in {theirs}; this model learnt the words of texts in {learnt} alone: "
            "its answers mean nothing here"
        )
    reads = record.card.get("languages") or []
    lacking = [code for code in new if code not in reads] if reads else []
    if lacking:
        return (
            f"the inputs are in {theirs}; this model learnt from texts in {learnt}, and its source "
            f"{record.name} does not read {named(lacking)}: its answers mean little here"
        )
    knows = "reads both" if reads else "may not read both"
    return (
        f"the inputs are in {theirs}; this model learnt from texts in {learnt}. Its source "
        f"{record.name} {knows}, but how well it does in {name_of(new[0])} was not measured: "
        "`headstart evaluate` tells, with labels"
    )
