"""A picture of a shift: both domains in two dimensions, and what differs between them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.errors import MissingExtraError, OptionError
from headstart.core.types import AnyArray, FloatArray
from headstart.evaluate.shift import Shift
from headstart.evaluate.shift_features import read

SOURCE_COLOUR, TARGET_COLOUR = "#0072b2", "#d55e00"  # Okabe & Ito: told apart by everyone
INK, GREY, FAINT = "#1f2933", "#52606d", "#e3e6ea"
FORMATS = (".png", ".svg")
DOTS = 600
"""Rows a side that are drawn."""
BARS = 12
LONGEST = 22


def check_picture(path: str | Path) -> Path:
    """Refuse a picture that cannot be written, before any work is done.

    Raises
    ------
    OptionError
        Another ending, or a folder that is not there.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise OptionError(
            "not a kind of picture that is written",
            where="picture",
            got=str(path),
            allowed=f"a name that ends in {' or '.join(FORMATS)}",
        )
    if not path.absolute().parent.is_dir():
        raise OptionError("there is no such folder", where="picture", got=str(path.parent))
    return path


def shift_picture(shift: Shift, X: Any, X_target: Any, path: str | Path, *, seed: int = 0) -> Path:
    """Draw both domains on the two widest directions of their rows, and what differs.

    Beside the rows stand the columns that differ most where they have names, else the shares of
    the classes where they mean something: counted, or all that has changed.

    Parameters
    ----------
    shift : Shift
        By ``measure_shift``.
    X : array of shape (n, d) or data frame
    X_target : array of shape (m, d) or data frame
    path : path
        Ends in ``.png`` or ``.svg``.
    seed : int
        Of the rows that are drawn, at most 600 a side.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    OptionError
        Another ending.
    MissingExtraError
        Matplotlib is not installed.
    DataError
        The domains have no rows, other columns, or hold NaN or infinity.
    """
    path = check_picture(path)
    source, target, _ = read(X, X_target, None)
    ours, theirs, shares = two_axes(source, target, seed)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots", "drawing a shift") from error
    with rc_context({"svg.hashsalt": "headstart", "svg.fonttype": "none"}):
        beside = bool(shift.features) or shift.shares_told
        figure = Figure(figsize=(9.6 if beside else 5.4, 4.6))
        figure.set_layout_engine("constrained", w_pad=0.12, wspace=0.06)
        panels = figure.subplots(1, 2 if beside else 1, squeeze=False)[0]
        for panel in panels:
            _plain(panel)
        _rows(panels[0], ours, theirs, shares, shift)
        if shift.features:
            _columns(panels[1], shift)
        elif beside:
            _classes(panels[1], shift)
        figure.suptitle(_title(shift), x=0.01, ha="left", fontsize=12, color=INK, weight="bold")
        kind = path.suffix.lower().removeprefix(".")
        figure.savefig(path, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {})
    return path


def two_axes(
    source: FloatArray, target: FloatArray, seed: int = 0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return drawn rows of both domains on two principal axes of both together.

    Features are standardised; each domain counts half. The third value is the share of the variance
    on each axis.
    """
    rng = np.random.default_rng(seed)
    ours, theirs = (
        rows[np.sort(rng.permutation(len(rows))[:DOTS])].astype(np.float64)
        for rows in (source, target)
    )
    weights = np.repeat([0.5 / len(ours), 0.5 / len(theirs)], [len(ours), len(theirs)])
    rows = np.vstack([ours, theirs])
    rows = rows - weights @ rows
    spread = np.sqrt(weights @ rows**2)
    rows = np.where(spread > 1e-12, rows, 0.0) / np.where(spread > 1e-12, spread, 1.0)
    _, values, axes = np.linalg.svd(rows * np.sqrt(weights)[:, None], full_matrices=False)
    axes = np.vstack([axes[:2], np.zeros((max(0, 2 - len(axes)), rows.shape[1]))])
    axes *= np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
    total = float((values**2).sum())
    shares = np.zeros(2)
    shares[: len(values[:2])] = values[:2] ** 2 / total if total > 0 else 0.0
    flat = rows @ axes.T
    return flat[: len(ours)], flat[len(ours) :], shares


def _title(shift: Shift) -> str:
    if shift.verdict == "conditional suspected":
        return "Conditional shift suspected"
    if shift.verdict == "none":
        return "No shift found"
    words = {"covariate and label": "Covariate and label shift"}
    return words.get(shift.verdict, f"{shift.verdict.capitalize()} shift")


def _plain(panel: Any) -> None:
    panel.tick_params(colors=GREY, labelsize=9, length=3)
    for side, spine in panel.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)


def _rows(
    panel: Any, ours: FloatArray, theirs: FloatArray, shares: FloatArray, shift: Shift
) -> None:
    for rows, colour, marker, name, n in (
        (ours, SOURCE_COLOUR, "o", "source", shift.n_source),
        (theirs, TARGET_COLOUR, "^", "target", shift.n_target),
    ):
        label = f"{name} ({n:,} rows)"
        panel.scatter(
            rows[:, 0], rows[:, 1], s=14, c=colour, marker=marker, alpha=0.45, lw=0, label=label
        )
        panel.scatter(
            *rows.mean(axis=0), s=110, c=colour, marker=marker, edgecolors="white", lw=1.5, zorder=4
        )
    panel.set_xlabel(f"principal axis 1 ({shares[0]:.0%} of variance)", color=INK)
    panel.set_ylabel(f"principal axis 2 ({shares[1]:.0%})", color=INK)
    told = "too few rows for a classifier of the domains"
    if shift.auc is not None:
        told = (
            f"telling the domains apart: AUC {shift.auc.estimate:.2f} "
            f"[{shift.auc.low:.2f}, {shift.auc.high:.2f}]"
        )
    panel.set_title(told, fontsize=10, color=GREY, loc="left")
    panel.margins(0.06)
    legend = panel.legend(
        frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2
    )
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
        handle.set_sizes([36])


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _columns(panel: Any, shift: Shift) -> None:
    """Draw the standardised differences of the columns that differ most."""
    found = sorted(shift.features, key=lambda one: (one.p_adjusted > 0.05, -abs(one.difference)))
    shown = found[:BARS][::-1]
    places = np.arange(len(shown))
    values = np.clip([one.difference for one in shown], -5.0, 5.0)
    sure = np.array([one.p_adjusted <= 0.05 for one in shown])
    panel.barh(
        places[sure], values[sure], color=TARGET_COLOUR, height=0.65, label="p < 0.05 (Holm)"
    )
    if not sure.all():
        panel.barh(
            places[~sure],
            values[~sure],
            facecolor="white",
            edgecolor=GREY,
            hatch="////",
            height=0.65,
            label="not beyond chance",
        )
    panel.axvline(0.0, color=GREY, lw=0.8)
    panel.set_yticks(places, [_short(one.name) for one in shown], color=INK)
    panel.set_xlabel("target less source (standard deviations)", color=INK)
    moved = sum(one.p_adjusted <= 0.05 for one in shift.features)
    panel.set_title(
        f"{moved} of {len(shift.features)} columns differ", fontsize=10, color=GREY, loc="left"
    )
    _below(panel)


def _classes(panel: Any, shift: Shift) -> None:
    """Draw the class shares of both domains."""
    assert shift.label is not None
    found = sorted(shift.label.shares, key=lambda one: -abs(one.target - one.source))
    shown = sorted(found[:BARS], key=lambda one: one.name, reverse=True)
    places = np.arange(len(shown))
    source, target = (
        100 * np.array([getattr(one, side) for one in shown]) for side in ("source", "target")
    )
    ends: AnyArray = 100 * np.array([[one.low, one.high] for one in shown])
    reach = np.abs(np.clip([target - ends[:, 0], ends[:, 1] - target], 0.0, None))
    panel.barh(places + 0.19, source, height=0.36, color=SOURCE_COLOUR, label="source")
    panel.barh(
        places - 0.19,
        target,
        height=0.36,
        color=TARGET_COLOUR,
        label="target",
        xerr=reach,
        error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2.5},
    )
    panel.set_yticks(places, [_short(one.name) for one in shown], color=INK)
    panel.set_xlabel("share of the class, % (95 % interval)", color=INK)
    panel.set_xlim(left=0.0)
    how = "by labels of the target" if shift.label.counted else "estimated from predictions"
    panel.set_title(f"class shares, {how}", fontsize=10, color=GREY, loc="left")
    _below(panel)


def _below(panel: Any) -> None:
    panel.grid(True, axis="x", color=FAINT, lw=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(axis="y", length=0)
    panel.legend(
        frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2
    )
