"""The outer loop that all methods share: steps, looks at the validation classes, the best kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from headstart.core.errors import OptionError
from headstart.core.types import Reporter
from headstart.meta.episodes import Episodes
from headstart.meta.heads import logistic, prototypes
from headstart.meta.learners import CLIP, Learner, answered

LOOKS, FEWEST_LOOKS = 20, 4
OWN = 40  # validation episodes that a method which adapts the whole network answers a look
TIMED = (2, 6)  # the steps whose time tells how many the budget allows
SPARE = 0.95  # share of the time that is planned with
LOOKING = 0.25  # share of a time that is too short that looks may take


@dataclass(frozen=True)
class Trained:
    """How a training went.

    Parameters
    ----------
    steps, planned : int
        Made, and asked for.
    best_step : int
        Of the state that was kept; 0: nothing was better than the start.
    why : str
        Why it ended.
    seconds : float
    history : list of dict
        A look each: step, loss, accuracy on validation episodes.
    """

    steps: int
    planned: int
    best_step: int
    why: str
    seconds: float
    history: list[dict[str, float]] = field(default_factory=list)


def meta_train(
    learner: Learner,
    valid: Episodes,
    *,
    seconds: float,
    name: str,
    reporter: Reporter,
    clock: Callable[[], float] = time.perf_counter,
) -> Trained:
    """Train; leave the state in place that answers the validation episodes best.

    The number of steps is that of the plan, or what the time allows if that is less, told from
    the first steps; the rate falls over this number. Runs that the time does not shorten are
    the same to the bit.

    Parameters
    ----------
    learner : Learner
    valid : Episodes
        Of classes that do not train.
    seconds : float
        What it may take.
    name : str
        For the progress.
    reporter : Reporter
    clock : callable
        What time is read from.

    Raises
    ------
    OptionError
        Training diverged.
    """
    began = clock()
    optimiser = learner.optimiser()
    peaks = [group["lr"] for group in optimiser.param_groups]
    planned = total = learner.plan.steps
    looks = LOOKS
    _look(learner, valid.take(slice(0, 2)))  # the first call prepares memory
    started = clock()
    best, best_step, since = _look(learner, valid), 0, 0
    kept = learner.body.copy()
    history = [{"step": 0, "loss": math.nan, "accuracy": best}]
    looking = clock() - started
    marks: list[float] = []
    losses: list[float] = []
    step, why = 0, "all steps made"
    while step < total:
        losses.append(_step(learner, optimiser, peaks, step / total))
        step += 1
        if step in TIMED and planned > TIMED[1]:
            marks.append(clock())
            if len(marks) == len(TIMED):
                each = max((marks[1] - marks[0]) / (TIMED[1] - TIMED[0]), 1e-9)
                left = SPARE * (seconds - (marks[1] - began))
                total, looks = _affordable(planned, step, each, looking, left)
        late = clock() - began > seconds
        looked = step % max(1, total // looks) == 0
        reporter.progress(
            f"meta-training {name}",
            step,
            total,
            "steps",
            f"loss {np.mean(losses[-20:]):.3f}, validation accuracy {best:.3f}",
        )
        if not (looked or late or step == total):
            continue
        found = _look(learner, valid)
        history.append({"step": step, "loss": float(np.mean(losses)), "accuracy": found})
        losses = losses[-20:]
        since = 0 if found > best else since + 1
        if found > best:
            best, best_step, kept = found, step, learner.body.copy()
        if late or since >= learner.plan.patience:
            why = "the time is up" if late else "the validation classes got no better"
            break
    if total < planned and why == "all steps made":
        why = "the budget allowed no more steps"
    learner.body.restore(kept)
    reporter.progress(f"meta-training {name}", total, total, "steps")
    return Trained(step, planned, best_step, why, clock() - began, history)


def _affordable(
    planned: int, done: int, each: float, looking: float, left: float
) -> tuple[int, int]:
    """Return how many steps and looks fit into the time that is left; all if they do."""
    if (planned - done) * each + LOOKS * looking <= left:
        return planned, LOOKS
    looks = int(min(LOOKS, max(FEWEST_LOOKS, LOOKING * left / max(looking, 1e-9))))
    return int(min(planned, done + max(0.0, (left - looks * looking) // each))), looks


def _step(learner: Learner, optimiser: Any, peaks: list[float], progress: float) -> float:
    optimiser.zero_grad(set_to_none=True)
    loss = learner.step()
    if not math.isfinite(loss):
        raise OptionError(
            "meta-training diverged: the loss is no number any more",
            where=learner.name,
            got=loss,
            hint="another --method, or more shots",
        )
    for group, peak in zip(optimiser.param_groups, peaks, strict=True):
        group["lr"] = peak * learner.factor(progress)
    if not isinstance(optimiser, torch.optim.SGD):
        torch.nn.utils.clip_grad_norm_(learner.body.parameters.values(), CLIP)
    optimiser.step()
    return loss


def _look(learner: Learner, valid: Episodes) -> float:
    """Return the accuracy on validation episodes: what says which state is kept.

    By the better of the two heads on frozen features; a method that adapts the whole network
    answers some of the episodes its own way, as its paper keeps it.
    """
    if learner.adapts:
        return float(learner.accuracies(valid.take(slice(0, OWN)), np.empty(0)).mean())
    places = valid.places
    features = learner.body.embed(places)
    local = Episodes(np.searchsorted(places, valid.support), np.searchsorted(places, valid.query))
    return max(float(answered(local, features, head).mean()) for head in (logistic, prototypes))
