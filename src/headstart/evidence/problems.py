"""What is wrong with the data, as ``check`` finds it without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from headstart import data as data_room
from headstart.core.types import SILENT, Modality, Reporter

if TYPE_CHECKING:
    from headstart.evidence.held import Judging

LOOKED_AT: dict[Modality, int] = {"image": 500, "audio": 300, "text": 5_000, "table": 20_000}
"""Items above which ``headstart check`` is left to do it: it would take long."""
EXAMPLES = 10
_COPIES = {"exact-duplicates": "exact", "near-duplicates": "near", "leakage": "near"}
_LEFT_OUT = "repeats the test item "
_TEST = "test: "
"""How ``check`` begins the names of the items of the part that judges."""


def problems(judging: Judging, reporter: Reporter = SILENT) -> dict[str, Any]:
    """Return ``findings`` and ``duplicates``.

    Parameters
    ----------
    judging : Judging
    reporter : Reporter

    Returns
    -------
    dict
        ``findings``: the problems, worst first, each with ``kind``, ``severity``, ``what``,
        ``advice``, ``count`` and ``examples``; ``duplicates``: ``pairs`` of items that repeat one
        another, how many ``items`` do. Both are None where there are too many items to look at.
    """
    train, judged = judging.train, judging.task if judging.apart else None
    count = train.n + (judged.n if judged else 0)
    if count > LOOKED_AT[train.modality]:
        return {"findings": None, "duplicates": None}
    report = data_room.check(replace(train, test=judged), reporter=reporter)
    labels = dict(zip(train.ids, train.labels, strict=True)) if train.labels is not None else {}
    if judged is not None and judged.labels is not None:
        labels |= {
            f"{_TEST}{name}": label for name, label in zip(judged.ids, judged.labels, strict=True)
        }
    findings: list[dict[str, Any]] = []
    pairs: dict[frozenset[str], dict[str, Any]] = {}
    copies = 0
    for one in report.findings:
        findings.append(
            {
                "kind": one.kind,
                "severity": one.severity,
                "what": one.text,
                "advice": one.advice,
                "count": one.count,
                "examples": list(one.items[:EXAMPLES]),
            }
        )
        if one.kind not in _COPIES:
            continue
        if one.kind != "leakage":  # the same copies once more, told from the training part
            copies += one.count
        for name, note in zip(one.items, one.notes, strict=False):
            if note.startswith(_LEFT_OUT):  # told among the skipped: nothing was learnt from it
                continue
            other = note.removeprefix("repeats ")
            if one.kind == "leakage":
                other = f"{_TEST}{other}"
            across = name.startswith(_TEST) != other.startswith(_TEST) and judged is not None
            pairs.setdefault(
                frozenset((name, other)),
                {
                    "a": name,
                    "b": other,
                    "same": _COPIES[one.kind],
                    "labels": [_known(labels, name), _known(labels, other)],
                    "across": across,
                },
            )
    return {
        "findings": findings,
        "duplicates": {"pairs": list(pairs.values()), "items": copies},
    }


def _known(labels: dict[str, Any], name: str) -> str | float | None:
    label = labels.get(name)
    return label if label is None or isinstance(label, str) else float(label)
