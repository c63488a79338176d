"""What a check finds: value objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "info"]

SHOWN = 20
"""At most this many items are named in a finding."""
_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Finding:
    """One kind of problem, and where it is.

    Parameters
    ----------
    kind : str
        A word that scripts can rely on: "unreadable", "exact-duplicates", "leakage", ...
    severity : {"error", "warning", "info"}
        An error makes the results wrong or training impossible; a warning needs a look; info is
        good to know.
    count : int
        How many items, classes or columns are concerned.
    items : tuple of str
        The first 20 of them: ids of items, or names of classes or columns.
    text : str
        What was found.
    advice : str
        What to do about it, or what headstart does about it.
    notes : tuple of str
        Beside each of ``items``: the reason, the other label, the item it repeats. May be empty.
    """

    kind: str
    severity: Severity
    count: int
    items: tuple[str, ...]
    text: str
    advice: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckReport:
    """All findings, worst first.

    Parameters
    ----------
    findings : tuple of Finding
    counts : dict of str to int
        "items", "test_items", "classes", and how many findings of each severity.
    """

    findings: tuple[Finding, ...]
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: ``ok``, ``counts`` and the list of ``findings``."""
        listed = [asdict(finding) for finding in self.findings]
        for entry in listed:
            entry["items"], entry["notes"] = list(entry["items"]), list(entry["notes"])
        return {"ok": self.ok, "counts": dict(self.counts), "findings": listed}


def worst_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings by severity, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))


def found(
    kind: str,
    severity: Severity,
    items: Sequence[str],
    text: str,
    advice: str,
    *,
    notes: Sequence[str] | Callable[[int], str] = (),
) -> list[Finding]:
    """Return a finding about these items in a list, or nothing where there are none."""
    if not items:
        return []
    shown = tuple(items[:SHOWN])
    beside = [notes(i) for i in range(len(shown))] if callable(notes) else list(notes[:SHOWN])
    return [Finding(kind, severity, len(items), shown, text, advice, tuple(beside))]


def many(n: int, noun: str) -> str:
    """Return a number with its noun: "1 item", "1,234 items"."""
    plural = (
        f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun[-1] == "s" else f"{noun}s"
    )
    return f"{n:,} {noun if n == 1 else plural}"
