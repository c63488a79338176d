"""A reporter that keeps what it is told."""

from __future__ import annotations


class Told:
    """Keeps lines and progress."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.seen: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(
        self, stage: str, done: int, total: int | None, unit: str = "items", detail: str = ""
    ) -> None:
        self.seen.append(stage)
