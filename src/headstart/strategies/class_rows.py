"""The features that stand for the classes of a fitted head, as embeddings of their names."""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, FloatArray
from headstart.strategies.class_features import WHERE, class_rows
from headstart.strategies.unit import unit_rows


def rows_of(class_features: Any, classes: AnyArray, n_features: int) -> FloatArray:
    """Return the (k, d) unit features of the classes, in their order.

    Raises
    ------
    OptionError
        A class has none, or not ``n_features`` finite numbers.
    """
    names, rows = class_rows(class_features, width=n_features)
    place = {str(name): row for row, name in enumerate(names.tolist())}
    missing = [str(label) for label in classes.tolist() if str(label) not in place]
    if missing:
        raise OptionError("classes without features", where=WHERE, got=missing[:5], allowed=place)
    chosen = rows[[place[str(label)] for label in classes.tolist()]]
    return unit_rows(chosen, np.zeros(n_features))
