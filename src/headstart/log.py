"""The log of a run: decisions, said as they are made and kept for the result."""

from __future__ import annotations

from headstart.core.types import Decision, Reporter


class Log:
    """Collects decisions and says each one as it is made."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.decisions: list[Decision] = []

    def add(self, *decisions: Decision) -> None:
        """Say decisions, and keep them."""
        for decision in decisions:
            self.reporter.say(str(decision))
        self.keep(*decisions)

    def keep(self, *decisions: Decision) -> None:
        """Keep what was said already."""
        self.decisions += decisions
