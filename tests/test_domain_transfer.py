"""From one domain to another through the front doors and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from headstart import bundle, domain_words
from headstart.cli.app import run
from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.core.types import Gain
from headstart.domain_transfer import transfer_from

D = 6


def rows(n: int, seed: int, moved: bool = False, noise: float = 0.6) -> pd.DataFrame:
    """Return two classes apart along two directions; moved: turned, stretched and shifted."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, D)) * np.linspace(0.5, 1.5, D)
    X[:, 0] += 2.5 * y
    X[:, 1] += noise * rng.normal(size=n)
    if moved:
        X = X * np.linspace(2.0, 0.5, D) + np.linspace(-4, 4, D)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(D)]).round(4)
    frame["kind"] = np.where(y == 1, "ill", "well")
    return frame


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("domains")
    rows(200, 0).to_csv(folder / "source.csv", index=False)
    moved = rows(220, 1, moved=True)
    moved.drop(columns="kind").to_csv(folder / "target.csv", index=False)
    moved.to_csv(folder / "truth.csv", index=False)
    rows(220, 5).drop(columns="kind").to_csv(folder / "same.csv", index=False)
    labels = pd.DataFrame({"row": range(1, 221), "kind": moved["kind"]})[::3]
    labels.to_csv(folder / "labels.csv", index=False)
    return folder


def right(model: Any, folder: Path) -> float:
    truth = pd.read_csv(folder / "truth.csv")
    return float((model.predict(truth.drop(columns="kind")) == truth["kind"]).mean())


def test_without_a_shift_nothing_is_adapted_and_that_is_said(here: Path) -> None:
    result = transfer_from(here / "source.csv", here / "same.csv")
    assert result.shift is not None
    assert result.shift.verdict == "none"
    assert not result.adapted
    assert result.gain is None
    assert result.sentences()[0] == "No shift was found."
    assert "Nothing is measured on the target" in str(result)


def test_labels_of_the_target_decide_and_are_worth_a_gain(here: Path) -> None:
    result = transfer_from(
        here / "source.csv", here / "target.csv", target_labels=here / "labels.csv"
    )
    assert result.n_labels == 74
    assert result.adapted
    assert result.gain is not None
    assert result.gain.low > 0
    assert result.gain.verdict == "positive"
    assert right(result, here) > 0.85
    alone = transfer_from(here / "source.csv", here / "target.csv", strategy="source-only")
    assert right(alone, here) < right(result, here) - 0.1
    assert result.baselines["source-only"].estimate < result.score.estimate  # type: ignore[union-attr]


def test_a_named_adapter_is_handed_back_and_saved(here: Path, tmp_path: Path) -> None:
    result = transfer_from(here / "source.csv", here / "target.csv", strategy="linear-ot")
    assert result.chosen.strategy == "linear-ot"
    assert any("guard would say" in str(one) for one in result.decisions)
    assert right(result, here) > 0.85
    saved = hs.load(result.save(tmp_path / "model"))
    truth = pd.read_csv(here / "truth.csv").drop(columns="kind")
    assert np.array_equal(saved.predict_proba(truth), result.predict_proba(truth))
    assert saved.manifest.strategy == "adapted-table"
    assert saved.info["extra"]["adapted_by"] == "linear-ot"
    json.dumps(result.to_json(), allow_nan=True)


def test_the_same_seed_gives_the_same_bytes(here: Path, tmp_path: Path) -> None:
    made = [
        transfer_from(here / "source.csv", here / "target.csv", strategy="linear-ot", seed=3).save(
            tmp_path / name
        )
        for name in ("one", "two")
    ]
    first, second = ((path / "model.safetensors").read_bytes() for path in made)
    assert first == second


def test_several_source_domains_go_by_a_column(here: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(here / "source.csv")
    frame["clinic"] = np.where(np.arange(len(frame)) % 2 == 0, "a", "b")
    result = transfer_from(
        frame, here / "target.csv", label="kind", domain="clinic", strategy="per-source-mapping"
    )
    assert result.chosen.strategy == "per-source-mapping"
    assert result.view.columns is not None
    assert "clinic" not in result.view.columns[0]
    assert right(result, here) > 0.85
    with pytest.raises(OptionError, match="several source domains"):
        transfer_from(frame, here / "target.csv", label="kind", strategy="weighted-sources")


def test_rows_of_any_source_domain_do_not_judge(here: Path) -> None:
    frame = pd.read_csv(here / "source.csv")
    frame["clinic"] = np.where(np.arange(len(frame)) % 2 == 0, "a", "b")
    learnt = frame[frame["clinic"] == "b"].drop(columns="clinic").head(30)
    target = pd.concat([rows(40, 1, moved=True), learnt], ignore_index=True)
    result = transfer_from(
        frame, target, label="kind", domain="clinic", strategy=["linear-ot", "source-only"]
    )
    assert result.gain is not None
    assert result.gain.n == 40


def test_the_shift_counts_columns_and_not_the_numbers_made_of_them(here: Path) -> None:
    """Towns become four indicators, missing cells one more: still three columns."""
    rng = np.random.default_rng(0)
    made = []
    for n, share in ((200, 0.25), (180, 0.7)):
        frame = rows(n, n)[["x0", "x1", "kind"]]
        other = (1 - share) / 3
        frame["town"] = rng.choice(["Ulm", "Bonn", "Kiel", "Trier"], n, p=[share, *3 * [other]])
        frame.loc[rng.random(n) < 0.1, "x1"] = np.nan
        made.append(frame)
    result = transfer_from(
        made[0], made[1].drop(columns="kind"), label="kind", strategy="source-only"
    )
    assert result.shift is not None
    assert {one.name for one in result.shift.features} == {"x0", "x1", "town"}
    assert result.shift.features[0].name == "town"
    assert "1 of 3 columns" in str(result.shift)


def test_columns_that_only_one_domain_has_are_left_out_and_said(here: Path, tmp_path: Path) -> None:
    target = pd.read_csv(here / "target.csv").rename(columns={"x0": "X0"})
    target["ward"] = "north"
    result = transfer_from(here / "source.csv", target.drop(columns="x5"))
    assert result.view.columns is not None
    assert list(result.view.columns[1]) == ["X0", "x1", "x2", "x3", "x4"]
    told = " ".join(map(str, result.decisions))
    assert "ward" in told
    assert "x5" in told


def test_a_model_takes_the_names_of_the_target_and_says_so_to_those_of_the_source(
    here: Path, tmp_path: Path
) -> None:
    source = pd.read_csv(here / "source.csv").rename(columns={"x0": "Cell Size"})
    target = pd.read_csv(here / "target.csv").rename(columns={"x0": "cell_size"})
    result = transfer_from(source, target, label="kind", strategy="linear-ot")
    model = hs.load(result.save(tmp_path / "model"))
    assert np.array_equal(model.predict(target), result.predict(target))
    with pytest.raises(DataError, match="columns are missing: 'cell_size'") as raised:
        model.predict(source)
    assert "Call 'Cell Size' 'cell_size'" in str(raised.value)


def test_no_column_in_common_takes_labels(here: Path) -> None:
    target = pd.read_csv(here / "truth.csv").rename(
        columns={f"x{i}": f"other {9 - i}" for i in range(D)}
    )
    with pytest.raises(OptionError, match="no column in common"):
        transfer_from(here / "source.csv", target.drop(columns="kind"))
    result = transfer_from(here / "source.csv", target)
    assert result.shift is None
    assert result.score is not None
    assert result.score.estimate > 0.8
    assert "target-only" in result.baselines
    with pytest.raises(OptionError, match="cannot be drawn"):
        result.picture("both.png")


def test_rows_that_were_learnt_from_do_not_judge(here: Path) -> None:
    result = transfer_from(here / "source.csv", here / "source.csv")
    assert not result.adapted
    assert result.gain is None
    assert any("neither copies nor in the source" in str(one) for one in result.decisions)


def test_a_handful_of_target_rows_adapts_nothing(here: Path) -> None:
    few = pd.read_csv(here / "target.csv")[:3]
    result = transfer_from(here / "source.csv", few)
    assert not result.adapted
    assert "3 rows of the target are too few" in result.why


def test_source_only_is_scored_on_the_labels_there_are(here: Path) -> None:
    result = transfer_from(here / "source.csv", here / "truth.csv", strategy="source-only")
    assert result.score is not None
    assert result.score.n == 220
    assert result.score.estimate == pytest.approx(right(result, here))
    assert "Nothing was compared: accuracy" in str(result)


def test_arguments_in_the_wrong_order_are_told(here: Path) -> None:
    with pytest.raises(UnknownNameError, match="SOURCE_DATA, the labelled one, comes first"):
        transfer_from(here / "target.csv", here / "source.csv", label="kind")


@pytest.mark.parametrize("name", ["both.jpg", "nowhere/both.png"])
def test_a_picture_that_cannot_be_written_is_refused_before_the_work(
    here: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transfer", str(here / "none"), str(here / "none"), "-o", str(tmp_path / "m")]
    with pytest.raises(SystemExit) as stopped:
        run([*arguments, "--picture", str(tmp_path / name)])
    assert stopped.value.code == 2
    assert "picture" in capsys.readouterr().err


def test_a_source_of_another_modality_is_refused(here: Path) -> None:
    texts = pd.DataFrame(
        {"text": ["a fine long day", "a dull grey day"] * 4, "kind": ["y", "n"] * 4}
    )
    with pytest.raises(OptionError, match="'efficientnet-lite0' is for image data"):
        transfer_from(texts, texts, label="kind", text="text", source="efficientnet-lite0")


def test_shuffled_labels_of_the_source_are_refused(here: Path) -> None:
    frame = pd.read_csv(here / "source.csv")
    frame["kind"] = np.random.default_rng(3).permutation(frame["kind"])
    result = transfer_from(frame, here / "target.csv", strategy=["linear-ot", "source-only"])
    assert not result.adapted
    assert any("nothing to transfer" in str(one) for one in result.decisions)


def test_the_command_line_writes_a_model_and_one_json_object(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["transfer", str(here / "source.csv"), str(here / "target.csv"), "-o"]
    model = str(tmp_path / "model")
    labels = ["--target-labels", str(here / "labels.csv")]
    with pytest.raises(SystemExit) as stopped:
        run([*arguments, model, *labels, "--json", "--quiet"])
    assert not stopped.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == model
    assert {"task", "shift", "chosen", "gain", "baselines", "candidates", "decisions"} <= set(told)
    assert told["gain"]["baseline"] == "source-only"
    with pytest.raises(SystemExit) as stopped:
        run([*arguments, model, *labels])
    assert not stopped.value.code
    out = capsys.readouterr().out
    assert "Compared by 74 labelled items of the target" in out
    assert "You get " in out
    nowhere = ["transfer", "no such file", "nor this", "-o", model, "--strategy", "linear-to"]
    with pytest.raises(SystemExit) as stopped:
        run(nowhere)
    assert stopped.value.code == 2
    assert "did you mean 'linear-ot'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "verdict", "words"),
    [
        ("coral", "positive", "Positive transfer: coral is worth"),
        ("coral", "negative", "Negative transfer: coral costs"),
        ("coral", "none", "No difference that matters: coral against source-only is"),
        ("coral", "inconclusive", "Inconclusive: coral against"),
        ("target-only", "positive", "own labels do better than the source"),
        ("target-only", "inconclusive", "own labels beside the source"),
    ],
)
def test_what_it_is_worth_in_words(name: str, verdict: Any, words: str) -> None:
    said = domain_words.worth(Gain(0.1, 0.0, 0.2, 50, verdict=verdict), name, "source-only", "50")
    assert words in said


def test_copies_in_the_target_prove_nothing(here: Path) -> None:
    rng = np.random.default_rng(0)
    frame = rows(14, 3, moved=True)
    frame["kind"] = rng.permutation(["ill", "well"] * 7)
    copied = pd.concat([frame] * 4, ignore_index=True)
    result = transfer_from(here / "source.csv", copied)
    assert result.gain is not None
    assert result.gain.n == 14
    assert result.chosen.strategy != "target-only"


def test_a_test_part_of_the_source_is_learnt_from_and_that_is_said(here: Path) -> None:
    both = {"train": pd.read_csv(here / "source.csv"), "test": rows(40, 9)}
    result = transfer_from(both, here / "same.csv", label="kind", strategy="source-only")
    assert result.source.n == 240
    assert any("test part (40 items) is learnt from" in str(one) for one in result.decisions)


def test_an_open_set_adapter_brings_its_own_class(here: Path, tmp_path: Path) -> None:
    result = transfer_from(here / "source.csv", here / "target.csv", strategy="osbp")
    saved = hs.load(result.save(tmp_path / "open"))
    assert saved.classes[:2] == ("ill", "well")
    truth = pd.read_csv(here / "truth.csv").drop(columns="kind")
    assert saved.predict_proba(truth).shape == (220, len(saved.classes))


def test_what_steps_back_by_itself_is_called_source_only(here: Path) -> None:
    result = transfer_from(here / "source.csv", here / "same.csv", strategy="label-shift-em")
    assert result.chosen.strategy == "source-only"
    assert not result.adapted
    assert any("stepped back by itself" in str(one) for one in result.decisions)


def test_labels_may_come_as_a_series_and_columns_be_numbers(here: Path) -> None:
    source, target = pd.read_csv(here / "source.csv"), pd.read_csv(here / "truth.csv")
    source.columns = target.columns = range(7)
    whole = transfer_from(source, target, label="6", strategy="pooled")
    assert whole.n_labels == 220
    series = pd.Series({"1": "ill", "2": "well"})
    few = transfer_from(
        here / "source.csv", here / "target.csv", target_labels=series, strategy="pooled"
    )
    assert few.n_labels == 2
    assert "too few to judge" in few.judged_by


# ------------------------------------------------------------------ adapt


@pytest.fixture(scope="module")
def model(here: Path) -> Path:
    result = transfer_from(here / "source.csv", here / "same.csv", strategy="source-only")
    return result.save(here / "fitted")


def test_without_labels_the_model_stays_and_what_would_change_is_told(
    here: Path, model: Path
) -> None:
    result = hs.adapt(model, here / "target.csv")
    assert not result.adapted
    truth = pd.read_csv(here / "truth.csv").drop(columns="kind")
    assert np.array_equal(result.predict_proba(truth), hs.load(model).predict_proba(truth))
    assert {way.name for way in result.ways} >= {"as it was", "t3a", "shot", "prior-em"}
    assert "Nothing is measured" in str(result)
    assert result.model.info["extra"] == hs.load(model).info["extra"]
    assert next(way for way in result.ways if way.name == "as it was").changed == 0.0


def test_labels_judge_the_ways_to_adapt(here: Path, model: Path, tmp_path: Path) -> None:
    before = hs.load(model)
    result = hs.adapt(model, here / "target.csv", target_labels=here / "labels.csv")
    assert result.adapted
    assert result.gain is not None
    assert result.gain.low > 0
    after = hs.load(result.save(tmp_path / "m2"))
    assert right(after, here) > right(before, here) + 0.1
    assert after.info["extra"]["adapted_by"] == result.chosen
    assert json.dumps(result.to_json(), allow_nan=True)


def test_a_named_way_is_taken_without_labels(here: Path, model: Path) -> None:
    result = hs.adapt(model, here / "target.csv", strategy="t3a")
    assert result.chosen == "t3a"
    assert any("named with --strategy" in str(one) for one in result.decisions)
    with pytest.raises(UnknownNameError, match="t3a"):
        hs.adapt(model, here / "target.csv", strategy="t3b")


@pytest.mark.parametrize(
    ("kind", "message"),
    [("classification", "only a linear head"), ("regression", "predicts values")],
)
def test_what_has_no_linear_head_is_refused(here: Path, kind: Any, message: str) -> None:
    items = pd.read_csv(here / "target.csv")
    labels = np.where(items["x0"] > 0, "ill", "well") if kind == "classification" else items["x0"]
    fitted = hs.strategies.make("majority", kind=kind, modality="table").fit(items, labels)
    contents = bundle.BundleContents(
        modality="table",
        kind=kind,
        strategy="majority",
        state=fitted.to_state(),
        metric="accuracy" if kind == "classification" else "rmse",
        classes=("ill", "well") if kind == "classification" else (),
        columns=bundle.columns_of(items),
    )
    with pytest.raises(OptionError, match=message):
        hs.adapt(bundle.in_memory(contents), here / "target.csv")


def test_class_frequencies_need_those_of_the_source(here: Path, model: Path) -> None:
    named = hs.adapt(model, here / "same.csv", strategy="prior-em")
    assert not named.adapted
    assert any("stays as it was" in str(one) for one in named.decisions)
    silent = hs.load(model)
    del silent.manifest.result["extra"]["class_counts"]
    assert "prior-em" not in {way.name for way in hs.adapt(silent, here / "same.csv").ways}
    with pytest.raises(OptionError, match="how frequent the classes were"):
        hs.adapt(silent, here / "same.csv", strategy="prior-em")


def test_adapt_takes_columns_by_name_and_says_which_are_missing(here: Path, model: Path) -> None:
    target = pd.read_csv(here / "target.csv")
    plain = hs.adapt(model, target, strategy="t3a")
    renamed = hs.adapt(model, target.rename(columns={"x0": "X 0"}), strategy="t3a")
    assert renamed.ways[1].changed == plain.ways[1].changed
    with pytest.raises(DataError, match="missing: x3"):
        hs.adapt(model, target.drop(columns="x3"))


@pytest.mark.parametrize("way", ["tent", "adabn"])
def test_a_table_has_no_batch_norm(here: Path, model: Path, way: str) -> None:
    with pytest.raises(OptionError, match="batch norm of a source"):
        hs.adapt(model, here / "target.csv", strategy=way)


def test_labels_that_settle_nothing_leave_the_record_as_it_was(here: Path, model: Path) -> None:
    frame = rows(60, 12)
    result = hs.adapt(model, frame)
    assert not result.adapted
    assert result.gain is not None
    assert result.model.info["score"] == hs.load(model).info["score"]
    assert result.model.info["gain"] == hs.load(model).info["gain"]


def test_adapt_on_the_command_line(
    here: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["adapt", str(model), str(here / "target.csv"), "-o", str(tmp_path / "m2")]
    with pytest.raises(SystemExit) as stopped:
        run(arguments)
    assert not stopped.value.code
    assert "You get the model as it was." in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        run([*arguments, "--target-labels", str(here / "labels.csv"), "--json"])
    assert not stopped.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["adapted"]
    assert told["gain"]["of"] == told["chosen"]
