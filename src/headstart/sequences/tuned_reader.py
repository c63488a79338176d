"""A tuned encoder that says where an answer starts and ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.types import SILENT, AnyArray, Decision, FloatArray, Reporter, State
from headstart.evaluate.answers import ANSWER_F1, word_f1
from headstart.sequences import saved
from headstart.sequences.base import Answer, Examples, Model
from headstart.sequences.encoder import opened, pieces_of
from headstart.sequences.pair_scores import Found, Pairs, best_parts, logits, pair_loss, pairs_of
from headstart.sequences.readers import GOLDEN
from headstart.sequences.tuned import RATES, Tuned, held_out, train

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone
    from headstart.sources.cards import SourceCard

LEAST_TOKENS = 8


class TunedReader(Model):
    """An encoder with a linear head over its tokens: start and end of the answer.

    Parameters
    ----------
    net : Tuned
    longest : int
        Tokens of an answer at most.
    null : bool
        Whether "no answer" is an answer.
    threshold : float
        Log-odds over "no answer" below which that is the answer.

    References
    ----------
    Devlin et al., "BERT", NAACL 2019, sections 4.2 and 4.3.
    """

    def __init__(self, net: Tuned, *, longest: int, null: bool, threshold: float = 0.0) -> None:
        self.strategy, self.net = net.method, net
        self.source = net.backbone.card
        self.weights_sha256 = net.backbone.weights_sha256
        self.longest, self.null, self.threshold = longest, null, threshold
        self._pieces = pieces_of(net.backbone)

    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Answer questions; the confidence is the answer's share among all parts of its context."""
        found = best_parts(self.net, inputs, self._pieces, self.longest, reporter)
        return [self._answer(one, asked.context) for one, asked in zip(found, inputs, strict=True)]

    def _answer(self, found: Found | None, context: str) -> Answer:
        if found is None:
            return Answer("", 1.0, {"start": -1})
        if not self.null:
            return Answer(context[found.start : found.end], found.sure, {"start": found.start})
        over = float(1.0 / (1.0 + np.exp(-np.clip(found.lead - self.threshold, -50, 50))))
        if found.lead < self.threshold:
            return Answer("", 1.0 - over, {"start": -1})
        text = context[found.start : found.end]
        return Answer(text, found.sure * over, {"start": found.start})

    def golden(self) -> FloatArray:
        """Return start and end scores of two questions."""
        import torch

        made = []
        with torch.inference_mode():
            for asked in GOLDEN:
                for pair in pairs_of(asked, self._pieces)[:2]:
                    inner = logits(self.net, [pair])[0, pair.first : pair.first + 20]
                    made.append(inner.float().numpy().clip(min=-100).ravel())
        return np.concatenate(made)[:300].astype(np.float64)

    def to_state(self) -> State:
        """Return what was trained, the head, and what bounds answers."""
        meta = {"longest": self.longest, "null": self.null, "threshold": self.threshold}
        return State(self.net.arrays(), meta)


def fit_tuned_reader(
    examples: Examples, card: SourceCard, method: str, *, seed: int, reporter: Reporter = SILENT
) -> TunedReader:
    """Tune a source so that a linear head over it finds answers.

    Parameters
    ----------
    examples : Examples
        Inputs are ``Question``, targets tuples of (answer, start).
    card : SourceCard
    method : {"lora", "finetune"}
    seed : int
    reporter : Reporter
    """
    net = Tuned(opened(card, reporter=reporter), 2, method, seed)
    null = any(not gold for gold in examples.targets)
    index, held = held_out(examples, seed)
    inside, judge = examples.take(index), examples.take(held)
    pieces = pieces_of(net.backbone)
    texts = [gold[0][0] for gold in examples.targets if gold]
    tokens = [len(pieces.tokenizer.encode(one, add_special_tokens=False).ids) for one in texts]
    longest = max(LEAST_TOKENS, round(1.5 * max(tokens, default=1)))
    model = TunedReader(net, longest=longest, null=null)
    pairs = Pairs(inside.inputs, inside.targets, pieces)

    def score() -> float:
        said = [one.value for one in model.predict(judge.inputs)]
        return ANSWER_F1.total(ANSWER_F1.of(judge.targets, said))

    epochs = train(
        net,
        net.learnt(),
        len(pairs),
        partial(pair_loss, net, pairs),
        score if judge.n else None,
        rates=RATES[method],
        seed=seed,
        sizes=pairs.sizes,
        reporter=reporter,
    )
    why = f"best on {judge.n} questions apart" if judge.n else "too few questions to set apart any"
    decisions = [Decision(f"{method}: {epochs} epochs", why)]
    if null and judge.n:
        model.threshold = _threshold(model, judge)
        decisions.append(
            Decision(
                f"no answer below log-odds of {model.threshold:.2f}",
                f"best answer_f1 on the {judge.n} questions apart",
            )
        )
    model.decisions = tuple(decisions)
    return model


def _threshold(model: TunedReader, judge: Examples) -> float:
    """Return the log-odds below which "no answer" is best said, by F1 on examples apart."""
    found = best_parts(
        model.net, judge.inputs, pieces_of(model.net.backbone), model.longest, SILENT
    )
    leads, values, nulls = [], [], []
    for one, asked, gold in zip(found, judge.inputs, judge.targets, strict=True):
        if one is None:
            continue
        said = asked.context[one.start : one.end]
        leads.append(one.lead)
        values.append(max((word_f1(text, said) for text, _ in gold), default=0.0))
        nulls.append(float(not gold))
    if not leads:
        return 0.0
    order = np.argsort(leads, kind="stable")
    sorted_leads = np.asarray(leads)[order]
    gains = np.concatenate([[0.0], np.cumsum((np.asarray(nulls) - np.asarray(values))[order])])
    at = int(gains.argmax())
    low = sorted_leads[at - 1] if at else sorted_leads[0] - 1.0
    high = sorted_leads[at] if at < len(sorted_leads) else sorted_leads[-1] + 1.0
    return float((low + high) / 2)


def open_tuned_reader(state: State, backbone: Backbone, method: str) -> TunedReader:
    """Open what ``TunedReader.to_state`` returned.

    Raises
    ------
    BundleCorruptError
    """
    arrays: dict[str, AnyArray] = dict(state.arrays)
    return TunedReader(
        Tuned(backbone, 2, method, 0).fill(arrays),
        longest=saved.fact(state, "longest", int),
        null=saved.fact(state, "null", bool),
        threshold=saved.fact(state, "threshold", float),
    )
