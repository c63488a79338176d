"""Which sequence tasks there are: a file a kind, loaded when it is first asked for."""

from __future__ import annotations

from importlib import import_module

from headstart.core.errors import UnknownNameError
from headstart.sequences.base import SequenceKind

_HOMES = {
    "speech-to-text": ("speech", "SpeechToText"),
    "question-answering": ("questions", "QuestionAnswering"),
    "token-classification": ("tagging", "TokenClassification"),
    "translation": ("text_to_text", "Translation"),
    "summarization": ("text_to_text", "Summarization"),
}
SEQUENCE_TASKS = tuple(_HOMES)


def kind_of(task: str) -> SequenceKind:
    """Return the kind of task of a name.

    Parameters
    ----------
    task : str
        One of ``SEQUENCE_TASKS``.

    Raises
    ------
    UnknownNameError
    """
    if task not in _HOMES:
        raise UnknownNameError("task", task, SEQUENCE_TASKS)
    module, name = _HOMES[task]
    made: SequenceKind = getattr(import_module(f"headstart.sequences.{module}"), name)()
    return made
