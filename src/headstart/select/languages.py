"""Which source reads the languages that texts are in, and what is said where none does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headstart import sources
from headstart.core.errors import NotInstalledError
from headstart.core.types import Decision, Task
from headstart.data.languages import Languages, detect, listed, named
from headstart.select.plan import Plan

UNREAD = 0.25
"""From this share of texts in languages that a source does not read, another is preferred."""
WARNING = "warning: "


@dataclass(frozen=True)
class Encoder:
    """The source that encodes the texts of two domains, and why.

    Parameters
    ----------
    source : str or None
        None for the default.
    decisions : tuple of Decision
    across : bool
        Whether the target is in a language without labels. What separates the classes in one
        language does so in another along the directions in which features vary most, so that they
        are left as they are: brought to the same spread, those that vary least, which differ from
        language to language, would count as much.
    kept : mapping
        What a bundle keeps: ``languages``, those of both, and ``labelled_in``, those of the labels.
    """

    source: str | None
    decisions: tuple[Decision, ...] = ()
    across: bool = False
    kept: Mapping[str, Any] = field(default_factory=dict)


def languages_of(task: Task | None) -> Languages:
    """Return the languages of a task's texts; nothing for other items."""
    if task is None or task.modality != "text":
        return Languages()
    return detect(task.items)


def for_languages(plan: Plan, found: Languages, *, judged: Languages | None = None) -> Plan:
    """Return the plan with the sources that read the languages first, and what is said of it.

    Parameters
    ----------
    plan : Plan
    found : Languages
        Of the training items.
    judged : Languages, optional
        Of the items that judge.
    """
    if not found.looked:
        return replace(plan, decisions=())
    said = [_told(found), *_elsewhere(found, judged)]
    unread = {name: _unread(name, found) for name in plan.sources}
    if not unread or max(unread.values()) < UNREAD:
        return replace(plan, decisions=tuple(said))
    able = [name for name in plan.sources if unread[name] < UNREAD]
    first = plan.sources[0]
    if not able:
        said.append(_nobody(plan.sources, found.main))
    elif unread[first] >= UNREAD and not plan.sources_named:
        why = f"it reads {named(found.main)}; {first} has learnt {_learnt(first)} only"
        said.append(Decision(f"source {able[0]} first", why, f"--source {first}"))
    elif plan.sources_named:
        poor = [name for name in plan.sources if name not in able]
        said.append(_nobody(poor, found.main))
    order = [*able, *(name for name in plan.sources if name not in able)]
    if plan.sources_named:
        order = list(plan.sources)
    transfers = tuple(
        sorted(
            plan.transfers,
            key=lambda entry: order.index(entry.source) if entry.source else -1,
        )
    )
    return replace(plan, transfers=transfers, decisions=tuple(said))


def across(ours: Task, theirs: Task, name: str | None) -> Encoder:
    """Return the source for texts of two domains: one that reads the languages of both.

    Parameters
    ----------
    ours, theirs : Task
        The labelled domain, and the other.
    name : str or None
        The source that the user named: it is taken, and what it cannot read is said.

    Raises
    ------
    NotInstalledError
        The languages differ, the default source reads only one of them, and no other is here.
    """
    mine, other = languages_of(ours), languages_of(theirs)
    if not mine or not other:
        return Encoder(name)
    kept = {"languages": other.kept() | mine.kept(), "labelled_in": mine.kept()}
    said = [Decision(f"languages: {mine} -> {other}", _sampled(mine, other))]
    new = [code for code in other.main if code not in mine.main]
    if new:
        said.append(
            Decision(
                "transfer across languages",
                f"the labels are of texts in {named(mine.main)}, the target is in "
                f"{named(other.main)}: what carries over is what the source knows of both",
            )
        )
    every = tuple(dict.fromkeys((*mine.main, *other.main)))
    default = name or sources.default_source("text")
    assert default is not None  # texts have one
    lacking = [code for code in every if not sources.card(default).reads(code)]
    if not lacking:
        return Encoder(name, tuple(said), bool(new), kept)
    if name is not None:
        return Encoder(name, (*said, _nobody([name], lacking)), bool(new), kept)
    able = _here(every)
    if able is not None:
        why = f"it reads {named(every)}; {default} has learnt {_learnt(default)} only"
        said.append(Decision(f"source {able}", why, f"--source {default}"))
        return Encoder(able, tuple(said), bool(new), kept)
    if new:
        raise NotInstalledError(
            f"the source {default} has learnt {_learnt(default)} only: nothing that it learns from "
            f"texts in {named(mine.main)} carries over to texts in {named(other.main)}",
            hint=f"{_advice(every)}; or --source {default} does it all the same",
        )
    return Encoder(None, (*said, _nobody([default], lacking)), bool(new), kept)


def _told(found: Languages) -> Decision:
    if not found:
        return Decision(
            "the language of the texts cannot be told",
            f"none of {found.looked:,} is clear: too short, or no language",
        )
    return Decision(f"the texts are in {found}", _sampled(found))


def _sampled(*found: Languages) -> str:
    looked, told = (sum(getattr(one, part) for one in found) for part in ("looked", "told"))
    return f"{told:,} of {looked:,} texts that were looked at are clear"


def _elsewhere(found: Languages, judged: Languages | None) -> list[Decision]:
    """Warn where the items that judge are in other languages than those learnt from."""
    new = [code for code in (judged.main if judged else ()) if code not in found.main]
    if judged is None or not found or not new:
        return []
    return [
        Decision(
            f"{WARNING}the items that judge are in {judged}, those learnt from in {found}",
            "the score is of texts in a language without labels",
        )
    ]


def _unread(name: str, found: Languages) -> float:
    """Return the share of texts in languages that a source has not learnt."""
    card = sources.card(name)
    return sum(share for code, share in found.shares.items() if not card.reads(code))


def _nobody(names: Sequence[str], codes: Sequence[str]) -> Decision:
    foreign = [code for code in codes if not all(sources.card(name).reads(code) for name in names)]
    knows = listed(f"{name} has learnt {_learnt(name)} only" for name in names)
    return Decision(
        f"{WARNING}{listed(names)} cannot read {named(foreign)}",
        f"{knows}: what it makes of these texts is of little use",
        _advice(codes),
    )


def _learnt(name: str) -> str:
    return named(sources.card(name).languages)


def _here(codes: Iterable[str]) -> str | None:
    """Return an installed source that reads all these languages, the best of them."""
    wanted = list(codes)
    able = [
        card.name
        for card in sources.search(modality="text", installed=True)
        if card.languages and all(card.reads(code) for code in wanted)
    ]
    return able[0] if able else None


def _advice(codes: Iterable[str]) -> str:
    """Return how to get a source that reads these languages."""
    wanted = list(codes)
    able = [
        card.name
        for card in sources.search(modality="text")
        if card.languages and all(card.reads(code) for code in wanted)
    ]
    if not able:
        return f"name a source that reads {named(wanted)} with --source: an id of Hugging Face"
    if sources.installed(able[0]):
        return f"--source {able[0]} reads {named(wanted)}"
    return f"`headstart sources install {able[0]}` fetches one that reads {named(wanted)}"
