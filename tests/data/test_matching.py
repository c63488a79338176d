"""Columns of two tables: what is matched, what is left out, and that both are said."""

from __future__ import annotations

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.matching import match_columns


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({name: [value, value] for name, value in columns.items()})


def test_matching_of_the_same_columns_says_nothing() -> None:
    table = frame(a=1.0, b="x")
    found = match_columns(table, table[["b", "a"]])
    assert found.shared == ("b", "a")  # the target's order
    assert (found.renamed, found.only_source, found.only_target) == ({}, (), ())
    assert found.decisions == ()


def test_matching_needs_the_same_type() -> None:
    here = frame(size=1.8, when=pd.Timestamp("2020-01-01"), flag=True)
    there = frame(size="tall", when="2020-01-01", flag=1)
    found = match_columns(here, there)
    assert found.shared == ("flag",)  # true and false are numbers
    assert found.only_source == ("size", "when")
    assert found.only_target == ("size", "when")
    text = " | ".join(str(one) for one in found.decisions)
    assert "size (number in the source, category in the target)" in text
    assert "when (date in the source, category in the target)" in text


def test_matching_takes_the_types_found_in_reading() -> None:
    here, there = frame(when=1.5e9), frame(when=1.6e9)
    here.attrs["column_types"] = {"when": "date"}
    assert match_columns(here, there).shared == ()
    there.attrs["column_types"] = {"when": "date"}
    assert match_columns(here, there).shared == ("when",)


def test_matching_by_names_without_case_spaces_and_signs() -> None:
    here = frame(**{"Fixed Acidity": 1.0, "pH": 3.0, "alcohol %": 10.0})
    there = frame(fixed_acidity=1.0, PH=3.0, sugar=2.0)
    found = match_columns(here, there)
    assert found.shared == ("fixed_acidity", "PH")
    assert found.renamed == {"Fixed Acidity": "fixed_acidity", "pH": "PH"}
    assert found.only_source == ("alcohol %",)
    assert found.only_target == ("sugar",)
    left, right = found.apply(here, there)
    assert list(left.columns) == list(right.columns) == ["fixed_acidity", "PH"]
    assert left["PH"].tolist() == [3.0, 3.0]
    text = " | ".join(str(one) for one in found.decisions)
    for said in ("Fixed Acidity is fixed_acidity", "source: alcohol %", "target: sugar"):
        assert said in text


def test_matching_never_guesses_between_two_names() -> None:
    found = match_columns(frame(**{"a b": 1, "A_B": 2}), frame(ab=1))
    assert found.shared == ()
    assert "a b / A_B / ab" in str(found.decisions[-1])
    assert match_columns(frame(**{"--": 1}), frame(**{"??": 1})).shared == ()
    exact = match_columns(frame(**{"a b": 1, "A_B": 2}), frame(**{"a b": 1}))
    assert exact.shared == ("a b",)  # the same name comes first
    other = match_columns(frame(**{"a b": 1}), frame(ab="x"))
    assert other.shared == ()
    assert "a b / ab (number in the source, category in the target)" in str(other.decisions[-1])


def test_matching_keeps_types_and_both_frames_as_they_are() -> None:
    here, there = frame(When=1.5e9, a=1.0), frame(when=1.6e9)
    here.attrs["column_types"] = {"When": "date", "a": "number"}
    there.attrs["column_types"] = {"when": "date"}
    left, _ = match_columns(here, there).apply(here, there)
    assert left.attrs["column_types"] == {"when": "date"}
    assert list(here.columns) == ["When", "a"]


NAMES = st.lists(st.text("aAbB _-", min_size=1, max_size=3), unique=True, max_size=6)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(NAMES, NAMES)
def test_matching_counts_every_column_once(ours: list[str], theirs: list[str]) -> None:
    here, there = frame(**dict.fromkeys(ours, 1.0)), frame(**dict.fromkeys(theirs, 1.0))
    found = match_columns(here, there)
    assert set(found.shared) | set(found.only_target) == set(theirs)
    assert len(found.shared) + len(found.only_target) == len(theirs)
    assert len(found.shared) + len(found.only_source) == len(ours)
    assert set(ours) & set(theirs) <= set(found.shared)
    left, right = found.apply(here, there)
    assert list(left.columns) == list(right.columns)
