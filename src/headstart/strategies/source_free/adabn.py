"""AdaBN: batch norm with the statistics of the target."""

from __future__ import annotations

import math

from headstart.core.errors import OptionError
from headstart.core.types import SILENT, AnyArray, FloatArray, Reporter
from headstart.sources.backbone import Backbone
from headstart.strategies.source_free.backbones import BackboneChange, target_statistics
from headstart.strategies.source_free.base import Fitted
from headstart.strategies.tuning.items import ImageItems


class AdaBN(BackboneChange):
    """Put the target's statistics into the batch norm of a source; no weight changes.

    It helps a model that learnt with its own domain's statistics. A head fitted on a frozen source
    did not: the features it knows were made with the statistics of what the source was pretrained
    on. It steps back where predictions collapse, and nowhere else: certainty is not looked at, for
    under a shift a model may well be sure and wrong, and the papers look at none. So it is not safe
    by itself: on a head on the frozen lite0 it lost 15 points of accuracy in both of two runs
    between MNIST and digits, unnoticed.

    Parameters
    ----------
    prior : float, >= 0
        How many images the statistics that are there count for (Schneider et al. 2020); 0 in the
        paper.
    batch_size : int, >= 2
    reporter : Reporter

    References
    ----------
    Li et al., Adaptive batch normalization for practical domain adaptation, Pattern Recognition
    2018. Schneider et al., Improving robustness against common corruptions by covariate shift
    adaptation, NeurIPS 2020.

    Examples
    --------
    >>> import headstart as hs
    >>> source = hs.sources.load("efficientnet-lite0")                  # doctest: +SKIP
    >>> new = AdaBN().fit(head, images, source)                         # doctest: +SKIP
    >>> sorted(new.tuned)[0]                                            # doctest: +SKIP
    'blocks.0.bn.running_mean'
    """

    def __init__(
        self, *, prior: float = 0.0, batch_size: int = 64, reporter: Reporter = SILENT
    ) -> None:
        self.prior, self.batch_size, self.reporter = prior, batch_size, reporter

    def _check(self) -> None:
        super()._check()
        if not (math.isfinite(self.prior) and self.prior >= 0):
            raise OptionError("not a number from 0 on", where="prior", got=self.prior)

    def _adapt(
        self, work: Backbone, items: ImageItems, model: Fitted, before: FloatArray
    ) -> tuple[dict[str, AnyArray], str]:
        return target_statistics(work, items, self.batch_size, prior=self.prior), ""
