"""The features that stand for classes, as embeddings of their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray
from headstart.strategies.unit import unit_rows


def class_rows(class_features: Mapping[Any, Any], classes: AnyArray, n_features: int) -> FloatArray:
    """Return the (k, d) unit features of the classes, in their order.

    Raises
    ------
    OptionError
        A class has none, or not ``n_features`` finite numbers.
    """
    given = {str(label): value for label, value in class_features.items()}
    missing = [str(label) for label in classes.tolist() if str(label) not in given]
    if missing:
        raise OptionError(
            "classes without features", where="class_features", got=missing[:5], allowed=given
        )
    found = [np.asarray(given[str(label)], dtype=np.float64) for label in classes.tolist()]
    for label, row in zip(classes.tolist(), found, strict=True):
        if row.shape != (n_features,) or not np.isfinite(row).all():
            raise OptionError(
                f"not the features of the class {str(label)!r}",
                where="class_features",
                got=f"shape {row.shape}",
                allowed=f"{n_features} finite numbers",
            )
    return unit_rows(np.stack(found), np.zeros(n_features))
