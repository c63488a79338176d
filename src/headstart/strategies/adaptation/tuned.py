"""Adaptation with weight updates: a pretrained source is tuned on items of both domains at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from sklearn.base import ClassifierMixin

from headstart.core.errors import DataError
from headstart.core.types import SILENT, AnyArray, Decision, IntArray, Reporter
from headstart.strategies.adaptation.domains import target_labels
from headstart.strategies.frozen import encode_classes
from headstart.strategies.targets import labels_of, seed_of
from headstart.strategies.tuning.estimator import Tuned, TunedClassifierMixin

if TYPE_CHECKING:
    from headstart.strategies.adaptation.tuned_session import AdaptingSession


class TunedAdapter(TunedClassifierMixin, ClassifierMixin, Tuned):
    """Tune a source on labelled items of one domain and unlabelled items of another.

    First it is tuned on the labelled items alone, as :class:`headstart.strategies.FineTune` does;
    from there the method's loss on both domains is added. Where predictions for the target
    collapse, what was before is kept, and ``decisions_`` says so. Its state is that of a fine-tuned
    classifier: a bundle holds it as it holds those.

    Parameters
    ----------
    source : str, Backbone or None
        A name for ``headstart.sources.load``, or a loaded backbone (it is not changed); None takes
        the default for texts or images.
    method : {"mcc", "deep-coral", "deep-jdot", "cdan", "dann", "afn", "osbp"}
    weight : float, >= 0, optional
        Of the method's loss; 0.05 of AFN's, else 1.
    epochs : int, optional
        Passes over the items of both domains while adapting; half as many before.
    batch : int, optional
        Items of a step, half of them of the target.
    rate, head_rate : float, optional
        Peak learning rates of the last block and of the head.
    depth : int, optional
        How many blocks train, counted from the last one; all by default.
    augment, crop, flip, size
        Of images: as for every fine-tuning strategy.
    precision : {"auto", "float32", "bf16"}
    device : str, optional
    reporter : Reporter
    random_state : int or None

    Attributes
    ----------
    classes_, coef_, intercept_, tuned_, decisions_
        As for every fine-tuning strategy.

    References
    ----------
    Those of the methods, see :mod:`headstart.strategies.adaptation.losses`.

    Examples
    --------
    >>> from headstart.strategies.adaptation.tuned import TunedAdapter
    >>> model = TunedAdapter(source="efficientnet-lite0", method="mcc")   # doctest: +SKIP
    >>> model.fit(photos, labels, drawings).predict(drawings)             # doctest: +SKIP
    """

    strategy = "finetune"  # whose rules set what the user does not

    def __init__(
        self,
        *,
        source: Any = None,
        method: str = "mcc",
        weight: float | None = None,
        epochs: int | None = None,
        batch: int | None = None,
        rate: float | None = None,
        head_rate: float | None = None,
        depth: int | None = None,
        augment: float = 0.5,
        crop: float = 0.5,
        flip: bool | Literal["auto"] = False,
        size: int | None = None,
        precision: Literal["auto", "float32", "bf16"] = "auto",
        device: str | None = None,
        reporter: Reporter = SILENT,
        random_state: int | None = 0,
    ) -> None:
        super().__init__(
            source=source,
            epochs=epochs,
            batch=batch,
            rate=rate,
            head_rate=head_rate,
            depth=depth,
            augment=augment,
            crop=crop,
            flip=flip,
            size=size,
            precision=precision,
            device=device,
            reporter=reporter,
            random_state=random_state,
        )
        self.method, self.weight = method, weight

    def fit(self, X: Any, y: Any, X_target: Any = None, y_target: Any = None) -> Self:
        """Tune on labelled items of the source and items of the target.

        Parameters
        ----------
        X : sequence of length n
            Texts; or paths, PIL images or (H, W[, C]) uint8 arrays.
        y : sequence of n labels
        X_target : sequence of length m, optional
            Items of the target; without them the source is its own target.
        y_target : sequence of length m, optional
            Labels of the target; None or NaN where there is none.

        Raises
        ------
        DataError, OptionError, SourceError, UnknownNameError
            Each names what is wrong, where, and what to do next.
        """
        session = self._both(list(X), y, list(X if X_target is None else X_target), y_target)
        session.run_both()
        self._keep(session)
        return self

    def _both(self, X: list[Any], y: Any, target: list[Any], y_target: Any) -> AdaptingSession:
        """Check everything and return the fit, ready to run."""
        from headstart.strategies.adaptation.deep_methods import method_of
        from headstart.strategies.adaptation.deep_open import with_unknown
        from headstart.strategies.adaptation.tuned_session import AdaptingSession
        from headstart.strategies.tuning.rules import settings_for

        usual = 0.05 if self.method == "afn" else 1.0
        method = method_of(self.method, weight=usual if self.weight is None else self.weight)
        if not target:
            raise DataError("no items of the target", where="X_target")
        self.random_state_ = seed_of(self.random_state)
        self.classes_, codes = encode_classes(labels_of(y, len(X)))
        k = len(self.classes_)
        if k < 2:
            raise DataError(
                "only one class", where="y", got=self.classes_.tolist(), allowed="2 or more"
            )
        known = target_labels(y_target, len(target), self.classes_)
        truth = np.concatenate([codes, np.maximum(known, 0)])
        labelled: IntArray = np.flatnonzero(np.concatenate([codes >= 0, known >= 0]))
        base = self._load(X)
        if method.extra:
            self.classes_ = with_unknown(self.classes_, None)
        settings = settings_for(self, base, X + target, truth, "classes", k + method.extra)
        none: AnyArray = np.zeros(0, dtype=np.int64)
        session = AdaptingSession(
            base,
            X + target,
            truth,
            "classes",
            k + method.extra,
            settings,
            weights=np.ones(len(truth)),
            valid=none,
            options=self,
            seed=self.random_state_,
        )
        session.adapt_by(method, labelled, np.arange(len(X), len(truth)), k)
        return session

    def decisions(self) -> tuple[Decision, ...]:
        """Return what was decided on the way, and why."""
        return tuple(self.decisions_)
