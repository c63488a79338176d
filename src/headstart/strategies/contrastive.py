"""Contrastive tuning: the source learns which items belong together, then a head is fitted.

It suits few labels: n of them give n (n - 1) / 2 pairs to learn from. ``tuning/contrast.py`` holds
the loss, the batches and the head; the loop is that of all strategies that tune.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import ClassifierMixin

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray
from headstart.strategies.tuning.estimator import Tuned, TunedClassifierMixin
from headstart.strategies.tuning.settings import Target

_IDLE: dict[str, Any] = {"head": None, "wise": None, "mixup": 0.0, "bss": 0.0}


class Contrastive(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Tune a source so that items of a class come close, then fit a linear model on its features.

    The supervised contrastive loss compares all pairs of a batch at once, so a step costs as many
    passes as it has items, however many labels there are. Batches are balanced: every class has
    two items or more in each that it takes part in. The only item of a class makes a pair with
    itself under other dropout. From 32 labels a class on a part validates and stops the training.

    Parameters
    ----------
    source : str, Backbone or None
        And all else of ``headstart.strategies.tuning.estimator.Tuned`` but ``head``, ``wise``,
        ``mixup`` and ``bss``, which play no part; ``head_rate`` and ``smoothing`` change nothing.

    Raises
    ------
    OptionError
        One of those four is set, or an item has several labels.

    References
    ----------
    Tunstall et al., Efficient few-shot learning without prompts (SetFit), 2022. Khosla et al.,
    Supervised contrastive learning, NeurIPS 2020.

    Examples
    --------
    >>> import headstart as hs
    >>> texts, labels = ["good", "bad", "great", "awful"], ["+", "-", "+", "-"]
    >>> model = hs.strategies.Contrastive(source="minilm")            # doctest: +SKIP
    >>> model.fit(texts, labels).predict(["wonderful"]).tolist()      # doctest: +SKIP
    ['+']
    """

    strategy = "contrastive"

    def _targets(self, X: Any, y: Any) -> tuple[Target, AnyArray, int]:
        for name, idle in _IDLE.items():
            value = getattr(self, name)
            if value is not idle and value != idle:
                raise OptionError(
                    "contrastive tuning knows nothing of it", where=name, got=value, allowed=idle
                )
        target, truth, n_outputs = super()._targets(X, y)
        if target != "classes":
            raise OptionError(
                "contrastive tuning takes one label an item",
                where="y",
                got="an (n, k) array",
                hint="another strategy that tunes, as lp-ft, takes sets of labels",
            )
        return target, truth, n_outputs
