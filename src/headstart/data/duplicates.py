"""Items that are the same, or nearly: exact copies, near copies, and the groups that they form.

Items of one group never straddle a split, so merging too much is as harmful as merging too little:
a pair that a hash proposes counts only after it was compared directly, and every member of a
cluster is compared with the cluster's first member, so that chains cannot glue unlike items.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from headstart import parallel
from headstart.core.errors import DataError, OptionError
from headstart.core.types import SILENT, AnyArray, IntArray, Reporter
from headstart.data import near_images, near_texts
from headstart.data.audio import sound_hash
from headstart.data.columns import bare
from headstart.data.content import content_hash

NATURAL_REPEATS = 0.5
"""Tables of which more rows than this share repeat: rows coincide by nature, they are no copies."""


@dataclass(frozen=True, eq=False)
class DuplicateReport:
    """Which items are copies of which.

    Parameters
    ----------
    groups : ndarray of shape (n,), int64
        A code for each item, 0 upwards in order of first appearance; copies share theirs.
    exact : tuple of tuple of int
        Clusters of two or more items with the same content.
    near : tuple of tuple of int
        Clusters of two or more items that are nearly the same but not all exact copies; exact
        copies of a member are listed with it.
    unreadable : dict of int to str
        Items that could not be read, with the reason; each is a group of its own.
    notes : tuple of str
        What was not compared, and why.
    """

    groups: IntArray
    exact: tuple[tuple[int, ...], ...] = ()
    near: tuple[tuple[int, ...], ...] = ()
    unreadable: dict[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def duplicate_groups(
    items: Any,
    modality: str,
    *,
    near: bool = True,
    known: Sequence[bytes] | None = None,
    reporter: Reporter = SILENT,
) -> DuplicateReport:
    """Find exact and near duplicates and return the groups they form.

    Images: exact by the bytes of the file; near by a 64-bit perceptual hash (pHash; Zauner 2010),
    confirmed by comparing thumbnails. Images below 32 pixels a side, and nearly uniform ones, have
    too little to compare: they are near duplicates only if all their pixels are the same. Texts:
    near by MinHash (Broder 1997) on 5-character shingles of the text in lower case without
    sentence punctuation, confirmed by their Jaccard similarity, 0.8 for long and 0.9 for short
    texts. Audio: by the decoded samples, whatever the format of the file. Tables: exact only.

    Parameters
    ----------
    items : sequence of length n, or pandas.DataFrame
        Texts; images as `read_image` takes them; sounds as `read_audio` does; or a
        table.
    modality : {"image", "text", "audio", "table"}
    near : bool
        Whether to look for near duplicates too.
    known : sequence of bytes, length n, optional
        Of sounds, what `sound_hash` gives: then they are not decoded again.

    Raises
    ------
    OptionError
        The modality is none of the four.

    Examples
    --------
    >>> from headstart.data import duplicate_groups
    >>> report = duplicate_groups(["Good film!", "Bad film!", "good film"], "text")
    >>> report.groups.tolist(), report.near
    ([0, 1, 0], ((0, 2),))
    """
    if modality not in ("image", "text", "audio", "table"):
        raise OptionError(
            "no such modality", got=modality, allowed=("image", "text", "audio", "table")
        )
    if modality == "table":
        return _table(items)
    n = len(items)
    unreadable: dict[int, str] = {}
    if modality == "text":
        keys: list[bytes | None] = [content_hash(str(text)) for text in items]
    elif modality == "audio" and known is not None:
        keys = list(known)
    else:
        hashed = sound_hash if modality == "audio" else content_hash
        keys = list(_hash_files(items, hashed, unreadable, reporter))
    exact = _clusters_of(keys)
    first = _representatives(n, exact)
    members = [i for i in range(n) if first[i] == i and keys[i] is not None]
    pairs: list[tuple[int, IntArray]] = []
    notes: tuple[str, ...] = ()
    if near and modality == "text":
        pairs = near_texts.near_clusters([str(items[i]) for i in members])
    elif near and modality == "image":
        pairs, bad = near_images.near_clusters(
            [_file(items[i]) for i in members], reporter=reporter
        )
        for position, reason in bad.items():
            for i in np.flatnonzero(first == members[position]):
                unreadable[int(i)] = reason
    elif modality == "audio":
        notes = ("audio: only recordings of the very same samples are found",)
    return _report(n, exact, first, members, pairs, unreadable, notes)


def _file(item: Any) -> Any:
    return Path(item) if isinstance(item, str) else item


def _hash_files(
    items: Sequence[Any],
    hash_of: Callable[[Any], bytes],
    unreadable: dict[int, str],
    reporter: Reporter,
) -> Iterator[bytes | None]:
    def hashed(item: Any) -> bytes | DataError:
        try:
            return hash_of(_file(item))
        except DataError as error:
            return error

    for i, key in enumerate(parallel.map(hashed, items)):
        if isinstance(key, DataError):
            unreadable[i] = key.what
            yield None
        else:
            yield key
        if i % 256 == 255 or i + 1 == len(items):
            reporter.progress("looking for exact copies", i + 1, len(items))


def _clusters_of(keys: Iterable[bytes | None]) -> list[tuple[int, ...]]:
    places: dict[bytes, list[int]] = {}
    for i, key in enumerate(keys):
        if key is not None:
            places.setdefault(key, []).append(i)
    return [tuple(found) for found in places.values() if len(found) > 1]


def _representatives(n: int, exact: Iterable[tuple[int, ...]]) -> IntArray:
    first = np.arange(n)
    for cluster in exact:
        first[list(cluster)] = cluster[0]
    return first


def _report(
    n: int,
    exact: list[tuple[int, ...]],
    first: IntArray,
    members: list[int],
    near: list[tuple[int, IntArray]],
    unreadable: dict[int, str],
    notes: tuple[str, ...],
) -> DuplicateReport:
    copies = {cluster[0]: cluster for cluster in exact}
    leader = first.copy()
    clusters = []
    for head, tail in near:
        parts = [members[head], *(members[int(i)] for i in tail)]
        whole = sorted(i for part in parts for i in copies.get(part, (part,)))
        clusters.append(tuple(whole))
        leader[whole] = members[head]
    clusters.sort()
    return DuplicateReport(
        groups=codes(leader),
        exact=tuple(exact),
        near=tuple(clusters),
        unreadable=unreadable,
        notes=notes,
    )


def codes(values: AnyArray) -> IntArray:
    """Return int64 codes of values, 0 upwards in order of first appearance."""
    _, place, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(place), np.int64)
    rank[np.argsort(place)] = np.arange(len(place))
    return rank[inverse.reshape(-1)]


def _table(frame: Any) -> DuplicateReport:
    """Equal rows are copies, unless rows repeat so often that they coincide by nature."""
    n = len(frame)
    exact = _clusters_of(_row_keys(frame))
    repeats = sum(len(cluster) - 1 for cluster in exact)
    notes = ["tables: only equal rows count as duplicates"]
    if n and repeats / n > NATURAL_REPEATS:
        notes.append(
            f"{repeats} of {n} rows repeat an earlier one: the columns take few values, so equal "
            "rows are taken for coincidence, not for copies, and are not grouped"
        )
        return DuplicateReport(np.arange(n, dtype=np.int64), tuple(exact), notes=tuple(notes))
    return DuplicateReport(codes(_representatives(n, exact)), tuple(exact), notes=tuple(notes))


def _row_keys(frame: Any) -> list[bytes]:
    if not frame.shape[1]:
        return [i.to_bytes(8, "little") for i in range(len(frame))]
    frame = bare(frame)
    try:
        halves = [_hash_rows(frame, key) for key in ("headstart rows 1", "headstart rows 2")]
    except (TypeError, ValueError):  # cells that are lists or the like
        texts = frame.astype(str)
        halves = [_hash_rows(texts, key) for key in ("headstart rows 1", "headstart rows 2")]
    return [row.tobytes() for row in np.stack(halves, axis=1)]


def _hash_rows(frame: Any, key: str) -> AnyArray:
    from pandas.util import hash_pandas_object

    hashes: AnyArray = hash_pandas_object(
        frame, index=False, hash_key=key, categorize=False
    ).to_numpy()
    return hashes
