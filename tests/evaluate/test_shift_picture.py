"""The picture of a shift: what is on it, and that it is the same every time."""

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from headstart.core.errors import DataError, MissingExtraError, OptionError
from headstart.evaluate.shift import measure_shift
from headstart.evaluate.shift_picture import shift_picture, two_axes

pytest.importorskip("matplotlib")


def drawn(rng, n, shares=(0.5, 0.5)):
    y = rng.choice(2, n, p=shares)
    return rng.normal(size=(n, 4)) + 3 * y[:, None], np.array(["cat", "dog"])[y]


def text_of(path):
    return path.read_text(encoding="utf-8")


def test_columns_where_they_have_names(tmp_path):
    rng = np.random.default_rng(0)
    X, y = drawn(rng, 80)
    frame = pd.DataFrame(
        X, columns=["age", "weight", "a_name_that_is_much_longer_than_others", "d"]
    )
    other = frame.assign(age=frame.age + 2)
    shift = measure_shift(frame, y, other)
    svg = text_of(shift_picture(shift, frame, other, tmp_path / "one.svg"))
    for words in ("Covariate", "age", "source (80 rows)", "target (80 rows)", "AUC", "not beyond"):
        assert words in svg
    assert "a_name_that_is_much_l…" in svg


def test_shares_of_classes_where_columns_have_none(tmp_path):
    rng = np.random.default_rng(0)
    (X, y), (target, real) = drawn(rng, 200), drawn(rng, 200, (0.9, 0.1))
    svg = text_of(shift_picture(measure_shift(X, y, target), X, target, tmp_path / "one.svg"))
    assert "Label shift" in svg
    assert "cat" in svg
    assert "estimated from predictions" in svg
    counted = measure_shift(X, y, target, real)
    svg = text_of(shift_picture(counted, X, target, tmp_path / "two.svg"))
    assert "by labels of the target" in svg


def test_no_shares_where_they_do_not_explain_the_shift(tmp_path):
    """What is estimated then is no share of a class, and is neither drawn nor printed."""
    rng = np.random.default_rng(0)
    (X, y), (target, real) = drawn(rng, 200), drawn(rng, 200, (0.9, 0.1))
    target = target + np.array([2.0, -2.0, 0.0, 1.0])
    shift = measure_shift(X, y, target)
    assert shift.verdict == "covariate and label"
    assert shift.label.shares
    assert not shift.shares_told
    assert "class shares" not in text_of(shift_picture(shift, X, target, tmp_path / "one.svg"))
    told = " ".join(shift.sentences())
    assert "How frequent the classes are in the target is not told" in told
    assert "->" not in told
    counted = measure_shift(X, y, target, real)
    assert counted.shares_told
    assert "Shares: " in " ".join(counted.sentences())
    assert "by labels" in text_of(shift_picture(counted, X, target, tmp_path / "two.svg"))


def test_one_panel_where_nothing_else_is_known(tmp_path):
    rng = np.random.default_rng(0)
    X, _ = drawn(rng, 30)
    shift = measure_shift(X, ["a"] * 30, X[:3])
    path = shift_picture(shift, X, X[:3], tmp_path / "few.svg")
    assert "too few rows" in text_of(path)
    assert "No shift found" in text_of(path)


def test_conditional_and_both_have_titles(tmp_path):
    rng = np.random.default_rng(0)
    (X, y), (target, real) = drawn(rng, 200), drawn(rng, 200)
    swapped = np.where(real == "cat", "dog", "cat")
    shift = measure_shift(X, y, target, swapped)
    assert "Conditional shift suspected" in text_of(
        shift_picture(shift, X, target, tmp_path / "one.svg")
    )


def test_the_same_bytes_every_time_and_png_that_opens(tmp_path):
    rng = np.random.default_rng(0)
    (X, y), (target, _) = drawn(rng, 60), drawn(rng, 60)
    shift = measure_shift(X, y, target)
    first = shift_picture(shift, X, target, tmp_path / "a.svg").read_bytes()
    assert first == shift_picture(shift, X, target, tmp_path / "b.svg").read_bytes()
    with Image.open(shift_picture(shift, X, target, tmp_path / "a.png")) as picture:
        assert picture.size[1] == 690
        assert picture.size[0] == 810  # no column has a name, and no shift moved the shares


def test_axes_are_those_of_the_pooled_rows():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 50, 5))
    second[:, 0] += 3
    ours, theirs, shares = two_axes(first, second)
    rows = np.vstack([first, second])
    values = np.linalg.eigvalsh(np.corrcoef(rows.T))[::-1]
    assert shares == pytest.approx(values[:2] / 5)
    both = np.vstack([ours, theirs])
    assert both.var(axis=0) == pytest.approx(values[:2])
    flat, _, shares = two_axes(np.ones((4, 1)), np.ones((3, 1)))
    assert not flat.any()
    assert not shares.any()


def test_what_cannot_be_drawn_is_refused(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = drawn(rng, 30)
    shift = measure_shift(X, y, X)
    with pytest.raises(OptionError, match="picture"):
        shift_picture(shift, X, X, tmp_path / "one.bmp")
    with pytest.raises(DataError, match="other features"):
        shift_picture(shift, X, X[:, :2], tmp_path / "one.png")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="plots"):
        shift_picture(shift, X, X, tmp_path / "one.png")
