"""Drawing: elements whose every attribute is escaped, scales, and round numbers for axes.

Charts are as wide as their place. Coordinates along an axis are percents of the drawing, so that
letters and dots keep their size on a phone; lines that bend lie in an inner drawing of 100 x 100
that is stretched.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape


def el(tag: str, *inside: str | Markup, **attributes: object) -> Markup:
    """Return an element; ``class_`` is written ``class``, ``text_anchor`` is ``text-anchor``."""
    named = Markup("").join(
        Markup(' {}="{}"').format(Markup(key.rstrip("_").replace("_", "-")), _told(value))
        for key, value in attributes.items()
        if value is not None
    )
    content = Markup("").join(escape(part) for part in inside)
    return Markup("<{}{}>{}</{}>").format(Markup(tag), named, content, Markup(tag))


def _told(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def group(parts: Iterable[Markup], **attributes: object) -> Markup:
    """Return parts together."""
    return el("g", Markup("").join(parts), **attributes)


def text(x: object, y: object, told: str, *, anchor: str = "start", **attributes: object) -> Markup:
    """Return a text at a place."""
    return el("text", told, x=x, y=y, text_anchor=anchor, **attributes)


@dataclass(frozen=True)
class Scale:
    """Values to percents of a drawing.

    Parameters
    ----------
    low, high : float
        What lies at 0 % and at 100 %.
    turned : bool
        Upwards: ``low`` lies at 100 %.
    """

    low: float
    high: float
    turned: bool = False

    def part(self, value: float) -> float:
        """Return where a value lies, 0 to 100, never outside."""
        width = self.high - self.low
        share = 0.5 if width == 0 else (value - self.low) / width
        share = min(1.0, max(0.0, share))
        return 100.0 * (1.0 - share if self.turned else share)

    def __call__(self, value: float) -> str:
        """Return where a value lies, as an attribute."""
        return f"{self.part(value):.2f}%"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers that cover a range, the ends included."""
    if not high > low:
        high = low + (abs(low) * 0.1 or 1.0)
        low = low - (abs(low) * 0.1 or 1.0)
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def path(points: Sequence[tuple[float, float]], *, closed: bool = False) -> str:
    """Return a path through points."""
    told = "L".join(f"{x:.2f} {y:.2f}" for x, y in points)
    return f"M{told}{'Z' if closed else ''}"


def stretched(*parts: Markup) -> Markup:
    """Return an inner drawing of 100 x 100 that fills the outer one."""
    return el(
        "svg",
        *parts,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        aria_hidden="true",
    )


def mark(inside: Markup, told: str, **attributes: object) -> Markup:
    """Return a part that says what it is when it is pointed at, touched or reached by keyboard."""
    return group([el("title", told), inside], class_="mark", **attributes)
