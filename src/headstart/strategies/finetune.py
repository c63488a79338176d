"""Fine-tuning: the source itself learns from the labels. Six ways, one training loop.

They differ in what trains, in what order, and at which rates; ``tuning/`` holds what they share.
"""

from __future__ import annotations

from sklearn.base import ClassifierMixin, RegressorMixin

from headstart.strategies.tuning.estimator import Tuned, TunedClassifierMixin, TunedRegressorMixin


class FineTune(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Tune all layers of a source at a small rate, smaller the earlier the layer.

    Parameters
    ----------
    source : str, Backbone or None
        And all else of ``headstart.strategies.tuning.estimator.Tuned``; every default follows from
        the number of labels.

    References
    ----------
    Howard & Ruder, Universal language model fine-tuning, ACL 2018 (discriminative rates).
    Kolesnikov et al., Big Transfer, ECCV 2020 (steps from the number of labels).

    Examples
    --------
    >>> import headstart as hs
    >>> texts, labels = ["good", "bad", "fine", "awful"] * 8, ["+", "-", "+", "-"] * 8
    >>> model = hs.strategies.FineTune(source="minilm", epochs=2)     # doctest: +SKIP
    >>> model.fit(texts, labels).predict(["great"]).tolist()          # doctest: +SKIP
    ['+']
    """

    strategy = "finetune"


class FineTuneRegressor(TunedRegressorMixin, RegressorMixin, Tuned):
    """Tune all layers of a source to predict numbers; see :class:`FineTune`."""

    strategy = "finetune"
    regression = True


class Partial(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Tune the last ``depth`` blocks; the frozen ones before them are run once and cached.

    Parameters
    ----------
    depth : int, optional
        How many blocks train: a third of them, or half from 20 labels a class on.

    References
    ----------
    Yosinski et al., How transferable are features in deep neural networks?, NeurIPS 2014.
    """

    strategy = "partial"


class PartialRegressor(TunedRegressorMixin, RegressorMixin, Tuned):
    """Tune the last blocks of a source to predict numbers; see :class:`Partial`."""

    strategy = "partial"
    regression = True


class Gradual(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Unfreeze from the last block to the first while training goes on.

    References
    ----------
    Howard & Ruder, Universal language model fine-tuning, ACL 2018.
    """

    strategy = "gradual"


class GradualRegressor(TunedRegressorMixin, RegressorMixin, Tuned):
    """Unfreeze gradually to predict numbers; see :class:`Gradual`."""

    strategy = "gradual"
    regression = True


class LPFT(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Linear probe first, then fine-tune from its solution; interpolate as validation prefers.

    References
    ----------
    Kumar et al., Fine-tuning can distort pretrained features and underperform
    out-of-distribution, ICLR 2022. Wortsman et al., Robust fine-tuning of zero-shot models
    (WiSE-FT), CVPR 2022.
    """

    strategy = "lp-ft"


class LPFTRegressor(TunedRegressorMixin, RegressorMixin, Tuned):
    """Fine-tune from the probe's solution to predict numbers; see :class:`LPFT`."""

    strategy = "lp-ft"
    regression = True


class LoRA(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Train low-rank changes of linear layers and 1x1 convolutions; merged when saved.

    Parameters
    ----------
    rank : int
    alpha : float
        The change is ``alpha / rank * B @ A``.

    References
    ----------
    Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022.
    """

    strategy = "lora"


class LoRARegressor(TunedRegressorMixin, RegressorMixin, Tuned):
    """Train low-rank changes to predict numbers; see :class:`LoRA`."""

    strategy = "lora"
    regression = True


class BitFit(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Train the biases and the head, nothing else: the smallest change to save.

    References
    ----------
    Ben Zaken, Goldberg & Ravfogel, BitFit, ACL 2022.
    """

    strategy = "bitfit"


class BitFitRegressor(TunedRegressorMixin, RegressorMixin, Tuned):
    """Train the biases to predict numbers; see :class:`BitFit`."""

    strategy = "bitfit"
    regression = True
