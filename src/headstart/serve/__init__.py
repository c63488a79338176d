"""The serve room: a bundle and a request in, predictions out. It trains nothing.

Tables of predictions (``predict_inputs``, ``evaluate_model``), and the web service
(``open_predictor``, ``create_app``, ``run``). Parts are loaded when they are first asked for: a
service of an exported model needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.serve.app import create_app
    from headstart.serve.batch import check_csv_target, evaluate_model, predict_inputs, write_csv
    from headstart.serve.predictor import Answer, Predictor, open_predictor
    from headstart.serve.server import run
    from headstart.serve.settings import Limits, Settings

__all__ = [
    "Answer",
    "Limits",
    "Predictor",
    "Settings",
    "check_csv_target",
    "create_app",
    "evaluate_model",
    "open_predictor",
    "predict_inputs",
    "run",
    "write_csv",
]

_HOMES = {
    "Answer": "predictor",
    "Limits": "settings",
    "Predictor": "predictor",
    "Settings": "settings",
    "check_csv_target": "batch",
    "create_app": "app",
    "evaluate_model": "batch",
    "open_predictor": "predictor",
    "predict_inputs": "batch",
    "run": "server",
    "write_csv": "batch",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"headstart.serve.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'headstart.serve' has no attribute {name!r}")
