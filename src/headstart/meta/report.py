"""What a meta-training found, and the source it made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headstart.core.types import Decision, Gain, Score, Skipped
from headstart.meta.train import Trained
from headstart.sources import directory
from headstart.sources.backbone import Backbone
from headstart.sources.cards import SourceCard


@dataclass(frozen=True)
class Row:
    """One method, or one embedding that was not trained here, on episodes of unseen classes.

    Parameters
    ----------
    name : str
    head : {"logistic", "prototypes"}
        Which head on its frozen features the validation classes preferred.
    validation : float
        Mean accuracy of that on validation episodes; this chose.
    as_source : dict of int to Score
        By shots: the frozen features with that head, on test episodes.
    own : dict of int to Score
        By shots: answered the method's own way (MAML adapts everything). Empty for what was not
        trained here.
    over_rfs, own_over_rfs : dict of int to Gain
        The same minus RFS, paired over episodes. Empty for RFS.
    trained : Trained or None
    """

    name: str
    head: str
    validation: float
    as_source: dict[int, Score]
    own: dict[int, Score]
    over_rfs: dict[int, Gain]
    own_over_rfs: dict[int, Gain]
    trained: Trained | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.name,
            "head": self.head,
            "validation": self.validation,
            "as_source": _plain(self.as_source),
            "own": _plain(self.own),
            "over_rfs": _plain(self.over_rfs),
            "own_over_rfs": _plain(self.own_over_rfs),
            "trained": None if self.trained is None else asdict(self.trained),
        }


def _plain(values: dict[int, Any]) -> dict[str, Any]:
    return {str(shots): asdict(value) for shots, value in values.items()}


@dataclass(frozen=True, eq=False)
class MetaResult:
    """A meta-trained source with what it is worth.

    Parameters
    ----------
    chosen : str
        The method whose embedding is the source; "frozen" where none was better than the source
        that training started from.
    rows : tuple of Row
        Every method, then what was measured beside them.
    card : SourceCard
    backbone : Backbone
    ways, shots : int
        Of the episodes that trained.
    counts : dict of str to int
        ``train``, ``validation``, ``test``: classes of each part.
    tasks : dict of str to int or None
        The same, counted in tasks; None where TASKS was one DATA.
    decisions : tuple of Decision
    skipped : tuple of Skipped
    seconds : float
    seed : int
    """

    chosen: str
    rows: tuple[Row, ...]
    card: SourceCard
    backbone: Backbone
    ways: int
    shots: int
    counts: dict[str, int]
    tasks: dict[str, int] | None
    decisions: tuple[Decision, ...]
    skipped: tuple[Skipped, ...]
    seconds: float
    seed: int

    def row(self, name: str) -> Row:
        """Return the row of a method."""
        return next(row for row in self.rows if row.name == name)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "chosen": self.chosen,
            "ways": self.ways,
            "shots": self.shots,
            "classes": self.counts,
            "tasks": self.tasks,
            "rows": [row.to_json() for row in self.rows],
            "decisions": [str(one) for one in self.decisions],
            "skipped": [asdict(one) for one in self.skipped],
            "licence": self.card.licence,
            "dim": self.card.dim,
            "seconds": self.seconds,
            "seed": self.seed,
        }

    def save(self, path: str | Path) -> SourceCard:
        """Write the source; it then loads by its path. Return its card.

        Raises
        ------
        OptionError
            Something is there already.
        """
        report = self.to_json()
        report.pop("seconds")  # the same run gives the same bytes
        for row in report["rows"]:
            if row["trained"]:
                row["trained"].pop("seconds")
        return directory.write(self.backbone, Path(path), card=self.card, report=report)
