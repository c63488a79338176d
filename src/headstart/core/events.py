"""Facts of a run, told while it runs: what a page can draw, beside what a terminal can print.

A reporter that has a method ``event(name, **facts)`` is told them; any other is left alone, and
what it costs to find a fact out is not spent on it. Nothing that a reporter does with a fact may
change a run. These are told:

``racing``
    ``candidates`` (their names), ``folds`` (how many), ``metric``, ``higher`` (whether higher is
    better), ``baselines``: the candidates that are about to predict fold by fold.
``fold``
    ``candidate``, ``done``, ``folds``, ``score`` (over the folds so far), ``seconds``.
``outcome``
    ``candidate``, ``score``, ``seconds``, ``state`` ("measured", "dropped", "failed" or
    "left out") and ``reason``: a candidate takes part no more.
``curve``
    ``n`` (labels), ``unit``, ``repeat`` (-1 for the last point, all there is), ``transfer`` and
    ``scratch`` (scores), ``of`` (whose curve it is).
``chosen``
    ``candidate``, ``score``, ``low``, ``high``, ``metric``, ``headline``.
"""

from __future__ import annotations

from typing import Any

from headstart.core.types import Reporter


def hears(reporter: Reporter) -> bool:
    """Say whether a reporter takes facts."""
    return callable(getattr(reporter, "event", None))


def tell(reporter: Reporter, name: str, **facts: Any) -> None:
    """Tell a reporter a fact, if it takes any.

    Parameters
    ----------
    reporter : Reporter
    name : str
        Which fact: one of those above.
    **facts
        What JSON can hold.

    Examples
    --------
    >>> from headstart.core.events import tell
    >>> class Hearing:
    ...     def event(self, name, **facts):
    ...         print(name, facts)
    >>> tell(Hearing(), "fold", done=1)
    fold {'done': 1}
    """
    if hears(reporter):
        reporter.event(name, **facts)  # type: ignore[attr-defined]
