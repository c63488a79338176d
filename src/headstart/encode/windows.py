"""Features of any number of items: window by window through the cache and the frozen backbone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

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
_VERSION = 1  # raise it when the same item no longer gives the same features


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
    n = len(items)
    encoder = make_encoder(
        backbone, device=device, precision=precision, reporter=reporter, few=n <= _FEW
    )
    keep = cache and n > 0 and bool(backbone.weights_sha256) and limit_bytes() > 0
    store = None
    if keep:
        store = open_store(
            source=backbone.card.name,
            key=_key(backbone, encoder.precision),
            dim=encoder.dim,
            reporter=reporter,
        )
    try:
        with writing((n, encoder.dim), np.float32, out) as array:
            _fill(array, items, encoder, store, reporter)
        encoder.finish()
    finally:
        if store is not None:
            store.close()
            evict(limit_bytes())
    if out is not None:
        array = np.load(out, mmap_mode="r" if n else None)
    return Features(array)


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
        _VERSION,
        backbone.card.modality,
        backbone.weights_sha256,
        backbone.card.dim,
        backbone.card.input,
        precision,
    ]
    text = json.dumps(parts, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _fill(
    array: AnyArray, items: Any, encoder: Encoder, store: Store | None, reporter: Reporter
) -> None:
    n, done, stored = len(items), 0, 0
    for start in range(0, n, encoder.window):
        window = _slice(items, start, min(start + encoder.window, n))
        for count, new in _encode_window(window, start, array, encoder, store):
            done += count
            stored += new
            reporter.progress(encoder.stage, done, n, encoder.unit)
        if store is not None and stored >= _EVICT_ROWS:
            stored = 0
            evict(limit_bytes())


def _encode_window(
    window: list[Any], start: int, array: AnyArray, encoder: Encoder, store: Store | None
) -> Iterator[tuple[int, int]]:
    """Fill the rows of one window; yield (items done, of them stored) as it goes on."""
    numbers: dict[bytes, int] = {}  # of the distinct items, in order of appearance
    found = encoder.hashes(window, start, cached=store is not None)
    inverse = np.array([numbers.setdefault(item, len(numbers)) for item in found])
    hashes = list(numbers)
    firsts = np.unique(inverse, return_index=True)[1]
    times = np.bincount(inverse)
    rows = np.empty((len(hashes), encoder.dim), dtype=np.float32)
    known = store.get(hashes) if store is not None else {}
    for item, row in known.items():
        rows[numbers[item]] = row
    absent = np.array([i for i, item in enumerate(hashes) if item not in known], dtype=np.intp)
    if known:
        yield len(window) - int(times[absent].sum()), 0
    chosen = firsts[absent]
    made = encoder.encode([window[i] for i in chosen], [start + int(i) for i in chosen])
    with _Pending(store) as pending:
        for index, part in made:
            rows[absent[index]] = part
            pending.add([hashes[i] for i in absent[index]], part)
            yield int(times[absent[index]].sum()), len(index)
    array[start : start + len(window)] = rows[inverse]


def _slice(items: Any, start: int, stop: int) -> list[Any]:
    part = items.iloc[start:stop] if hasattr(items, "iloc") else items[start:stop]
    return list(part)


class _Pending:
    """Rows on their way to the store, some at a time; also those made before an error."""

    def __init__(self, store: Store | None) -> None:
        self._store = store
        self._items: list[bytes] = []
        self._rows: list[FloatArray] = []

    def __enter__(self) -> _Pending:
        return self

    def __exit__(self, *error: object) -> None:
        self.flush()

    def add(self, items: list[bytes], rows: FloatArray) -> None:
        if self._store is None:
            return
        self._items += items
        self._rows.append(np.array(rows, dtype=np.float32))
        if len(self._items) >= _STORE_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._store is not None and self._items:
            self._store.put(self._items, np.concatenate(self._rows))
        self._items, self._rows = [], []
