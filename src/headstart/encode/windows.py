"""Features of any number of items: window by window through the cache and the frozen backbone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, Features, FloatArray, IntArray, Reporter
from headstart.encode.cache import Store, evict, limit_bytes, open_store
from headstart.encode.output import writing

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

Precision = Literal["auto", "float32", "bf16"]

_FEW = 8  # items that are encoded sooner than weights are packed and checked
_STORE_ROWS = 1024  # rows a transaction: what a kill can lose
_EVICT_ROWS = 65536  # rows stored between two looks at the size of the cache
_VERSIONS = {"audio": 2}  # raise one, from 1, when the same item no longer gives the same features


class Encoder(Protocol):
    """A frozen backbone made ready to encode items of one modality."""

    dim: int
    precision: str
    stage: str
    unit: str
    window: int  # items that are hashed, looked up, sorted and encoded together

    def hashes(self, items: Sequence[Any], first: int, *, cached: bool) -> list[bytes]:
        """Return what identifies each item's content; raise DataError for what is no item.

        Without ``cached``, equal items may have different ones.
        """

    def encode(
        self, items: Sequence[Any], positions: Sequence[int]
    ) -> Iterator[tuple[IntArray, FloatArray]]:
        """Yield (indices into ``items``, their features) in whatever order is fastest."""

    def finish(self) -> None:
        """Say what there is to say about the run."""


def features(
    items: Any,
    backbone: Backbone,
    *,
    cache: bool = True,
    reporter: Reporter = SILENT,
    device: str | None = None,
    precision: Precision = "auto",
    out: Path | None = None,
) -> Features:
    """Return the frozen features of items, in their order.

    The features of an item depend on the item, the backbone and the precision alone, not on
    the items around it: to 1e-5 of the largest value in float32, and to the bit from the cache.

    Parameters
    ----------
    items : sequence of length n
        Texts for a text backbone; paths, PIL images or (H, W[, C]) uint8 arrays for an image one;
        paths, bytes of files or ``(samples, rate)`` for a sound one.
    backbone : Backbone
        From ``headstart.sources.load``; it is not changed.
    cache : bool
        Look features up in the cache on disk, and keep new ones there.
    reporter : Reporter
        Told the progress, and what was decided or cut.
    device : str, optional
        "cpu", "cuda", "cuda:1", "mps"; by default the best there is.
    precision : {"auto", "float32", "bf16"}
        "auto": half precision on a GPU; bfloat16 on a CPU that computes in it natively, if the
        features then stay true (cosine of at least 0.9998); float32 elsewhere.
    out : Path, optional
        A ``.npy`` file to write the array to. Without it, an array above 64 MB is mapped from a
        temporary file that goes when the array does.

    Returns
    -------
    Features
        ``array`` of shape (n, d), float32.

    Raises
    ------
    DataError
        If an item is not of the backbone's modality or cannot be read; names its position.
    OptionError
        If ``device``, ``precision`` or ``out`` cannot be used.

    Examples
    --------
    >>> from headstart import encode, sources
    >>> found = encode.features(["good", "bad"], sources.load("minilm"))  # doctest: +SKIP
    >>> found.array.shape  # doctest: +SKIP
    (2, 384)
    """
    one = _together(items, [backbone], cache, reporter, device, precision, out)[0]
    if out is not None:
        one = np.load(out, mmap_mode="r" if len(items) else None)
    return Features(one)


def features_together(
    items: Any,
    backbones: Sequence[Backbone],
    *,
    cache: bool = True,
    reporter: Reporter = SILENT,
    device: str | None = None,
    precision: Precision = "auto",
) -> list[Features]:
    """Return the frozen features of items from several backbones, views of one source in one run.

    Views of an image or sound source that share its weights (``sources.load_together``) run once:
    the blocks of the deepest, each view pooled where it ends. Others run one after the other.
    Features and what is cached of them are those of `features`.

    Parameters
    ----------
    items : sequence of length n
    backbones : sequence of Backbone
    cache, reporter, device, precision
        As for `features`.

    Returns
    -------
    list of Features
        One for each backbone.

    Raises
    ------
    DataError, OptionError
        As for `features`.

    Examples
    --------
    >>> from headstart import encode, sources
    >>> views = sources.load_together(["whisper-base@layer1", "whisper-base"])  # doctest: +SKIP
    >>> first, last = encode.features_together(["a.wav"], views)               # doctest: +SKIP
    """
    from headstart.encode.together import shared

    found: dict[int, Features] = {}
    for places in shared(backbones):
        group = [backbones[place] for place in places]
        arrays = _together(items, group, cache, reporter, device, precision)
        found |= {place: Features(array) for place, array in zip(places, arrays, strict=True)}
    return [found[place] for place in range(len(backbones))]


def _together(
    items: Any,
    backbones: Sequence[Backbone],
    cache: bool,
    reporter: Reporter,
    device: str | None,
    precision: Precision,
    out: Path | None = None,
) -> list[AnyArray]:
    """Encode items with backbones that can run together; ``out`` takes the features of one."""
    from headstart.encode.together import Together, columns

    n = len(items)
    encoder = make_encoder(
        backbones[0] if len(backbones) == 1 else Together(backbones),
        device=device,
        precision=precision,
        reporter=reporter,
        few=n <= _FEW,
    )
    keep = cache and n > 0 and bool(backbones[0].weights_sha256) and limit_bytes() > 0
    with contextlib.ExitStack() as stack:
        if keep:
            stack.callback(lambda: evict(limit_bytes()))
        arrays = [
            stack.enter_context(writing((n, one.card.dim), np.float32, out)) for one in backbones
        ]
        views = [
            _View(array, part, _stored(one, encoder, reporter, stack) if keep else None)
            for one, array, part in zip(
                backbones, arrays, columns([one.card.dim for one in backbones]), strict=True
            )
        ]
        _fill(views, items, encoder, reporter)
        encoder.finish()
    return arrays


def _stored(
    backbone: Backbone, encoder: Encoder, reporter: Reporter, stack: contextlib.ExitStack
) -> Store:
    """Return the open cache of what a backbone makes of items."""
    store = open_store(
        source=backbone.card.name,
        key=_key(backbone, encoder.precision),
        dim=backbone.card.dim,
        reporter=reporter,
    )
    stack.callback(store.close)
    return store


def make_encoder(
    backbone: Backbone,
    *,
    device: str | None,
    precision: Precision,
    reporter: Reporter,
    few: bool = False,
) -> Encoder:
    """Return the encoder for the backbone's modality; ``few`` items do without preparations."""
    if precision not in get_args(Precision):
        raise OptionError(
            "unknown precision", where="precision", got=precision, allowed=get_args(Precision)
        )
    modality = backbone.card.modality
    how: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "reporter": reporter,
        "few": few,
    }
    if modality == "text":
        from headstart.encode.text import TextEncoder

        return TextEncoder(backbone, **how)
    if modality == "image":
        from headstart.encode.image import ImageEncoder

        return ImageEncoder(backbone, **how)
    if modality == "audio":
        from headstart.encode.audio import AudioEncoder

        return AudioEncoder(backbone, **how)
    raise OptionError(
        "this source cannot be encoded",
        where=backbone.card.name,
        got=modality,
        allowed=("image", "text", "audio"),
    )


def _key(backbone: Backbone, precision: str) -> str:
    parts = [
        _VERSIONS.get(backbone.card.modality, 1),
        backbone.card.modality,
        backbone.weights_sha256,
        backbone.card.dim,
        backbone.card.input,
        precision,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


class _View(NamedTuple):
    """What is filled: an array, its columns of what the encoder makes, and where rows are kept."""

    array: AnyArray
    columns: slice
    store: Store | None


def _fill(views: Sequence[_View], items: Any, encoder: Encoder, reporter: Reporter) -> None:
    n, done, stored = len(items), 0, 0
    for start in range(0, n, encoder.window):
        window = _slice(items, start, min(start + encoder.window, n))
        for count, new in _encode_window(window, start, views, encoder):
            done += count
            stored += new
            reporter.progress(encoder.stage, done, n, encoder.unit)
        if views[0].store is not None and stored >= _EVICT_ROWS:
            stored = 0
            evict(limit_bytes())


def _encode_window(
    window: list[Any], start: int, views: Sequence[_View], encoder: Encoder
) -> Iterator[tuple[int, int]]:
    """Fill the rows of one window; yield (items done, rows stored for them) as it goes on."""
    numbers: dict[bytes, int] = {}  # of the distinct items, in order of appearance
    found = encoder.hashes(window, start, cached=views[0].store is not None)
    inverse = np.array([numbers.setdefault(item, len(numbers)) for item in found])
    hashes = list(numbers)
    firsts = np.unique(inverse, return_index=True)[1]
    times = np.bincount(inverse)
    rows = [_Rows(view, hashes) for view in views]
    known = np.logical_and.reduce([each.known for each in rows])  # to all views: not run again
    absent = np.flatnonzero(~known)
    if known.any():
        yield len(window) - int(times[absent].sum()), 0
    chosen = firsts[absent]
    made = encoder.encode([window[i] for i in chosen], [start + int(i) for i in chosen])
    with contextlib.ExitStack() as stack:
        for each in rows:
            stack.enter_context(each)
        for index, part in made:
            new = sum(each.add(absent[index], part) for each in rows)
            yield int(times[absent[index]].sum()), new
    for view, each in zip(views, rows, strict=True):
        view.array[start : start + len(window)] = each.rows[inverse]


def _slice(items: Any, start: int, stop: int) -> list[Any]:
    part = items.iloc[start:stop] if hasattr(items, "iloc") else items[start:stop]
    return list(part)


class _Rows:
    """The rows of distinct items: those that are kept already, and those that are made now.

    New ones go to the store some at a time; also those made before an error.
    """

    def __init__(self, view: _View, hashes: list[bytes]) -> None:
        self._store, self._columns, self._hashes = view.store, view.columns, hashes
        self.rows = np.empty((len(hashes), view.array.shape[1]), dtype=np.float32)
        kept = self._store.get(hashes) if self._store is not None else {}
        self.known = np.array([item in kept for item in hashes], dtype=bool)
        for place in np.flatnonzero(self.known):
            self.rows[place] = kept[hashes[place]]
        self._waiting: list[int] = []

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *error: object) -> None:
        self._flush()

    def add(self, places: IntArray, made: FloatArray) -> int:
        """Take what was made of the items at some places; return how many rows were new."""
        new = ~self.known[places]
        self.rows[places[new]] = made[new, self._columns]
        if self._store is not None:
            self._waiting += places[new].tolist()
            if len(self._waiting) >= _STORE_ROWS:
                self._flush()
        return int(new.sum())

    def _flush(self) -> None:
        if self._store is not None and self._waiting:
            self._store.put([self._hashes[i] for i in self._waiting], self.rows[self._waiting])
        self._waiting = []
