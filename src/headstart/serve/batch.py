"""A saved model on many items at once: predictions as a table, and its score on labelled data."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import bundle
from headstart import data as data_room
from headstart.bundle.judge import flattering
from headstart.bundle.unread import unread
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import SILENT, Reporter, Skipped
from headstart.serve.sequences import answer_inputs, judge_sequences, say_left_out

if TYPE_CHECKING:
    import pandas as pd

FOLDER_LABEL = "folder"


def predict_inputs(
    model: str | Path,
    inputs: Sequence[str],
    *,
    text: str | None = None,
    path: str | None = None,
    reporter: Reporter = SILENT,
) -> tuple[pd.DataFrame, tuple[Skipped, ...]]:
    """Predict files, folders, tables of items, or literal texts.

    Parameters
    ----------
    model : path
        A bundle.
    inputs : sequence of str
        Files, folders, CSV-like files, or texts for a model of texts.
    text, path : str, optional
        The column of a CSV-like file that holds the texts or the file paths.

    Returns
    -------
    DataFrame
        Columns ``input``, ``label``, ``confidence``, ``abstained``, then ``p_<class>``.
    tuple of Skipped
        What could not be read, each with its reason.

    Raises
    ------
    BundleError, DataError, SourceError
    """
    loaded = bundle.load(model, reporter=reporter)
    if isinstance(loaded, bundle.SequenceBundle):
        return answer_inputs(loaded, inputs, text=text, path=path, reporter=reporter)
    items, ids, skipped = data_room.read_inputs(
        list(inputs),
        modality=loaded.modality,
        text=text,
        path=path,
        columns={column.name: column.type for column in loaded.manifest.columns} or None,
        label=loaded.manifest.label_name,
        reporter=reporter,
    )
    say_left_out(inputs, ids, skipped, reporter)
    foreign = unread(loaded, items)
    if foreign:
        reporter.say(f"warning: {foreign}")
    return loaded.predict_frame(items, ids=ids), tuple(skipped)


def evaluate_model(
    model: str | Path,
    data: Any,
    *,
    label: str | None = None,
    text: str | None = None,
    path: str | None = None,
    group: str | None = None,
    allow_unreadable: float = 0.05,
    against: str | Path | None = None,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> dict[str, Any]:
    """Measure a saved model on labelled data, alone or against another one.

    Parameters
    ----------
    model : path
        A bundle.
    data : as for ``fit``
        With labels.
    label, text, path, group : str, optional
        Columns, as for ``fit``.
    allow_unreadable : float
        Share of unreadable items, 0 to 1, above which reading fails.
    against : path, optional
        Another bundle, measured on the same items.
    seed : int
        Of the bootstrap behind the intervals.
    reporter : Reporter
        Told what may be misleading, among other things.

    Returns
    -------
    dict
        ``metric``, ``estimate``, ``low``, ``high``, ``n`` and further measures by kind of task;
        ``warnings``; with ``against`` also ``against`` and ``gain``, as ``Bundle.compare``.

    Raises
    ------
    BundleError, DataError, SourceError
        DataError also for labels a model does not know.
    OptionError
        The two models cannot be compared.
    """
    loaded = bundle.load(model, reporter=reporter)
    if isinstance(loaded, bundle.SequenceBundle):
        return judge_sequences(
            loaded,
            data,
            label=label,
            text=text,
            path=path,
            group=group,
            allow_unreadable=allow_unreadable,
            against=against,
            seed=seed,
            reporter=reporter,
        )
    other = None if against is None else bundle.load_predictor(against, reporter=reporter)
    columns = [*loaded.manifest.columns, *(other.manifest.columns if other else ())]
    trained = _label_column(loaded, data)
    try:
        task = data_room.read(
            data,
            label=label or trained,
            text=text,
            path=path,
            group=group,
            modality=loaded.modality,
            kind=loaded.manifest.kind,
            allow_unreadable=allow_unreadable,
            keep=[column.name for column in columns],
            judging=True,
            reporter=reporter,
        )
    except UnknownNameError as error:
        if label is not None or trained is None or repr(trained) not in error.what:
            raise
        raise DataError(
            f"there is no column {trained!r}, the label that the model was trained on",
            where=str(data) if isinstance(data, (str, Path)) else None,
            allowed=error.allowed,
            hint="name the column of labels with --label",
        ) from error
    if other is None:
        measured = loaded.evaluate(task, seed=seed)
        measured["warnings"] = flattering(loaded, task)
    else:
        _no_label_among_inputs(other, task.label_name)
        measured = loaded.compare(other, task, seed=seed)
    foreign = unread(loaded, task.items)
    if foreign:
        measured["warnings"].append(foreign)
    for warning in measured["warnings"]:
        reporter.say(f"warning: {warning}")
    return measured


def _no_label_among_inputs(model: bundle.Bundle, label: str) -> None:
    if label in [column.name for column in model.manifest.columns]:
        raise OptionError(
            f"this model takes the label {label!r} as an input, and cannot be judged by it",
            where=f"--against {model.path}",
        )


def _label_column(model: bundle.Bundle, data: Any) -> str | None:
    """Return the label column that the model was trained with, where DATA has columns."""
    name = model.manifest.label_name
    is_file = isinstance(data, (str, Path)) and Path(data).is_file()
    has_columns = is_file or hasattr(data, "columns")
    return name if has_columns and name != FOLDER_LABEL else None


def check_csv_target(target: str | Path) -> Path:
    """Say whether ``write_csv`` may write to a path, before any work is done.

    Raises
    ------
    OptionError
        It is a directory, or lies in none that may be written to.
    """
    target = Path(target)
    parent = target.parent
    reason = ""
    if target.is_dir():
        reason = "it is a directory"
    elif not parent.is_dir():
        reason = "there is no such directory"
    elif not os.access(target if _is_special(target) else parent, os.W_OK):
        reason = "that is not permitted"
    if reason:
        raise _not_written(target, reason)
    return target


def write_csv(frame: pd.DataFrame, target: str | Path) -> Path:
    """Write predictions as CSV, whole or not at all.

    Raises
    ------
    OptionError
        Where the file cannot be written.
    """
    target = check_csv_target(target)
    special = _is_special(target)  # a device or a pipe is written to, never replaced
    place = target if special else target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        with place.open("w" if special else "x", encoding="utf-8", newline="") as file:
            frame.to_csv(file, index=False, lineterminator="\n")
        if not special:
            place.replace(target)
    except OSError as error:
        raise _not_written(target, error.strerror or str(error)) from error
    finally:
        if not special:
            place.unlink(missing_ok=True)
    return target


def _is_special(target: Path) -> bool:
    return target.exists() and not target.is_file() and not target.is_dir()


def _not_written(target: Path, reason: str) -> OptionError:
    return OptionError(
        f"the predictions cannot be written: {reason}",
        where=str(target),
        hint="name a file in a directory that exists and that you may write to",
    )
