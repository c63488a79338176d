"""Curves: written and read back, drawn, and as TensorBoard's events."""

from __future__ import annotations

import builtins
import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tuned_tiny import fitted, items_of, labels_of, make

from headstart.core.errors import DataError, MissingExtraError, OptionError
from headstart.strategies.tuning import curves

BLUE, RED = (0x0B, 0x62, 0xA4), (0xC8, 0x45, 0x1B)


def history(n: int = 20, *, scored: bool = True) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = []
    for step in range(1, n + 1):
        rows.append({"step": step, "epoch": step / 5, "rate": 1e-4 / step, "loss": 2 / step})
        if step % 5 == 0:
            score = 1 - 1 / step if scored else -3 / step
            rows.append(
                {
                    "step": step,
                    "epoch": step // 5,
                    "validation_score": score,
                    "validation_loss": 3 / step,
                }
            )
    return rows


def colours(path: Path) -> set[Any]:
    with Image.open(path) as image:
        return {colour for _, colour in image.convert("RGB").getcolors(1_000_000)}


def hide(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    real = builtins.__import__

    def found(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith(hidden):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", found)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
def test_what_a_fit_tells_comes_back_the_same(tmp_path: Path, kind: str) -> None:
    model = fitted("finetune", "text", kind)
    assert model.history_
    place = curves.write_jsonl(model.history_, tmp_path / "a" / "curves.jsonl")
    assert curves.read_jsonl(place) == model.history_
    for line in place.read_text().splitlines():
        assert {"step", "epoch"} <= json.loads(line).keys()
    assert [path.name for path in place.parent.iterdir()] == ["curves.jsonl"]


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": math.nan}, {"step": 2, "loss": math.inf}]
    place = curves.write_jsonl(rows, tmp_path / "curves.jsonl")
    assert place.read_text() == '{"step": 1, "loss": null}\n{"step": 2, "loss": null}\n'
    assert all(math.isnan(row["loss"]) for row in curves.read_jsonl(place))


def test_no_rows(tmp_path: Path) -> None:
    assert curves.read_jsonl(curves.write_jsonl([], tmp_path / "curves.jsonl")) == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    place = curves.write_jsonl(history(), tmp_path / "curves.jsonl")
    before = place.read_bytes()
    with pytest.raises(TypeError):
        curves.write_jsonl([{"step": 1, "loss": "much"}], place)  # type: ignore[dict-item]
    assert place.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["curves.jsonl"]


def test_a_picture_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.figure import Figure

    place = curves.plot(history(), tmp_path / "curves.png")
    before = place.read_bytes()

    def full(self: Any, file: Path, **rest: Any) -> None:
        Path(file).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="no space"):
        curves.plot(history(), place)
    assert place.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


@pytest.mark.parametrize(
    "line", ["{", "[1]", "3", '{"step": "one"}', '{"loss": [1]}', '{"loss": true}', ""]
)
def test_a_line_that_is_no_row(tmp_path: Path, line: str) -> None:
    place = tmp_path / "curves.jsonl"
    place.write_text(f'{{"step": 1, "loss": 0.5}}\n{line}\n')
    with pytest.raises(DataError) as caught:
        curves.read_jsonl(place)
    assert caught.value.where == f"{place}, line 2"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        curves.read_jsonl(tmp_path / "none.jsonl")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="cannot be read"):
        curves.read_jsonl(tmp_path / "binary.jsonl")


def test_the_picture_of_a_classifier_has_two_panels(tmp_path: Path) -> None:
    place = curves.plot(history(), tmp_path / "curves.png")
    with Image.open(place) as image:
        assert image.size == (960, 750)
    assert {BLUE, RED} <= colours(place)


def test_the_score_of_numbers_is_their_loss_and_not_drawn_twice(tmp_path: Path) -> None:
    place = curves.plot(history(scored=False), tmp_path / "curves.png")
    with Image.open(place) as image:
        assert image.size == (960, 600)
    assert {BLUE, RED} <= colours(place)


def test_only_one_of_both_curves(tmp_path: Path) -> None:
    trained = [row for row in history() if "loss" in row]
    seen = colours(curves.plot(trained, tmp_path / "trained.png"))
    assert BLUE in seen
    assert RED not in seen
    looked = [row for row in history() if "loss" not in row]
    seen = colours(curves.plot(looked, tmp_path / "looked.png"))
    assert RED in seen
    assert BLUE not in seen


def test_real_fits_as_svg(tmp_path: Path) -> None:
    model = make("finetune", "text", validation=0.25, epochs=3)
    model.fit(items_of("text", 48), labels_of("classes", 48))
    text = curves.plot(model.history_, tmp_path / "curves.svg").read_text()
    for told in ("loss per item", "validation score", "epoch (passes", "training", "best"):
        assert f"<!-- {told}" in text


def test_global_state_of_matplotlib_stays(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    curves.plot(history(), tmp_path / "curves.png")
    assert dict(matplotlib.rcParams) == before


def test_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no curve"):
        curves.plot([], tmp_path / "curves.png")
    assert not list(tmp_path.iterdir())


def test_kinds_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"\.png or \.svg"):
        curves.plot(history(), tmp_path / "curves.pdf")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "matplotlib")
    with pytest.raises(MissingExtraError, match=r"headstart\[plots\]"):
        curves.plot(history(), tmp_path / "curves.png")


def test_without_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "torch.utils.tensorboard")
    with pytest.raises(MissingExtraError, match=r"headstart\[tensorboard\]"):
        curves.write_tensorboard(history(), tmp_path / "events")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_events_of_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    rows = history()
    place = curves.write_tensorboard(rows, tmp_path / "events")
    read = EventAccumulator(str(place))
    read.Reload()
    assert sorted(read.Tags()["scalars"]) == [
        "loss/training",
        "loss/validation",
        "rate",
        "score/validation",
    ]
    found = [(event.step, event.value) for event in read.Scalars("loss/training")]
    expected = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert [value for _, value in found] == pytest.approx([value for _, value in expected])
    assert len(read.Scalars("score/validation")) == 4
