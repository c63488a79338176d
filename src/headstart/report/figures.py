"""Numbers as people read them: rounded as in school, with a true minus sign and their interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from headstart.evaluate.metrics import METRICS, SEQUENCE_METRICS, Metric

MINUS = "\N{MINUS SIGN}"
HUGE = 1e15
"""What is not written out."""
LARGEST = 1e100
"""What is larger is no measurement."""
ENDS = ("estimate", "low", "high")
THIN = "\N{NARROW NO-BREAK SPACE}"
_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "wer": "word error rate",
    "cer": "character error rate",
}
_NOISE = Context(prec=12)  # 0.1045 may come as 0.10450000000000004


def number(value: Any) -> float | None:
    """Return a number, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) <= LARGEST else None


def fixed(value: float, digits: int, *, scale: int = 1, signed: bool = False) -> str:
    """Return a number with so many decimals, halves rounded away from zero.

    Parameters
    ----------
    value : float
    digits : int
        Decimals.
    scale : int
        What it is multiplied with first, exactly: 100 for percent and points.
    signed : bool
        Write a plus where it is positive.

    Examples
    --------
    >>> fixed(0.1045, 1, scale=100, signed=True), fixed(-0.00001, 1, scale=100)
    ('+10.5', '0.0')
    """
    if abs(value) >= HUGE:
        return few(value)
    exact = _NOISE.create_decimal(repr(float(value))) * scale
    found = exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    if not found:
        return f"{abs(found):,}"
    told = f"{abs(found):,}"
    return (MINUS if found < 0 else "+" if signed else "") + told


def count(value: Any) -> str:
    """Return a whole number with its thousands apart."""
    found = number(value)
    return "" if found is None else f"{int(found):,}".replace("-", MINUS)


def few(value: Any) -> str:
    """Return a number with about three digits, without a tail of zeros."""
    found = number(value)
    if found is None:
        return ""
    form = ",.0f" if 1000 <= abs(found) < HUGE else ".3g"
    return f"{found:{form}}".replace("-", MINUS)


def percent(value: Any, digits: int = 0) -> str:
    """Return a share in percent."""
    found = number(value)
    return "" if found is None else f"{fixed(found, digits, scale=100)}{THIN}%"


def metric(name: Any) -> Metric | None:
    """Return what is known of a metric; None for a name that is none."""
    return METRICS.get(str(name)) or SEQUENCE_METRICS.get(str(name))


def metric_words(name: Any) -> str:
    """Return a metric in words."""
    return _WORDS.get(str(name), str(name).replace("_", " "))


def is_share(name: Any) -> bool:
    """Say whether a metric is told in percent, its differences in points."""
    known = metric(name)
    return known is not None and known.share


def less_is_better(name: Any) -> bool:
    """Say whether a metric counts errors."""
    known = metric(name)
    return known is not None and not known.greater_is_better


def of_metric(name: Any, value: Any, *, signed: bool = False) -> str:
    """Return a value of a metric: a share in percent, an error in the units of the label."""
    found = number(value)
    if found is None:
        return ""
    if is_share(name):
        return fixed(found, 1, scale=100, signed=signed)
    return fixed(found, digits_of(name, found), signed=signed)


def digits_of(name: Any, *values: float | None) -> int:
    """Return decimals for values of a metric that stand together: three digits of the largest."""
    most = max((abs(value) for value in values if value is not None), default=0.0)
    if str(name) not in ("rmse", "mae") or most == 0:
        return 3
    return min(8, max(0, 2 - math.floor(math.log10(most) + 1e-12)))


def unit(name: Any) -> str:
    """Return what stands behind a value of a metric."""
    return f"{THIN}%" if is_share(name) else ""


def score(one: Any) -> str:
    """Return a measured score with its unit."""
    if not isinstance(one, Mapping) or number(one.get("estimate")) is None:
        return ""
    return _told(one, "estimate") + unit(one.get("metric"))


def interval(one: Any) -> str:
    """Return the interval of a measured score; an open end is left open."""
    if not isinstance(one, Mapping):
        return ""
    ends = [_told(one, end) for end in ("low", "high")]
    if not any(ends):
        return ""
    return f"[{ends[0] or '…'}, {ends[1] or '…'}]"


def _told(one: Mapping[str, Any], key: str) -> str:
    """Return an end of a score with as many decimals as its estimate and its other end."""
    name, value = one.get("metric"), number(one.get(key))
    if value is None or is_share(name):
        return of_metric(name, value)
    return fixed(value, digits_of(name, *(number(one.get(end)) for end in ENDS)))


def gain(one: Mapping[str, Any], *, turned: bool = False, signed: bool = True) -> tuple[str, str]:
    """Return a gain and its interval, with decimals enough that no end becomes a zero it is not.

    Parameters
    ----------
    one : mapping
        ``estimate``, ``low``, ``high``, ``metric``.
    turned : bool
        Tell it with the sign turned round: what it costs.
    signed : bool
        Write a plus before the estimate.
    """
    name, turn = one.get("metric"), -1.0 if turned else 1.0
    found = [number(one.get(key)) for key in ("estimate", "low", "high")]
    values = [None if value is None else turn * value for value in found]
    if turned:
        values[1], values[2] = values[2], values[1]
    scale = 100 if is_share(name) else 1
    digits = 1 if scale == 100 else digits_of(name, *values)
    real = [value for value in values if value is not None]
    if str(one.get("verdict")) in ("positive", "negative"):
        while digits < 8 and any(_vanishes(value, digits, scale) for value in real):
            digits += 1

    def told(value: float | None, plus: bool) -> str:
        if value is None:
            return "…"
        return fixed(value, digits, scale=scale, signed=plus)

    ends = f"[{told(values[1], False)}, {told(values[2], False)}]"
    return told(values[0], signed), ends


def _vanishes(value: float, digits: int, scale: int) -> bool:
    """Say whether a number that is not nothing would be written as a zero."""
    return abs(value) > 1e-9 and not fixed(value, digits, scale=scale).strip("0.")


def seconds(value: Any) -> str:
    """Return a time as people say it."""
    found = number(value)
    if found is None:
        return ""
    if found < 10:
        return f"{fixed(found, 1)} s"
    if found < 120:
        return f"{fixed(found, 0)} s"
    minutes, rest = divmod(round(found), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def size(value: Any) -> str:
    """Return a number of bytes as people say it."""
    found = number(value)
    if found is None:
        return ""
    if found < 1e6:
        return f"{fixed(found / 1e3, 0)} kB"
    return f"{fixed(found / 1e6, 1)} MB"
