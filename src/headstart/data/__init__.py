"""The data room: files and tables -> items, labels, groups; checks; splits.

Public names are imported when they are first asked for, so that importing the room is cheap.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.data.audio import audio_facts as audio_facts
    from headstart.data.audio import audio_windows as audio_windows
    from headstart.data.audio import read_audio as read_audio
    from headstart.data.check import check as check
    from headstart.data.class_list import ClassList as ClassList
    from headstart.data.class_list import read_classes as read_classes
    from headstart.data.columns import column_types as column_types
    from headstart.data.content import content_hash as content_hash
    from headstart.data.duplicates import duplicate_groups as duplicate_groups
    from headstart.data.examples import EXAMPLES as EXAMPLES
    from headstart.data.examples import Example as Example
    from headstart.data.examples import fetch_example as fetch_example
    from headstart.data.findings import CheckReport as CheckReport
    from headstart.data.findings import Finding as Finding
    from headstart.data.for_classes import read_for_classes as read_for_classes
    from headstart.data.for_target import Target as Target
    from headstart.data.for_target import read_target as read_target
    from headstart.data.images import read_image as read_image
    from headstart.data.inputs import read_inputs as read_inputs
    from headstart.data.languages import Languages as Languages
    from headstart.data.languages import detect as detect
    from headstart.data.reading import read as read
    from headstart.data.splits import shots as shots
    from headstart.data.splits import split as split
    from headstart.data.suspects import suspects as suspects

_HOMES = {
    "CheckReport": "findings",
    "ClassList": "class_list",
    "EXAMPLES": "examples",
    "Example": "examples",
    "Finding": "findings",
    "Languages": "languages",
    "Target": "for_target",
    "audio_facts": "audio",
    "audio_windows": "audio",
    "check": "check",
    "column_types": "columns",
    "content_hash": "content",
    "detect": "languages",
    "duplicate_groups": "duplicates",
    "fetch_example": "examples",
    "read": "reading",
    "read_audio": "audio",
    "read_classes": "class_list",
    "read_for_classes": "for_classes",
    "read_image": "images",
    "read_inputs": "inputs",
    "read_target": "for_target",
    "shots": "splits",
    "split": "splits",
    "suspects": "suspects",
}

__all__ = [
    "EXAMPLES",
    "CheckReport",
    "ClassList",
    "Example",
    "Finding",
    "Languages",
    "Target",
    "audio_facts",
    "audio_windows",
    "check",
    "column_types",
    "content_hash",
    "detect",
    "duplicate_groups",
    "fetch_example",
    "read",
    "read_audio",
    "read_classes",
    "read_for_classes",
    "read_image",
    "read_inputs",
    "read_target",
    "shots",
    "split",
    "suspects",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


class _Room(ModuleType):
    """Keeps ``headstart.data.check`` the function, also once the file of that name is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Room
