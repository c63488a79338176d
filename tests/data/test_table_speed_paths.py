"""Columns read at once are what they are cell by cell: same type, same note, same bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data import columns as cells
from headstart.data import infer, read
from headstart.data.assemble import fingerprint
from headstart.data.matching import match_columns
from headstart.evaluate import measure_shift
from headstart.strategies import columns as learnt
from headstart.strategies.adaptation.tables import Numbers

NAN, INF = float("nan"), float("inf")
MACHINE = {
    "all NaN": np.array([NAN] * 4),
    "NaN of another kind": np.array([1, 0x7FF8000000000F00], np.uint64).view(np.float64),
    "infinity": np.array([1.0, INF, -INF, NAN]),
    "only infinity": np.array([INF, INF]),
    "infinity and NaN": np.array([INF, NAN]),
    "two zeros": np.array([0.0, -0.0, 0.0]),
    "negative zero": np.array([-0.0, -0.0]),
    "one value": np.array([3.5] * 5),
    "one value and NaN": np.array([3.5, NAN, 3.5]),
    "near values": np.array([1.0, np.nextafter(1.0, 2.0)]),
    "denormal": np.array([5e-324, 0.0]),
    "float32": np.array([0.1, 0.2, NAN, -0.0], np.float32),
    "float16": np.array([0.1, 65504, INF], np.float16),
    "longdouble": np.array([1, 2, 3], np.longdouble) / 3,
    "big ints": np.array([2**53, 2**53 + 1, -(2**63)], np.int64),
    "unsigned": np.array([0, 2**64 - 1, 2**63 + 1025], np.uint64),
    "small ints": np.array([-128, 127], np.int8),
    "zeros and ones": np.array([0, 1, 1, 0]),
    "bool": np.array([True, False, True]),
    "one bool": np.array([True, True]),
    "numbered": np.arange(30),
    "numbered from 5 as floats": np.arange(5.0, 40.0),
    "permuted": np.random.default_rng(0).permutation(30),
    "numbered but one": np.append(np.arange(29), NAN),
    "numbered, one twice": np.append(np.arange(29), 3),
    "few numbered": np.arange(19),
    "numbered, last infinite": np.append(np.arange(29.0), INF),
    "decimals, all differ": np.arange(30) / 7,
    "empty": np.array([], np.float64),
}
TEXTS = {
    "ints": ["1", "-2", "+3", "007"],
    "floats": ["1.5", "-0.0", "1e-3", ".5", "5."],
    "blanks": ["1", "", "  ", "2"],
    "names of NaN": ["1", "nan", "NaN", "-nan", "NA"],
    "minus NaN": ["1", "-nan"],
    "marks": ["1", "?", "n/a", "-"],
    "all blank": ["", " ", "nan"],
    "spaces": [" 1", "2 ", "\t3"],
    "infinity": ["1", "inf", "-Infinity", "+inf"],
    "big": ["9007199254740993", "18446744073709551615", "-1"],
    "bigger": ["99999999999999999999999", "1"],
    "bigger with blank": ["18446744073709551615", "", "-1"],
    "overflow": ["1e400", "1"],
    "commas": ["1,5", "2,5"],
    "thousands": ["1,200", "3,400,000"],
    "one text": ["1.0", "2.0", "three"],
    "flags": ["true", "f", ""],
    "flags and numbers": ["true", "1"],
    "hexadecimal": ["0x10", "1"],
    "underscore": ["1_000", "2"],
    "dates": ["2024-05-31", "2024-06-01"],
    "long decimals": ["0.1000000000000000055511151231257827", "3.141592653589793238"],
    "other digits": ["\u0661", "\u0662"],
    "ids": [str(i) for i in range(30)],
    "null byte": ["1", "\x00"],
}
MIXED = {
    "float with text": [1.5, "two", NAN],
    "number and its text": [1, "2"],
    "nothing": [None, NAN, 1.0],
    "huge ints": [2**70, -(2**70), 1],
    "bools and numbers": [True, 2, 0.5],
}
NULLABLE = {
    "Int64": pd.array([1, None, 2**62 + 1], "Int64"),
    "Float64": pd.array([0.5, None, INF], "Float64"),
    "boolean": pd.array([True, None, False], "boolean"),
    "string": pd.array(["1", None, "2.5"], "string"),
    "category": pd.Categorical([1, 2, 1]),
}


def by_cell(values: list[object]) -> cells._Read:
    return (
        cells._flags(values)
        or cells._numbers(values)
        or cells._dates(values)
        or cells._categories(values)
    )


def same(one: cells._Read | None, other: cells._Read | None) -> bool:
    if one is None or other is None:
        return one is other
    if one.type == "category":
        return (one.type, one.note) == (other.type, other.note) and list(map(str, one.values)) == (
            list(map(str, other.values))
        )
    facts = [(c.type, c.note, c.values.dtype, c.values.tobytes()) for c in (one, other)]
    return facts[0] == facts[1]


def useless_by_sets(name: str, column: cells._Read) -> str:
    """Why a column of numbers can tell nothing, by the set of its values."""
    present = list(column.values[~np.isnan(column.values)])
    distinct = len(set(present))
    if distinct <= 1:
        return "it holds one value only" if distinct else "it is empty"
    if distinct < len(column.values) or distinct < cells._ID_ROWS:
        return ""
    numbers = np.asarray(present)
    whole_numbers = column.type == "number" and bool(np.all(numbers == np.round(numbers)))
    if whole_numbers and (np.all(np.diff(numbers) == 1) or name in cells._ID_NAMES):
        return "it numbers the rows, and the order of rows can betray the label"
    return ""


def every_series() -> list[pd.Series]:
    typed = [pd.Series(values, name=name) for name, values in {**MACHINE, **NULLABLE}.items()]
    texts = [pd.Series(v, name=n, dtype=object) for n, v in {**TEXTS, **MIXED}.items()]
    as_strings = [pd.Series(v, name=f"str: {n}", dtype="string") for n, v in TEXTS.items()]
    return typed + texts + as_strings


@pytest.mark.parametrize("series", every_series(), ids=lambda series: str(series.name))
@pytest.mark.parametrize("wanted", [None, "number", "flag", "date"])
def test_a_column_at_once_is_the_column_cell_by_cell(series: pd.Series, wanted: str | None) -> None:
    if wanted is None:
        read_once, slow = cells._read(series), by_cell(list(series))
        if slow.type != "category":
            for name in ("x", "id"):
                assert cells._useless(name, read_once) == useless_by_sets(name, slow)
    else:
        read_once, slow = cells._read_as(series, wanted), cells._as(list(series), wanted)
    assert same(read_once, slow)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.lists(
        st.text("0123456789+-.eE ,_naNIinfx\t", max_size=6)
        | st.floats(width=64).map(repr)
        | st.integers(-(2**65), 2**65).map(str),
        min_size=1,
        max_size=5,
    )
)
def test_any_text_at_once_is_the_text_cell_by_cell(values: list[str]) -> None:
    assert same(cells._read(pd.Series(values, dtype=object)), by_cell(list(values)))


@pytest.mark.parametrize("name", MACHINE)
@pytest.mark.parametrize("repeat", [1, 700])
def test_the_profile_of_numbers_is_that_of_their_cells(name: str, repeat: int) -> None:
    series = pd.Series(np.tile(MACHINE[name], repeat))
    assert infer.profile("x", series) == infer.profile("x", list(series))


@pytest.mark.parametrize("name", [name for name in MACHINE if name != "longdouble"])
def test_what_is_learnt_of_a_column_does_not_depend_on_its_dtype(name: str) -> None:
    series = pd.Series(MACHINE[name])
    # the cells as objects take the slow way
    slow = learnt._learn_one(pd.Series(list(series), dtype=object), name)
    assert learnt._learn_one(series, name) == slow
    if np.isinf(series.to_numpy(np.float64)).any():
        return
    frame, column = pd.DataFrame({name: series}), learnt.Column(name, "number")
    wide = pd.to_numeric(series).astype("Float64").to_numpy(np.float64, na_value=np.nan)
    assert learnt._numbers(frame, column).tobytes() == wide.tobytes()


def whole(frame: pd.DataFrame, columns: list[learnt.Column]) -> tuple[learnt.Scaling, np.ndarray]:
    """Scale a table in one piece."""
    numbers, hot = learnt._plain(frame, columns)
    gone = np.isnan(numbers)
    median = np.array(
        [np.median(col[~np.isnan(col)]) if not np.isnan(col).all() else 0.0 for col in numbers.T]
    )
    missing = gone.any(axis=0).astype(np.float64)
    complete = np.hstack([np.where(gone, median, numbers), gone[:, missing > 0], hot])
    spread = complete.std(axis=0)
    spread = np.where(spread > 1e-12, spread, np.inf)
    mean = complete.mean(axis=0)
    width = max(int(np.isfinite(spread).sum()), 1)
    rows = (complete - mean) / spread / np.sqrt(width)
    return learnt.Scaling(median, missing, mean, spread), rows


def mixed_table(width: int, n: int = 3000) -> pd.DataFrame:
    rng = np.random.default_rng(width)
    columns: dict[str, object] = {}
    for at in range(width):
        values = rng.normal(size=n) * 10.0 ** rng.integers(-3, 6)
        if at % 5 == 1:
            values[rng.random(n) < 0.1] = np.nan
        columns[f"x{at}"] = values
        if at % 7 == 2:
            columns[f"c{at}"] = rng.choice(["a", "b", "c"], n)
        if at % 11 == 3:
            columns[f"k{at}"] = np.full(n, 2.0)
    return pd.DataFrame(columns)


@pytest.mark.parametrize("width", [1, 2, 5, 31, 33, 65, 97])
def test_a_table_scaled_in_pieces_has_the_bytes_of_one_scaled_whole(width: int) -> None:
    frame = mixed_table(width)
    columns = learnt.learn(frame)
    scaling = learnt.fit_scaling(frame, columns)
    expected, rows = whole(frame, columns)
    for name in ("median", "missing", "mean", "spread"):
        assert getattr(scaling, name).tobytes() == getattr(expected, name).tobytes(), name
    found = learnt.for_linear(frame, columns, scaling)
    assert found.flags.c_contiguous
    assert np.array_equal(found, rows)


def test_a_piece_of_one_column_is_summed_as_the_table_was() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5000, learnt.CHUNK + 1)) + 1000.0
    frame = pd.DataFrame(rows)
    columns = learnt.learn(learnt.as_frame(frame))
    scaling = learnt.fit_scaling(learnt.as_frame(frame), columns)
    assert scaling.mean.tobytes() == rows.mean(axis=0).tobytes()
    alone = learnt.as_frame(frame.iloc[:, :1])
    one = learnt.fit_scaling(alone, learnt.learn(alone))
    assert one.mean.tobytes() == rows[:, :1].copy().mean(axis=0).tobytes()


def test_arrays_of_any_dtype_and_their_cells_as_objects_are_the_same_task() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype(np.float32)
    X[3, 1] = np.nan
    X[4, 2] = np.inf
    X[:, 3] = 1.0
    y = rng.choice(["a", "b"], 60)
    plain = pd.DataFrame(X, columns=list("pqrs"))
    objects = plain.astype(object)
    tasks = [read(frame.assign(label=y), label="label") for frame in (plain, objects)]
    assert tasks[0].fingerprint == tasks[1].fingerprint
    assert [d.what for d in tasks[0].decisions] == [d.what for d in tasks[1].decisions]
    assert tasks[0].items.attrs == tasks[1].items.attrs
    assert np.array_equal(tasks[0].groups, tasks[1].groups)


def test_nothing_that_only_looks_changes_a_table_or_what_is_known_of_it() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=[7, 9])
    frame.attrs["column_types"] = {"a": "number", "b": "date"}
    before = frame.copy()
    fingerprint(frame, None)
    plain = learnt.as_frame(frame.rename(columns={"a": 5}))
    assert list(plain.columns) == ["5", "b"]
    assert list(plain.index) == [0, 1]
    left, right = match_columns(frame, frame).apply(frame, frame)
    left.columns = ["p", "q"]
    assert list(right.columns) == ["a", "b"]
    assert right.attrs == frame.attrs == before.attrs
    pd.testing.assert_frame_equal(frame, before)


def test_the_shift_of_numbers_as_they_are_is_that_of_nullable_ones() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    here = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
    here["k"], here.iloc[5, 1] = np.arange(120) % 3, np.nan
    there = here + 0.5
    numbers = Numbers.learnt(here, there)
    views = [numbers.plain(frame) for frame in (here, there)]
    assert all(
        np.shares_memory(v["a"].to_numpy(), f["a"].to_numpy())
        for v, f in zip(views, (here, there), strict=True)
    )
    wide = [pd.DataFrame({n: f[n].astype("Float64") for n in f}) for f in (here, there)]
    shifts = [
        measure_shift(numbers(here), y, numbers(there), columns=tuple(pair)).features
        for pair in (views, wide)
    ]
    assert shifts[0] == shifts[1]
