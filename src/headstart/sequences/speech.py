"""Speech to text: a Whisper that writes down recordings, untouched or tuned on transcripts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from headstart.core.errors import BundleCorruptError, DataError, OptionError, UnknownNameError
from headstart.core.types import (
    SILENT,
    Decision,
    FloatArray,
    Modality,
    Reporter,
    Skipped,
    State,
)
from headstart.data.audio import audio_facts
from headstart.data.inputs import read_inputs
from headstart.evaluate.additive import Measure
from headstart.evaluate.edit_distance import CER, WER
from headstart.sequences import speech_read
from headstart.sequences.base import Answer, Contender, Examples, Model, Plan, Reading, SequenceKind
from headstart.sequences.speech_hear import Ear, Window, key_of
from headstart.sequences.speech_train import RECIPES, Tuned, rebuilt, tune
from headstart.sequences.speech_write import LANGUAGE_SOUNDS, Written, languages_of, write
from headstart.sources.cards import SourceCard
from headstart.sources.speech_model import SpeechSource, load_speech

UNTOUCHED = "untouched"
SOURCE = "whisper-base"
SLOW = 2.0
"""Seconds of one core that an example costs each fit, learning and answering, about."""
_BATCH, _FRAMES = 32, 8000  # windows, and states of all of them, that are written at once
_GOLDEN = 50  # logits of each golden sound


class SpeechModel(Model):
    """A Whisper that writes down recordings in one language.

    Parameters
    ----------
    strategy : str
    source : SpeechSource
        Its network as it answers.
    ear : Ear
        Of the same encoder.
    language : str or None
    state : State
    decisions : tuple of Decision
    """

    def __init__(
        self,
        *,
        strategy: str,
        source: SpeechSource,
        ear: Ear,
        language: str | None,
        state: State,
        decisions: tuple[Decision, ...] = (),
    ) -> None:
        self.strategy, self.speech, self.ear = strategy, source, ear
        self.language, self.decisions, self._state = language, decisions, state
        self.source, self.weights_sha256 = source.card, source.weights_sha256

    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Write down each of n recordings; one without a sound is answered with nothing.

        Parameters
        ----------
        inputs : sequence of path, bytes or (samples, rate)
        reporter : Reporter

        Raises
        ------
        DataError
            One cannot be read.
        """
        parts: list[list[tuple[int, Written]]] = [[] for _ in inputs]
        for batch in self._batches(inputs, reporter):
            states = torch.stack([window.states for _, _, window in batch])
            seconds = [window.seconds for _, _, window in batch]
            written = write(self.speech, states, seconds, self.language)
            for (who, number, _), one in zip(batch, written, strict=True):
                parts[who].append((number, one))
        return [self._answer(sorted(found, key=lambda pair: pair[0])) for found in parts]

    def _batches(
        self, inputs: Sequence[Any], reporter: Reporter
    ) -> Iterator[list[tuple[int, int, Window]]]:
        """Yield windows of equal length together, few in memory at a time."""
        waiting: dict[int, list[tuple[int, int, Window]]] = {}
        for who, item in enumerate(inputs):
            for number, window in enumerate(self.ear.windows(item)):
                size = len(window.states)
                same = waiting.setdefault(size, [])
                same.append((who, number, window))
                if len(same) >= min(_BATCH, max(1, _FRAMES // size)):
                    yield waiting.pop(size)
                elif sum(length * len(rows) for length, rows in waiting.items()) > 4 * _FRAMES:
                    yield waiting.pop(max(waiting, key=lambda one: one * len(waiting[one])))
            reporter.progress("writing", who + 1, len(inputs), "recordings")
        yield from waiting.values()

    def _answer(self, parts: Sequence[tuple[int, Written]]) -> Answer:
        if not parts:
            return Answer("", 1.0)
        text = " ".join(filter(None, (self.speech.text(list(one.ids)) for _, one in parts)))
        steps = sum(one.steps for _, one in parts)
        return Answer(text, math.exp(sum(one.log_probability for _, one in parts) / steps))

    def to_state(self) -> State:
        """Return what was learnt, and the language."""
        return self._state

    def golden(self) -> FloatArray:
        """Return logits of what comes first in two sounds that are made, (2 * 50,)."""
        rate = int(self.speech.card.input["rate"])
        time = np.arange(rate) / rate
        rows = []
        for wave in (np.sin(2e3 * time * (1 + time)), np.sign(np.sin(900 * time)) * (time % 0.25)):
            window = next(self.ear.windows((wave.astype(np.float32) / 2, rate)))
            network = self.speech.network
            with torch.inference_mode():
                prompt = torch.tensor([self.speech.tokens.prompt(self.language)])
                logits, _ = network.write(prompt, network.heard(window.states[None]), None)
            at = np.linspace(0, self.speech.tokens.end - 1, _GOLDEN).astype(int)
            rows.append(logits[0, -1].double().numpy()[at])
        return np.concatenate(rows)


def language_of(ear: Ear, inputs: Sequence[Any]) -> tuple[str | None, tuple[Decision, ...]]:
    """Return the language that most of the sound is in, by the source's own ear.

    Parameters
    ----------
    ear : Ear
    inputs : sequence of length n
        Of more than 100, as many evenly spread are asked.
    """
    known = list(ear.source.tokens.languages)
    if not known:
        return None, ()
    places = np.linspace(0, len(inputs) - 1, min(len(inputs), LANGUAGE_SOUNDS)).astype(int)
    total, heard = torch.zeros(len(known), dtype=torch.float64), 0
    for place in places:
        key = key_of(inputs[place])
        found = ear.spoken.get(key) if key is not None else None
        if found is None:
            window = next(ear.windows(inputs[place]), None)
            if window is None:
                continue
            found = languages_of(ear.source, window.states[None])[0]
            if key is not None:
                ear.spoken[key] = found
        total, heard = total + found, heard + 1
    if not heard:
        raise DataError("there is no sound in any recording", got=f"{len(inputs)} recordings")
    best = int(total.argmax())
    why = f"{float(total[best]) / heard:.0%} of what {heard} recordings sound like to the source"
    return known[best], (Decision(f"language {known[best]}", f"{why}, more than any other"),)


class SpeechToText(SequenceKind):
    """Speech to text, judged by word error rate."""

    name: ClassVar[str] = "speech-to-text"
    modality: ClassVar[Modality] = "audio"
    measures: ClassVar[tuple[Measure, ...]] = (WER, CER)
    strategies: ClassVar[tuple[str, ...]] = (UNTOUCHED, *RECIPES)

    def read(
        self,
        data: Any,
        *,
        label: str | None = None,
        text: str | None = None,
        path: str | None = None,
        group: str | None = None,
        test: Any = None,
        columns: Mapping[str, str] | None = None,
        allow_unreadable: float = 0.05,
        reporter: Reporter = SILENT,
    ) -> Reading:
        """Read recordings with transcripts; ``label`` is the column of these."""
        _no_text(text)
        return speech_read.read(
            data,
            label=label,
            path=path,
            group=group,
            test=test,
            columns=columns,
            allow_unreadable=allow_unreadable,
            reporter=reporter,
        )

    def read_inputs(
        self,
        inputs: Sequence[str],
        *,
        text: str | None = None,
        path: str | None = None,
        columns: Mapping[str, str] | None = None,
        reporter: Reporter = SILENT,
    ) -> tuple[tuple[Any, ...], tuple[str, ...], tuple[Skipped, ...]]:
        """Read recordings, folders of them, or tables with a column of paths."""
        _no_text(text)
        named = path or (columns or {}).get("recordings")
        found, ids, skipped = read_inputs(
            list(inputs), modality="audio", path=named, reporter=reporter
        )
        return tuple(str(one) if isinstance(one, Path) else one for one in found), ids, skipped

    def items(self, items: Any) -> tuple[Any, ...]:
        """Return recordings given in Python: paths, bytes or (samples, rate)."""
        lone = isinstance(items, str | Path | bytes)
        lone = lone or (isinstance(items, tuple) and len(items) == 2 and np.isscalar(items[1]))
        if lone or not hasattr(items, "__iter__"):
            raise OptionError(
                "expected a list of recordings",
                where="items",
                got=type(items).__name__,
                allowed="paths, bytes of sound files, (samples, rate)",
            )
        found = tuple(str(one) if isinstance(one, Path) else one for one in items)
        for number, one in enumerate(found):
            try:
                audio_facts(one)
            except DataError as error:
                error.where = f"item {number}" if not isinstance(one, str) else error.where
                raise
        return found

    def plan(
        self,
        train: Examples,
        *,
        source: Sequence[str] = (),
        strategy: Sequence[str] = (),
        budget: float = 600.0,
    ) -> Plan:
        """Compare the untouched source with tuned ones."""
        for name in strategy:
            if name not in self.strategies:
                raise UnknownNameError(
                    "strategy", name, self.strategies, where=f"--strategy, for {self.name}"
                )
        ears = [Ear(load_speech(name)) for name in dict.fromkeys(source or (SOURCE,))]
        wanted = [name for name in RECIPES if name in strategy]
        decisions: list[Decision] = []
        if not strategy:
            wanted, decisions = _usual(train.n, budget)
        return Plan(
            baseline=_contender(ears[0], UNTOUCHED),
            transfers=tuple(_contender(ear, name) for ear in ears for name in wanted),
            guarded=not strategy or UNTOUCHED in strategy,
            decisions=tuple(decisions),
        )

    def open(
        self, strategy: str, source: SourceCard | None, weights_sha256: str, state: State
    ) -> SpeechModel:
        """Open a saved model: its source is loaded, what was learnt is put back."""
        known = strategy in self.strategies and source is not None
        if not known or (strategy == UNTOUCHED and state.arrays):
            raise _corrupt("strategy", strategy)
        assert source is not None
        speech = load_speech(source)
        if speech.weights_sha256 != weights_sha256:
            raise _corrupt("sha256 of the source", weights_sha256)
        language = state.meta.get("language")
        if language not in ({None} if not speech.tokens.languages else speech.tokens.languages):
            raise _corrupt("language", language)
        if strategy != UNTOUCHED:
            try:
                speech = rebuilt(speech, strategy, dict(state.arrays))
            except ValueError as error:
                raise _corrupt("arrays", str(error)) from error
        return SpeechModel(
            strategy=strategy,
            source=speech,
            ear=Ear(speech, keep=False),
            language=language,
            state=state,
        )


def _usual(n: int, budget: float) -> tuple[list[str], list[Decision]]:
    """Return the strategies that take part where none is named, and why."""
    expected = 3 * SLOW * n
    if 2 * expected > budget:
        why = f"{n:,} examples leave no time for a second one within the budget"
        return ["partial"], [Decision("lora is left out", why, "--strategy lora, --budget")]
    why = "it changes everything it knows, and few transcripts are no reason to"
    return ["partial", "lora"], [Decision("finetune is left out", why, "--strategy finetune")]


def _contender(ear: Ear, strategy: str) -> Contender:
    def fit(train: Examples, *, seed: int = 0, reporter: Reporter = SILENT) -> SpeechModel:
        language, said = language_of(ear, train.inputs)
        if strategy == UNTOUCHED:
            tuned = Tuned(ear.source, {}, ())
        else:
            tuned = tune(
                ear, train, strategy=strategy, language=language, seed=seed, reporter=reporter
            )
        hears = strategy != UNTOUCHED and RECIPES[strategy].hears
        return SpeechModel(
            strategy=strategy,
            source=tuned.source,
            ear=Ear(tuned.source, keep=False) if hears else ear,
            language=language,
            state=State(tuned.arrays, {"language": language}),
            decisions=said + tuned.decisions,
        )

    return Contender(strategy, ear.source.card.name, fit)


def _no_text(text: str | None) -> None:
    if text is not None:
        raise OptionError(
            "speech to text reads recordings",
            where="--text",
            got=text,
            hint="--path names the column of the recordings, --label that of the transcripts",
        )


def _corrupt(what: str, got: object) -> BundleCorruptError:
    return BundleCorruptError(
        f"the saved model is damaged: its {what} cannot be", where="speech-to-text", got=got
    )
