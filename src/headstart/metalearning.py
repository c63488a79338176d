"""FRONT DOOR of meta-learning: from many small tasks to a source for the next one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from headstart.core.types import SILENT, Decision, Modality, Reporter
from headstart.select import seconds_of

if TYPE_CHECKING:
    from headstart.meta.report import MetaResult

DEFAULT_BUDGET = "10m"


def metatrain(
    tasks: Any,
    *,
    method: str | Sequence[str] | None = None,
    ways: int = 5,
    shots: int = 1,
    source: str | None = None,
    modality: Modality | None = None,
    label: str | None = None,
    text: str | None = None,
    path: str | None = None,
    rotate: bool = False,
    depth: int | None = None,
    size: int | None = None,
    width: int = 64,
    steps: int = 3000,
    episodes: int = 600,
    budget: str | float = DEFAULT_BUDGET,
    seed: int = 0,
    reporter: Reporter = SILENT,
) -> MetaResult:
    """Meta-train a source on many small tasks, and measure it on classes it has not seen.

    Parameters
    ----------
    tasks : path, dict of str to DATA, or DATA
        A folder of many small tasks (sub-folders of class folders, or tables), a dict of them,
        or one DATA with many classes, from which tasks are drawn.
    method : str or list of str, optional
        Of ``headstart.meta.METHODS``: "protonet", "anil", "fomaml", "maml", "reptile", "rfs",
        "rfs-distill". RFS, a plain classifier of the same classes, is trained beside in any case.
        Named ones are written; by default ProtoNet and RFS are trained and the better is.
    ways, shots : int
        Classes of an episode (at least 2), and labelled items of each.
    source : str, optional
        What training starts from; by default random weights for images, MiniLM for texts.
    modality, label, text, path
        As for ``fit``; they hold for every task.
    rotate : bool
        A training class turned by a quarter counts as another class, as on Omniglot.
    depth : int, optional
        How many of the last blocks train; by default all from random weights, and a third of the
        blocks of a source.
    size : int, optional
        Pixels of a side that the network from random weights sees: 32 or 64 by default.
    width : int
        Its channels.
    steps : int
        Steps of meta-training of each method, if the budget lasts.
    episodes : int
        Over how many episodes of unseen classes is measured.
    budget : str or float
        Time that all of it may take: "90s", "10m", "1h".
    seed : int
        Same seed, data and versions, and a budget that does not cut: same source to the bit.
    reporter : Reporter

    Returns
    -------
    MetaResult
        ``save(path)`` writes the source; ``rows`` say what each method reaches.

    Raises
    ------
    DataError, OptionError, UnknownNameError, SourceError

    Examples
    --------
    >>> import headstart as hs
    >>> result = hs.metatrain("alphabets/", budget="5m")        # doctest: +SKIP
    >>> result.save("letters")                                  # doctest: +SKIP
    >>> hs.fit("runes/", source="letters")                      # doctest: +SKIP
    """
    from headstart import meta
    from headstart.meta import start
    from headstart.meta.plan import chosen_methods

    started = time.perf_counter()
    named = [method] if isinstance(method, str) else list(method or ())
    methods = chosen_methods(named)
    seconds = seconds_of(budget)
    plan = meta.Plan(
        ways=ways, shots=shots, episodes=episodes, steps=steps, budget=seconds, seed=seed
    )
    collection = meta.read_collection(
        tasks, label=label, text=text, path=path, modality=modality, reporter=reporter
    )
    base, decisions = start.start_from(collection, source, size=size, width=width, seed=seed)
    scratch = base.card.family == "conv4" and source is None
    run = meta.Run(
        collection,
        base,
        plan,
        scratch=scratch,
        depth=start.depth_of(base, depth, scratch=scratch),
        rotate=rotate,
        reporter=reporter,
        started=started,
    )
    beside, more = start.beside(collection, run.places, scratch=scratch, reporter=reporter)
    run.decisions += [*decisions, *more, _split(run)]
    for decision in run.decisions:
        reporter.say(str(decision))
    return run.result(methods, named=named, beside=beside)


def _split(run: Any) -> Decision:
    counts, tasks = run.parts.counts, run.parts.tasks
    what = tasks or counts
    unit = "tasks" if tasks else "classes"
    return Decision(
        f"{what['train']} {unit} train, {what['validation']} choose, {what['test']} judge",
        "what judges has neither trained nor chosen",
    )
