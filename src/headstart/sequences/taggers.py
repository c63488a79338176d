"""Models that tag words: without a source, on its frozen states, and tuned."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import DataError
from headstart.core.types import SILENT, AnyArray, Decision, FloatArray, IntArray, Reporter, State
from headstart.evaluate.spans import OUTSIDE, SPAN_F1, TOKEN_ACCURACY
from headstart.sequences import saved
from headstart.sequences.base import Answer, Examples, Model
from headstart.sequences.chain import Chain, decode, fit_chain
from headstart.sequences.encoder import Frozen, Pieces, Window, opened, windows_of
from headstart.sequences.tag_files import may_follow
from headstart.sequences.word_features import hashes_of, matrix

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone
    from headstart.sources.cards import SourceCard

Words = tuple[str, ...]
SPARSE_PENALTY = 1.0
STATES_WEIGHT = 0.15
"""States are this much smaller than features that are there or not: their weights cost more."""
RARE_FROM = 2000
"""Words from which on a feature that is seen once has no weight."""
GOLDEN: tuple[Words, ...] = (
    ("Anna", "Berg", "flew", "from", "Paris", "to", "New", "York", "on", "3", "May", "."),
    ("it", "works"),
)


def cut_words(words: Words, pieces: Pieces) -> tuple[list[Window], int]:
    """Return the windows of a sentence and its number of words."""
    return (windows_of(words, pieces) if words else []), len(words)


class Tagger(Model):
    """What all taggers share: scores of tags of each word, then the likeliest sequence.

    Parameters
    ----------
    tags : tuple of str
    between : ndarray of shape (k, k)
    first : ndarray of shape (k,)
    """

    def __init__(self, tags: tuple[str, ...], between: FloatArray, first: FloatArray) -> None:
        self.tags, self.between, self.first = tags, between, first
        self._allowed, self._start = may_follow(tags)

    @abstractmethod
    def scores(self, sentences: Sequence[Words], reporter: Reporter) -> list[FloatArray]:
        """Return the scores of each sentence, (words, k)."""

    def predict(self, inputs: Sequence[Any], *, reporter: Reporter = SILENT) -> list[Answer]:
        """Tag sentences; the confidence is the probability that all of a sentence's tags hold."""
        found = []
        for words, scores in zip(inputs, self.scores(inputs, reporter), strict=True):
            codes, sure = decode(scores, self.between, self.first, self._allowed, self._start)
            tags = tuple(self.tags[code] for code in codes)
            found.append(Answer(tags, sure, {"tokens": " ".join(words)}))
        return found

    def golden(self) -> FloatArray:
        """Return the scores of two sentences."""
        made = self.scores(GOLDEN, SILENT)
        return np.concatenate([one.ravel() for one in made])[:300].astype(np.float64)


class Coded:
    """The tags of examples as numbers."""

    def __init__(self, examples: Examples) -> None:
        self.tags = tuple(sorted({tag for tags in examples.targets for tag in tags}))
        number = {tag: code for code, tag in enumerate(self.tags)}
        self.each = [
            np.asarray([number[tag] for tag in tags], dtype=np.int64) for tags in examples.targets
        ]
        self.flat = np.concatenate(self.each)
        self.lengths: IntArray = np.asarray([len(one) for one in self.each], dtype=np.int64)


def _coded(train: Examples) -> Coded:
    """Return the tags of examples as numbers.

    Raises
    ------
    DataError
        There is none.
    """
    coded = Coded(train)
    if not coded.tags:
        raise DataError("no sentence to learn from has a word", got=f"{train.n} sentences")
    return coded


class Stacked:
    """Dense and sparse columns side by side, as far as ``fit_chain`` looks."""

    dtype = np.dtype(np.float32)

    def __init__(self, dense: AnyArray, sparse: Any, *, turned: bool = False) -> None:
        self.dense, self.sparse, self.turned = dense, sparse, turned
        self.shape = (dense.shape[0], dense.shape[1] + sparse.shape[1])

    @property
    def T(self) -> Stacked:  # noqa: N802 (as arrays call it)
        """The same, turned."""
        return Stacked(self.dense, self.sparse, turned=True)

    def __matmul__(self, other: AnyArray) -> AnyArray:
        if self.turned:
            return np.vstack([self.dense.T @ other, self.sparse.T @ other])
        width = self.dense.shape[1]
        return np.asarray(self.dense @ other[:width] + self.sparse @ other[width:])


class ChainTagger(Tagger):
    """A conditional random field over features of words, and over states of a frozen source.

    Parameters
    ----------
    tags : tuple of str
    chain : Chain
    known : ndarray of int64, sorted
        Hashes of the features that have weights: the last rows of the chain's.
    frozen : Frozen, optional
        States of its words: the first rows of the chain's.
    mean, scale : ndarray of shape (width,), optional
        That states are standardised with.
    """

    def __init__(
        self,
        tags: tuple[str, ...],
        chain: Chain,
        known: AnyArray,
        *,
        frozen: Frozen | None = None,
        mean: AnyArray | None = None,
        scale: AnyArray | None = None,
    ) -> None:
        super().__init__(tags, chain.between, chain.first)
        self.strategy = "scratch" if frozen is None else "probe"
        self._chain, self._known, self._frozen = chain, known, frozen
        self._mean, self._scale = mean, scale
        if frozen is not None:
            self.source = frozen.backbone.card
            self.weights_sha256 = frozen.backbone.weights_sha256

    def scores(self, sentences: Sequence[Words], reporter: Reporter) -> list[FloatArray]:
        """Return the scores of each sentence, (words, k)."""
        columns = matrix(*hashes_of(sentences), self._known).astype(np.float32)
        width = len(self._chain.coef) - len(self._known)
        flat = columns @ self._chain.coef[width:] + self._chain.intercept
        ends = np.cumsum([len(words) for words in sentences])[:-1]
        found = np.split(np.asarray(flat), ends) if len(sentences) else []
        if self._frozen is None or self._mean is None or self._scale is None:
            return found
        dense = self._chain.coef[:width]
        states = self._frozen.of(sentences, reporter=reporter)
        mean, scale = self._mean, self._scale
        return [
            one + ((state - mean) * scale).astype(np.float32) @ dense
            for one, state in zip(found, states, strict=True)
        ]

    def to_state(self) -> State:
        """Return weights, transitions and what features are known."""
        arrays: dict[str, AnyArray] = {
            "coef": self._chain.coef,
            "intercept": self._chain.intercept,
            "between": self.between,
            "first": self.first,
            "known": self._known,
        }
        if self._mean is not None and self._scale is not None:
            arrays |= {"mean": self._mean, "scale": self._scale}
        return State(arrays, {"tags": list(self.tags)})


def fit_chain_tagger(
    train: Examples, frozen: Frozen | None = None, *, reporter: Reporter = SILENT
) -> ChainTagger:
    """Fit a tagger without a source, or one that sees the states of a frozen one as well.

    Parameters
    ----------
    train : Examples
    frozen : Frozen, optional
    reporter : Reporter
    """
    coded = _coded(train)
    hashes, counts = hashes_of(train.inputs)
    known, often = np.unique(hashes, return_counts=True)
    if len(counts) >= RARE_FROM:
        known = known[often > 1]
    columns: Any = matrix(hashes, counts, known).astype(np.float32)
    mean = scale = None
    if frozen is not None:
        states = np.vstack(frozen.of(train.inputs, reporter=reporter))
        mean = states.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = states.std(axis=0, dtype=np.float64)
        scale = (STATES_WEIGHT / np.where(spread > 1e-6, spread, np.inf)).astype(np.float32)
        columns = Stacked(((states - mean) * scale).astype(np.float32), columns)
    chain = fit_chain(
        columns,
        coded.flat,
        coded.lengths,
        len(coded.tags),
        penalty=SPARSE_PENALTY,
        reporter=reporter,
    )
    model = ChainTagger(coded.tags, chain, known, frozen=frozen, mean=mean, scale=scale)
    seen = f"{len(known):,} features of words, their shapes, ends and neighbours"
    more = f" and {frozen.width} numbers of its state" if frozen else ""
    model.decisions = (Decision(f"{model.strategy} is a conditional random field", seen + more),)
    return model


class TunedTagger(Tagger):
    """A tuned encoder with a linear head over the states of words.

    Parameters
    ----------
    tags : tuple of str
    net : Tuned
    """

    def __init__(self, tags: tuple[str, ...], net: Any) -> None:
        k = len(tags)
        super().__init__(tags, np.zeros((k, k), np.float32), np.zeros(k, np.float32))
        self.strategy, self.net = net.method, net
        self.source = net.backbone.card
        self.weights_sha256 = net.backbone.weights_sha256

    def scores(self, sentences: Sequence[Words], reporter: Reporter) -> list[FloatArray]:
        """Return the scores of each sentence, (words, k)."""
        import torch

        from headstart.sequences.token_scores import scored

        with torch.inference_mode():
            return scored(self.net, sentences, len(self.tags), reporter)

    def to_state(self) -> State:
        """Return what was trained, and the head."""
        return State(self.net.arrays(), {"tags": list(self.tags)})


def fit_tuned_tagger(
    train: Examples, card: SourceCard, method: str, *, seed: int, reporter: Reporter = SILENT
) -> TunedTagger:
    """Tune a source so that a linear head over it tags words.

    Parameters
    ----------
    train : Examples
    card : SourceCard
    method : {"lora", "finetune"}
    seed : int
    reporter : Reporter
    """
    from headstart.sequences.token_scores import Sentences, tag_loss
    from headstart.sequences.tuned import RATES, Tuned, held_out
    from headstart.sequences.tuned import train as trained

    coded = _coded(train)
    backbone = opened(card, reporter=reporter)
    net = Tuned(backbone, len(coded.tags), method, seed)
    model = TunedTagger(coded.tags, net)
    index, held = held_out(train, seed)
    index = np.asarray([one for one in index if len(coded.each[one])], dtype=np.int64)
    parts = Sentences([train.inputs[i] for i in index], [coded.each[i] for i in index], net)
    judge = train.take(held)
    measure = SPAN_F1 if any(OUTSIDE in tags for tags in judge.targets) else TOKEN_ACCURACY

    def score() -> float:
        said = [one.value for one in model.predict(judge.inputs)]
        exact = TOKEN_ACCURACY.total(TOKEN_ACCURACY.of(judge.targets, said))
        counted = measure.total(measure.of(judge.targets, said))
        return float(np.nan_to_num(counted)) + 1e-3 * float(np.nan_to_num(exact))

    epochs = trained(
        net,
        net.learnt(),
        len(parts),
        partial(tag_loss, net, parts),
        score if judge.n else None,
        rates=RATES[method],
        seed=seed,
        sizes=parts.sizes,
        reporter=reporter,
    )
    why = f"best on {judge.n} sentences apart" if judge.n else "too few sentences to set apart any"
    model.decisions = (Decision(f"{method}: {epochs} epochs", why),)
    return model


def open_chain(state: State, frozen: Frozen | None) -> ChainTagger:
    """Open what ``ChainTagger.to_state`` returned.

    Raises
    ------
    BundleCorruptError
    """
    tags = saved.names(state, "tags")
    k, width = len(tags), frozen.width if frozen else 0
    known = saved.array(state, "known", (None,))
    chain = Chain(
        saved.array(state, "coef", (len(known) + width, k)),
        saved.array(state, "intercept", (k,)),
        saved.array(state, "between", (k, k)),
        saved.array(state, "first", (k,)),
    )
    if frozen is None:
        return ChainTagger(tags, chain, known)
    mean, scale = (saved.array(state, name, (width,)) for name in ("mean", "scale"))
    return ChainTagger(tags, chain, known, frozen=frozen, mean=mean, scale=scale)


def open_tuned(state: State, backbone: Backbone, method: str) -> TunedTagger:
    """Open what ``TunedTagger.to_state`` returned.

    Raises
    ------
    BundleCorruptError
    """
    from headstart.sequences.tuned import Tuned

    tags = saved.names(state, "tags")
    return TunedTagger(tags, Tuned(backbone, len(tags), method, 0).fill(state.arrays))
