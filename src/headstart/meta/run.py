"""One meta-training from end to end: split, train each method, choose, measure, make the source."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.core.types import SILENT, Decision, FloatArray, IntArray, Reporter
from headstart.meta.body import Body, prepared
from headstart.meta.collection import Collection
from headstart.meta.episodes import Episodes, Pool
from headstart.meta.heads import HEADS
from headstart.meta.learners import LEARNERS, Distilled, Learner, answered
from headstart.meta.parts import Parts, split_parts
from headstart.meta.plan import BASELINE, METHODS, Plan
from headstart.meta.report import MetaResult, Row
from headstart.meta.score import gain_of, score_of
from headstart.meta.train import Trained, meta_train
from headstart.sources.backbone import Backbone
from headstart.sources.cards import SourceCard
from headstart.strategies.tuned import tuned_backbone
from headstart.strategies.tuning.items import Items

FROZEN = "frozen"
_TRAINING = 0.9  # share of a method's time that training takes; embedding and heads the rest
_OWN_SHARE = 0.4  # of a method's time that answering test episodes its own way may take
_FEWEST = 20  # episodes that it answers at least


@dataclass(frozen=True, eq=False)
class Answers:
    """What one embedding answers: accuracies, an episode each.

    ``heads`` by head, then by part: "validation", or the shots of a test. ``own`` by shots.
    """

    heads: dict[str, dict[str | int, FloatArray]]
    own: dict[int, FloatArray]
    trained: Trained | None = None

    @property
    def head(self) -> str:
        """The head that the validation classes prefer."""
        return max(self.heads, key=lambda name: float(self.heads[name]["validation"].mean()))

    @property
    def validation(self) -> float:
        """The accuracy of that head on validation episodes."""
        return float(self.heads[self.head]["validation"].mean())


class Run:
    """Meta-trains methods on one collection.

    Parameters
    ----------
    collection : Collection
    base : Backbone
        What training starts from; not changed.
    plan : Plan
    scratch : bool
        The weights of ``base`` are random.
    depth : int or None
        How many of its last blocks train; None: all.
    rotate : bool
        A training class turned by a quarter is another class (images).
    reporter : Reporter
    started : float, optional
        When the budget began to run, as ``time.perf_counter`` tells it; now by default.
    """

    def __init__(
        self,
        collection: Collection,
        base: Backbone,
        plan: Plan,
        *,
        scratch: bool,
        depth: int | None,
        rotate: bool = False,
        reporter: Reporter = SILENT,
        started: float | None = None,
    ) -> None:
        self.began = time.perf_counter() if started is None else started
        self.collection, self.base, self.plan = collection, base, plan
        self.scratch, self.depth, self.reporter = scratch, depth, reporter
        self.parts: Parts = split_parts(collection, plan, rotate=rotate)
        self.decisions: list[Decision] = [*collection.decisions, *self.parts.decisions]
        rng = np.random.default_rng([plan.seed, 1])
        self.valid = _drawn(self.parts.validation, plan, plan.shots, rng)
        self.tests = {
            shots: _drawn(pool, plan, shots, rng) for shots, pool in self.parts.tests.items()
        }
        self.items: Items = prepared(collection.items, base, turned=rotate, reporter=reporter)
        self._ready: Items | None = None
        self._spread: tuple[FloatArray, float] | None = None

    @property
    def places(self) -> IntArray:
        """Every item of the validation and test episodes, sorted."""
        every = [self.valid.places, *(test.places for test in self.tests.values())]
        return np.unique(np.concatenate(every))

    def result(
        self, methods: Sequence[str], *, named: Sequence[str], beside: Mapping[str, FloatArray]
    ) -> MetaResult:
        """Train the methods, choose by the validation classes and measure on the test classes.

        Parameters
        ----------
        methods : sequence of str
            RFS among them.
        named : sequence of str
            Those that the user named: one of them is written. None: the best of all is, and the
            source as it came where no method is better.
        beside : mapping of str to ndarray of shape (len(places), d)
            Features of the items in ``places`` by embeddings to be reported beside.
        """
        answers: dict[str, Answers] = {}
        changed: dict[str, dict[str, FloatArray]] = {}
        if not self.scratch:
            body = self._body(1)
            answers[FROZEN] = self.answers(body.embed(self.places))
        for number, method in enumerate(methods):
            left = self.plan.budget - (time.perf_counter() - self.began)
            seconds = max(_TRAINING * left / (len(methods) - number), 0.0)
            own, cost = self._own_episodes(method, seconds)
            answers[method], changed[method] = self.train(method, seconds - cost, own=own)
        for name, features in beside.items():
            answers[name] = self.answers(features)
        return self.judged(answers, changed, methods=methods, named=named)

    def judged(
        self,
        answers: Mapping[str, Answers],
        changed: Mapping[str, Mapping[str, FloatArray]],
        *,
        methods: Sequence[str],
        named: Sequence[str],
    ) -> MetaResult:
        """Choose what is written by the validation classes, and measure all on the test classes."""
        chosen = self._choose(answers, methods, named)
        made = tuned_backbone(self.base, changed.get(chosen, {}), {})
        rows = tuple(self._row(name, answers) for name in answers)
        return MetaResult(
            chosen=chosen,
            rows=rows,
            card=self._card(chosen),
            backbone=made,
            ways=self.plan.ways,
            shots=self.plan.shots,
            counts=self.parts.counts,
            tasks=self.parts.tasks,
            decisions=tuple(self.decisions),
            skipped=self.collection.skipped,
            seconds=time.perf_counter() - self.began,
            seed=self.plan.seed,
        )

    def _body(self, outputs: int) -> Body:
        train = self.parts.train
        rng = np.random.default_rng([self.plan.seed, 2])
        body = Body(
            self.base,
            self.items,
            outputs=outputs,
            depth=self.depth,
            scratch=self.scratch,
            sample=rng.permutation(train.places),
            ready=self._ready,
            spread=self._spread,
            reporter=self.reporter,
        )
        self._ready, self._spread = body.items, body.spread
        return body

    def _learner(self, method: str, stage: int = 0) -> Learner:
        kind = LEARNERS[method]
        body = self._body(kind.outputs(self.plan, self.parts.train))
        rng = np.random.default_rng([self.plan.seed, 3, list(METHODS).index(method), stage])
        return kind(body, self.parts.train, self.plan, rng)

    def train(
        self,
        method: str,
        seconds: float,
        *,
        own: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> tuple[Answers, dict[str, FloatArray]]:
        """Train one method and let it answer; return that, and what it changed in the backbone.

        Parameters
        ----------
        method : str
        seconds : float
            Of training.
        own : int, optional
            How many test episodes it answers its own way; all by default.
        clock : callable
            What the seconds are read from.
        """
        learner = self._learner(method)
        few = self.valid.take(slice(0, self.plan.validation_episodes))
        how: dict[str, Any] = {"reporter": self.reporter, "clock": clock}
        if isinstance(learner, Distilled):
            first = self._learner(BASELINE)
            meta_train(first, few, seconds=seconds / 2, name=f"{method} (teacher)", **how)
            first.body.network.eval()
            learner.teacher, seconds = first.body, seconds / 2
        trained = meta_train(learner, few, seconds=seconds, name=method, **how)
        features = learner.body.embed(self.places)
        answers = self.answers(features)
        for shots, test in self.tests.items():
            asked = test.take(slice(0, own))
            asked = asked if learner.adapts else self._local(asked)
            answers.own[shots] = learner.accuracies(asked, features)
        self.reporter.say(
            f"{method}: {trained.steps} steps in {trained.seconds:.0f} s ({trained.why}), "
            f"the best after {trained.best_step}; validation accuracy {answers.validation:.3f}."
        )
        return replace(answers, trained=trained), learner.body.changed()

    def _own_episodes(self, method: str, seconds: float) -> tuple[int, float]:
        """Return how many test episodes a method answers its own way, and how long that takes."""
        learner, began = self._learner(method), time.perf_counter()
        if not learner.adapts:
            return self.plan.episodes, 0.0
        for _ in range(2):  # the first round prepares memory
            began = time.perf_counter()
            for test in self.tests.values():
                learner.accuracies(test.take(slice(0, 1)), np.empty(0))
        each = time.perf_counter() - began
        most = int(_OWN_SHARE * seconds / max(each, 1e-9))
        count = min(self.plan.episodes, max(_FEWEST, most))
        if count < self.plan.episodes:
            self.decisions.append(
                Decision(
                    f"{method} answers {count} of {self.plan.episodes} test episodes its own way",
                    "it adapts the whole network to each, and the budget is short",
                    "--budget gives more",
                )
            )
        return count, count * each

    def _local(self, episodes: Episodes) -> Episodes:
        """Return episodes whose places are rows of ``places``."""
        places = self.places
        return Episodes(
            np.searchsorted(places, episodes.support), np.searchsorted(places, episodes.query)
        )

    def answers(self, features: FloatArray) -> Answers:
        """Answer all episodes with both heads on the features of ``places``."""
        parts: dict[str | int, Episodes] = {"validation": self.valid}
        parts |= dict(self.tests.items())
        heads = {
            name: {
                part: answered(self._local(episodes), features, head)
                for part, episodes in parts.items()
            }
            for name, head in HEADS.items()
        }
        return Answers(heads, {})

    def _choose(
        self, answers: Mapping[str, Answers], methods: Sequence[str], named: Sequence[str]
    ) -> str:
        """Return what is written: of equals the one that was trained less."""
        simple = [name for name in (FROZEN, BASELINE) if name in answers]
        field = list(named) or list(dict.fromkeys([*simple, *methods]))
        best = max(field, key=lambda name: answers[name].validation)
        found = ", ".join(f"{name} {answers[name].validation:.3f}" for name in field)
        self.decisions.append(
            Decision(
                f"{best} is written",
                f"accuracy on {self.plan.shots}-shot episodes of the validation classes: {found}",
                "--method takes another",
            )
        )
        return best

    def _row(self, name: str, answers: Mapping[str, Answers]) -> Row:
        found, rfs = answers[name], answers[BASELINE]
        chosen, against = found.heads[found.head], rfs.heads[rfs.head]
        paired = (
            {}
            if name == BASELINE
            else {
                shots: gain_of(chosen[shots], against[shots], baseline=BASELINE)
                for shots in self.tests
            }
        )
        own = (
            {}
            if name == BASELINE
            else {
                shots: gain_of(values, rfs.own[shots][: len(values)], baseline=BASELINE)
                for shots, values in found.own.items()
            }
        )
        return Row(
            name=name,
            head=found.head,
            validation=found.validation,
            as_source={shots: score_of(chosen[shots]) for shots in self.tests},
            own={shots: score_of(values) for shots, values in found.own.items()},
            over_rfs=paired,
            own_over_rfs=own,
            trained=found.trained,
        )

    def _card(self, chosen: str) -> SourceCard:
        """Return what is known of the source made."""
        base, data = self.base.card, self.collection.origin.rstrip("/").rpartition("/")[2]
        what = f"{self.parts.counts['train']} classes of {data!r}"
        terms = f"that of the data it was trained on ({data!r}; headstart does not know it)"
        start = "" if self.scratch else f"{base.pretrained_on}; then "
        if chosen == FROZEN:
            return replace(base, title=f"{base.title}, as it came (no method was better)")
        return replace(
            base,
            title=f"{base.title}, meta-trained ({chosen})",
            pretrained_on=f"{start}{what}",
            licence=terms if self.scratch else f"{base.licence}, and {terms}",
            licence_package="none",
            permissive=False,
            paper=METHODS[chosen] + (f"; {base.paper}" if base.paper else ""),
            prior_source=base.prior_source if not self.scratch else "none: meta-trained",
            origin={
                "method": chosen,
                "start": None if self.scratch else base.name,
                "data": data,
                "classes": self.parts.counts["train"],
                "seed": self.plan.seed,
            },
        )


def _drawn(pool: Pool, plan: Plan, shots: int, rng: np.random.Generator) -> Episodes:
    queries = pool.queries(shots, plan.queries)
    return pool.draw(plan.episodes, ways=plan.ways, shots=shots, queries=queries, rng=rng)
