"""Transfer learning that proves it helped.

>>> import headstart as hs
>>> result = hs.fit("photos/")                 # doctest: +SKIP
>>> print(result.gain)                         # doctest: +SKIP
+0.183 [0.121, 0.244] over scratch: positive transfer
>>> result.save("model")                       # doctest: +SKIP
>>> hs.load("model").predict(["a.jpg"])        # doctest: +SKIP

Importing headstart is light: a room is loaded when one of its names is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headstart._version import __version__

if TYPE_CHECKING:
    from headstart import (
        bundle,
        data,
        encode,
        evaluate,
        meta,
        select,
        sequences,
        sources,
        strategies,
    )
    from headstart.adapt_result import AdaptResult
    from headstart.bundle import Bundle, SequenceBundle, load
    from headstart.core import errors
    from headstart.core.types import Candidate, Decision, Features, Gain, Score, Task
    from headstart.domain_adapt import adapt
    from headstart.domain_result import DomainResult
    from headstart.domain_transfer import transfer_from
    from headstart.inspection import check
    from headstart.meta.report import MetaResult
    from headstart.metalearning import metatrain
    from headstart.ranking import Ranking, rank_sources
    from headstart.result import Result
    from headstart.sequence_fit import fit_sequences
    from headstart.sequence_result import SequenceResult
    from headstart.transfer import fit
    from headstart.zero_result import ZeroShotResult
    from headstart.zeroshot import zero_shot

__all__ = [
    "AdaptResult",
    "Bundle",
    "Candidate",
    "Decision",
    "DomainResult",
    "Features",
    "Gain",
    "MetaResult",
    "Ranking",
    "Result",
    "Score",
    "SequenceBundle",
    "SequenceResult",
    "Task",
    "ZeroShotResult",
    "__version__",
    "adapt",
    "bundle",
    "check",
    "data",
    "encode",
    "errors",
    "evaluate",
    "fit",
    "fit_sequences",
    "load",
    "meta",
    "metatrain",
    "rank_sources",
    "select",
    "sequences",
    "sources",
    "strategies",
    "transfer_from",
    "zero_shot",
]

_ROOMS = (
    "bundle",
    "data",
    "encode",
    "evaluate",
    "meta",
    "select",
    "sequences",
    "sources",
    "strategies",
)
_HOMES = {
    "AdaptResult": "adapt_result",
    "Bundle": "bundle",
    "DomainResult": "domain_result",
    "adapt": "domain_adapt",
    "transfer_from": "domain_transfer",
    "load": "bundle",
    "Candidate": "core.types",
    "Decision": "core.types",
    "Features": "core.types",
    "Gain": "core.types",
    "Score": "core.types",
    "Task": "core.types",
    "MetaResult": "meta.report",
    "Ranking": "ranking",
    "Result": "result",
    "SequenceBundle": "bundle",
    "SequenceResult": "sequence_result",
    "fit_sequences": "sequence_fit",
    "check": "inspection",
    "fit": "transfer",
    "metatrain": "metalearning",
    "rank_sources": "ranking",
    "ZeroShotResult": "zero_result",
    "zero_shot": "zeroshot",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"headstart.{name}")
    if name == "errors":
        return import_module("headstart.core.errors")
    if name in _HOMES:
        return getattr(import_module(f"headstart.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'headstart' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
