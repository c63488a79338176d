"""States of tokens of a pretrained text encoder: what it makes of each word of a text."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import IntegrityError, OptionError, SourceError
from headstart.core.types import SILENT, FloatArray, Reporter
from headstart.sources import card as card_of
from headstart.sources import load

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from headstart.sources.backbone import Backbone
    from headstart.sources.cards import SourceCard

MOST_PIECES = 64
"""Pieces of one word that are read: of a longer one, as a long address, the first so many."""
BATCH_TOKENS = 1024
CACHE_BYTES = 600_000_000


def text_source(name: str) -> SourceCard:
    """Return the card of a text encoder.

    Raises
    ------
    SourceError
        It is one for images or sounds, or one whose first layers alone are meant.
    """
    found = card_of(name)
    if found.modality != "text":
        raise SourceError(
            "this task reads texts", where=name, got=f"a source for {found.modality}s"
        )
    return found


def opened(card: SourceCard, weights_sha256: str = "", *, reporter: Reporter = SILENT) -> Backbone:
    """Load a source; where ``weights_sha256`` is given nothing is fetched, and it has to agree.

    Raises
    ------
    NotInstalledError
        It is not here.
    IntegrityError
        It is not the same.
    """
    backbone = load(card, install_missing=not weights_sha256, reporter=reporter)
    if weights_sha256 and backbone.weights_sha256 != weights_sha256:
        raise IntegrityError(
            "the source is not the one that the model was trained with",
            where=card.name,
            got=backbone.weights_sha256,
            allowed=weights_sha256,
        )
    return backbone


def layers(backbone: Backbone, ids: Tensor, mask: Tensor, until: int | None = None) -> list[Tensor]:
    """Return what each block makes of tokens, (n, t, width) each.

    Parameters
    ----------
    backbone : Backbone
        Of texts.
    ids, mask : Tensor of shape (n, t), int64
    until : int, optional
        Run so many blocks only.
    """
    state = backbone.start((ids, mask))
    found = []
    for block in list(backbone.blocks)[:until]:
        state = block(state)
        hidden = state[0] if isinstance(state, tuple) else state.hidden
        found.append(hidden if hasattr(hidden, "ndim") else hidden.last_hidden_state)
    return found


def depth_of(backbone: Backbone) -> int:
    """Return how many blocks a frozen source runs for words: the embeddings and a third of it.

    The last layers of a sentence encoder know the sentence, not the word: of MiniLM's six the
    second tags best (Tenney et al., ACL 2019, find parts of speech early in BERT, too).
    """
    blocks = len(backbone.block_names)
    return min(blocks, 1 + max(1, round((blocks - 1) / 3)))


@dataclass(frozen=True, eq=False)
class Pieces:
    """How a source cuts texts into tokens, without cutting anything off.

    Parameters
    ----------
    tokenizer : tokenizers.Tokenizer
    before, after : tuple of int
        Special tokens around a text.
    between : tuple of int
        Special tokens between the two texts of a pair.
    limit : int
        Tokens that the source reads at once, special ones among them.
    unknown : int
        Stands for a word of which the tokenizer leaves nothing.
    """

    tokenizer: Tokenizer
    before: tuple[int, ...]
    after: tuple[int, ...]
    between: tuple[int, ...]
    limit: int
    unknown: int

    def of_words(self, words: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each word; at least one, at most ``MOST_PIECES``."""
        clean = [word.encode("utf-8", "replace").decode() for word in words]
        if not clean:
            return []
        found: list[list[int]] = [[] for _ in clean]
        encoding = self.tokenizer.encode(clean, is_pretokenized=True, add_special_tokens=False)
        for one, at in zip(encoding.ids, encoding.word_ids, strict=True):
            if at is not None:
                found[at].append(one)
        return [ids[:MOST_PIECES] or [self.unknown] for ids in found]


def pieces_of(backbone: Backbone) -> Pieces:
    """Return how a source cuts texts.

    Raises
    ------
    SourceError
        It has no tokenizer.
    """
    from tokenizers import Tokenizer

    if backbone.tokenizer is None:
        raise SourceError("this source has no tokenizer", where=backbone.card.name)
    own = Tokenizer.from_str(backbone.tokenizer.to_str())
    own.no_truncation()
    own.no_padding()
    single = own.encode("a")
    inner = [at for at, special in enumerate(single.special_tokens_mask) if not special]
    first, last = (inner[0], inner[-1]) if inner else (0, -1)
    pair = own.encode("a", "a")
    of_text = [at for at, part in enumerate(pair.sequence_ids) if part is not None]
    ends = [at for at in of_text if pair.sequence_ids[at] == 0]
    starts = [at for at in of_text if pair.sequence_ids[at] == 1]
    between = tuple(pair.ids[ends[-1] + 1 : starts[0]]) if ends and starts else ()
    unknown = next(
        (one for name in ("[UNK]", "<unk>") if (one := own.token_to_id(name)) is not None),
        single.ids[first] if inner else 0,
    )
    return Pieces(
        own,
        tuple(single.ids[:first]),
        tuple(single.ids[last + 1 :]),
        between,
        int(backbone.card.input["max_tokens"]),
        unknown,
    )


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a text as the source reads it.

    Parameters
    ----------
    ids : tuple of int
        With special tokens.
    words : tuple of (word, first token, token after the last)
        The words whose state is taken from this window.
    """

    ids: tuple[int, ...]
    words: tuple[tuple[int, int, int], ...]


def windows_of(words: Sequence[str], pieces: Pieces) -> list[Window]:
    """Cut a sentence into windows that overlap; each word is read where it is farthest from an end.

    Parameters
    ----------
    words : sequence of str
    pieces : Pieces

    Raises
    ------
    OptionError
        The source reads hardly a word at once.
    """
    cut = pieces.of_words(words)
    room = pieces.limit - len(pieces.before) - len(pieces.after)
    if room < 2:
        raise OptionError("this source reads too few tokens at once", where="source", got=room)
    cut = [ids[:room] for ids in cut]
    runs: list[tuple[int, int]] = []
    first = 0
    while first < len(cut):
        end, used = first, 0
        while end < len(cut) and used + len(cut[end]) <= room:
            used += len(cut[end])
            end += 1
        runs.append((first, end))
        if end == len(cut):
            break
        back, shared = end, 0
        while back - 1 > first and shared + len(cut[back - 1]) <= room // 4:
            back -= 1
            shared += len(cut[back])
        first = back
    owner: dict[int, tuple[int, int]] = {}
    for at, (first, end) in enumerate(runs):
        for word in range(first, end):
            left = word - first if first else len(cut)
            right = end - 1 - word if end < len(cut) else len(cut)
            rank = (min(left, right), -at)
            if word not in owner or rank > owner[word]:
                owner[word] = rank
    found = []
    for at, (first, end) in enumerate(runs):
        ids, kept = list(pieces.before), []
        for word in range(first, end):
            if -owner[word][1] == at:
                kept.append((word, len(ids), len(ids) + len(cut[word])))
            ids += cut[word]
        found.append(Window((*ids, *pieces.after), tuple(kept)))
    return found


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids and mask, (n, t) each, of rows of ids."""
    import torch

    length = max(len(row) for row in rows)
    ids = np.zeros((len(rows), length), dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def batches_of(sizes: Sequence[int], tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Yield indices of rows of like length, at most ``tokens`` with their padding."""
    order = sorted(range(len(sizes)), key=lambda at: (-sizes[at], at))
    batch: list[int] = []
    for at in order:
        if batch and (len(batch) + 1) * sizes[batch[0]] > tokens:
            yield batch
            batch = []
        batch.append(at)
    if batch:
        yield batch


def joined(hidden: Any, windows: Sequence[Window], length: int) -> Any:
    """Return the state of each word, (length, width): the mean over its tokens.

    Parameters
    ----------
    hidden : sequence of Tensor, (t, width) each
        What the source made of each window.
    windows : sequence of Window
        Of one text.
    length : int
        Words of the text, at least 1.
    """
    import torch

    rows: list[Any] = [None] * length
    for state, window in zip(hidden, windows, strict=True):
        for word, first, end in window.words:
            rows[word] = state[first:end].mean(dim=0)
    return torch.stack(rows)


class Frozen:
    """States of words of a frozen source, each text computed once while memory allows.

    Parameters
    ----------
    backbone : Backbone
    cut : callable
        From a text (what it is of a kind of task) to windows and its number of words.

    References
    ----------
    Tenney, Das and Pavlick, "BERT rediscovers the classical NLP pipeline", ACL 2019.
    """

    def __init__(
        self, backbone: Backbone, cut: Callable[[Any, Pieces], tuple[list[Window], int]]
    ) -> None:
        self.backbone, self.pieces = backbone.eval(), pieces_of(backbone)
        self._cut, self._until = cut, depth_of(backbone)
        self._kept: OrderedDict[Hashable, FloatArray] = OrderedDict()
        self._bytes = 0

    @property
    def width(self) -> int:
        """Length of a state."""
        return int(self.backbone.card.dim)

    def of(self, texts: Sequence[Any], *, reporter: Reporter = SILENT) -> list[FloatArray]:
        """Return the states of the words of each text, (words, width) float32."""
        import torch

        found: list[Any] = [self._kept.get(text) for text in texts]
        missing = [at for at, one in enumerate(found) if one is None]
        cuts = {at: self._cut(texts[at], self.pieces) for at in missing}
        places = [(at, i) for at in missing for i in range(len(cuts[at][0]))]
        rows = [cuts[at][0][i].ids for at, i in places]
        hidden: dict[tuple[int, int], Any] = {}
        done = 0
        with torch.inference_mode():
            for batch in batches_of([len(row) for row in rows]):
                made = layers(self.backbone, *padded([rows[one] for one in batch]), self._until)[-1]
                for row, one in enumerate(batch):
                    hidden[places[one]] = made[row, : len(rows[one])].float().cpu()
                done += len(batch)
                reporter.progress("embedding texts", done, len(rows), "texts")
            for at in missing:
                windows, length = cuts[at]
                if not length:
                    found[at] = np.zeros((0, self.width), dtype=np.float32)
                    continue
                parts = [hidden[at, i] for i in range(len(windows))]
                found[at] = joined(parts, windows, length).numpy()
                self._keep(texts[at], found[at])
        return found

    def _keep(self, text: Hashable, state: FloatArray) -> None:
        if self._bytes + state.nbytes > CACHE_BYTES or text in self._kept:
            return
        self._kept[text] = state
        self._bytes += state.nbytes
