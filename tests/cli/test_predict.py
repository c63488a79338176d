"""``headstart predict`` and ``headstart evaluate``."""

from __future__ import annotations

import csv
import io

import pytest

import headstart as hs
from headstart import strategies

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_csv_has_exactly_the_promised_columns(terminal, topics):
    ran = terminal("predict", topics.path, "a horse, and a cow", "a bowl of soup")
    header, *rows = rows_of(ran.out)
    assert ran.code == 0
    promised = ["input", "label", "confidence", "abstained", "p_animal", "p_food", "p_vehicle"]
    assert header == promised
    assert [row[0] for row in rows] == ["a horse, and a cow", "a bowl of soup"]
    assert [row[1] for row in rows] == ["animal", "food"]
    for row in rows:
        assert row[3] == "False"
        assert float(row[2]) == max(map(float, row[4:]))
        assert sum(map(float, row[4:])) == pytest.approx(1)


def test_csv_holds_what_the_model_says(terminal, topics):
    text = "a tram and a bus"
    ran = terminal("predict", topics.path, text)
    told = [float(value) for value in rows_of(ran.out)[1][4:]]
    assert told == hs.load(topics.path).predict_proba([text])[0].tolist()


def test_a_table_of_texts_is_predicted_row_by_row(terminal, topics, files):
    ran = terminal("predict", topics.path, files / "topics.csv")
    rows = rows_of(ran.out)
    assert ran.code == 0
    assert [row[0] for row in rows[1:]] == [f"row {i + 1}" for i in range(24)]


def test_output_goes_to_a_file_and_stdout_stays_empty(terminal, topics, tmp_path):
    ran = terminal("predict", topics.path, "a goat", "-o", tmp_path / "out.csv")
    assert ran.code == 0
    assert ran.out == ""
    assert f"the predictions (1) are in {tmp_path / 'out.csv'}" in ran.err
    assert rows_of((tmp_path / "out.csv").read_text())[1][:2] == ["a goat", "animal"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["cache", "out.csv"]


def test_json_beside_the_csv(terminal, topics, tmp_path):
    ran = terminal("predict", topics.path, "a goat", "", "--json")
    assert set(ran.json) == {"model", "predictions", "skipped"}
    (row,) = ran.json["predictions"]
    assert list(row) == ["input", "label", "confidence", "abstained"] + [
        f"p_{name}" for name in ("animal", "food", "vehicle")
    ]
    assert row["label"] == "animal"
    assert row["abstained"] is False
    assert [sorted(left) for left in ran.json["skipped"]] == [["input", "reason"]]


def test_unreadable_images_are_named_and_the_rest_predicted(terminal, stripes, files, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    ran = terminal("predict", stripes.path, broken, files / "stripes" / "down")
    assert ran.code == 0
    assert f"left out {broken}: " in ran.err
    rows = rows_of(ran.out)
    assert len(rows) == 7
    assert all(str(broken) not in row[0] for row in rows)
    only = terminal("predict", stripes.path, broken)
    assert only.code == 2
    assert "nothing could be read" in only.err


def test_a_regression_has_no_probabilities(terminal, price, files):
    ran = terminal("predict", price.path, files / "price.csv", "--quiet")
    header, *rows = rows_of(ran.out)
    assert header == ["input", "label", "confidence", "abstained"]
    assert len(rows) == 24
    assert all(row[2] == "" for row in rows)
    shown = terminal("predict", price.path, files / "price.csv", "--json", "--quiet").json
    assert shown["predictions"][0]["confidence"] is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.csv"], "there is no such file"),
        (["{files}/stripes"], "a text model reads no folder"),
        (["{files}/topics.csv", "--text", "nope"], "no column 'nope'"),
        ([""], "nothing could be read"),
        (["a goat", "-o", "{files}/none/out.csv"], "cannot be written"),
    ],
)
def test_inputs_of_no_use_exit_with_2(terminal, topics, files, arguments, says):
    ran = terminal("predict", topics.path, *(one.format(files=files) for one in arguments))
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


def test_a_table_model_names_the_columns_it_misses(terminal, price, files):
    ran = terminal("predict", price.path, files / "topics.csv")
    assert ran.code == 2
    assert "columns are missing" in ran.err


def test_evaluate_json_keys(terminal, topics, price, files):
    found = terminal("evaluate", topics.path, files / "topics.csv", "--json").json
    keys = {"metric", "estimate", "low", "high", "n", "warnings"}
    assert set(found) == keys | {"accuracy", "macro_f1"}
    assert found["metric"] == "accuracy"
    assert found["estimate"] == found["accuracy"]
    assert found["low"] <= found["estimate"] <= found["high"]
    assert found["n"] == 24
    found = terminal("evaluate", price.path, files / "price.csv", "--json").json
    assert set(found) == keys | {"rmse", "r2"}


def test_evaluate_prints_a_table(terminal, topics, files):
    ran = terminal("evaluate", topics.path, files / "topics.csv", "--quiet")
    lines = ran.out.splitlines()
    assert lines[0] == "Judged on 24 items"
    assert lines[2].startswith("accuracy")
    assert lines[3].startswith("macro_f1")
    assert ran.err == ""


def test_evaluate_finds_the_label_column_of_the_training_data(terminal, topics, files, tmp_path):
    ran = terminal("evaluate", topics.path, files / "wine.csv")
    assert ran.code == 2
    assert "there is no column 'topic', the label that the model was trained on" in ran.err
    assert "name the column of labels with --label" in ran.err
    named = terminal("evaluate", topics.path, files / "wine.csv", "--label", "nope")
    assert "unknown column 'nope'" in named.err


def test_evaluate_refuses_labels_the_model_does_not_know(terminal, topics, tmp_path):
    table = tmp_path / "more.csv"
    table.write_text("text,topic\nan oak,plant\na birch,plant\na goat,animal\na cow,animal\n")
    ran = terminal("evaluate", topics.path, table)
    assert ran.code == 2
    assert "does not know" in ran.err
    assert "plant" in ran.err


def test_evaluate_keeps_columns_that_hold_one_value(terminal, price, files, tmp_path):
    lines = (files / "price.csv").read_text().splitlines()
    fixed = [lines[0], *(f"1.0,{line.split(',', 1)[1]}" for line in lines[1:6])]
    (tmp_path / "same.csv").write_text("\n".join(fixed) + "\n")
    ran = terminal("evaluate", price.path, tmp_path / "same.csv", "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.json["n"] == 5


def test_the_data_of_the_training_flatter(terminal, topics, files, tmp_path):
    ran = terminal("evaluate", topics.path, files / "topics.csv", "--json")
    assert len(ran.json["warnings"]) == 1
    assert "its score here is flattering" in ran.json["warnings"][0]
    assert f"· warning: these are the data that {topics.path} was fitted to" in ran.err
    lines = (files / "topics.csv").read_text().splitlines()
    (tmp_path / "other.csv").write_text("\n".join(lines[:-1]) + "\n")
    other = terminal("evaluate", topics.path, tmp_path / "other.csv", "--json")
    assert other.json["warnings"] == []
    assert "flattering" not in other.err


def guess(data, place, label=None):
    """Save the constant guess for some data: a model that takes no race."""
    from headstart import bundle
    from headstart import data as data_room

    task = data_room.read(data, label=label)
    made = strategies.make("majority", kind=task.kind, modality=task.modality)
    contents = bundle.BundleContents(
        modality=task.modality,
        kind=task.kind,
        strategy="majority",
        state=made.fit(task.items, task.labels).to_state(),
        metric="accuracy" if task.classes else "rmse",
        classes=task.classes,
        label_name=task.label_name,
        columns=bundle.columns_of(task.items) if task.modality == "table" else (),
        fingerprint=task.fingerprint,
        n=task.n,
    )
    return bundle.save(place, contents)


def test_two_models_on_the_same_items(terminal, topics, files, tmp_path):
    other = guess(files / "topics.csv", tmp_path / "guess")
    asked = ("evaluate", topics.path, files / "topics.csv", "--against", other)
    found = terminal(*asked, "--json").json
    alone = terminal("evaluate", other, files / "topics.csv", "--json").json
    against = {key: value for key, value in found["against"].items() if key != "model"}
    assert against == {key: value for key, value in alone.items() if key != "warnings"}
    assert found["against"]["model"] == str(other)
    lead = found["estimate"] - found["against"]["estimate"]
    assert found["gain"]["estimate"] == pytest.approx(lead)
    assert found["gain"]["baseline"] == str(other)
    assert found["gain"]["verdict"] == "positive"
    assert len(found["warnings"]) == 2
    shown = terminal(*asked, "--quiet")
    lines = shown.out.splitlines()
    assert lines[0] == "Judged on 24 items, the same for both"
    assert lines[1].split()[:2] == ["model", "accuracy"]
    assert f"{topics.path} is better than {other}: +" in " ".join(lines)
    assert " points of accuracy [" in " ".join(lines)
    back = terminal("evaluate", other, files / "topics.csv", "--against", topics.path, "--quiet")
    assert f"{other} is worse than {topics.path}: -" in " ".join(back.out.splitlines())
    same = terminal("evaluate", other, files / "topics.csv", "--against", other)
    assert f"Inconclusive: {other} against {other} is +0.0" in " ".join(same.out.splitlines())
    assert same.err.count("its score here is flattering") == 1


def test_two_models_of_numbers(terminal, price, files, tmp_path):
    (tmp_path / "few.csv").write_text(
        "\n".join((files / "price.csv").read_text().splitlines()[:13]) + "\n"
    )
    other = guess(tmp_path / "few.csv", tmp_path / "guess", "salt")
    asked = ("evaluate", price.path, files / "price.csv", "--against", other)
    found = terminal(*asked, "--json").json
    assert found["gain"]["metric"] == "rmse"
    assert found["gain"]["estimate"] == pytest.approx(
        found["against"]["rmse"] - found["rmse"], abs=1e-12
    )
    assert " rmse [" in " ".join(terminal(*asked, "--quiet").out.splitlines())


def test_models_that_cannot_be_compared(terminal, topics, stripes, price, files, tmp_path):
    table = files / "topics.csv"
    ran = terminal("evaluate", topics.path, table, "--against", stripes.path)
    assert ran.code == 2
    assert "different kinds of items" in ran.err
    missing = terminal("evaluate", topics.path, table, "--against", tmp_path / "none")
    assert missing.code == 2
    assert "none" in missing.err
    reverse = guess(files / "price.csv", tmp_path / "acid", "acid")
    cheats = terminal("evaluate", price.path, files / "price.csv", "--against", reverse)
    assert cheats.code == 2
    assert "takes the label 'salt' as an input" in cheats.err
