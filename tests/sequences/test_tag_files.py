"""Reading tagged sentences: every form gives the same, what is wrong is named with its place."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.sequences import kind_of
from headstart.sequences.tag_files import may_follow
from headstart.sequences.tagging import words_of

KIND = kind_of("token-classification")
INPUTS = (("Anna", "saw", "New", "York"), ("ok", "."))
TARGETS = (("B-PER", "O", "B-LOC", "I-LOC"), ("O", "O"))


_ROW = '{"tokens": ["a"], "tags": ["O"]}\n'


def _written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _conll(tmp_path):
    return _written(
        tmp_path,
        "a.conll",
        "-DOCSTART- -X- O\n\nAnna NNP I-PER\nsaw V O\nNew NNP I-LOC\nYork NNP I-LOC\n\n"
        "-DOCSTART- -X- O\n\nok J O\n. . O\n",
    )


def _table(tmp_path):
    rows = "sentence,word,tag\n1,Anna,B-PER\n1,saw,O\n1,New,B-LOC\n1,York,I-LOC\n2,ok,O\n2,.,O\n"
    return _written(tmp_path, "a.csv", rows)


def _lists(tmp_path):
    rows = [{"tokens": a, "ner_tags": b} for a, b in zip(INPUTS, TARGETS, strict=True)]
    return _written(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))


def _frame(tmp_path):
    return pd.DataFrame({"words": [np.array(one) for one in INPUTS], "labels": list(TARGETS)})


def _blank(tmp_path):  # the number stands on the first row of a sentence only
    rows = "Sentence #,Word,POS,Tag\nSentence: 1,Anna,N,B-PER\n,saw,V,O\n,New,N,B-LOC\n"
    rows += ",York,N,I-LOC\nSentence: 2,ok,J,O\n,.,.,O\n"
    return _written(tmp_path, "b.csv", rows)


@pytest.mark.parametrize("form", [_conll, _table, _lists, _frame, _blank])
def test_every_form_gives_the_same(form, tmp_path) -> None:
    train = KIND.read(form(tmp_path)).train
    assert train.inputs == INPUTS
    assert train.targets == TARGETS


def test_a_column_may_be_named_and_is_kept(tmp_path) -> None:
    path = _blank(tmp_path)
    reading = KIND.read(path, label="POS")
    assert reading.train.targets[0] == ("N", "V", "N", "N")
    assert KIND.read(path, columns=reading.columns).train.targets == reading.train.targets
    assert KIND.read_inputs([path], columns=reading.columns)[0] == INPUTS
    with pytest.raises(UnknownNameError, match="Taggs"):
        KIND.read(path, label="Taggs")


def test_documents_and_copies_stay_together(tmp_path) -> None:
    text = "-DOCSTART- O\n\na O\n\nb X\n\n-DOCSTART- O\n\nc O\n\na O\n"
    groups = KIND.read(_written(tmp_path, "d.conll", text)).train.groups
    assert len(set(groups)) == 1  # the copy of the first sentence joins the two documents
    frame = pd.DataFrame(
        {"tokens": [["a"], ["b"], ["c"]], "tags": [["O"], ["X"], ["O"]], "g": ["1", "1", "2"]}
    )
    read = KIND.read(frame, group="g").train
    assert read.grouped
    assert read.groups[0] == read.groups[1] != read.groups[2]


def test_what_is_in_the_test_part_is_not_learnt_from() -> None:
    frame = pd.DataFrame({"tokens": [["a"], ["b"]], "tags": [["X"], ["Y"]]})
    reading = KIND.read(frame, test=frame.iloc[:1])
    assert reading.train.inputs == (("b",),)
    with pytest.raises(DataError, match="test part"):
        KIND.read(frame.iloc[:1], test=frame.iloc[:1])


@pytest.mark.parametrize(
    ("tags", "made"),
    [
        (["I-A", "I-A", "I-B"], ("B-A", "I-A", "B-B")),
        (["B-A", "L-A", "U-B"], ("B-A", "E-A", "S-B")),
        (["O", "E-A", "B-A"], ("O", "S-A", "B-A")),
        (["B", "I", "O"], ("B-span", "I-span", "O")),
        (["DT", "NN", "B-"], ("DT", "NN", "B-")),
    ],
)
def test_odd_tags_are_put_in_order(tags, made) -> None:
    frame = pd.DataFrame({"tokens": [["x", "y", "z"]], "tags": [tags]})
    assert KIND.read(frame).train.targets == (made,)


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.conll", "Anna B-PER\nsaw\n", "line 2"),
        ("a.conll", "Anna B-PER\nsaw X O\n", "line 2"),
        ("a.conll", "\n\n", "no sentence"),
        ("a.conll", "Anna B-PER\nsaw Q-PER\n", "line 1.*prefix"),
        ("a.csv", "word,tag\nAnna,O\n", "which sentence"),
        ("a.csv", "sentence,word,tag\n1,Anna,\n", "row 1.*no tag|no tag"),
        ("a.csv", "sentence,word,tag\n1,,O\n", "no word"),
        ("a.csv", "sentence,weird,tag\n1,a,O\n", "words"),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["O"]}', "differ in number"),
        ("a.jsonl", '{"tokens": ["a"], "tags": "O"}', "no list of tags"),
        (
            "a.jsonl",
            '{"tokens": ["a"], "tags": ["O"]}\n' * 21 + '{"tokens": "x", "tags": []}',
            "21|22",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(name, text, match, tmp_path) -> None:
    with pytest.raises(DataError, match=match):
        KIND.read(_written(tmp_path, name, text))


def test_a_folder_and_a_path_column_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="folder"):
        KIND.read(str(tmp_path))
    with pytest.raises(OptionError, match="words are read"):
        KIND.read(_table(tmp_path), path="x")


def test_inputs_are_texts_files_and_lists(tmp_path) -> None:
    lines = _written(tmp_path, "a.txt", "Anna is here.\n\nok\n")
    made, ids, _ = KIND.read_inputs(["Who, me?", lines, _conll(tmp_path)])
    assert made[:3] == (("Who", ",", "me", "?"), ("Anna", "is", "here", "."), ("ok",))
    assert made[3:] == INPUTS
    assert ids[:2] == ("Who, me?", "line 1")
    assert KIND.items(["a b", ["c"]]) == (("a", "b"), ("c",))
    with pytest.raises(DataError, match="no such file"):
        KIND.read_inputs([str(tmp_path / "none.csv")])
    with pytest.raises(DataError, match="no sentence"):
        KIND.read_inputs([_written(tmp_path, "e.txt", "\n")])
    with pytest.raises(DataError, match=r"items\[1\]"):
        KIND.items([["a"], 3])
    with pytest.raises(OptionError, match="list"):
        KIND.items("a b")


def test_words_are_cut_from_signs() -> None:
    assert words_of("") == ()
    assert words_of("a-b, c\u2019d (1.5)") == ("a-b", ",", "c\u2019d", "(", "1.5", ")")


def test_what_may_follow_what() -> None:
    tags = ("B-A", "I-A", "I-B", "O")
    allowed, first = may_follow(tags)
    assert first.tolist() == [True, False, False, True]
    assert allowed[0].tolist() == [True, True, False, True]
    assert allowed[3].tolist() == [True, False, False, True]
