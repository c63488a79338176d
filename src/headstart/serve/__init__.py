"""The serve room: a bundle and a request in, predictions out. It trains nothing."""

from __future__ import annotations

from headstart.serve.batch import check_csv_target, evaluate_model, predict_inputs, write_csv

__all__ = ["check_csv_target", "evaluate_model", "predict_inputs", "write_csv"]
