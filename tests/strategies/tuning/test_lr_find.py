"""The learning-rate range test: its rule, what it leaves alone, and its picture."""

from __future__ import annotations

import builtins
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tuned_tiny import NAMES, Told, items_of, labels_of, make, named, source

from headstart.core.errors import DataError, MissingExtraError, OptionError, SourceError
from headstart.core.types import FloatArray
from headstart.strategies import LinearProbe
from headstart.strategies.tuning.lr_find import RateRange, _suggest, lr_find

N = 48


def find(estimator: Any, modality: str = "text", kind: str = "classes", **options: Any) -> Any:
    given = {"steps": 20, **options}
    return lr_find(estimator, items_of(modality, N), labels_of(kind, N), **given)


def curve(fall_at: float, rise_at: float, depth: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """A loss that falls most steeply at one rate and rises at another."""
    rates = np.geomspace(1e-6, 1.0, 100)
    fallen = 1 / (1 + np.exp(-3 * np.log10(rates / fall_at)))
    return rates, 3.0 - depth * fallen + np.square(np.maximum(0, np.log10(rates / rise_at))) * 5


def picture(tmp_path: Path, **changes: Any) -> Path:
    rates, losses = curve(1e-3, 1e-1)
    fields: dict[str, Any] = {"suggestion": 1e-3, "note": "", "measure": "loss (nats)"}
    found = RateRange(rates, losses, **(fields | changes))
    return found.plot(tmp_path / "new" / "rates.png")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("modality", ["text", "image"])
def test_every_strategy(name: str, modality: str) -> None:
    estimator = make(name, modality)
    params = dict(vars(estimator))
    weights = named(source(modality))
    torch.manual_seed(5)
    noise = torch.get_rng_state()
    found = find(estimator, modality, steps=12)
    assert torch.equal(torch.get_rng_state(), noise)
    assert vars(estimator) == params
    after = named(source(modality))
    assert all(np.array_equal(after[key], weights[key], equal_nan=True) for key in weights)
    assert 2 <= len(found.rates) == len(found.losses) <= 12
    assert found.rates[0] == pytest.approx(1e-6)
    assert (np.diff(found.rates) > 0).all()
    assert found.rates[-1] < 1.0
    assert np.isfinite(found.losses).all()
    assert 0 < found.suggestion <= 1.0
    assert found.note
    again = find(make(name, modality), modality, steps=12)
    assert again.losses.tobytes() == found.losses.tobytes()
    assert again.suggestion == found.suggestion
    other = find(make(name, modality, random_state=4), modality, steps=12)
    assert other.losses.tobytes() != found.losses.tobytes()


@pytest.mark.parametrize(
    ("kind", "measure"),
    [
        ("classes", "cross-entropy (nats per item)"),
        ("sets", "binary cross-entropy (nats per label)"),
        ("numbers", "squared error (in variances of the labels)"),
    ],
)
def test_kinds_of_labels_start_where_chance_is(kind: str, measure: str) -> None:
    found = find(make("finetune", "text", kind, smoothing=0.0, batch=48, validation=0.0), kind=kind)
    chance = {"classes": np.log(3), "sets": np.log(2), "numbers": 1.0}[kind]
    assert found.losses[0] == pytest.approx(chance, rel=1e-5)
    assert found.measure == measure


def test_rates_keep_their_proportion() -> None:
    """Only the head trains: what its rate is relative to moves the axis, and nothing else."""
    options = {"depth": 0, "rate": 1e-3, "dropout": 0.0}
    same = make("finetune", "text", head_rate=1e-3, **options)
    larger = make("finetune", "text", head_rate=1e-1, **options)
    one = find(same, low=1e-5, high=10.0, steps=40)
    other = find(larger, low=1e-7, high=0.1, steps=40)
    np.testing.assert_allclose(other.losses, one.losses, rtol=1e-5)
    np.testing.assert_allclose(other.rates * 100, one.rates, rtol=1e-9)
    assert other.suggestion * 100 == pytest.approx(one.suggestion)


def test_rate_and_schedule_of_the_estimator_change_nothing() -> None:
    one = find(make("finetune", "text", rate=1e-3, head_rate=1e-2))
    other = find(make("finetune", "text", rate=1e-2, head_rate=1e-1, schedule="one-cycle", ema=0.5))
    np.testing.assert_allclose(other.losses, one.losses, rtol=1e-6)


def test_the_suggestion_trains_better_than_a_hundredth_and_than_a_hundred_times_it() -> None:
    options = {"validation": 0.0, "batch": 8, "depth": 0, "dropout": 0.0, "rate": 1e-3}
    found = find(make("finetune", "text", head_rate=1e-3, **options), high=100.0, steps=60)
    assert "most steeply" in found.note
    last = []
    for factor in (0.01, 1.0, 100.0):
        rates = dict.fromkeys(("rate", "head_rate"), found.suggestion * factor)
        model = make("finetune", "text", epochs=4, **(options | rates))
        model.fit(items_of("text", N), labels_of("classes", N))
        last.append(np.mean([row["loss"] for row in model.history_[-3:]]))
    assert last[1] < last[0]
    assert last[1] < last[2]


@pytest.mark.parametrize("fall_at", [1e-5, 3e-4, 1e-2])
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_the_steepest_fall_is_found(fall_at: float, noise: float) -> None:
    rates, losses = curve(fall_at, 30 * fall_at)
    losses = losses + np.random.default_rng(0).normal(0, noise, 100)
    rate, note = _suggest(rates, losses, noise)
    assert fall_at / 2 < rate < 2 * fall_at
    assert "most steeply" in note


def test_a_loss_that_never_falls_gives_a_tenth_of_what_does_no_harm() -> None:
    rates, losses = curve(1e-5, 1e-2, depth=0.0)
    rate, note = _suggest(rates, losses, 0.0)
    assert 1e-3 < rate < 2e-3
    assert "never fell" in note
    noisy = losses + np.random.default_rng(0).normal(0, 0.1, 100)
    rate, note = _suggest(rates, noisy, 0.1)
    assert 5e-4 < rate < 4e-3
    assert "never fell" in note


def test_a_range_that_ends_too_early_says_so() -> None:
    found = find(make("finetune", "text"), low=1e-9, high=1e-8)
    assert "try higher rates" in found.note
    assert "stayed below" in found.note
    assert found.suggestion == pytest.approx(found.rates[-1])


def test_the_test_ends_where_the_loss_runs_away() -> None:
    found = find(make("finetune", "text"), high=1e4, steps=40)
    assert len(found.rates) < 40
    assert "ran away" in found.note


def test_progress_is_told() -> None:
    class Steps(Told):
        def progress(
            self, stage: str, done: int, total: int | None, unit: str = "", detail: str = ""
        ) -> None:
            if stage == "range test":
                self.lines.append(f"{done} of {total} {unit}: {detail[:5]}")

    told = Steps()
    found = find(make("bitfit", "text", reporter=told), high=1e-4, steps=10)
    assert told.lines == [f"{i} of 10 steps: loss " for i in range(1, 11)]
    assert len(found.rates) == 10


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"low": 0.0}, "low, high"),
        ({"low": 1.0, "high": 1.0}, "low, high"),
        ({"high": float("nan")}, "low, high"),
        ({"high": float("inf")}, "low, high"),
        ({"steps": 9}, "steps"),
        ({"steps": 10_001}, "steps"),
        ({"steps": 20.0}, "steps"),
    ],
)
def test_ranges(options: dict[str, Any], where: str) -> None:
    with pytest.raises(OptionError) as caught:
        find(make("finetune", "text"), **options)
    assert caught.value.where == where


def test_only_what_tunes_a_source() -> None:
    with pytest.raises(OptionError, match="LinearProbe"):
        find(LinearProbe(source="minilm"))


def test_labels_are_checked_as_by_fit() -> None:
    with pytest.raises(DataError):
        lr_find(make("finetune", "text"), items_of("text", 4), ["a"] * 4)


def test_a_loss_that_is_no_number_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = copy.deepcopy(source("image"))
    with torch.no_grad():
        next(broken.blocks[-1].parameters()).fill_(float("nan"))
    estimator = make("finetune", "image", source=broken)
    plain = source("image")
    session = type(estimator)._session

    def reads_plain_features(self: Any, X: Any, y: Any) -> Any:
        made = session(self, X, y)
        made.base = plain
        made._read()
        made.base = broken
        made._read = lambda: None
        return made

    monkeypatch.setattr(type(estimator), "_session", reads_plain_features)
    with pytest.raises(SourceError, match="no number"):
        find(estimator, "image")


def test_the_picture(tmp_path: Path) -> None:
    place = picture(tmp_path)
    with Image.open(place) as image:
        assert image.format == "PNG"
        assert image.size == (960, 600)
        colours = {colour for _, colour in image.convert("RGB").getcolors(1_000_000)}
    assert {(0x0B, 0x62, 0xA4), (0xC8, 0x45, 0x1B)} <= colours  # the curve and the suggestion
    assert [path.name for path in place.parent.iterdir()] == ["rates.png"]


@pytest.mark.parametrize("suggestion", [1e-8, 1e-6, 1.0])
def test_the_picture_shows_suggestions_at_the_rim(tmp_path: Path, suggestion: float) -> None:
    with Image.open(picture(tmp_path, suggestion=suggestion)) as image:
        colours = {colour for _, colour in image.convert("RGB").getcolors(1_000_000)}
    assert (0xC8, 0x45, 0x1B) in colours


def test_the_picture_as_svg_says_what_it_shows(tmp_path: Path) -> None:
    found = find(make("finetune", "text"))
    text = found.plot(tmp_path / "rates.svg").read_text()
    assert text.startswith("<?xml")
    for told in ("learning rate", "cross-entropy, smoothed (nats per item)", "suggestion"):
        assert f"<!-- {told}" in text


def test_other_kinds_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.png or \.svg"):
        find(make("finetune", "text")).plot(tmp_path / "rates.gif")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def hidden(name: str, *rest: Any, **named_rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **named_rest)

    monkeypatch.setattr(builtins, "__import__", hidden)
    with pytest.raises(MissingExtraError, match=r"headstart\[plots\]"):
        picture(tmp_path)
    assert not list(tmp_path.iterdir())
