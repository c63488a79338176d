"""Models that find answers among candidates: without a source, and with what a frozen one adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.core.types import (
    SILENT,
    AnyArray,
    Decision,
    FloatArray,
    IntArray,
    Reporter,
    State,
)
from headstart.sequences import saved
from headstart.sequences.base import Answer, Examples, Model
from headstart.sequences.encoder import CACHE_BYTES, Frozen, Pieces, Window, padded
from headstart.sequences.question_files import Gold, Question
from headstart.sequences.span_features import NUMBERS, Candidates, candidates_of, matched

PENALTY = 1.0
ALIKE = 2
"""Numbers that a frozen source adds to a candidate."""
TRAINED_ON = 120
"""Candidates of a question that are learnt from, the right one among them."""
LONGEST = 12
GOLDEN = (
    Question("Who founded the school?", "The school in Leeds was founded by Mary Ward in 1609."),
    Question("When was it built?", "The bridge was built in 1932. It is red."),
)


def cut_text(text: str, pieces: Pieces) -> tuple[list[Window], int]:
    """Return a text as one window and one word: its state is the mean over its tokens."""
    ids = pieces.tokenizer.encode(text.encode("utf-8", "replace").decode()).ids
    room = pieces.limit - len(pieces.before) - len(pieces.after)
    inner = ids[len(pieces.before) : len(ids) - len(pieces.after)][:room] or [pieces.unknown]
    whole = (*pieces.before, *inner, *pieces.after)
    return [Window(whole, ((0, 0, len(whole)),))], 1


class Embedded:
    """Embeddings of texts by a frozen source, pooled as it pools; kept while memory allows.

    Parameters
    ----------
    frozen : Frozen
        Its source and its way to cut.
    """

    def __init__(self, frozen: Frozen) -> None:
        self.frozen = frozen
        self._kept: dict[str, FloatArray] = {}

    def of(self, texts: Sequence[str], reporter: Reporter) -> FloatArray:
        """Return unit vectors, (n, width)."""
        import torch

        missing = sorted({one for one in texts if one not in self._kept}, key=lambda t: (len(t), t))
        with torch.inference_mode():
            for first in range(0, len(missing), 16):
                part = missing[first : first + 16]
                rows = [cut_text(one, self.frozen.pieces)[0][0].ids for one in part]
                made = self.frozen.backbone(padded(rows)).float().numpy()
                for one, row in zip(part, made, strict=True):
                    self._kept[one] = row / max(float(np.linalg.norm(row)), 1e-9)
                reporter.progress("embedding texts", first + len(part), len(missing), "texts")
        made = np.stack([self._kept[one] for one in texts])
        if len(self._kept) * made[0].nbytes > CACHE_BYTES:
            self._kept.clear()
        return made


def _similar(
    asked: Question, found: Candidates, embedded: Embedded, reporter: Reporter
) -> FloatArray:
    """Return how like the question the sentence of each candidate is, (m, ALIKE)."""
    count = int(found.sentence.max(initial=-1)) + 1
    if not count:
        return np.zeros((len(found.first), ALIKE))
    texts = []
    for number in range(count):
        at = np.flatnonzero(found.sentence == number)
        texts.append(asked.context[found.offsets[at[0], 0] : found.offsets[at[-1], 1]])
    vectors = embedded.of([asked.question, *texts], reporter)
    like = vectors[1:] @ vectors[0]
    best = float(like.max())
    own = np.where(found.first >= 0, found.sentence[found.first.clip(min=0)], 0)
    made = np.stack([like[own], 5.0 * (like[own] - best)], axis=1)
    made[found.first < 0] = [best, 0.0]
    return made


class CandidateReader(Model):
    """A log-linear model over candidate answers (Rajpurkar et al., EMNLP 2016, section 5).

    Parameters
    ----------
    coef : ndarray of shape (NUMBERS [+ ALIKE] + known,), float32
    known : ndarray of int64, sorted
        Hashes of the features that have weights.
    longest : int
        Words of an answer at most.
    null : bool
        Whether "no answer" is an answer.
    frozen : Frozen, optional
    """

    def __init__(
        self,
        coef: FloatArray,
        known: AnyArray,
        *,
        longest: int,
        null: bool,
        embedded: Embedded | None = None,
    ) -> None:
        self.strategy = "scratch" if embedded is None else "probe"
        self._coef, self._known, self._embedded = coef, known, embedded
        self._longest, self._null = longest, null
        if embedded is not None:
            self.source = embedded.frozen.backbone.card
            self.weights_sha256 = embedded.frozen.backbone.weights_sha256

    def _scores(self, asked: Question, reporter: Reporter) -> tuple[Candidates, FloatArray]:
        found = candidates_of(asked, self._longest, null=self._null)
        dense = _dense(asked, found, self._embedded, reporter)
        width = dense.shape[1]
        scores = dense @ self._coef[:width]
        scores = scores + matched(found.hashes, self._known) @ self._coef[width:]
        return found, np.asarray(scores, dtype=np.float64)

    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Answer questions; the confidence is the answer's share among all candidates."""
        made = []
        for at, asked in enumerate(inputs):
            found, scores = self._scores(asked, reporter)
            best = int(scores.argmax())
            sure = float(1.0 / np.exp(scores - scores[best]).sum())
            if found.first[best] < 0:
                made.append(Answer("", sure, {"start": -1}))
            else:
                start = int(found.offsets[found.first[best], 0])
                end = int(found.offsets[found.last[best], 1])
                made.append(Answer(asked.context[start:end], sure, {"start": start}))
            reporter.progress("answering", at + 1, len(inputs), "questions")
        return made

    def golden(self) -> FloatArray:
        """Return scores of candidates of two questions."""
        made = [self._scores(asked, SILENT)[1] for asked in GOLDEN]
        return np.concatenate(made)[:300].astype(np.float64)

    def to_state(self) -> State:
        """Return the weights and what features are known."""
        return State(
            {"coef": self._coef, "known": self._known},
            {"longest": self._longest, "null": self._null},
        )


def _dense(
    asked: Question, found: Candidates, embedded: Embedded | None, reporter: Reporter
) -> FloatArray:
    if embedded is None:
        return found.numbers
    return np.hstack([found.numbers, _similar(asked, found, embedded, reporter)])


def fit_reader(
    train: Examples, frozen: Frozen | None = None, *, reporter: Reporter = SILENT
) -> CandidateReader:
    """Fit a model over candidates; with ``frozen``, over likeness to the question as well.

    Parameters
    ----------
    train : Examples
        Inputs are ``Question``, targets tuples of (answer, start).
    frozen : Frozen, optional
    reporter : Reporter
    """
    from scipy.sparse import vstack

    null = any(not gold for gold in train.targets)
    lengths = [len(text.split()) for gold in train.targets for text, _ in gold] or [1]
    longest = int(np.clip(np.quantile(lengths, 0.98), 4, LONGEST))
    embedded = None if frozen is None else Embedded(frozen)
    rng = np.random.default_rng(0)
    dense, hashes, bounds, reached = [], [], [0], 0
    for at, (asked, gold) in enumerate(zip(train.inputs, train.targets, strict=True)):
        found = candidates_of(asked, longest, null=null)
        right = _right(found, gold)
        if right is None:
            continue
        reached += 1
        others = np.delete(np.arange(len(found.first)), right)
        if len(others) >= TRAINED_ON:
            others = np.sort(rng.choice(others, TRAINED_ON - 1, replace=False))
        kept = np.concatenate([[right], others])
        dense.append(_dense(asked, found, embedded, reporter)[kept])
        hashes.append(found.hashes[kept])
        bounds.append(bounds[-1] + len(kept))
        reporter.progress("reading questions", at + 1, train.n, "questions")
    width = NUMBERS + (0 if embedded is None else ALIKE)
    flat = np.vstack(hashes) if hashes else np.zeros((0, 10), dtype=np.int64)
    known, often = np.unique(flat, return_counts=True)
    known = known[often > 1] if len(bounds) > 50 else known
    sparse = vstack([matched(one, known) for one in hashes]) if hashes else matched(flat, known)
    table = np.vstack(dense) if dense else np.zeros((0, width))
    coef = _log_linear(table, sparse, np.asarray(bounds))
    model = CandidateReader(coef, known, longest=longest, null=null, embedded=embedded)
    what = f"{model.strategy} chooses among runs of up to {longest} words"
    model.decisions = (Decision(what, f"{reached} of {train.n} answers are such a run"),)
    return model


def _right(found: Candidates, gold: Gold) -> int | None:
    """Return the candidate that is the (first) answer, word for word; None if there is none."""
    if not gold:
        none = np.flatnonzero(found.first < 0)
        return int(none[0]) if len(none) else None
    for text, start in gold:
        lead = len(text) - len(text.lstrip())
        ends = start + len(text.rstrip(" .,;:!?\"'"))
        touched = np.flatnonzero(
            (found.offsets[:, 1] > start + lead) & (found.offsets[:, 0] < ends)
        )
        if not len(touched):
            continue
        hit = np.flatnonzero((found.first == touched[0]) & (found.last == touched[-1]))
        if len(hit):
            return int(hit[0])
    return None


def _log_linear(dense: FloatArray, sparse: Any, bounds: IntArray) -> FloatArray:
    """Minimise ``-log p(first of each group | group)`` with an L2 penalty, by L-BFGS."""
    from scipy.optimize import minimize

    width, total = dense.shape[1], dense.shape[1] + sparse.shape[1]
    if len(bounds) < 2:
        return np.zeros(total, dtype=np.float32)
    starts = bounds[:-1]
    group = np.repeat(np.arange(len(starts)), np.diff(bounds))

    def objective(coef: FloatArray) -> tuple[float, FloatArray]:
        scores = dense @ coef[:width] + sparse @ coef[width:]
        top = np.maximum.reduceat(scores, starts)
        likely = np.exp(scores - top[group])
        sums = np.add.reduceat(likely, starts)
        rest = likely / sums[group]
        rest[starts] -= 1.0
        loss = float((np.log(sums) + top - scores[starts]).sum())
        gradient = np.concatenate([dense.T @ rest, sparse.T @ rest]) + PENALTY * coef
        return loss + 0.5 * PENALTY * float(coef @ coef), gradient

    found = minimize(
        objective, np.zeros(total), jac=True, method="L-BFGS-B", options={"maxiter": 150}
    )
    return np.asarray(found.x, dtype=np.float32)


def open_reader(state: State, frozen: Frozen | None) -> CandidateReader:
    """Open what ``CandidateReader.to_state`` returned.

    Raises
    ------
    BundleCorruptError
    """
    known = saved.array(state, "known", (None,))
    width = NUMBERS + (0 if frozen is None else ALIKE)
    return CandidateReader(
        saved.array(state, "coef", (width + len(known),)),
        known,
        longest=saved.fact(state, "longest", int),
        null=saved.fact(state, "null", bool),
        embedded=None if frozen is None else Embedded(frozen),
    )
