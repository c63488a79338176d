"""The result of ``adapt``: a model changed for a target, or left as it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart import bundle
from headstart.core.types import AnyArray, Decision, FloatArray, Gain, Score, Skipped, Task
from headstart.domain_words import worth

AS_IT_WAS = "as it was"


@dataclass(frozen=True)
class Way:
    """What one way to adapt does to the predictions for the target.

    Parameters
    ----------
    name : str
    changed : float, 0 to 1
        Share of the target's items that get another label than from the model as it was.
    shares : dict of str to float
        Of the predicted classes.
    score : Score or None
        On the labelled items of the target, where there are enough.
    refused : str
        Why it stepped back; empty where it did not.
    """

    name: str
    changed: float
    shares: dict[str, float]
    score: Score | None
    refused: str = ""


@dataclass(frozen=True, eq=False)
class AdaptResult:
    """A model for the target, and what is known of the change.

    Parameters
    ----------
    before : Bundle
        The model as it was.
    target : Task
        ``labels`` holds None where there is no label.
    chosen : str
        The way that is handed back, or "as it was".
    judged_by : str
        What judged, in words; or why nothing did.
    score : Score or None
        Of what is handed back, on labelled items of the target.
    gain : Gain or None
        Of ``gain_of`` over the model as it was.
    gain_of : str
    corrected : bool
        What picking the best on the same labels costs is taken off.
    ways : tuple of Way
    decisions : tuple of Decision
    seconds : float
    seed : int
    contents : BundleContents
    skipped : tuple of Skipped
    """

    before: bundle.Bundle
    target: Task
    chosen: str
    judged_by: str
    score: Score | None
    gain: Gain | None
    gain_of: str
    corrected: bool
    ways: tuple[Way, ...]
    decisions: tuple[Decision, ...]
    seconds: float
    seed: int
    contents: bundle.BundleContents
    skipped: tuple[Skipped, ...] = ()

    @property
    def adapted(self) -> bool:
        """Whether the model was changed."""
        return self.chosen != AS_IT_WAS

    @property
    def n_labels(self) -> int:
        """How many items of the target have a label."""
        assert self.target.labels is not None
        return sum(label is not None for label in self.target.labels)

    @cached_property
    def model(self) -> bundle.Bundle:
        """The model, ready to predict items of the target."""
        return bundle.in_memory(self.contents)

    def predict(self, items: Any) -> AnyArray:
        """Return the predicted label of each item of the target domain."""
        return self.model.predict(items)

    def predict_proba(self, items: Any) -> FloatArray:
        """Return the probability of each class."""
        return self.model.predict_proba(items)

    def save(self, path: str | Path, *, standalone: bool = False, overwrite: bool = False) -> Path:
        """Write the model as a bundle; see ``Result.save``.

        Raises
        ------
        BundleError
            Where the path is taken.
        """
        contents = replace(self.contents, standalone=standalone or self.contents.standalone)
        return bundle.save(path, contents, overwrite=overwrite)

    def sentences(self) -> tuple[str, ...]:
        """Return what adapting is worth, as far as that is known, and what you get."""
        end = (
            f"You get the model changed by {self.chosen}."
            if self.adapted
            else "You get the model as it was."
        )
        if self.gain is None:
            return (
                f"Nothing is measured: {self.judged_by}. Thirty to a hundred labels of the target "
                "would tell: --target-labels FILE.",
                end,
            )
        return worth(
            self.gain, self.gain_of, "the model as it was", self.judged_by, corrected=self.corrected
        ), end

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values: what ``headstart adapt --json`` prints."""
        return {
            "task": {
                "modality": self.target.modality,
                "n_target": self.target.n,
                "n_labels": self.n_labels,
                "classes": list(self.target.classes),
                "skipped": [asdict(item) for item in self.skipped],
            },
            "chosen": self.chosen,
            "adapted": self.adapted,
            "judged_by": self.judged_by,
            "corrected": self.corrected,
            "score": None if self.score is None else asdict(self.score),
            "gain": None if self.gain is None else {**asdict(self.gain), "of": self.gain_of},
            "ways": [asdict(way) for way in self.ways],
            "decisions": [str(decision) for decision in self.decisions],
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
        }

    def __str__(self) -> str:
        """Return what matters in one line."""
        return " ".join(self.sentences())
