"""Which candidates take part: sources x strategies, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headstart import sources as source_room
from headstart.core.errors import OptionError, UnknownNameError
from headstart.core.types import Decision, Kind, Modality
from headstart.select.prior import prior_of
from headstart.select.race import Entry
from headstart.strategies import STRATEGIES

MAJORITY = Entry("majority")
SCRATCH = Entry("scratch")
BASELINES = (MAJORITY, SCRATCH)
FEW_LABELS_DEFAULT = "probe"
UNTRAINED = ("zero-shot", "conse")
"""The strategies that learn nothing from labels but their temperature."""
TUNED_DEFAULTS: dict[Modality, tuple[str, ...]] = {
    "text": ("contrastive", "finetune", "lp-ft"),
    "image": ("lp-ft",),
}
"""The strategies that tune the source and take part without being named, if labels suit them."""


@dataclass(frozen=True)
class Plan:
    """The candidates of a race.

    Parameters
    ----------
    transfers : tuple of Entry
        Transfer candidates, cheapest and safest first.
    guarded : bool
        Whether scratch may be handed back in place of transfer.
    fallback : Entry
        What is handed back where no transfer is.
    decisions : tuple of Decision
    blend : bool
        Whether the user named ``blend``: it is handed back, made of scratch and the best transfer.
    sources_named : bool
        Whether the user named the sources: then all of them race.
    known : mapping of source to float or None
        Published quality, 0 to 1; None where there is none.
    untrained : Entry or None
        A candidate that needs no training: it is kept unless another is surely better.
    """

    transfers: tuple[Entry, ...]
    guarded: bool
    decisions: tuple[Decision, ...]
    fallback: Entry = SCRATCH
    blend: bool = False
    sources_named: bool = False
    known: Mapping[str, float | None] = field(default_factory=dict)
    untrained: Entry | None = None

    def with_known(self, entries: Sequence[Entry]) -> Plan:
        """Return the plan with candidates that know the classes, before all others."""
        if not entries:
            return self
        first = next((entry for entry in entries if entry.strategy in UNTRAINED), None)
        others = tuple(entry for entry in self.transfers if entry not in entries)
        return replace(self, transfers=(*entries, *others), untrained=first)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that take part, each once."""
        return tuple(dict.fromkeys(entry.source for entry in self.transfers if entry.source))

    def frozen(self, source: str) -> tuple[Entry, ...]:
        """Return the candidates on the frozen features of a source."""
        return tuple(
            entry
            for entry in self.transfers
            if entry.source == source and not STRATEGIES[entry.strategy].tunes
        )

    @property
    def default(self) -> Entry:
        """What is taken where nothing can be cross-validated: the probe, else the first."""
        probes = [entry for entry in self.transfers if entry.strategy == FEW_LABELS_DEFAULT]
        return (probes or list(self.transfers))[0]


def plan(
    modality: Modality,
    kind: Kind,
    *,
    source: str | Sequence[str] | None = None,
    strategy: str | Sequence[str] | None = None,
    described: bool = False,
) -> Plan:
    """Return the candidates for a task.

    Parameters
    ----------
    modality : {"image", "text", "audio", "table"}
    kind : {"classification", "regression"}
    source, strategy : str or sequence of str, optional
        What the user named; the defaults for the modality otherwise.
    described : bool
        Whether more is known of the classes than their labels.

    Raises
    ------
    UnknownNameError
        A strategy that does not exist.
    OptionError
        A strategy that cannot be used on this kind of task, or a source of another modality.
    """
    named = _listed(strategy)
    for name in named:
        if name not in STRATEGIES:
            raise UnknownNameError("strategy", name, STRATEGIES)
    fit_for = [name for name, spec in STRATEGIES.items() if spec.supports(kind, modality)]
    for name in named:
        if name not in fit_for:
            raise OptionError(
                f"the strategy {name!r} cannot be used for {kind} on {modality} data",
                where="--strategy",
                allowed=fit_for,
            )
        if STRATEGIES[name].by_classes and not described:
            raise OptionError(
                f"{name} must be told of the classes",
                where="--strategy",
                hint='say what they are: --classes "refund, card lost", or a file',
            )
    tuned = TUNED_DEFAULTS.get(modality, ())
    raced = [name for name in fit_for if not STRATEGIES[name].combines]
    usual = [
        name
        for name in raced
        if (name in tuned if STRATEGIES[name].tunes else not STRATEGIES[name].on_request)
    ]
    blend = any(STRATEGIES[name].combines for name in named)
    members = [name for name in named if name in raced and STRATEGIES[name].uses_source]
    if blend and not members:  # of what needs no tuning
        members = [name for name in usual if STRATEGIES[name].input == "features"]
    wanted = members if named else [name for name in usual if STRATEGIES[name].uses_source]
    decisions: list[Decision] = []
    if named and not wanted:
        if source is not None:
            raise OptionError(
                f"{', '.join(named)} uses no source",
                where="--source",
                hint="leave --source out, or name a strategy that transfers",
            )
        fallback = SCRATCH if "scratch" in named else MAJORITY
        decisions.append(Decision("no transfer is tried", f"--strategy names {', '.join(named)}"))
        return Plan((), True, tuple(decisions), fallback)
    chosen_sources = _sources(modality, _listed(source), decisions)
    transfers = tuple(
        Entry(name, from_source)
        for from_source in chosen_sources
        for name in wanted
        if source is not None or not (STRATEGIES[name].tunes and _is_part(from_source))
    )
    if named and not transfers:
        raise OptionError(
            f"no source is at hand for {modality} data, and {', '.join(named)} need one",
            where="--strategy",
            hint="name one with --source, or leave --strategy out to train from scratch",
        )
    guarded = not named or "scratch" in named or not transfers
    if not guarded:
        decisions.append(
            Decision(
                f"{', '.join(named)} will be handed back",
                "named with --strategy, so the guard only advises",
                "add --strategy scratch, or name none, and the guard decides",
            )
        )
    return Plan(
        transfers,
        guarded,
        tuple(decisions),
        blend=blend,
        sources_named=source is not None,
        known={name: prior_of(source_room.card(name)) for name in chosen_sources},
    )


def _listed(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))


def _sources(modality: Modality, named: Sequence[str], decisions: list[Decision]) -> list[str]:
    """Return the names of the sources that race; say why they, or why none."""
    if named:
        for name in named:
            card = source_room.card(name)
            if card.modality != modality:
                raise OptionError(
                    f"the source {name!r} is for {card.modality} data, this is {modality} data",
                    where="--source",
                    allowed=[found.name for found in source_room.search(modality=modality)],
                )
        return list(named)
    default = source_room.default_source(modality)
    if default is None:
        decisions.append(
            Decision(
                "no transfer is tried",
                f"headstart has no pretrained source for {modality} data; "
                "the model is trained from scratch on your labels",
            )
        )
        return []
    usual, why = source_room.usual_source(modality)
    if usual is None:
        decisions.append(
            Decision(
                "no transfer is tried",
                f"no pretrained source for {modality} data is on this machine, and "
                "HEADSTART_OFFLINE forbids fetching one; the model is trained from scratch",
                f"headstart sources install {default}",
            )
        )
        return []
    here = source_room.search(modality=modality, installed=True)
    others = [card.name for card in here if card.name != usual]
    views = source_room.default_views(modality)
    parts = [view for view in views if source_room.base_of(view) == usual]
    also = f"; {', '.join(others)} {_are(others)} installed and looked at, too" if others else ""
    if parts:
        noun = "part" if len(parts) == 1 else "parts"
        also = f"; its {noun} {', '.join(parts)} {_are(parts)} looked at{also and ', too'}{also}"
    decisions.append(
        Decision(
            f"source {usual}",
            f"{why}{also}",
            "--source NAME; `headstart sources` lists the others",
        )
    )
    return [usual, *parts, *others]


def _is_part(source: str) -> bool:
    return source_room.base_of(source) != source


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
