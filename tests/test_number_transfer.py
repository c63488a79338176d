"""Numbers from one domain to another through the front door and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from headstart import domain_words
from headstart.cli.app import run
from headstart.core.errors import DataError, OptionError
from headstart.core.types import Gain
from headstart.domain_result import DomainResult
from headstart.domain_transfer import transfer_from

D = 4


def rows(n: int, seed: int, moved: bool = False) -> pd.DataFrame:
    """Return flats with a price that is a line of four columns; moved: in other units."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    price = X @ [2.0, -1.0, 0.5, 0.0] + 3 + 0.5 * rng.normal(size=n)
    if moved:
        X = X * [2.5, 0.5, 1.5, 1.0] + [1.0, -3.0, 2.0, 0.0]
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(D)]).round(4)
    frame["price"] = price.round(3)
    return frame


def carried(source: Any, target: Any, **how: Any) -> DomainResult:
    return transfer_from(source, target, label="price", **how)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flats")
    rows(160, 0).to_csv(folder / "source.csv", index=False)
    moved = rows(150, 1, moved=True)
    moved.to_csv(folder / "truth.csv", index=False)
    moved.drop(columns="price").to_csv(folder / "target.csv", index=False)
    partly = moved.copy()
    partly.loc[50:, "price"] = np.nan
    partly.to_csv(folder / "partly.csv", index=False)
    labels = pd.DataFrame({"row": range(1, 51), "price": moved["price"][:50]})
    labels.to_csv(folder / "labels.csv", index=False)
    return folder


def error(model: Any, folder: Path) -> float:
    """Return the RMSE on target rows whose labels nobody saw."""
    truth = pd.read_csv(folder / "truth.csv")[50:]
    said = model.predict(truth.drop(columns="price"))
    return float(np.sqrt(np.mean((said - truth["price"]) ** 2)))


def test_without_labels_the_source_s_model_comes_back_and_that_is_said(here: Path) -> None:
    result = carried(here / "source.csv", here / "target.csv")
    assert not result.adapted
    assert result.gain is None
    assert result.shift is not None
    assert (result.shift.verdict, result.shift.label) == ("covariate", None)
    assert {one.name for one in result.shift.features} == {f"x{i}" for i in range(D)}
    assert "nothing can be proven" in result.why
    assert "Nothing is measured on the target" in str(result)
    told = json.loads(json.dumps(result.to_json()))
    assert (told["task"]["kind"], told["task"]["classes"]) == ("regression", [])
    with pytest.raises(OptionError, match="no classes"):
        result.predict_proba(pd.read_csv(here / "target.csv"))


def test_labels_of_the_target_decide_are_worth_a_gain_and_are_saved(
    here: Path, tmp_path: Path
) -> None:
    result = carried(here / "source.csv", here / "target.csv", target_labels=here / "labels.csv")
    assert (result.n_labels, result.metric) == (50, "rmse")
    assert result.chosen.strategy != "source-only"
    assert result.gain is not None
    assert result.gain.verdict == "positive"
    assert "(rmse saved)" in str(result)
    alone = carried(here / "source.csv", here / "target.csv", strategy="source-only")
    assert error(result, here) < 0.65 < error(alone, here)
    saved = hs.load(result.save(tmp_path / "model"))
    target = pd.read_csv(here / "target.csv")
    assert np.array_equal(saved.predict(target), result.predict(target))
    assert saved.info["kind"] == "regression"
    assert saved.info["extra"]["adapted_by"] == result.chosen.strategy
    found = saved.evaluate((target[50:], pd.read_csv(here / "truth.csv")["price"][50:].to_numpy()))
    assert found["estimate"] == pytest.approx(error(result, here))
    again = carried(here / "source.csv", here / "partly.csv")
    assert np.allclose(again.predict(target), result.predict(target))


@pytest.mark.parametrize("name", ["tradaboost-r2", "linear-ot", "feature-augmentation", "pooled"])
def test_a_named_adapter_is_handed_back_and_saved(here: Path, tmp_path: Path, name: str) -> None:
    result = carried(here / "source.csv", here / "partly.csv", strategy=name)
    assert result.chosen.strategy == name
    assert any("guard would say" in str(one) for one in result.decisions)
    target = pd.read_csv(here / "target.csv")
    saved = hs.load(result.save(tmp_path / "model"))
    assert np.array_equal(saved.predict(target), result.predict(target))
    made = result.save(tmp_path / "again")
    first, second = ((tmp_path / one / "model.safetensors") for one in ("model", made.name))
    assert first.read_bytes() == second.read_bytes()


def test_names_of_class_adapters_and_foreign_columns_are_refused(here: Path) -> None:
    with pytest.raises(OptionError, match="label-shift-em carries classes over"):
        carried(here / "source.csv", here / "target.csv", strategy="label-shift-em")
    other = pd.read_csv(here / "target.csv").add_prefix("my_")
    with pytest.raises(DataError, match="no column in common"):
        carried(here / "source.csv", other)


@pytest.mark.parametrize("bad", ["dear", float("inf")])
def test_target_labels_that_are_no_numbers_are_refused_with_their_row(here: Path, bad: Any) -> None:
    with pytest.raises(DataError, match="not a number") as raised:
        carried(here / "source.csv", here / "target.csv", target_labels={"row 3": bad})
    assert "row 1" in str(raised.value.where)
    frame = pd.read_csv(here / "partly.csv").astype({"price": object})
    frame.loc[2, "price"] = "dear"
    with pytest.raises(DataError, match="not numbers") as raised:
        carried(here / "source.csv", frame)
    assert "row 3" in str(raised.value.where)


def test_several_source_domains_are_taken_together_and_that_is_said(here: Path) -> None:
    frame = pd.read_csv(here / "source.csv")
    frame["town"] = np.where(np.arange(len(frame)) % 2 == 0, "a", "b")
    result = carried(frame, here / "target.csv", domain="town")
    assert any("taken together" in str(one) for one in result.decisions)
    assert result.view.columns is not None
    assert "town" not in result.view.columns[0]


def test_the_command_line_tells_numbers(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["transfer", str(here / "source.csv"), str(here / "partly.csv"), "-o"]
    given += [
        str(tmp_path / "model"),
        "--label",
        "price",
        "--strategy",
        "pooled",
        "--strategy",
        "source-only",
    ]
    with pytest.raises(SystemExit) as stopped:
        run(given)
    assert not stopped.value.code
    out = capsys.readouterr().out
    assert "labels are numbers" in out
    assert "rmse" in out
    with pytest.raises(SystemExit) as stopped:
        run([*given, "--json", "--quiet"])
    assert not stopped.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["task"]["kind"] == "regression"
    assert told["score"]["metric"] == "rmse"
    assert told["shift"]["numbers"]
    assert {one["strategy"] for one in told["candidates"]} >= {"pooled", "target-only"}


def test_a_gain_in_units_is_told_in_units() -> None:
    gain = Gain(-0.5, -0.8, -0.2, 40, metric="rmse", verdict="negative")
    said = domain_words.worth(gain, "pooled", "source-only", "40 items")
    assert said == (
        "Negative transfer: pooled costs -0.5 [-0.8, -0.2] (rmse saved) against source-only, on "
        "40 items."
    )
    large = Gain(27812.4, 2000, 5e4, 40, metric="rmse", verdict="positive")
    assert "+27,812 [+2,000, +50,000]" in domain_words.worth(large, "pooled", "x", "40 items")


def test_a_picture_is_drawn_of_rows_alone(here: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = carried(here / "source.csv", here / "target.csv")
    result.picture(tmp_path / "both.svg")
    assert (tmp_path / "both.svg").stat().st_size > 1000
