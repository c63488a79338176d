"""What a table's columns are: the label, the text, the file paths, the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headstart.core.errors import (
    AmbiguousDataError,
    DataError,
    OptionError,
    UnknownNameError,
)
from headstart.core.types import AnyArray, Decision, Modality
from headstart.data.content import is_sound
from headstart.data.part import AUDIO_ENDINGS, IMAGE_ENDINGS, is_missing, shown

LABEL_NAMES = frozenset(
    {"label", "labels", "target", "targets", "class", "classes", "y", "category", "intent"}
) | {"sentiment", "outcome", "species", "diagnosis", "emotion", "topic"}
TEXT_NAMES = frozenset(
    {"text", "texts", "sentence", "sentences", "utterance", "review", "reviews", "message"}
) | {"content", "document", "body", "comment", "tweet", "question", "query", "snippet", "prompt"}
_SAMPLE = 5000
_WORDS = 3.0
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
"""What the bytes of an image file begin with."""


@dataclass(frozen=True)
class Column:
    """Facts about one column, from its values that are not missing."""

    name: str
    present: int
    distinct: int
    textual: float
    words: float
    letters: float
    images: float
    audio: float

    @property
    def is_text(self) -> bool:
        """Free text: strings of several words, or long ones in scripts without spaces."""
        long_unspaced = self.words < 1.5 and self.letters >= 12 and self.images + self.audio < 0.5
        free = self.words >= _WORDS or (long_unspaced and self.distinct > 0.5 * self.present)
        return self.textual > 0.5 and free and self.distinct > 2 and not self.is_path

    @property
    def is_path(self) -> bool:
        """At least nine of ten values end like a file of images or sounds."""
        return self.images + self.audio >= 0.9

    @property
    def is_coarse(self) -> bool:
        """Few distinct values, each several times, as labels have."""
        return 2 <= self.distinct <= max(20, self.present // 2) and self.distinct < self.present


@dataclass(frozen=True)
class Roles:
    """Which column is what."""

    modality: Modality
    label: str | None
    content: str | None
    features: tuple[str, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True)
class Wanted:
    """What the user said about columns."""

    label: str | None = None
    text: str | None = None
    path: str | None = None
    group: str | None = None
    domain: str | None = None
    modality: Modality | None = None
    labelled: bool = True


def profile(name: str, values: Any) -> Column:
    """Measure a column (on 5,000 evenly spaced values where there are more)."""
    step = max(1, len(values) // _SAMPLE)
    kind = getattr(values, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind in "fiub" and kind.itemsize <= 8:
        return _profile_numbers(name, np.asarray(values)[::step])
    present = [value for value in list(values[::step]) if not is_missing(value)]
    strings = [v for v in present if isinstance(v, str) and not _number(v)]
    count = max(1, len(strings))
    endings = ["." + text.strip().rpartition(".")[2].lower() for text in strings]
    return Column(
        name=name,
        present=len(present),
        distinct=len({str(value) for value in present}),
        textual=len(strings) / max(1, len(present)),
        words=sum(len(text.split()) for text in strings) / count,
        letters=sum(map(len, strings)) / count,
        images=(sum(ending in IMAGE_ENDINGS for ending in endings) + sum(map(_is_picture, present)))
        / max(1, len(present)),
        audio=(sum(ending in AUDIO_ENDINGS for ending in endings) + sum(map(_is_sound, present)))
        / max(1, len(present)),
    )


def _profile_numbers(name: str, values: AnyArray) -> Column:
    """Measure numbers of the machine; two are the same if they are written alike (0.0, -0.0)."""
    if values.dtype.kind == "f":
        present = values[~np.isnan(values)].astype(np.float64)
        distinct = len(np.unique(present.view(np.uint64)))
    else:
        present, distinct = values, len(np.unique(values))
    return Column(name, len(present), distinct, 0.0, 0.0, 0.0, 0.0, 0.0)


def _is_picture(value: Any) -> bool:
    if isinstance(value, bytes):
        return value.startswith(_PICTURES) or value[8:12] == b"WEBP"
    return hasattr(value, "getbands") or getattr(value, "ndim", 0) >= 2


def _is_sound(value: Any) -> bool:
    return (isinstance(value, bytes) and not _is_picture(value)) or is_sound(value)


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def find_roles(frame: Any, wanted: Wanted, where: str) -> Roles:
    """Decide which column is the label and which the content, each with its reason.

    Raises
    ------
    UnknownNameError
        A column that the user named does not exist.
    AmbiguousDataError
        More than one reading is possible.
    DataError
        No label column can be found.
    """
    names = list(frame.columns)
    _check_named(names, wanted)
    taken = {wanted.label, wanted.text, wanted.path, wanted.group, wanted.domain}
    free = [profile(n, frame[n]) for n in names if n not in taken]
    decisions: list[Decision] = []
    label = wanted.label
    if label is None and wanted.labelled:
        label = _label_by_name(free, where, decisions)
    free = [column for column in free if column.name != label]
    modality, content = _content(free, wanted, label, where, decisions)
    others = [column for column in free if column.name != content]
    if label is None and wanted.labelled:
        label = _label_by_values(others, modality, where, decisions)
        others = [column for column in others if column.name != label]
    features = tuple(column.name for column in others)
    if modality == "table":
        if not features:
            raise DataError(
                "no feature column is left beside the label", where=where, got=shown(names)
            )
        return Roles(modality, label, None, features, tuple(decisions))
    if features:
        decisions.append(
            Decision(
                f"columns not used: {shown(features)}",
                f"the items are read from {content!r}",
                "--modality table uses columns as features",
            )
        )
    return Roles(modality, label, content, (), tuple(decisions))


def _check_named(names: list[str], wanted: Wanted) -> None:
    given: dict[str, str | None] = {
        "--label": wanted.label,
        "--text": wanted.text,
        "--path": wanted.path,
        "--group": wanted.group,
        "domain": wanted.domain,
    }
    seen: dict[str, str] = {}
    for option, name in given.items():
        if name is None:
            continue
        if name not in names:
            raise UnknownNameError("column", name, names, where=option)
        if name in seen and not {option, seen[name]} <= {"--group", "domain"}:
            raise OptionError(
                "one column cannot be both", got=name, where=f"{seen[name]} and {option}"
            )
        seen[name] = option
    if wanted.text is not None and wanted.path is not None:
        raise OptionError(
            "items are read from a text column or from a column of paths, not both",
            where="--text and --path",
            hint="Give one of the two",
        )
    clash = {"text": wanted.path, "image": wanted.text, "audio": wanted.text}
    both = wanted.text or wanted.path if wanted.modality == "table" else None
    if wanted.modality is not None and (clash.get(wanted.modality) or both):
        raise OptionError(
            "the modality does not fit the column that holds the items",
            where=f"--modality {wanted.modality}",
            got=wanted.text or wanted.path,
            hint="--text goes with text, --path with image and audio, neither with table",
        )


def _label_by_name(free: list[Column], where: str, decisions: list[Decision]) -> str | None:
    named = [c.name for c in free if c.name.strip().lower() in LABEL_NAMES and c.present]
    if not named:
        return None
    if len(named) > 1:
        raise AmbiguousDataError(
            "more than one column could be the label",
            where=where,
            allowed=[f"--label {name}" for name in named],
        )
    decisions.append(
        Decision(f"label is column {named[0]!r}", "its name says so", "--label COL chooses another")
    )
    return named[0]


def _label_by_values(
    others: list[Column], modality: Modality, where: str, decisions: list[Decision]
) -> str:
    coarse = [column for column in others if column.is_coarse]
    if modality == "table":
        coarse = [column for column in coarse if column.textual > 0.5]
    elif not coarse and len(others) == 1:
        coarse = others
    if len(coarse) == 1:
        rest = "other column with few distinct values" if len(others) > 1 else "other column"
        decisions.append(
            Decision(
                f"label is column {coarse[0].name!r}",
                f"there is no {rest}",
                "--label COL chooses another",
            )
        )
        return coarse[0].name
    if not others:
        raise DataError(
            "there is no label column",
            where=where,
            hint="Training needs a column of labels; headstart predict needs none",
        )
    raise AmbiguousDataError(
        "no column is clearly the label",
        where=where,
        allowed=[f"--label {column.name}" for column in coarse or others],
    )


def _content(
    free: list[Column],
    wanted: Wanted,
    label: str | None,
    where: str,
    decisions: list[Decision],
) -> tuple[Modality, str | None]:
    """Return the modality and the column that holds the items (None for a table)."""
    modality = wanted.modality
    if wanted.text is not None:
        return "text", wanted.text
    if wanted.path is not None:
        return modality or _path_kind(profile_of(free, wanted.path)), wanted.path
    if modality == "table":
        return "table", None
    paths = [column for column in free if column.is_path]
    texts = _texts(free, label is not None or not wanted.labelled)
    if modality == "text":
        return "text", _only(texts or _strings(free), "text", where, decisions)
    if modality in ("image", "audio"):
        return modality, _only(paths or _strings(free), "path", where, decisions)
    if paths and texts:
        raise AmbiguousDataError(
            "the items could be files or texts",
            where=where,
            allowed=[f"--path {c.name}" for c in paths] + [f"--text {c.name}" for c in texts],
        )
    if paths:
        kind = _path_kind(paths[0])
        return kind, _only(paths, "path", where, decisions)
    if texts:
        _check_not_table(texts, free, where)
        return "text", _only(texts, "text", where, decisions)
    decisions.append(
        Decision(
            "modality is table",
            "no column holds free text or paths of images or sounds",
            "--modality, --text COL or --path COL",
        )
    )
    return "table", None


def profile_of(columns: list[Column], name: str) -> Column | None:
    """Return the column of this name, or None."""
    return next((column for column in columns if column.name == name), None)


def _path_kind(column: Column | None) -> Literal["image", "audio"]:
    return "audio" if column is not None and column.audio > column.images else "image"


def _strings(free: list[Column]) -> list[Column]:
    return [column for column in free if column.textual > 0.5 and not column.is_coarse]


def _texts(free: list[Column], label_known: bool) -> list[Column]:
    texts = [
        c
        for c in free
        if c.is_text or (c.name.strip().lower() in TEXT_NAMES and c.textual > 0.5 and not c.is_path)
    ]
    if texts:
        return texts
    if len(free) <= (1 if label_known else 2):  # short texts: words, names, titles
        short = [c for c in free if c.textual > 0.5 and c.distinct > 0.5 * c.present]
        return [c for c in short if not c.is_path] if len(short) == 1 else []
    return []


def _check_not_table(texts: list[Column], free: list[Column], where: str) -> None:
    others = [c for c in free if c not in texts and c.distinct > 1 and c.textual < 0.5]
    named = any(column.name.strip().lower() in TEXT_NAMES for column in texts)
    if len(others) >= 2 and not named:
        raise AmbiguousDataError(
            f"{shown([c.name for c in texts])} could be texts to read, or one of "
            f"{len(free)} feature columns of a table",
            where=where,
            allowed=[f"--text {column.name}" for column in texts] + ["--modality table"],
        )


def _only(columns: list[Column], role: str, where: str, decisions: list[Decision]) -> str:
    what = "free text" if role == "text" else "paths of files"
    if not columns:
        raise DataError(f"no column holds {what}", where=where, hint=f"Name it with --{role} COL")
    why = f"the only column of {what}"
    if len(columns) > 1 and role == "text":
        named = [c for c in columns if c.name.strip().lower() in TEXT_NAMES]
        columns, why = (named, "its name says so") if len(named) == 1 else (columns, why)
    if len(columns) > 1:
        raise AmbiguousDataError(
            f"more than one column holds {what}",
            where=where,
            allowed=[f"--{role} {column.name}" for column in columns],
        )
    name = columns[0].name
    decisions.append(Decision(f"{role} is column {name!r}", why, f"--{role} COL chooses another"))
    return name
