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
        ("a.conll", "Anna B-PER\nsaw Q-PER\n", "line 2.*prefix"),
        ("a.conll", "Anna\tB-PER\nsaw\t\n", "line 2"),
        ("a.conll", "1\tAnna" + "\t_" * 4 + "\t2\tnsubj\t_\t_\n", "line 1.*CoNLL-U"),
        ("a.csv", "sentence,word,tag\n1,a,O\n1,b,B-X\n2,c,O\n2,d,Q-X\n", "row 4: this tag"),
        (
            "a.jsonl",
            _ROW + '{"tokens": ["a", "b"], "tags": ["B-X", "Q-X"]}',
            "row 2, word 2: this tag",
        ),
        ("a.jsonl", _ROW + '{"tokens": ["a", null], "tags": ["O", "O"]}', "row 2, word 2.*word"),
        ("a.jsonl", _ROW + '{"tokens": ["a", "b"], "tags": ["O", null]}', "row 2, word 2.*tag"),
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


def test_a_word_that_looks_like_a_remark_is_a_word(tmp_path) -> None:
    text = "# remark = 1\nup IN O\n# # B-MONEY\n3 CD I-MONEY\n\n# sent_id = 2\n# NN O\n\n"
    train = KIND.read(_written(tmp_path, "a.conll", text + "# text of two\na DT O\n")).train
    assert train.inputs == (("up", "#", "3"), ("#",), ("a",))


def test_columns_of_a_file_without_any_are_refused(tmp_path) -> None:
    for named in ({"group": "speaker"}, {"label": "tag"}, {"text": "word"}):
        with pytest.raises(OptionError, match="no columns"):
            KIND.read(_conll(tmp_path), **named)


def test_documents_are_what_intervals_are_over(tmp_path) -> None:
    assert KIND.read(_conll(tmp_path)).train.grouped
    assert not KIND.read(_table(tmp_path)).train.grouped


def test_a_row_without_a_group_is_one_of_its_own() -> None:
    frame = pd.DataFrame(
        {"tokens": [["a"], ["b"], ["c"], ["d"]], "tags": [["O"]] * 4, "g": [None, " ", "1", "1 "]}
    )
    groups = KIND.read(frame, group="g").train.groups
    assert len(set(groups)) == 3
    assert groups[2] == groups[3]
    reading = KIND.read(frame.iloc[[0, 2]], test=frame.iloc[[1, 3]], group="g")
    assert sum("1 groups lie in both" in one.what for one in reading.decisions) == 1


def test_bare_tags_are_read_alike_in_both_parts() -> None:
    frame = pd.DataFrame({"tokens": [["a", "b"], ["c", "d"]], "tags": [["B", "I"], ["B", "O"]]})
    held = KIND.read(frame, test=frame.iloc[1:]).test
    assert held is not None
    assert held.targets == (("B-span", "O"),)


def test_numbers_as_tags_are_said() -> None:
    frame = pd.DataFrame({"tokens": [["a", "b"]], "tags": [[0, 3]]})
    assert any("numbers" in one.what for one in KIND.read(frame).decisions)


def test_texts_of_another_encoding_are_read(tmp_path) -> None:
    (tmp_path / "a.txt").write_bytes(
        "Die Stra\xdfe f\xfchrt \xfcber Z\xfcrich.\n".encode("latin-1")
    )
    assert KIND.read_inputs([str(tmp_path / "a.txt")])[0][0][:2] == ("Die", "Stra\xdfe")


def test_sentences_without_words_cannot_be_learnt_from() -> None:
    from headstart.sequences.taggers import fit_chain_tagger

    train = KIND.read(pd.DataFrame({"tokens": [["a"], []], "tags": [["O"], []]})).train
    with pytest.raises(DataError, match="no sentence to learn from has a word"):
        fit_chain_tagger(train.take([1]))


def test_a_column_that_numbers_the_rows_is_no_sentence(tmp_path) -> None:
    rows = [("1", "0", "Ann", "B-PER"), ("2", "0", "ran", "O"), ("3", "1", "Stop", "O")]
    frame = pd.DataFrame(rows, columns=["id", "sentence", "token", "tag"])
    read = kind_of("token-classification").read
    assert read(frame[["id", "sentence", "token", "tag"]]).train.n == 2
    with pytest.raises(DataError, match="no column tells which sentence"):
        read(frame.drop(columns="sentence"))
