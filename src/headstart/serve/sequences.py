"""A saved model of a sequence task on many inputs: answers as a table, and its measures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import bundle
from headstart.core.errors import DataError, OptionError
from headstart.core.types import Reporter, Skipped

if TYPE_CHECKING:
    import pandas as pd


def answer_inputs(
    loaded: bundle.SequenceBundle,
    inputs: Sequence[str],
    *,
    text: str | None,
    path: str | None,
    reporter: Reporter,
) -> tuple[pd.DataFrame, tuple[Skipped, ...]]:
    """Answer files, tables or texts; as ``predict_inputs``.

    Raises
    ------
    DataError, SourceError, BundleCorruptError
    """
    found, ids, skipped = loaded.kind.read_inputs(
        list(inputs), text=text, path=path, columns=loaded.manifest.columns, reporter=reporter
    )
    say_left_out(inputs, ids, skipped, reporter)
    return loaded.predict_frame(found, ids), tuple(skipped)


def judge_sequences(
    loaded: bundle.SequenceBundle,
    data: Any,
    *,
    label: str | None,
    text: str | None,
    path: str | None,
    group: str | None,
    allow_unreadable: float,
    against: str | Path | None,
    seed: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Measure a saved model of a sequence task; as ``evaluate_model``.

    Raises
    ------
    OptionError
        The other model is of another task.
    DataError, SourceError, BundleError
    """
    reading = loaded.kind.read(
        data,
        label=label,
        text=text,
        path=path,
        group=group,
        columns=loaded.manifest.columns,
        allow_unreadable=allow_unreadable,
        reporter=reporter,
    )
    judge = reading.train if reading.test is None else reading.test
    if against is None:
        measured = {**loaded.evaluate(judge, seed=seed), "warnings": []}
    else:
        other = bundle.load(against, reporter=reporter)
        if not isinstance(other, bundle.SequenceBundle):
            raise OptionError(
                "models of different tasks cannot be compared",
                where="--against",
                got=repr(other),
                allowed=loaded.manifest.task,
            )
        measured = loaded.compare(other, judge, seed=seed)
    if reading.test is None and reading.fingerprint == loaded.manifest.fingerprint:
        measured["warnings"].append(
            "the model learnt from these very examples: the score says nothing about new ones"
        )
    for warning in measured["warnings"]:
        reporter.say(f"warning: {warning}")
    return measured


def say_left_out(
    inputs: Sequence[str], ids: Sequence[str], skipped: Sequence[Skipped], reporter: Reporter
) -> None:
    """Say what could not be read.

    Raises
    ------
    DataError
        Nothing could.
    """
    for item in skipped:
        reporter.say(f"left out {item.item or repr(item.item)}: {item.reason}")
    if not ids:
        raise DataError(
            "nothing could be read",
            where=", ".join(filter(None, inputs)) or None,
            hint="see the reasons above" if skipped else None,
        )
