"""The sequences room: tasks whose answer is no class and no number, but text, tags or a span.

Speech to text, question answering, token classification, translation and summarization. A kind of
task reads its data, says who takes part, and opens what was saved; ``run`` compares them.
"""

from __future__ import annotations

from headstart.sequences.base import Answer, Contender, Examples, Model, Plan, Reading, SequenceKind
from headstart.sequences.kinds import SEQUENCE_TASKS, kind_of

__all__ = [
    "SEQUENCE_TASKS",
    "Answer",
    "Contender",
    "Examples",
    "Model",
    "Plan",
    "Reading",
    "SequenceKind",
    "kind_of",
]
