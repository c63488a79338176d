"""Reading questions, finding candidates and cutting long contexts."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tests.sequences.tiny_texts import tiny_bert

from headstart import sources
from headstart.core.errors import DataError, OptionError, UnreadableError
from headstart.sequences import kind_of
from headstart.sequences.encoder import pieces_of
from headstart.sequences.pair_scores import _best, pairs_of, places_of
from headstart.sequences.question_files import Question
from headstart.sequences.span_features import asking_of, candidates_of
from headstart.sequences.tuned_reader import _threshold

KIND = kind_of("question-answering")
CONTEXT = "Mary Ward founded the school in 1609. It stands in Leeds, in Leeds."
QAS = [
    ("Who founded it?", [("Mary Ward", 0)]),
    ("Where is it?", [("Leeds", 61), ("in Leeds", 48)]),
    ("Who burnt it?", []),
]


def _squad(tmp_path):
    qas = [
        {
            "id": f"q{at}",
            "question": question,
            "is_impossible": not golds,
            "answers": [{"text": text, "answer_start": start} for text, start in golds],
        }
        for at, (question, golds) in enumerate(QAS)
    ]
    path = tmp_path / "squad.json"
    content = {"data": [{"title": "t", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    path.write_text(json.dumps(content))
    return str(path)


def _lines(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [
        {
            "question": question,
            "context": CONTEXT,
            "answers": {"text": [a for a, _ in golds], "answer_start": [b for _, b in golds]},
        }
        for question, golds in QAS
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


@pytest.mark.parametrize("form", [_squad, _lines])
def test_every_form_gives_the_same(form, tmp_path) -> None:
    train = KIND.read(form(tmp_path)).train
    assert [tuple(one) for one in train.inputs] == [(question, CONTEXT) for question, _ in QAS]
    assert [list(gold) for gold in train.targets] == [golds for _, golds in QAS]
    assert len(set(train.groups)) == 1
    assert KIND.read_inputs([form(tmp_path)])[0] == train.inputs


def test_a_table_without_starts_finds_the_first_and_with_them_the_nearest(tmp_path) -> None:
    frame = pd.DataFrame(
        {"question": ["a", "b"], "passage": [CONTEXT] * 2, "answer": ["Leeds", "Leeds"]}
    )
    assert [gold[0][1] for gold in KIND.read(frame).train.targets] == [51, 51]
    frame["answer_start"] = ["", "60"]
    assert [gold[0][1] for gold in KIND.read(frame).train.targets] == [51, 61]
    path = tmp_path / "a.csv"
    frame.to_csv(path, index=False)
    reading = KIND.read(str(path), label="answer", text="passage", group="question")
    assert reading.train.grouped
    assert reading.columns["contexts"] == "passage"
    assert KIND.read_inputs([str(path)], columns=reading.columns)[1] == ("row 1", "row 2")


def test_answers_that_do_not_stand_there_are_left_out_or_refused() -> None:
    rows = [{"question": "q", "context": f"{CONTEXT} {at}", "answer": "Leeds"} for at in range(30)]
    frame = pd.DataFrame([*rows, {"question": "q", "context": CONTEXT, "answer": "Rome"}])
    reading = KIND.read(frame)
    assert reading.train.n == 30
    assert reading.skipped[0].item == "row 31"
    with pytest.raises(UnreadableError, match="row 31"):
        KIND.read(frame, allow_unreadable=0.0)


def test_contexts_of_the_test_part_are_not_learnt_from() -> None:
    frame = pd.DataFrame(
        {"question": ["a", "b"], "context": [CONTEXT, "Rome is old."], "answer": ["Leeds", "Rome"]}
    )
    assert KIND.read(frame, test=frame.iloc[:1]).train.n == 1
    with pytest.raises(DataError, match="test part"):
        KIND.read(frame.iloc[:1], test=frame)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        ({"question": "", "context": "c", "answer": "c"}, "row 1.*no question"),
        ({"question": "q", "context": "c", "answer": ["c"], "answer_start": [0, 1]}, "in number"),
        ({"question": "q", "context": "c", "answer": "c", "answer_start": "x"}, "number of char"),
        ({"question": "q", "context": "c", "answer": {"texts": "c"}}, "no text"),
        ({"query": "q", "answer": "c"}, "contexts"),
    ],
)
def test_what_is_wrong_in_a_row_is_named(row, match) -> None:
    with pytest.raises(DataError, match=match):
        KIND.read(pd.DataFrame([row]))


def test_what_is_wrong_in_a_file_is_named(tmp_path) -> None:
    path = tmp_path / "bad.json"
    path.write_text('{"data": [{"paragraphs": [{"qas": [{"question": "q"}]}]}]}')
    with pytest.raises(DataError, match="article 1"):
        KIND.read(str(path))
    path.write_text('{"data": []}')
    with pytest.raises(DataError, match="no question"):
        KIND.read(str(path))
    with pytest.raises(DataError, match="SQuAD file or a table"):
        KIND.read(str(tmp_path))
    with pytest.raises(OptionError, match="file itself"):
        KIND.read(str(path), path="x")
    with pytest.raises(DataError, match=r"items\[0\]"):
        KIND.items(["who?"])
    assert KIND.items([{"question": "q", "context": "c"}]) == (Question("q", "c"),)
    with pytest.raises(DataError, match="no question has an answer"):
        KIND.plan(KIND.read(pd.DataFrame([{"question": "q", "context": "c", "answer": ""}])).train)


def test_candidates_hold_the_answer_and_stay_in_a_sentence() -> None:
    found = candidates_of(Question("Who founded it?", CONTEXT), 4, null=True)
    texts = {
        CONTEXT[found.offsets[a, 0] : found.offsets[b, 1]]
        for a, b in zip(found.first, found.last, strict=True)
        if a >= 0
    }
    assert {"Mary Ward", "1609", "Leeds"} <= texts
    assert not any("1609. It" in text for text in texts)
    assert found.first[-1] == -1
    assert (found.sentence[found.first[:-1]] == found.sentence[found.last[:-1]]).all()
    assert [asking_of(one) for one in ("How many are there", "In what year", "Go")] == [
        "how many",
        "what",
        "",
    ]


def test_a_long_context_is_cut_into_windows_that_cover_it(tmp_path) -> None:
    pieces = pieces_of(sources.load(tiny_bert(tmp_path, positions=32)))
    context = " ".join(f"anna saw {n}" for n in range(60))
    pairs = pairs_of(Question("who saw it ?", context), pieces)
    assert len(pairs) > 3
    assert all(len(pair.ids) <= 32 for pair in pairs)
    seen = np.zeros(len(context), dtype=bool)
    for pair in pairs:
        for start, end in pair.offsets:
            seen[start:end] = True
    assert all(seen[at] for at, sign in enumerate(context) if sign != " ")
    at = context.index("saw 31")
    holding = [places_of(pair, (("saw 31", at),)) for pair in pairs]
    assert any(place != (0, 0) for place in holding)
    for pair, (first, last) in zip(pairs, holding, strict=True):
        if first:
            offsets = pair.offsets[[first - pair.first, last - pair.first]]
            assert context[offsets[0, 0] : offsets[1, 1]] == "saw 31"
    with pytest.raises(OptionError, match="too few"):
        pairs_of(Question("who saw it ?", context), pieces_of_limit(pieces, 7))


def pieces_of_limit(pieces, limit):
    from dataclasses import replace

    return replace(pieces, limit=limit)


def test_the_best_part_is_the_best_of_all_that_are_short_enough(tmp_path) -> None:
    pieces = pieces_of(sources.load(tiny_bert(tmp_path)))
    pair = pairs_of(Question("who ?", "anna saw rome in paris"), pieces)[0]
    scores = np.random.default_rng(0).normal(size=(len(pair.ids), 2))
    found = _best([pair], [scores], 3)
    inner = scores[pair.first : pair.first + len(pair.offsets)]
    values = {
        (a, b): inner[a, 0] + inner[b, 1]
        for a in range(len(inner))
        for b in range(a, min(a + 3, len(inner)))
    }
    first, last = max(values, key=values.get)
    assert (found.start, found.end) == (pair.offsets[first, 0], pair.offsets[last, 1])
    share = np.exp(values[first, last]) / sum(np.exp(one) for one in values.values())
    assert found.sure == pytest.approx(share)


def test_the_threshold_parts_what_has_an_answer(monkeypatch) -> None:
    from headstart.sequences import tuned_reader
    from headstart.sequences.base import Examples
    from headstart.sequences.pair_scores import Found

    leads = [3.0, 2.0, -1.0, -2.0]
    found = [Found(0, 4, 0.5, lead) for lead in leads]
    monkeypatch.setattr(tuned_reader, "best_parts", lambda *_: found)
    monkeypatch.setattr(tuned_reader, "pieces_of", lambda _: None)
    asked = tuple(Question("q", "Rome is old") for _ in leads)
    golds = ((("Rome", 0),), (("Rome", 0),), (), ())
    judge = Examples(asked, golds, ("", "", "", ""), np.arange(4))

    class Fake:
        longest = 3

        class net:  # noqa: N801
            backbone = None

    assert -1.0 < _threshold(Fake, judge) < 2.0


def test_columns_of_a_squad_file_are_refused(tmp_path) -> None:
    path = tmp_path / "a.json"
    asked = {"question": "q", "id": "1", "answers": [{"text": "a", "answer_start": 0}]}
    content = {"data": [{"paragraphs": [{"context": "a b", "qas": [asked]}]}]}
    path.write_text(json.dumps(content))
    assert kind_of("question-answering").read(str(path)).train.n == 1
    with pytest.raises(OptionError, match="no columns"):
        kind_of("question-answering").read(str(path), group="title")


def test_intervals_are_over_contexts_where_questions_share_one() -> None:
    frame = pd.DataFrame(
        {"question": ["x", "y", "z"], "context": ["a b", "a b", "c"], "answer": ["a", "b", "c"]}
    )
    kind = kind_of("question-answering")
    assert kind.read(frame).train.grouped
    assert not kind.read(frame.iloc[1:]).train.grouped


def test_numbers_and_brackets_are_answers_as_they_stand() -> None:
    frame = pd.DataFrame(
        {"question": ["x", "y"], "context": ["in 1901", "no"], "answer": [1901, None]}
    )
    assert KIND.read(frame).train.targets == ((("1901", 3),), ())
    frame["answer"] = ["[3]", '["no"]']
    frame["context"] = ["see 3 [3]", "no"]
    assert KIND.read(frame).train.targets == ((("[3]", 6),), (("no", 0),))
