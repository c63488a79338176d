"""Models that write texts: a source as it came, tuned, or no model at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.errors import IntegrityError
from headstart.core.types import SILENT, Decision, FloatArray, Reporter, State
from headstart.evaluate.additive import Measure
from headstart.sequences import saved
from headstart.sequences.base import Answer, Examples, Model
from headstart.sequences.tuned import RANK, Learnt, held_out, train
from headstart.sources import seq2seq
from headstart.sources.cards import SourceCard
from headstart.strategies.tuning import lora

BEAMS = 4
BATCH = 8
RATES = {"lora": (1e-3, 1e-3), "finetune": (3e-4, 3e-4)}
JUDGED_ON = 40
"""Examples that choose between the untouched source and no model at all."""
MOST_SENTENCES = 3
GOLDEN = ("The house is small.", "It rains. The river rises, and the bridge is closed.")
_SENTENCE = re.compile(r".+?(?:[.!?\u3002](?=\s|$)|\n|$)", re.DOTALL)


class Loaded:
    """A source that is loaded once, where it is not changed.

    Parameters
    ----------
    card : SourceCard
    task : str
        Whose prefix the source may state.
    """

    def __init__(self, card: SourceCard, task: str) -> None:
        self.card, self.task = card, task
        self._made: seq2seq.Seq2Seq | None = None

    def get(self) -> seq2seq.Seq2Seq:
        """Return the source."""
        if self._made is None:
            self._made = seq2seq.load(self.card)
        return self._made


class TunedWriter(Learnt):
    """A source of which a part is trained.

    Parameters
    ----------
    written : Seq2Seq
        Changed in place.
    method : {"untouched", "lora", "finetune"}
        ``finetune`` leaves the embeddings of tokens, and the layer tied to them, as they are.
    seed : int
        Draws the low-rank updates.
    """

    def __init__(self, written: seq2seq.Seq2Seq, method: str, seed: int) -> None:
        super().__init__()
        self.model, self.method = written.model, method
        vocabulary = {
            id(weight)
            for layer in (
                written.model.get_input_embeddings(),
                written.model.get_output_embeddings(),
            )
            if layer is not None
            for weight in layer.parameters()
        }
        for weight in self.model.parameters():
            weight.requires_grad_(method == "finetune" and id(weight) not in vocabulary)
        if method == "lora":
            generator = torch.Generator().manual_seed(seed)

            def inner(name: str, layer: nn.Module) -> bool:
                return isinstance(layer, nn.Linear) and id(layer.weight) not in vocabulary

            lora.adapt(self.model, rank=RANK, alpha=2.0 * RANK, generator=generator, targets=inner)


class Writer(Model):
    """A source that writes a text for a text, untouched or tuned.

    Parameters
    ----------
    written : Seq2Seq
    net : TunedWriter
    prefix : str
        What stands before every text.
    longest : int
        Tokens that are written at most.
    """

    def __init__(
        self, written: seq2seq.Seq2Seq, net: TunedWriter, *, prefix: str, longest: int
    ) -> None:
        self.strategy, self.net, self.prefix, self.longest = net.method, net, prefix, longest
        self.source, self.weights_sha256 = written.card, written.weights_sha256
        self.written = written

    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Write for each text; the confidence is exp(mean log-probability of the tokens).

        ``cut`` says whether a text is longer than what the source reads: its rest is not used.
        """
        read = self.written.encode([self.prefix + text for text in inputs])
        order = sorted(range(len(read)), key=lambda at: (len(read[at][0]), at))
        found: dict[int, Answer] = {}
        for _, alike in groupby(order, key=lambda at: len(read[at][0])):
            same = list(alike)
            for first in range(0, len(same), BATCH):
                part = same[first : first + BATCH]
                made = self.written.write(
                    [read[at][0] for at in part], beams=BEAMS, longest=self.longest
                )
                for at, (text, sure) in zip(part, made, strict=True):
                    found[at] = Answer(text, sure, {"cut": read[at][1]})
                reporter.progress("writing", len(found), len(inputs), "texts")
        return [found[at] for at in range(len(inputs))]

    def golden(self) -> FloatArray:
        """Return the loss of two texts written for one another."""
        read = [ids for ids, _ in self.written.encode([self.prefix + one for one in GOLDEN])]
        want = [ids for ids, _ in self.written.encode(GOLDEN, target=True)]
        with torch.inference_mode():
            made = [float(self.written.loss([one], [two])) for one in read for two in want]
        return np.asarray(made, dtype=np.float64)

    def to_state(self) -> State:
        """Return what was trained, the prefix and the bound of length."""
        return State(self.net.arrays(), {"prefix": self.prefix, "longest": self.longest})


class Plain(Model):
    """What needs no model: the text itself, or its first sentences.

    Parameters
    ----------
    way : {"copy", "lead"}
    sentences : int
        Of ``lead``.
    """

    def __init__(self, way: str, sentences: int) -> None:
        self.strategy, self.sentences = way, sentences

    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Return each text, or its first sentences."""
        return [Answer(self._said(text), more={"cut": False}) for text in inputs]

    def _said(self, text: str) -> str:
        if self.strategy == "copy":
            return text.strip()
        found = [one.strip() for one in _SENTENCE.findall(text)]
        return " ".join([one for one in found if one][: self.sentences])

    def golden(self) -> FloatArray:
        """Return the lengths of what it says of two texts."""
        return np.asarray([len(self._said(one)) for one in GOLDEN], dtype=np.float64)

    def to_state(self) -> State:
        """Return the number of sentences."""
        return State({}, {"sentences": self.sentences})


def _prefix(written: seq2seq.Seq2Seq, task: str) -> str:
    """Return what the source was trained to read before a text of this task, if it says so."""
    found = [text for name, text in written.prefixes.items() if name.startswith(task)]
    return found[0] if len(found) == 1 else ""


def _longest(written: seq2seq.Seq2Seq, examples: Examples) -> int:
    """Return a bound for what is written: half as long again as the longest target, and 8.

    Never more than the source has positions for.
    """
    lengths = [len(ids) for ids, _ in written.encode(examples.targets, target=True)]
    return min(round(1.5 * max(lengths, default=1)) + 8, written.limit)


def _said_of(written: seq2seq.Seq2Seq, model: Writer, examples: Examples) -> list[Decision]:
    cut = sum(cut for _, cut in written.encode([model.prefix + one for one in examples.inputs]))
    made = [Decision(f"at most {model.longest} tokens are written", "by the longest example")]
    if model.prefix:
        made.append(Decision(f"{model.prefix!r} stands before every text", "the source says so"))
    if cut:
        why = f"{written.card.title} reads {written.limit} tokens; the rest is not used"
        made.append(Decision(f"{cut} of {examples.n} texts are cut", why))
    return made


def fit_baseline(
    shared: Loaded,
    way: str,
    measure: Measure,
    examples: Examples,
    *,
    seed: int,
    only: str = "",
    reporter: Reporter = SILENT,
) -> Model:
    """Return the untouched source, or what needs no model where that is better on examples.

    Parameters
    ----------
    shared : Loaded
    way : {"copy", "lead"}
    measure : Measure
    examples : Examples
    seed : int
        Draws the examples that choose.
    only : str
        "untouched", or ``way``: what the user named.
    reporter : Reporter
    """
    written = shared.get()
    model = Writer(
        written,
        TunedWriter(written, "untouched", seed),
        prefix=_prefix(written, shared.task),
        longest=_longest(written, examples),
    )
    if only == model.strategy:
        model.decisions = tuple(_said_of(written, model, examples))
        return model
    count = min(JUDGED_ON, examples.n)
    drawn = np.random.default_rng(seed).choice(examples.n, count, replace=False)
    judge = examples.take(np.sort(drawn))

    def reached(one: Model) -> float:
        said = [answer.value for answer in one.predict(judge.inputs, reporter=reporter)]
        return float(np.nan_to_num(measure.total(measure.of(judge.targets, said))))

    plain = [Plain(way, n) for n in range(1, MOST_SENTENCES + 1 if way == "lead" else 2)]
    scores = [reached(one) for one in plain]
    best = int(np.argmax(scores))
    if only == way:
        return plain[best]
    own = reached(model)
    numbers = f"{measure.name} {own:.3f} against {scores[best]:.3f} on {count} examples"
    if own >= scores[best]:
        what = Decision(f"the baseline is the untouched source, not {way}", numbers)
        model.decisions = (*_said_of(written, model, examples), what)
        return model
    chosen = plain[best]
    name = way if way == "copy" else f"the first {chosen.sentences} sentences"
    chosen.decisions = (Decision(f"the baseline is {name}, not the untouched source", numbers),)
    return chosen


def fit_tuned(
    card: SourceCard,
    task: str,
    method: str,
    examples: Examples,
    *,
    seed: int,
    reporter: Reporter = SILENT,
) -> Writer:
    """Tune a source on examples.

    Parameters
    ----------
    card : SourceCard
    task : str
        Whose prefix the source may state.
    method : {"lora", "finetune"}
    examples : Examples
    seed : int
    reporter : Reporter
    """
    written = seq2seq.load(card)
    net = TunedWriter(written, method, seed)
    prefix = _prefix(written, task)
    model = Writer(written, net, prefix=prefix, longest=_longest(written, examples))
    read = [ids for ids, _ in written.encode([prefix + one for one in examples.inputs])]
    wanted = written.encode(examples.targets, target=True)
    want = [ids for ids, _ in wanted]
    index, held = held_out(examples, seed)

    def score() -> float:
        with torch.inference_mode():
            lost = [float(written.loss([read[at]], [want[at]])) for at in held]
        return -float(np.mean(lost))

    epochs = train(
        net,
        net.learnt(),
        len(index),
        partial(_loss, written, read, want, index),
        score if len(held) else None,
        rates=RATES[method],
        seed=seed,
        sizes=[len(read[at]) for at in index],
        batch=BATCH,
        reporter=reporter,
    )
    why = (
        f"best on {len(held)} examples apart" if len(held) else "too few examples to set apart any"
    )
    said = _said_of(written, model, examples)
    if cut := sum(cut for _, cut in wanted):
        what = f"of {cut} of {examples.n} answers only the beginning is learnt from"
        said.append(Decision(what, f"{written.card.title} has room for {written.limit} tokens"))
    model.decisions = (Decision(f"{method}: {epochs} epochs", why), *said)
    return model


def _loss(written: seq2seq.Seq2Seq, read: Any, want: Any, at: Any, index: Sequence[int]) -> Tensor:
    rows = [int(at[one]) for one in index]
    return written.loss([read[one] for one in rows], [want[one] for one in rows])


def open_plain(strategy: str, state: State) -> Plain:
    """Open what ``Plain.to_state`` returned.

    Raises
    ------
    BundleCorruptError
    """
    return Plain(strategy, saved.fact(state, "sentences", int))


def open_writer(strategy: str, card: SourceCard, weights_sha256: str, state: State) -> Writer:
    """Open what ``Writer.to_state`` returned.

    Raises
    ------
    BundleCorruptError
    IntegrityError
        The source is not the one that the model was trained with.
    """
    if card.weights_sha256 != weights_sha256:
        raise IntegrityError(
            "the source is not the one that the model was trained with",
            where=card.name,
            got=card.weights_sha256,
            allowed=weights_sha256,
        )
    written = seq2seq.load(card)
    net = TunedWriter(written, strategy, 0)
    net.fill(dict(state.arrays))
    return Writer(
        written,
        net,
        prefix=saved.fact(state, "prefix", str),
        longest=saved.fact(state, "longest", int),
    )
