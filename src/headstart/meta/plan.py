"""What a meta-training is asked to do: every knob, checked."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.errors import OptionError, UnknownNameError

METHODS: dict[str, str] = {
    "protonet": "Snell et al., Prototypical networks for few-shot learning, NeurIPS 2017",
    "anil": "Raghu et al., Rapid learning or feature reuse?, ICLR 2020",
    "fomaml": "Finn et al., Model-agnostic meta-learning, ICML 2017 (first order)",
    "maml": "Finn et al., Model-agnostic meta-learning, ICML 2017 (second order)",
    "reptile": "Nichol et al., On first-order meta-learning algorithms, arXiv:1803.02999",
    "rfs": "Tian et al., Rethinking few-shot image classification, ECCV 2020",
    "rfs-distill": "Tian et al., ECCV 2020, with one generation of self-distillation",
}
"""The methods by name, each with its paper."""

BASELINE = "rfs"
DEFAULT_METHODS = ("protonet", BASELINE)
_RANGES = {
    "ways": (2, 1000),
    "shots": (1, 1000),
    "queries": (1, 1000),
    "episodes": (2, 100_000),
    "validation_episodes": (2, 100_000),
    "steps": (1, 10_000_000),
    "meta_batch": (1, 1000),
    "patience": (1, 10_000),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class Plan:
    """Every knob of a meta-training.

    Parameters
    ----------
    ways, shots : int
        Classes of an episode, and labelled items of each.
    queries : int
        Items of each class that an episode asks for; fewer where classes are small.
    episodes : int
        Over how many episodes of unseen classes the report measures.
    validation_episodes : int
        Over how many the best state of a training is kept.
    steps : int
        Steps of meta-training of each method, if the budget lasts.
    meta_batch : int
        Episodes a step of the methods that adapt by gradients.
    patience : int
        Looks at the validation classes without a better one, of about 20, before it stops.
    budget : float
        Seconds for all of it.
    seed : int

    Raises
    ------
    OptionError
        A knob is out of its range.
    """

    ways: int = 5
    shots: int = 1
    queries: int = 15
    episodes: int = 600
    validation_episodes: int = 100
    steps: int = 3000
    meta_batch: int = 4
    patience: int = 12
    budget: float = 600.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise OptionError(
                    "out of range",
                    where=name,
                    got=value,
                    allowed=f"a whole number, {low} to {high}",
                )


def chosen_methods(named: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the methods to train: those named, and RFS beside them.

    Raises
    ------
    UnknownNameError
        There is no method of that name.

    Examples
    --------
    >>> chosen_methods("anil")
    ('anil', 'rfs')
    """
    if not named:
        return DEFAULT_METHODS
    given = [named] if isinstance(named, str) else list(named)
    for one in given:
        if one not in METHODS:
            raise UnknownNameError("method", one, METHODS, where="--method")
    return tuple(dict.fromkeys([*given, BASELINE]))
