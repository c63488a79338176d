"""Charts that are areas: confidence against truth, residuals, the map of items, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from headstart.report import figures
from headstart.report.charts import grid_lines
from headstart.report.clean import name as short
from headstart.report.svg import Scale, el, group, mark, path, stretched, text, ticks

COLOURS = 8
"""Classes that have a colour of their own on the map; where there are more, none has."""
SHADES = 9


def reliability(bins: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Draw how often the model is right over how sure it says it is; honest is the diagonal."""
    across, up = Scale(0, 1), Scale(0, 1, turned=True)
    marks = [0.0, 0.25, 0.5, 0.75, 1.0]
    parts = grid_lines(up, marks, lambda value: figures.percent(value))
    parts += [
        text(across(value), "100%", figures.percent(value), anchor="middle", dy=20, class_="tick")
        for value in marks
    ]
    parts.append(stretched(el("path", d="M0 100L100 0", class_="diagonal")))
    drawn, most = [], max((figures.number(one.get("n")) or 0 for one in bins), default=0)
    for one in bins:
        sure, right = figures.number(one.get("confidence")), figures.number(one.get("accuracy"))
        n = figures.number(one.get("n")) or 0
        if sure is None or right is None or not n:
            continue
        low, high = (figures.number(one.get(f"accuracy_{end}")) for end in ("low", "high"))
        told = (
            f"{figures.count(n)} items at {figures.percent(sure)} confidence: "
            f"{figures.percent(right)} right"
        )
        if low is not None and high is not None:
            told += f" [{figures.percent(low)}, {figures.percent(high)}]"
            line = el(
                "line",
                x1=across(sure),
                x2=across(sure),
                y1=up(low),
                y2=up(high),
                class_="whisker own",
            )
        else:
            line = Markup("")
        dot = el(
            "circle", cx=across(sure), cy=up(right), r=3.5 + 4 * (n / most) ** 0.5, class_="dot own"
        )
        hit = el("circle", cx=across(sure), cy=up(right), r=16, class_="hit")
        drawn.append(mark(group([hit, line, dot]), told))
    if not drawn:
        return None
    label = "Reliability: share of right answers over confidence"
    return el("svg", *parts, *drawn, class_="plot square", role="img", aria_label=label)


def residuals(truth: Sequence[Any], predicted: Sequence[Any]) -> Markup | None:
    """Draw what was predicted over what is true; right is the diagonal."""
    pairs = [
        (a, b)
        for a, b in (
            (figures.number(x), figures.number(y)) for x, y in zip(truth, predicted, strict=False)
        )
        if a is not None and b is not None
    ]
    if not pairs:
        return None
    marks = ticks(min(map(min, pairs)), max(map(max, pairs)))
    across, up = Scale(marks[0], marks[-1]), Scale(marks[0], marks[-1], turned=True)
    parts = grid_lines(up, marks, lambda value: figures.few(value) or "0")
    for i, value in enumerate(marks):
        odd = " odd" if i % 2 else ""
        told = figures.few(value) or "0"
        parts.append(text(across(value), "100%", told, anchor="middle", dy=20, class_=f"tick{odd}"))
    parts.append(stretched(el("path", d=path([(0, 100), (100, 0)]), class_="diagonal")))
    dots = [
        mark(
            el("circle", cx=across(a), cy=up(b), r=4, class_="dot faint own"),
            f"true {figures.few(a)}, predicted {figures.few(b)}",
        )
        for a, b in pairs
    ]
    label = f"Predicted over true values of {len(pairs):,} items"
    return el("svg", *parts, *dots, class_="plot square", role="img", aria_label=label)


def item_map(items: Sequence[Mapping[str, Any]], colours: Mapping[str, int]) -> Markup | None:
    """Draw the items as dots: alike lie together. A ring is a mistake, a small dot was learnt from.

    Parameters
    ----------
    items : sequence of mapping
        As the evidence has them; those without a place are not drawn.
    colours : mapping of class to 0 .. 7
        Empty where there are too many classes for colours.
    """
    across, up = Scale(-0.03, 1.03), Scale(-0.03, 1.03, turned=True)
    values = [v for v in (figures.number(one.get("label")) for one in items) if v is not None]
    reach = (min(values), max(values)) if values else (0.0, 0.0)
    layers: dict[str, list[Markup]] = {"learnt": [], "right": [], "wrong": []}
    for i, one in enumerate(items):
        x, y = figures.number(one.get("x")), figures.number(one.get("y"))
        if x is None or y is None:
            continue
        how = state(one)
        colour = colours.get(str(one.get("label")))
        value = figures.number(one.get("label"))
        tone = f"c{colour}" if colour is not None else "cx"
        if value is not None and reach[1] > reach[0]:
            tone = f"v{1 + round(8 * (value - reach[0]) / (reach[1] - reach[0]))}"
        radius = {"learnt": 3, "right": 4.5, "wrong": 5}[how]
        layers[how].append(
            el(
                "circle",
                cx=across(x),
                cy=up(y),
                r=radius,
                class_=f"item {how} {tone}",
                data_i=i,
                data_label=short(one.get("label")),
            )
        )
    drawn = [dot for layer in layers.values() for dot in layer]
    if not drawn:
        return None
    label = f"Map of {len(drawn):,} items. Arrow keys go from item to item, Enter keeps one shown."
    return el(
        "svg", *drawn, class_="map", id="item-map", role="application", tabindex=0, aria_label=label
    )


def state(item: Mapping[str, Any]) -> str:
    """Return whether an item was learnt from, judged rightly, or judged wrongly."""
    if item.get("part") == "training":
        return "learnt"
    said = item.get("predicted")
    if isinstance(said, (int, float)) or said is None or item.get("label") is None:
        return "right"
    return "right" if str(said) == str(item.get("label")) else "wrong"


def shade(n: float, most: float) -> int:
    """Return the shade of a cell, 0 for nothing to 9 for the most."""
    if n <= 0 or most <= 0:
        return 0
    return max(1, min(SHADES, round(SHADES * n / most)))


def heat(classes: Sequence[str], counts: Sequence[Sequence[Any]]) -> Markup:
    """Draw a confusion matrix without numbers: rows are true, columns predicted."""
    k = len(classes)
    cells = []
    for i, row in enumerate(counts[:k]):
        whole = sum(figures.number(n) or 0 for n in row)
        for j, cell in enumerate(row[:k]):
            n = figures.number(cell) or 0
            if not n:
                continue
            kind = "hit-cell" if i == j else "miss-cell"
            box = el("rect", x=j, y=i, width=1, height=1, class_=f"{kind} s{shade(n, whole)}")
            told = f"{figures.count(n)} × {short(classes[i], 60)} taken for {short(classes[j], 60)}"
            cells.append(
                mark(
                    box, told if i != j else f"{figures.count(n)} × {short(classes[i], 60)}, right"
                )
            )
    frame = el("rect", x=0, y=0, width=k, height=k, class_="frame")
    label = f"Confusion of {k} classes: rows are true, columns predicted"
    return el(
        "svg",
        frame,
        *cells,
        viewBox=f"0 0 {k} {k}",
        class_="plot heatmap",
        role="img",
        aria_label=label,
    )


def saliency(
    weights: Sequence[Sequence[Any]], width: int | None = None, height: int | None = None
) -> Markup | None:
    """Draw what counted in a picture: warm patches spoke for the answer, cold ones against it.

    Parameters
    ----------
    weights : rows of patches
    width, height : int, optional
        Of the picture: the drawing fits its place as the picture does.
    """
    grid = [[figures.number(w) or 0.0 for w in row] for row in weights if isinstance(row, list)]
    most = max((abs(w) for row in grid for w in row), default=0.0)
    if not most or len({len(row) for row in grid}) != 1:
        return None
    wide, high = (width, height) if width and height else (len(grid[0]), len(grid))
    across, down = wide / len(grid[0]), high / len(grid)
    patches = [
        el(
            "rect",
            x=j * across,
            y=i * down,
            width=across,
            height=down,
            class_="for" if w > 0 else "against",
            fill_opacity=f"{0.85 * abs(w) / most:.2f}",
        )
        for i, row in enumerate(grid)
        for j, w in enumerate(row)
        if abs(w) > 0.04 * most
    ]
    return el("svg", *patches, viewBox=f"0 0 {wide} {high}", class_="heat", aria_hidden="true")
