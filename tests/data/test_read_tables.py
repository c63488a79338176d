"""Table files: delimiters, encodings, ragged rows, JSON Lines, Parquet."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pandas as pd
import pytest

from headstart.core.errors import DataError, MissingExtraError
from headstart.data import read
from headstart.data.decoding import decode
from headstart.data.tables import choose_delimiter, read_table

ROWS = [
    ("the film is good, I think", "pos"),
    ("a bad; bad film", "neg"),
    ("so | so it goes", "neg"),
]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def quoted(delimiter: str) -> str:
    lines = [f'"text"{delimiter}"label"'] + [f'"{a}"{delimiter}"{b}"' for a, b in ROWS]
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    path = write(tmp_path, "a.csv", quoted(delimiter))
    frame = read_table(path).frame
    assert list(zip(frame["text"], frame["label"], strict=True)) == ROWS


def test_commas_inside_texts_do_not_make_columns() -> None:
    text = "text\tlabel\n" + "one, two, three\tx\nfour, five\ty\n" * 4
    assert choose_delimiter(text) == "\t"
    assert choose_delimiter("only\none\ncolumn\n") == ","


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_encodings(tmp_path: Path, encoding: str) -> None:
    text = "text,label\n" + "Käse schmeckt sehr gut,ja\nBrot schmeckt gar nicht,nein\n" * 3
    path = write(tmp_path, "a.csv", text.encode(encoding))
    frame = read_table(path).frame
    assert list(frame.columns) == ["text", "label"]
    assert frame["text"][0] == "Käse schmeckt sehr gut"


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("cp1252", "le café était très bon – garçon, déjà vu,oui\n"),
        ("cp1252", "Der Käse war schön und größer als früher,ja\n"),
        ("gb18030", "这部电影非常好看我很喜欢它的故事情节,好\n"),
        ("cp1251", "этот фильм очень хороший и мне понравился,да\n"),
        ("cp1250", "Książka była bardzo ciekawa i świetnie się ją czytało żółw,tak\n"),
        ("cp1254", "Film çok güzeldi ama sonu biraz kötüydü ışık şans ağaç,evet\n"),
        ("euc_kr", "이 영화는 정말 재미있었어요 다시 보고 싶어요,좋음\n"),
        ("shift_jis", "この映画はとても良かったと思います。また見たい,良\n"),
    ],
)
def test_other_encodings_are_guessed_and_said(encoding: str, line: str) -> None:
    text = "text,label\n" + line * 20
    decoded, decisions = decode(text.encode(encoding), "a.csv")
    assert decoded == text
    assert "line 2 is not UTF-8" in str(decisions[0])


def test_text_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2.*NUL bytes"):
        decode(b"text,label\nab\0c,x\n", "a.csv")
    with pytest.raises(DataError, match=r"line 1.*says it is utf-8"):
        decode(b"\xef\xbb\xbfab\xff\xfe", "a.csv")
    with pytest.raises(DataError, match=r"line 2.*NUL characters"):
        decode("a\nb\0c".encode("utf-16"), "a.csv")
    with pytest.raises(DataError, match="encoding is not recognised"):
        decode(bytes(range(128, 256)) * 8 + b"\x81\x8d\x8f\x90\x9d\x01\x02\x03" * 40, "a.csv")


def test_ragged_row_is_named_by_its_true_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"two\nlines",x\n\nthree,y\na,b,c\nd\n')
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert caught.value.where == f"{path}, line 6"
    assert "3 columns, the first line has 2; so do not 1 other rows" in str(caught.value)


def test_unclosed_quote_is_named_by_the_line_it_opens(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\ngood,x\n"never closed,y\nbad,\nz,b,c\n')
    with pytest.raises(DataError) as caught:
        read_table(path)
    assert caught.value.where == f"{path}, line 3"


def test_stray_quotes_are_plain_text_where_that_is_consistent(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"Hi" he said\tx\n5" disk\ty\n')
    sheet = read_table(path)
    assert list(sheet.frame["text"]) == ['"Hi" he said', '5" disk']
    assert "plain text" in str(sheet.decisions[0])


def test_huge_field_and_the_process_wide_limit(tmp_path: Path) -> None:
    import csv

    before = csv.field_size_limit()
    path = write(tmp_path, "a.csv", "text,label\n" + "word " * 60_000 + ",x\nb,y\n")
    assert len(read_table(path).frame["text"][0]) == 300_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        (" \n\n", "the file is empty"),
        ("text,label\n", "column names but no rows"),
        ("a,b\n1,2\n3\n", "1 columns, the first line has 2"),
        ('text\n"never closed\n', "a row cannot be read"),
        ("a,a,b\n1,2,3\n", "names must differ.*'a'"),
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n6.1,2.9,other\n", "looks like data"),
        ("I liked it,positive\nNot me,negative\nYes,positive\n", "looks like data"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, "a.csv", content))


def test_header_of_counted_columns_and_of_an_index(tmp_path: Path) -> None:
    frame = read_table(write(tmp_path, "a.csv", ",0,1,2\n0,7,8,9\n1,4,5,6\n")).frame
    assert list(frame.columns) == ["column 1", "0", "1", "2"]


def test_json_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a.jsonl", '{"text": "a b c", "label": 1}\n\n{"text": "d", "tags": ["x"]}\n'
    )
    frame = read_table(path).frame
    assert frame["label"][0] == 1
    assert frame["label"][1] is None
    assert frame["tags"][1] == '["x"]'
    whole = write(tmp_path, "a.json", '[{"text": "a"}, {"text": "b"}]')
    assert list(read_table(whole).frame["text"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": 1}\n{"a": \n', "line 2: the line is not JSON"),
        ('{"a": 1}\n[1]\n', "line 2: expected a JSON object"),
        ("[]", "no rows"),
        ("{}\n{}\n", "no columns"),
    ],
)
def test_json_lines_that_are_wrong(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(write(tmp_path, "a.jsonl", content))


def test_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": [a for a, _ in ROWS], "label": [b for _, b in ROWS]}).to_parquet(path)
    assert read(path).labels.tolist() == ["pos", "neg", "neg"]
    with pytest.raises(DataError, match="Parquet file is damaged"):
        read_table(write(tmp_path, "b.parquet", b"PAR1 nothing"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match="pyarrow"):
        read_table(path)


def test_packed_files(tmp_path: Path) -> None:
    packed = write(tmp_path, "a.csv.gz", gzip.compress(quoted(",").encode()))
    assert list(read_table(packed).frame["label"]) == ["pos", "neg", "neg"]
    with pytest.raises(DataError, match="packed file is damaged"):
        read_table(write(tmp_path, "b.csv.gz", packed.read_bytes()[:-9]))


def test_files_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not read.*\.xlsx.*\.csv"):
        read(write(tmp_path, "a.xlsx", b"PK"))
    with pytest.raises(DataError, match="Did you mean"):
        read(tmp_path / "a.xlsz")


def test_frames_without_rows_or_with_doubled_names() -> None:
    with pytest.raises(DataError, match="no rows"):
        read(pd.DataFrame({"text": []}))
    with pytest.raises(DataError, match="differ"):
        read(pd.DataFrame([[1, 2]], columns=[1, "1"]))
