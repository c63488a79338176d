"""Tables without pandas: cells are read as headstart reads them, rows become the same numbers."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart import bundle
from headstart.bundle.columns import Column as BundleColumn
from headstart.bundle.columns import to_frame
from headstart.bundle.exporting.write import expected
from headstart.bundle.inputs import prepared
from headstart.bundle.runner import open_export
from headstart.bundle.runner.tables import for_linear, for_trees, read_rows
from headstart.core.errors import DataError, OptionError
from headstart.strategies import columns as learnt

NUMBERS = st.one_of(
    st.integers(-(10**6), 10**6),
    st.floats(-1e6, 1e6),
    st.sampled_from(["1", " 2.5 ", "-3e2", ".5", "7.", "+4", "inf", "-Infinity", "1e400"]),
    st.sampled_from(["", "NA", "nan", "?", None, math.nan, True, np.float32(0.25), np.int64(3)]),
)
COMMAS = st.sampled_from(["1,200", "3,14", "1,234,567", "2,5", "12", "1.5", "", "1,2,3"])
WRONG = st.sampled_from(["x", "1_000", "0x10", "١", "1 2", "--1", "1e", "one", [1]])
FLAGS = st.sampled_from([True, False, "true", "F", "False", "t", "", None, 1, 0.0, "0.5"])
DATES = st.sampled_from(
    [
        *("2024-05-31", "1969-12-31", "2024-05-31 10:30", "2024-05-31T10:30:15Z"),
        *("2024-05-31T10:30:15.250", "2024-05-31T10:30:15+02:00", "2000-02-29", "", "NA", None),
        *(datetime.date(2020, 3, 1), datetime.datetime(2020, 3, 1, 12, 30)),
    ]
)
NAMES = st.one_of(
    st.sampled_from(["red", " red ", "", "NA", "nan", None, 3, 3.0, 2.5, True, "?", "<NA>"]),
    st.text(max_size=4),
)
QUICK = settings(max_examples=25, deadline=None, derandomize=True)


def attempt(read):
    """Return what was read, or the error."""
    try:
        return read(), None
    except DataError as error:
        return None, error


def both(cells, kind):
    """Read cells by pandas and by the runner; an error is one for both."""
    columns = (BundleColumn("c", kind),)
    rows = [{"c": cell} for cell in cells]
    want, told = attempt(lambda: to_frame(rows, columns)["c"].tolist())
    if told is not None:
        _, met = attempt(lambda: read_rows(rows, [{"name": "c", "type": kind}]))
        assert met is not None
        assert (met.what, met.where, repr(met.got)) == (told.what, told.where, repr(told.got))
        return
    n, found = read_rows(rows, [{"name": "c", "type": kind}])
    assert n == len(cells)
    if kind == "category":
        assert found["c"] == [None if isinstance(one, float) else one for one in want]
    else:
        np.testing.assert_allclose(found["c"], np.array(want, dtype=float), rtol=1e-12)


@QUICK
@given(st.lists(NUMBERS, min_size=1, max_size=6))
def test_numbers(cells):
    both(cells, "number")


@QUICK
@given(st.lists(st.one_of(COMMAS, NUMBERS), min_size=1, max_size=5))
def test_numbers_with_commas(cells):
    both(cells, "number")


@QUICK
@given(st.lists(NUMBERS, max_size=3), WRONG, st.lists(NUMBERS, max_size=3))
def test_what_is_no_number(before, wrong, after):
    both([*before, wrong, *after], "number")


@QUICK
@given(st.lists(FLAGS, min_size=1, max_size=6))
def test_flags(cells):
    both(cells, "flag")


@QUICK
@given(st.lists(DATES, min_size=1, max_size=6))
def test_dates(cells):
    both(cells, "date")


@pytest.mark.parametrize("wrong", ["yesterday", "2024-13-01", "2024-02-30", "31-05-2024", "maybe"])
@pytest.mark.parametrize("kind", ["date", "flag"])
def test_what_is_no_date_or_flag(wrong, kind):
    both(["", wrong], kind)


@QUICK
@given(st.lists(NAMES, min_size=1, max_size=6))
def test_categories(cells):
    both(cells, "category")


FRAME = pd.DataFrame(
    {
        "size": [1.0, 2.0, np.nan, 8.0, 9.0, 3.0] * 4,
        "same": [5.0] * 24,
        "kind": (["a", "b", None, "a", "c", "b"] * 4),
        "town": [f"town {i % 13}" for i in range(24)],
        "whole": list(range(24)),
    }
)
ASKED = pd.DataFrame(
    {
        "size": [4.0, np.nan, 1e9],
        "same": [5.0, np.nan, 1.0],
        "kind": ["b", "never seen", None],
        "town": ["town 3", None, "nowhere"],
        "whole": [1.0, 2.5, np.nan],
    }
)


def as_cells(frame):
    return {
        name: frame[name].to_numpy(float)
        if frame[name].dtype.kind in "fi"
        else [None if pd.isna(cell) else cell for cell in frame[name]]
        for name in frame
    }


@pytest.mark.parametrize("frame", [FRAME, ASKED], ids=["seen", "new"])
def test_rows_become_the_numbers_that_the_model_learnt_from(frame):
    columns = learnt.learn(FRAME)
    said = learnt.to_json(columns)
    scaling = learnt.fit_scaling(FRAME, columns)
    np.testing.assert_array_equal(
        for_trees(as_cells(frame), said, len(frame)), learnt.for_trees(frame, columns)
    )
    np.testing.assert_allclose(
        for_linear(as_cells(frame), said, vars(scaling), len(frame)),
        learnt.for_linear(frame, columns, scaling),
        rtol=1e-12,
        atol=1e-15,
    )


def test_a_table_of_every_kind_of_column_is_answered_alike(tmp_path, lively):
    from tiny_models import CLASSES

    from headstart import strategies

    rng = np.random.default_rng(3)
    n = 90
    raw = pd.DataFrame(
        {
            "size": [f"{v:.2f}" if v > -1 else "NA" for v in rng.normal(0, 1, n)],
            "day": [str(datetime.date(2020, 1, 1) + datetime.timedelta(int(d))) for d in range(n)],
            "ripe": rng.choice(["true", "false", ""], n),
            "town": rng.choice([f"town {i}" for i in range(14)], n),
        }
    )
    types = ("number", "date", "flag", "category")
    columns = tuple(BundleColumn(*pair) for pair in zip(raw.columns, types, strict=True))
    items = to_frame(raw, columns)
    labels = np.array([CLASSES[int(a) % 3] for a in rng.integers(0, 3, n)], dtype=object)
    for name in ("linear", "trees"):
        model = strategies.make("scratch", kind="classification", modality="table")
        if name == "trees":
            model._choose = lambda *_: __import__(
                "headstart.strategies.scratch_table", fromlist=["_Choice"]
            )._Choice("shallow", 10, {}, "as the test asks")
        state = model.fit(items, labels).to_state()
        contents = lively(("scratch", "classification", "table"), state=state, columns=columns)
        opened = bundle.in_memory(contents)
        where = bundle.export(opened, tmp_path / name)
        found = open_export(where)
        rows = raw.to_dict("records")
        want = expected(opened, prepared(raw, "table", columns))
        np.testing.assert_allclose(found.predict_proba(rows), want, atol=1e-9)
        np.testing.assert_allclose(found.predict_proba(raw), want, atol=1e-9)


def test_rows_that_are_none_are_told(exported):
    opened = open_export(exported(("scratch", "classification", "table"))[1])
    with pytest.raises(OptionError, match="one row was given"):
        opened.predict({"width": 1})
    with pytest.raises(DataError, match="a row is not a dict"):
        opened.predict(["width"])
    with pytest.raises(DataError, match="columns are missing: weight, colour"):
        opened.predict([{"width": 1}])
    row = {"width": 9.0, "colour": "red", "taste": "sweet"}
    assert len(opened.predict([row, {"weight": 3}])) == 2
