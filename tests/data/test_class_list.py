"""What a user may say of the classes, and every wrong way to say it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from headstart.core.errors import AmbiguousDataError, DataError
from headstart.data import read_classes, read_for_classes

CSV = "class,description\nrefund,money back\ncard lost,my card is gone\nrefund,return my payment\n"


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "classes.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize(
    "given",
    ["refund, card lost", "refund,card lost\n", ["refund", "card lost"], ("card lost", "refund")],
)
def test_names_alone(given):
    said = read_classes(given)
    assert said.names == ("card lost", "refund")
    assert said.descriptions == ((), ())
    assert not said.has_attributes


def test_a_name_with_a_comma_is_quoted():
    assert read_classes('"lost, stolen", refund').names == ("lost, stolen", "refund")


def test_descriptions_of_a_class_are_all_used(file):
    said = read_classes(str(file(CSV)))
    assert said.names == ("card lost", "refund")
    assert said.descriptions == (("my card is gone",), ("money back", "return my payment"))
    assert read_classes(pd.read_csv(file(CSV))).descriptions == said.descriptions
    told = {"refund": ["money back", "return my payment"], "card lost": "my card is gone"}
    assert read_classes(told).descriptions == said.descriptions


def test_a_class_without_a_description_is_said(file):
    said = read_classes(file("class,description\na,first\nb,\n"))
    assert said.descriptions == (("first",), ())
    assert "without a description: 'b'" in str(said.decisions[0])


def test_attributes_are_numbers(file):
    said = read_classes(file("animal name,stripes,legs\nzebra,1,4\ntiger,1,4\nhen,0,2\n", "t.csv"))
    assert said.names == ("hen", "tiger", "zebra")
    assert said.attributes is not None
    assert said.attributes.tolist() == [[0, 2], [1, 4], [1, 4]]
    assert said.attribute_names == ("stripes", "legs")
    assert "cannot be told apart" in str(said.decisions[0])
    by_hand = read_classes({"zebra": [1, 4], "hen": np.array([0, 2])})
    assert by_hand.attributes.tolist() == [[0, 2], [1, 4]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,description\na,x\n,y\n", r"row 2: a row has no class"),
        ("class\na\na\n", "given twice"),
        ("class,size\na,1\na,2\n", "given twice"),
        ("class,description\na,x\na,y\n", "at least two classes"),
        ("class,size\na,1\nb,\n", r"row 2: the attribute 'size' of class 'b' is no finite number"),
        ("class,size\na,1\nb,nan\n", "no finite number"),
        ("class,size\na,1\nb,inf\n", "no finite number"),
        ("class,one,two\na,x,y\nb,z,w\n", "more than one column could describe"),
        ("size,thing\n1,a\n2,b\n", "no column is known to hold the classes"),
    ],
)
def test_tables_that_cannot_be_used_say_why(text, message, file):
    with pytest.raises(DataError, match=message):
        read_classes(file(text))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("refund", "at least two classes"),
        ("", "at least two classes"),
        ("refund, card, refund", "given twice"),
        ("refund,, card", "class 2 of 3 has no name"),
        (["a", None], "class 2 of 2 has no name"),
        ("no_such_file.csv", "no such file"),
        (7, "not a list of classes"),
        ({"a": [1, 2], "b": [1]}, "same number of attributes"),
        ({"a": [1.0, float("nan")], "b": [1, 2]}, "class 'a' is no finite number"),
    ],
)
def test_lists_that_cannot_be_used_say_why(given, message):
    with pytest.raises(DataError, match=message):
        read_classes(given)


def test_a_file_that_is_not_there_names_the_nearest(file):
    path = file(CSV)
    with pytest.raises(DataError, match=r"Did you mean .*classes\.csv"):
        read_classes(str(path.with_name("clases.csv")))


# ------------------------------------------------------------------- data for known classes


NAMES = ("card lost", "refund")


def table(tmp_path, labels, name="label"):
    texts = [f"this is the text of row number {i}" for i in range(len(labels))]
    path = tmp_path / "data.csv"
    pd.DataFrame({"text": texts, name: labels}).to_csv(path, index=False)
    return path


def test_labels_are_found_by_their_values(tmp_path):
    found = read_for_classes(table(tmp_path, ["refund", "", "card lost", ""], "what"), NAMES)
    assert found.label == "what"
    assert found.labelled.n == found.pool.n == 2
    assert found.labelled.skipped == ()
    assert found.classes == NAMES


def test_one_label_is_enough(tmp_path):
    found = read_for_classes(table(tmp_path, ["refund", "", "", ""]), NAMES)
    assert found.labelled.n == 1
    assert found.pool.n == 3


def test_without_labels_all_are_unlabelled(tmp_path):
    texts = [f"this is the text of row number {i}" for i in range(4)]
    for data in (texts, pd.DataFrame({"text": texts})):
        found = read_for_classes(data, NAMES)
        assert found.labelled is None
        assert found.pool.n == 4
        assert found.modality == "text"
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts))
    assert read_for_classes(path, NAMES).pool.items == texts
    with pytest.raises(DataError, match="one a line"):
        read_for_classes(path, NAMES, modality="image")


def test_labels_that_are_no_classes_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"not among the classes: 'Refund'.*--classes"):
        read_for_classes(table(tmp_path, ["refund", "Refund", "card lost", "refund"]), NAMES)


def test_two_columns_of_classes_are_asked_about(tmp_path):
    path = table(tmp_path, ["refund", "card lost"] * 3)
    frame = pd.read_csv(path).assign(guess=["refund", "card lost"] * 3)
    with pytest.raises(AmbiguousDataError, match="--label"):
        read_for_classes(frame, NAMES)
    assert read_for_classes(frame, NAMES, label="guess").labelled.label_name == "guess"


def test_a_long_list_of_names_is_no_path():
    names = ", ".join(f"intent number {i}" for i in range(40))
    assert len(read_classes(names).names) == 40
    assert read_classes("~approx, exact").names == ("exact", "~approx")


@pytest.mark.parametrize("text", ["refund\ncard lost\npin\n", "refund,money back\npin,a code\n"])
def test_a_file_without_a_first_line_of_names_is_refused(file, text):
    with pytest.raises(AmbiguousDataError, match='no column is called "class"'):
        read_classes(file(text))


def test_a_text_file_has_a_name_a_line(file):
    assert read_classes(file("refund\ncard, lost\n", "names.txt")).names == ("card, lost", "refund")


def test_a_class_without_a_description_may_be_missing():
    found = read_classes({"a": "x", "b": float("nan"), "c": None, "d": ["y", None]})
    assert found.descriptions == (("x",), (), (), ("y",))


def test_a_text_that_happens_to_be_a_class_is_no_label():
    frame = pd.DataFrame({"text": ["refund", "I lost my card", "money back please"]})
    found = read_for_classes(frame, ["refund", "card lost"])
    assert found.labelled is None
    assert found.pool.n == 3
    called = frame.assign(intent=["refund", None, None])
    assert read_for_classes(called, ["refund", "card lost"]).labelled.n == 1
