"""The result of ``transfer_from``: a model for the target domain, and what is known about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart import bundle
from headstart.core.errors import OptionError
from headstart.core.types import (
    AnyArray,
    Candidate,
    Decision,
    FloatArray,
    Gain,
    Score,
    Skipped,
    Task,
)
from headstart.domain_view import DomainView
from headstart.domain_words import worth
from headstart.evaluate import Shift
from headstart.evidence import collect_domains

UNADAPTED = ("source-only", "target-only")


@dataclass(frozen=True, eq=False)
class DomainResult:
    """A model for the target domain, with what is known of the shift and of the gain.

    Parameters
    ----------
    source, target : Task
        Of the target, ``labels`` holds None where there is no label.
    view : DomainView
        Both as numbers.
    shift : Shift
        How the target differs from the source; None where the features are different ones.
    metric : str
    judged_by : str
        What judged, in words.
    chosen : Candidate
        What is handed back.
    score : Score or None
        Of what is handed back, on the target; None without labels of the target.
    baselines : mapping of name to Score
        Source-only and others, on the same rows; empty without labels of the target.
    gain : Gain or None
        Of the best adapter over the same learner without adaptation, paired on the same rows.
    gain_of : str
        Which adapter that is: what is handed back, unless that does not adapt.
    corrected : bool
        What picking the best on the same labels costs is taken off score and gain.
    why : str
        Why this one is handed back.
    over_alone : Gain or None
        Of what is handed back over the target's labels alone: not to transfer at all.
    candidates : tuple of Candidate
        What took part, with the scores that chose.
    chose_by : str
        What the scores of the candidates are.
    decisions : tuple of Decision
    seconds : float
    seed : int
    contents : BundleContents
    skipped : tuple of Skipped
    """

    source: Task
    target: Task
    view: DomainView
    shift: Shift | None
    metric: str
    judged_by: str
    chosen: Candidate
    score: Score | None
    baselines: Mapping[str, Score]
    gain: Gain | None
    gain_of: str
    corrected: bool
    why: str
    over_alone: Gain | None
    candidates: tuple[Candidate, ...]
    chose_by: str
    decisions: tuple[Decision, ...]
    seconds: float
    seed: int
    contents: bundle.BundleContents
    skipped: tuple[Skipped, ...] = ()

    @property
    def n_labels(self) -> int:
        """How many items of the target have a label."""
        assert self.target.labels is not None
        return sum(label is not None for label in self.target.labels)

    @property
    def adapted(self) -> bool:
        """Whether what is handed back learnt from both domains."""
        return self.chosen.strategy not in UNADAPTED

    @cached_property
    def model(self) -> bundle.Bundle:
        """The model, ready to predict items of the target."""
        return bundle.in_memory(self.contents)

    def predict(self, items: Any) -> AnyArray:
        """Return the predicted label of each item of the target domain."""
        return self.model.predict(items)

    def predict_proba(self, items: Any) -> FloatArray:
        """Return the probability of each class, in the order of ``source.classes``."""
        return self.model.predict_proba(items)

    @cached_property
    def evidence(self) -> bundle.Evidence:
        """What a report shows: items of both domains on a map, and how the domains differ."""
        return collect_domains(
            self.source,
            self.target,
            (self.view.X, self.view.target),
            self.model,
            shift=self.shift,
            by=self.judged_by,
            metric=self.metric,
            learnt=self.chosen.strategy != "source-only",
            seed=self.seed,
        )

    def save(
        self,
        path: str | Path,
        *,
        standalone: bool = False,
        overwrite: bool = False,
        items: bool = True,
    ) -> Path:
        """Write the model as a bundle; see ``Result.save``.

        Raises
        ------
        BundleError
            Where the path is taken.
        """
        contents = replace(
            self.contents,
            standalone=standalone and bool(self.contents.source),
            evidence=self.evidence if items else self.evidence.without_items(),
        )
        return bundle.save(path, contents, overwrite=overwrite)

    def picture(self, path: str | Path) -> None:
        """Draw both domains, and the shares of classes or the columns that differ.

        Parameters
        ----------
        path : path
            Ends in ``.png`` or ``.svg``.

        Raises
        ------
        OptionError
            Another ending, or domains without a feature in common.
        MissingExtraError
            matplotlib is not installed.
        """
        if self.shift is None:
            raise OptionError(
                "domains without a feature in common cannot be drawn in one picture",
                where=str(path),
            )
        from headstart.evaluate.shift_picture import shift_picture

        shift_picture(self.shift, self.view.X, self.view.target, path)

    def sentences(self) -> tuple[str, ...]:
        """Return what matters: the shift, what adapting is worth, and what you get."""
        found = [] if self.shift is None else [self.shift.sentences()[0]]
        return (*found, self._worth(), *self._alone(), f"You get {self.chosen.name}.")

    def _alone(self) -> tuple[str, ...]:
        """Return what the source is worth beside the target's own labels."""
        g = self.over_alone
        if g is None or (self.gain is not None and self.gain.baseline == "target-only"):
            return ()
        said = worth(g, self.chosen.strategy, "the target's own labels", "the same items")
        return (said,)

    def _worth(self) -> str:
        if self.gain is None and self.score is not None:
            s = self.score
            return (
                f"Nothing was compared: {s.metric} {s.estimate:.3f} [{s.low:.3f}, {s.high:.3f}] on "
                f"{self.judged_by}."
            )
        if self.gain is None:
            return (
                f"Nothing is measured on the target: {self.judged_by}. Thirty to a hundred labels "
                "of it would tell: --target-labels FILE."
            )
        return worth(
            self.gain, self.gain_of, self.gain.baseline, self.judged_by, corrected=self.corrected
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values: what ``headstart transfer --json`` prints."""
        return {
            "task": {
                "modality": self.source.modality,
                "kind": self.source.kind,
                "n": self.source.n,
                "n_target": self.target.n,
                "n_labels": self.n_labels,
                "classes": list(self.source.classes),
                "label": self.source.label_name,
                "skipped": [asdict(item) for item in self.skipped],
            },
            "shift": None if self.shift is None else self.shift.to_json(),
            "judged_by": self.judged_by,
            "corrected": self.corrected,
            "why": self.why,
            "chosen": {"source": self.chosen.source, "strategy": self.chosen.strategy},
            "adapted": self.adapted,
            "score": None if self.score is None else asdict(self.score),
            "baselines": {name: asdict(score) for name, score in self.baselines.items()},
            "gain": None if self.gain is None else {**asdict(self.gain), "of": self.gain_of},
            "gain_over_target_only": None if self.over_alone is None else asdict(self.over_alone),
            "chose_by": self.chose_by,
            "candidates": [_candidate(one) for one in self.candidates],
            "decisions": [str(decision) for decision in self.decisions],
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
        }

    def __str__(self) -> str:
        """Return what matters in one line."""
        return " ".join(self.sentences())


def _candidate(candidate: Candidate) -> dict[str, Any]:
    score = candidate.score
    return {
        "source": candidate.source,
        "strategy": candidate.strategy,
        "estimate": None if score is None else score.estimate,
        "low": None if score is None or math.isnan(score.low) else score.low,
        "high": None if score is None or math.isnan(score.high) else score.high,
        "seconds": round(candidate.seconds, 3),
        "status": candidate.status,
        "reason": candidate.reason,
    }
