"""Who takes part where a text encoder is transferred: scratch, probe, LoRA, fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from headstart.core.errors import UnknownNameError
from headstart.core.types import SILENT, Decision, Reporter
from headstart.sequences.base import Contender, Examples, Model, Plan
from headstart.sources import usual_source

if TYPE_CHECKING:
    from headstart.sources.cards import SourceCard

TRANSFERS = ("probe", "lora", "finetune")


def planned(
    known: Sequence[str],
    source: Sequence[str],
    strategy: Sequence[str],
    *,
    scratch: Callable[..., Model],
    probe: Callable[..., Model],
    tuned: Callable[..., Model],
    cut: Callable[..., Any],
    n: int,
    tuned_from: int = 0,
) -> Plan:
    """Return who takes part, cheapest first.

    Parameters
    ----------
    known : sequence of str
        The strategies of the task.
    source, strategy : sequence of str
        What the user named.
    scratch : callable
        ``scratch(train, reporter=...)``.
    probe : callable
        ``probe(train, frozen, reporter=...)``; one ``Frozen`` serves all folds.
    tuned : callable
        ``tuned(train, card, method, seed=..., reporter=...)``.
    cut : callable
        Of ``Frozen``.
    n : int
        Examples to learn from.
    tuned_from : int
        Examples below which a source is not tuned unless that is named.

    Raises
    ------
    UnknownNameError, SourceError, MissingExtraError
    """
    from headstart.sequences.encoder import text_source

    for name in strategy:
        if name not in known:
            raise UnknownNameError("strategy", name, known, where="--strategy")
    wanted = [name for name in TRANSFERS if name in (strategy or TRANSFERS)]
    cards: list[SourceCard] = []
    decisions: tuple[Decision, ...] = ()
    if wanted and source:
        cards = [text_source(name) for name in source]
    elif wanted:
        usual, why = usual_source("text")
        cards = [text_source(str(usual))]
        decisions = (Decision(f"source {usual}", why, "--source NAME uses another"),)
    if wanted and not strategy and n < tuned_from:
        wanted = [name for name in wanted if name == "probe"]
        decisions += (
            Decision(
                "lora and finetune are left out",
                f"{n:,} examples; tuned on fewer than {tuned_from:,} they lost to scratch where "
                "that was measured",
                "--strategy lora",
            ),
        )
    transfers = []
    for name in wanted:
        for card in cards:
            if name == "probe":
                fit: Any = partial(_probed, probe, _Shared(card, cut))
            else:
                fit = partial(_tuned, tuned, card, name)
            transfers.append(Contender(name, card.name, fit))
    baseline = Contender("scratch", None, partial(_plain, scratch))
    return Plan(baseline, tuple(transfers), not strategy or "scratch" in strategy, decisions)


class _Shared:
    """A frozen source that is loaded once, with the states it has made."""

    def __init__(self, card: SourceCard, cut: Callable[..., Any]) -> None:
        self._card, self._cut = card, cut
        self._made: Any = None

    def get(self, reporter: Reporter) -> Any:
        from headstart.sequences.encoder import Frozen, opened

        if self._made is None:
            self._made = Frozen(opened(self._card, reporter=reporter), self._cut)
        return self._made


def _plain(
    fit: Callable[..., Model], train: Examples, *, seed: int, reporter: Reporter = SILENT
) -> Model:
    return fit(train, reporter=reporter)


def _probed(
    fit: Callable[..., Model],
    shared: _Shared,
    train: Examples,
    *,
    seed: int,
    reporter: Reporter = SILENT,
) -> Model:
    return fit(train, shared.get(reporter), reporter=reporter)


def _tuned(
    fit: Callable[..., Model],
    card: SourceCard,
    method: str,
    train: Examples,
    *,
    seed: int,
    reporter: Reporter = SILENT,
) -> Model:
    return fit(train, card, method, seed=seed, reporter=reporter)
