"""A short search over the settings that matter most, with Optuna."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from headstart.core.errors import MissingExtraError
from headstart.strategies.tuning.settings import Settings


def search(
    settings: Settings, trials: int, seed: int
) -> Generator[Settings, tuple[float, float], None]:
    """Yield settings to try, the given ones first; send back the score of each.

    Rate (a third to three times), decay and epochs (half to twice) are drawn by Optuna's TPE
    sampler; the given settings are its first observation.

    Parameters
    ----------
    settings : Settings
    trials : int
        How many beside the given ones.
    seed : int

    Raises
    ------
    MissingExtraError
        Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("optuna", "search", "trials of other settings") from error
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=3)
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would tell of every study
    try:
        study: Any = optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(loud)
    study.enqueue_trial({"rate": 1.0, "decay": settings.decay, "epochs": 1.0})
    for _ in range(trials + 1):
        trial = study.ask()
        rate = trial.suggest_float("rate", 1 / 3, 3.0, log=True)
        decay = trial.suggest_float("decay", min(0.6, settings.decay), 1.0)
        epochs = trial.suggest_float("epochs", 0.5, 2.0, log=True)
        score = yield replace(
            settings,
            rate=settings.rate * rate,
            decay=decay,
            epochs=max(1, round(settings.epochs * epochs)),
        )
        study.tell(trial, score[0] + 1e-3 * score[1])
