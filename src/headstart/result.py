"""The result of ``fit``: the better model, and what is known about it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart import bundle, encode, sources
from headstart.core.types import (
    AnyArray,
    Candidate,
    Decision,
    FloatArray,
    Gain,
    Score,
    Skipped,
    State,
    Task,
)
from headstart.data.languages import Languages
from headstart.evaluate import METRICS, Curve, Multiplier, label_multiplier, labels_to_settle
from headstart.evaluate.curve_facts import facts, points, sentences
from headstart.evaluate.curve_measures import as_plain
from headstart.evidence import Judging, collect
from headstart.select import Abstention, Answering, Entry, Judged, why_scratch
from headstart.select.label_next import Advice, ClassNeed, Suggestion, Suspect, label_next


@dataclass(frozen=True, eq=False)
class Result:
    """A model with its measured gain.

    Parameters
    ----------
    task : Task
        What it was trained on.
    metric : str
    judged_by : str
        Which items judged, in words.
    chosen : Candidate
        What is handed back.
    score : Score
        Of what is handed back, on the judging items.
    majority, scratch : Score
        The baselines on the same items.
    gain : Gain
        Of the best transfer candidate over scratch, paired on the same items.
    transfer : Candidate or None
        The best transfer candidate; None where none took part.
    transfer_score : Score or None
        Its score on the judging items.
    candidates : tuple of Candidate
        All that raced, with their out-of-fold scores: these chose, they do not judge.
    decisions : tuple of Decision
        Every automatic decision, in the order made.
    seconds : float
    seed : int
    contents : BundleContents
        The fitted model as data.
    skipped : tuple of Skipped
        Items of the training and the test part that were left out, each with its reason.
    curve : Curve or None
        How transfer and scratch learn from few labels and from more, where it was measured.
    about_labels : Advice
        Labels that are probably wrong, and the classes that are recognised worst.
    label_these : tuple of Suggestion
        Which of the rows of DATA that have no label to label next, the most useful first.
    answering : Answering
        How sure the model is, and when it abstains.
    judging : Judging or None
        What judged, item by item; None where nothing was held out.
    """

    task: Task
    metric: str
    judged_by: str
    chosen: Candidate
    score: Score
    majority: Score
    scratch: Score
    gain: Gain
    transfer: Candidate | None
    transfer_score: Score | None
    candidates: tuple[Candidate, ...]
    decisions: tuple[Decision, ...]
    seconds: float
    seed: int
    contents: bundle.BundleContents
    skipped: tuple[Skipped, ...] = ()
    curve: Curve | None = None
    about_labels: Advice = field(default_factory=Advice)
    label_these: tuple[Suggestion, ...] = ()
    answering: Answering = field(default_factory=Answering)
    judging: Judging | None = None

    @property
    def abstention(self) -> Abstention | None:
        """When the model abstains and what that is worth; None where it always answers."""
        return self.answering.abstention

    @property
    def suspects(self) -> tuple[Suspect, ...]:
        """Labels of the training part that are probably wrong, the most suspect first."""
        return self.about_labels.suspects

    @property
    def neediest(self) -> tuple[ClassNeed, ...]:
        """The classes that are recognised worst out of fold: more labels gain most there."""
        return self.about_labels.neediest

    @cached_property
    def label_multiplier(self) -> Multiplier | None:
        """How many times as many labels scratch needs for the same score as transfer."""
        return None if self.curve is None else label_multiplier(self.curve)

    @cached_property
    def model(self) -> bundle.Bundle:
        """The model, ready to predict."""
        return bundle.in_memory(self.contents)

    def predict(self, items: Any) -> AnyArray:
        """Return the predicted label of each item: texts, images, or the rows of a table."""
        return self.model.predict(items)

    def predict_proba(self, items: Any) -> FloatArray:
        """Return the probability of each class, in the order of ``task.classes``."""
        return self.model.predict_proba(items)

    def label_next(self, items: Any, n: int = 10) -> list[Suggestion]:
        """Return which of some unlabelled items to label next, the most useful first.

        Those the model is unsure of, and no two that are alike (BADGE, Ash et al., ICLR 2020).

        Parameters
        ----------
        items : texts, images, or the rows of a table
        n : int
            How many.

        Returns
        -------
        list of Suggestion
            Each with its ``place`` among the items, and the ``reason``.

        Raises
        ------
        OptionError
            ``n`` is below 1; or numbers are predicted without a source, so that nothing tells
            the items apart.
        """
        chances = self.model.predict_proba(items) if self.task.classes else None
        seen = known = None
        if self.contents.source is not None:
            seen = encode.features(items, self.model.backbone()).array
            if chances is None:
                known = encode.features(self.task.items, self.model.backbone()).array
        return label_next(
            chances, seen, n, classes=self.task.classes, labelled=known, seed=self.seed
        )

    @cached_property
    def evidence(self) -> bundle.Evidence | None:
        """What a report shows: items on a map, mistakes and why, measures by class, problems."""
        return None if self.judging is None else collect(self.judging, self.model)

    def save(
        self,
        path: str | Path,
        *,
        standalone: bool = False,
        overwrite: bool = False,
        items: bool = True,
    ) -> Path:
        """Write the model as a bundle: a directory of JSON and safetensors.

        Parameters
        ----------
        path : path
            The directory; it appears whole or not at all.
        standalone : bool
            Put the source's weights into it, so that it needs nothing else.
        overwrite : bool
            Replace a bundle that is there. Another kind of file or directory is never replaced.
        items : bool
            Keep small previews of up to 1,000 items for reports: pictures of 56 pixels, beginnings
            of texts, moments of sound, values of rows. False keeps their names and numbers only.

        Raises
        ------
        BundleError
            Where the path is taken.
        """
        # a model without a source carries all that it needs in any case
        evidence, decisions = self._evidence_or_why()
        if evidence is not None and not items:
            evidence = evidence.without_items()
        contents = replace(
            self.contents,
            standalone=standalone and bool(self.contents.source),
            evidence=evidence,
            decisions=(*self.contents.decisions, *decisions),
        )
        return bundle.save(path, contents, overwrite=overwrite)

    def _evidence_or_why(self) -> tuple[bundle.Evidence | None, tuple[Decision, ...]]:
        """Return the evidence; or none, and why: a fitted model is never lost for its report."""
        try:
            return self.evidence, ()
        except Exception as error:  # an item that was moved meanwhile, memory, whatever it is
            what = "the model keeps no evidence for its report"
            return None, (Decision(what, f"{type(error).__name__}: {error}", "fit again"),)

    def enrol(self, name: str, items: Any) -> bundle.Bundle:
        """Return a model that also knows a new class, from one example or a few; no training.

        As ``model.enrol``: the result itself stays as it is.
        """
        return self.model.enrol(name, items)

    def judged_scores(self) -> list[tuple[str, Score]]:
        """Return what was judged, by name: the best transfer candidate and the baselines."""
        rows = [("scratch", self.scratch), ("majority", self.majority)]
        if self.transfer is not None and self.transfer_score is not None:
            rows.insert(0, (self.transfer.name, self.transfer_score))
        return rows

    def ranked(self) -> list[Candidate]:
        """Return the candidates, best out-of-fold score first; those without a score last."""
        sign = METRICS[self.metric].sign
        return sorted(
            self.candidates,
            key=lambda one: (one.score is None, -sign * one.score.estimate if one.score else 0.0),
        )

    def advice(self) -> list[str]:
        """Return what to try next, one line each."""
        lines = []
        settle = labels_to_settle(self.gain)
        if self.gain.verdict == "inconclusive" and self.transfer is not None and settle:
            lines.append(
                f"about {settle:,} judged items would settle it, 4 times of 5 (now {self.gain.n:,})"
            )
        if self.transfer is None and sources.default_source(self.task.modality) is None:
            lines.append("headstart has no pretrained source for this kind of data yet")
        elif self.transfer is not None and (
            self.gain.verdict in ("none", "negative") or self.chosen.strategy == "scratch"
        ):
            lines.append(
                f"another source may suit your data better: "
                f"`headstart sources --modality {self.task.modality}`, then fit with --source"
            )
        if any(candidate.status == "failed" for candidate in self.candidates):
            lines.append("a candidate failed: its reason stands in the table")
        return lines

    def headline(self) -> str:
        """Return what matters in one line: what transfer is worth here, and what you get."""
        return " ".join(self.sentences())

    def sentences(self) -> tuple[str, ...]:
        """Return the headline in its sentences: what transfer is worth, and what you get."""
        if self.transfer is None:
            return (f"No transfer was tried: you get {self.chosen.name}.",)
        where = self.transfer.name
        size, interval = _amount(self.gain)
        kept = self.chosen.strategy != "scratch"
        worth = {
            "positive": f"Positive transfer: {where} is worth {size} {interval} over scratch.",
            "negative": f"Negative transfer: {where} costs {size} {interval} against scratch.",
            "none": f"No difference that matters: {where} against scratch is {size} {interval}.",
            "inconclusive": f"Inconclusive: {where} against scratch is {size} {interval}.",
        }
        end = f"You get {self.chosen.name}." if kept else "You get scratch."
        return worth[self.gain.verdict], end

    def curve_sentences(self) -> tuple[str, ...]:
        """Return what the learning curve says, in sentences; nothing where there is none."""
        if self.curve is None:
            return ()
        return sentences(self.curve, transferred=self.chosen.source is not None)

    def explanation(self) -> str:
        """Return why scratch won, where transfer was tried and scratch is handed back."""
        if self.transfer is None or self.chosen.strategy != "scratch":
            return ""
        return why_scratch(self.candidates, self.majority, self.curve, self.task.modality)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values: what ``headstart fit --json`` prints."""
        return {
            "task": {
                "modality": self.task.modality,
                "kind": self.task.kind,
                "n": self.task.n,
                "classes": list(self.task.classes),
                "label": self.task.label_name,
                "skipped": [asdict(item) for item in self.skipped],
            },
            "judged_by": self.judged_by,
            "chosen": {
                "source": self.chosen.source,
                "strategy": self.chosen.strategy,
                "member": self.chosen.member,
            },
            "score": asdict(self.score),
            "baselines": {"majority": asdict(self.majority), "scratch": asdict(self.scratch)},
            "transfer": None
            if self.transfer is None or self.transfer_score is None
            else {
                "source": self.transfer.source,
                "strategy": self.transfer.strategy,
                **asdict(self.transfer_score),
            },
            "gain": asdict(self.gain),
            "candidates": [_candidate(candidate) for candidate in self.candidates],
            "curve": [] if self.curve is None else points(self.curve),
            "label_multiplier": as_plain(self.label_multiplier),
            "learning": None if self.curve is None else facts(self.curve),
            "calibration": self.answering.calibration(),
            "abstention": None if self.abstention is None else self.abstention.to_json(),
            "label_next": [asdict(one) for one in self.label_these],
            "suspects": [asdict(one) for one in self.suspects],
            "neediest": [asdict(one) for one in self.neediest],
            "explanation": self.explanation(),
            "decisions": [str(decision) for decision in self.decisions],
            "seed": self.seed,
            "seconds": round(self.seconds, 2),
        }

    def __str__(self) -> str:
        """Return the headline."""
        return self.headline()


def _amount(gain: Gain) -> tuple[str, str]:
    """Return a gain in the words of its metric: points for shares, units for errors."""
    if gain.metric in ("rmse", "mae", "log_loss"):
        return f"{gain.estimate:+.3f} {gain.metric}", f"[{gain.low:+.3f}, {gain.high:+.3f}]"
    shown = [f"{100 * value:+.1f}" for value in (gain.estimate, gain.low, gain.high)]
    return f"{shown[0]} points of {gain.metric}", f"[{shown[1]}, {shown[2]}]"


def _candidate(candidate: Candidate) -> dict[str, Any]:
    score = candidate.score
    return {
        "source": candidate.source,
        "strategy": candidate.strategy,
        "member": candidate.member,
        "estimate": math.nan if score is None else score.estimate,
        "low": math.nan if score is None else score.low,
        "high": math.nan if score is None else score.high,
        "seconds": round(candidate.seconds, 3),
        "status": candidate.status,
        "reason": candidate.reason,
    }


def put_together(
    *,
    shipped: Entry,
    best: Entry | None,
    state: State,
    train: Task,
    metric: str,
    judged: Judged,
    candidates: tuple[Candidate, ...],
    decisions: tuple[Decision, ...],
    seconds: float,
    seed: int,
    shots: int | None,
    skipped: tuple[Skipped, ...],
    curve: Curve | None = None,
    about_labels: Advice | None = None,
    answering: Answering | None = None,
    features: FloatArray | None = None,
    spoken: Languages | None = None,
    judging: Judging | None = None,
) -> Result:
    """Put together what ``fit`` hands back, from what its steps found.

    ``features`` are those of the training items by the shipped source, not tuned; ``spoken`` are
    the languages of texts.
    """
    baselines = {name: judged.scores[name] for name in ("majority", "scratch")}
    answering = answering or Answering()
    extra: dict[str, Any] = {"judged_by": judged.by, "seed": seed, "shots": shots}
    if train.classes and train.labels is not None:
        extra["class_counts"] = {name: int((train.labels == name).sum()) for name in train.classes}
    extra["transfer"] = best and {
        "source": best.source,
        "strategy": best.strategy,
        **asdict(judged.scores[best.name]),
    }
    if spoken:
        extra["languages"] = spoken.kept()
    contents = bundle.BundleContents(
        modality=train.modality,
        kind=train.kind,
        strategy=shipped.strategy,
        state=state,
        metric=metric,
        classes=train.classes,
        label_name=train.label_name,
        columns=bundle.columns_of(train.items) if train.modality == "table" else (),
        source=sources.card(shipped.source) if shipped.source else None,
        score=judged.scores[shipped.name],
        gain=judged.gain,
        baselines=baselines,
        decisions=decisions,
        candidates=candidates,
        extra={**extra, **_learnt(curve), **answering.facts()},
        fingerprint=train.fingerprint,
        n=train.n,
        answers=answering.answers,
    )
    contents = bundle.with_gallery(contents, train, features)
    return Result(
        task=train,
        metric=metric,
        judged_by=judged.by,
        chosen=Candidate(shipped.strategy, shipped.source, status="chosen", member=shipped.member),
        score=judged.scores[shipped.name],
        majority=baselines["majority"],
        scratch=baselines["scratch"],
        gain=judged.gain,
        transfer=Candidate(best.strategy, best.source, member=best.member) if best else None,
        transfer_score=judged.scores[best.name] if best else None,
        candidates=candidates,
        decisions=decisions,
        seconds=seconds,
        seed=seed,
        contents=contents,
        skipped=skipped,
        curve=curve,
        about_labels=about_labels or Advice(),
        answering=answering,
        judging=judging,
    )


def _learnt(curve: Curve | None) -> dict[str, Any]:
    """Return what a bundle keeps of a learning curve: what ``to_json`` says of it."""
    if curve is None:
        return {}
    times = as_plain(label_multiplier(curve))
    return {"curve": points(curve), "label_multiplier": times, "learning": facts(curve)}
