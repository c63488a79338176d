"""Interrupted and continued runs end in the same bits; no other checkpoint is ever taken."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tuned_tiny import Told, as_bytes, items_of, labels_of, make, source, tokenizer_json

from headstart import sources
from headstart.core.errors import Interrupted
from headstart.strategies.tuning import loop as loops
from headstart.strategies.tuning.checkpoint import Checkpoint, remembered

N = 24  # 18 train: 3 steps an epoch
COMMON: dict[str, Any] = {"epochs": 5, "validation": 0.25, "patience": 99}
PLANS: dict[str, tuple[str, dict[str, Any]]] = {
    "lp-ft": ("lp-ft", {"dropout": 0.2}),
    "gradual": ("gradual", {}),
    "lora": ("lora", {"l2_sp": 0.01}),
    "ema": ("finetune", {"ema": 0.3, "bss": 0.001, "dropout": 0.1}),
    "partial": ("partial", {}),
    "contrastive": ("contrastive", {"dropout": 0.1, "ema": 0.2}),
}
EXTRA = {"text": {"mask_tokens": 0.2}, "image": {"mixup": 0.2, "batch_norm": "train", "size": 32}}


def model_of(plan: str, modality: str, **more: Any) -> Any:
    name, params = PLANS[plan]
    given = COMMON | params | (EXTRA[modality] if plan == "ema" else {}) | more
    return make(name, modality, **given)


def interrupted(model: Any, X: Any, y: Any, step: int, number: int = signal.SIGTERM) -> Interrupted:
    """Fit until a signal comes in a step; return what was raised."""

    def watch(done: int) -> None:
        if done == step:
            signal.raise_signal(number)

    model.set_params(reporter=Told(watch))
    with pytest.raises(Interrupted) as raised:
        model.fit(X, y)
    return raised.value


@pytest.mark.parametrize("modality", ["text", "image"])
@pytest.mark.parametrize("plan", PLANS)
def test_resumed_at_five_places_it_ends_in_the_same_bits(
    plan: str, modality: str, tmp_path: Path
) -> None:
    X, y = items_of(modality, N), labels_of("classes", N)
    expected = model_of(plan, modality).fit(X, y)
    told = Told()
    # the first step, within an epoch, its end (then validation comes), after it, near the end
    for count, step in enumerate((1, 3, 5, 9, 13)):
        alone = tmp_path / str(step)
        for folder, resume in ((tmp_path, count > 0), (alone, False)):
            if folder == alone and (plan, step) not in {("ema", 9), ("lp-ft", 3)}:
                continue
            model = model_of(plan, modality, checkpoint=folder, resume=resume)
            raised = interrupted(model, X, y, step)
            assert raised.number == signal.SIGTERM
            found = [path for path in folder.iterdir() if path.is_file()]
            assert [str(path) for path in found] == [raised.checkpoint]
        if alone.exists():
            model = model_of(plan, modality, checkpoint=alone, resume=True).fit(X, y)
            assert as_bytes(model.to_state()) == as_bytes(expected.to_state()), step
    again = model_of(plan, modality, checkpoint=tmp_path, resume=True, reporter=told).fit(X, y)
    assert "at step 13 of 15" in told
    assert as_bytes(again.to_state()) == as_bytes(expected.to_state())
    assert again.history_ == expected.history_
    assert [path.name for path in tmp_path.glob("*.*")] == [Path(raised.checkpoint).name]


def test_twice_interrupted_and_resumed_when_complete(tmp_path: Path) -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    expected = model_of("ema", "text").fit(X, y)
    interrupted(model_of("ema", "text", checkpoint=tmp_path), X, y, 4)
    interrupted(model_of("ema", "text", checkpoint=tmp_path, resume=True), X, y, 11)
    for _ in range(2):  # the second time nothing is left to do
        model = model_of("ema", "text", checkpoint=tmp_path, resume=True).fit(X, y)
        assert as_bytes(model.to_state()) == as_bytes(expected.to_state())
    steps: list[int] = []
    told = Told(steps.append)
    model_of("ema", "text", checkpoint=tmp_path, resume=True, reporter=told).fit(X, y)
    assert steps == []


def test_once_a_minute_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    saved: list[int] = []
    plain = Checkpoint.save

    def save(self: Checkpoint, arrays: Any, meta: Any) -> None:
        saved.append(meta["step"])
        plain(self, arrays, meta)

    monkeypatch.setattr(Checkpoint, "save", save)
    model_of("lp-ft", "text", checkpoint=tmp_path, epochs=2).fit(X, y)
    assert saved == [6]
    monkeypatch.setattr(loops, "CHECKPOINT_SECONDS", 0.0)
    model_of("lp-ft", "text", checkpoint=tmp_path, epochs=2).fit(X, y)
    assert saved[1:7] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("kind", ["numbers", "sets"])
def test_numbers_and_sets_resume_too(kind: str, tmp_path: Path) -> None:
    X, y = items_of("text", N), labels_of(kind, N)
    params: dict[str, Any] = {**COMMON, "checkpoint": tmp_path}
    expected = make("lp-ft", "text", kind, **COMMON).fit(X, y)
    interrupted(make("lp-ft", "text", kind, **params), X, y, 7)
    model = make("lp-ft", "text", kind, **params, resume=True).fit(X, y)
    assert as_bytes(model.to_state()) == as_bytes(expected.to_state())


def test_a_checkpoint_of_another_fit_is_not_used(tmp_path: Path) -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    interrupted(model_of("lp-ft", "text", checkpoint=tmp_path), X, y, 4)
    other_X, other_y = list(X), list(y)
    other_X[3] += " w77"
    other_y[3] = other_y[4]
    fits = [
        (other_X, y, {}),
        (X, other_y, {}),
        (X, y, {"random_state": 4}),
        (X, y, {"rate": 2e-4}),
        (X, y, {"class_weight": "balanced"}),
        (X, y, {"validation": 0.5}),
        (X, y, {"source": _shifted()}),
    ]
    for texts, labels, params in fits:
        told = Told()
        given = {"checkpoint": tmp_path / "x", **params}
        (tmp_path / "x").mkdir(exist_ok=True)
        for path in tmp_path.glob("*.safetensors"):
            (tmp_path / "x" / path.name).write_bytes(path.read_bytes())
        model = model_of("lp-ft", "text", **given, resume=True, reporter=told).fit(texts, labels)
        assert "Going on" not in told, params
        if labels is other_y:
            plain = model_of("lp-ft", "text", **params).fit(texts, labels)
            assert as_bytes(model.to_state()) == as_bytes(plain.to_state())
    told = Told()  # and none at all unless it is asked for
    model_of("lp-ft", "text", checkpoint=tmp_path, reporter=told).fit(X, y)
    assert "Going on" not in told


def _shifted() -> Any:
    tensors = {name: array.copy() for name, array in source("text").tensors().items()}
    tensors["blocks.2.up.bias"] += 0.1
    return sources.from_state(source("text").card, tensors, tokenizer_json())


@dataclass
class Saved:
    path: Path
    raw: bytes
    arrays: dict[str, Any]
    meta: dict[str, Any]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    rng = np.random.default_rng(0)
    arrays = {
        "weights/a": rng.normal(size=(5, 3)).astype(np.float32),
        "step/a": np.array(3.0, dtype=np.float32),
        "order": rng.integers(0, 256, 60, dtype=np.uint8),
        "cuts": np.zeros(0, dtype=np.int64),
    }
    meta = {"step": 3, "best": [0.5, -1.25], "history": [{"loss": 0.1}]}
    checkpoint = Checkpoint(tmp_path / "kept", "key")
    checkpoint.save(arrays, meta)
    return Saved(checkpoint.path, checkpoint.path.read_bytes(), arrays, meta)


def test_a_checkpoint_gives_back_what_was_saved(saved: Saved) -> None:
    told = Told()
    found = Checkpoint(saved.path.parent, "key").load(told)
    assert found is not None
    arrays, meta = found
    assert meta == saved.meta
    assert arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array)
        assert arrays[name].shape == array.shape
    assert told.lines == []
    assert Checkpoint(saved.path.parent, "other").load(told) is None


def test_every_kind_of_damage_is_said(saved: Saved) -> None:
    raw, rng = saved.raw, np.random.default_rng(0)
    damaged = [b"", b"x", raw[:8], raw[: len(raw) // 2], raw[:-1], raw + b"\0", raw[::-1]]
    for at in (*range(0, len(raw), 7), *rng.integers(0, len(raw), 200).tolist()):
        flipped = bytearray(raw)
        flipped[at] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(flipped))
    harmless = 0
    for content in damaged:
        saved.path.write_bytes(content)
        told = Told()
        found = Checkpoint(saved.path.parent, "key").load(told)
        if found is not None:  # a space of the header that became another white space, say
            assert found[1] == saved.meta
            assert all(np.array_equal(found[0][n], a) for n, a in saved.arrays.items())
            harmless += 1
            continue
        assert "is damaged: this fit starts anew" in told
        assert str(saved.path) in told
    assert harmless <= 5


def test_a_damaged_checkpoint_means_a_fit_from_the_start(tmp_path: Path) -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    raised = interrupted(model_of("lora", "text", checkpoint=tmp_path), X, y, 4)
    path = Path(raised.checkpoint)
    raw = bytearray(path.read_bytes())
    raw[-40] ^= 4
    path.write_bytes(raw)
    told = Told()
    model = model_of("lora", "text", checkpoint=tmp_path, resume=True, reporter=told).fit(X, y)
    assert "is damaged" in told
    expected = model_of("lora", "text").fit(X, y)
    assert as_bytes(model.to_state()) == as_bytes(expected.to_state())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        Checkpoint(saved.path.parent, "key").save(saved.arrays, {"step": 4})
    assert saved.path.read_bytes() == saved.raw
    assert list(saved.path.parent.iterdir()) == [saved.path]


def test_twenty_signals_at_any_step(tmp_path: Path) -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    params: dict[str, Any] = {"epochs": 8, "dropout": 0.1, "ema": 0.2}  # 24 steps
    expected = as_bytes(make("finetune", "text", **params).fit(X, y).to_state())
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    for step in range(1, 21):  # one run, stopped twenty times
        number = signal.SIGTERM if step % 4 else signal.SIGINT
        model = make("finetune", "text", checkpoint=tmp_path, resume=step > 1, **params)
        started = time.monotonic()
        raised = interrupted(model, X, y, step, number)
        assert time.monotonic() - started < 10
        assert raised.number == number
        assert Path(raised.checkpoint).is_file()
        assert [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)] == handlers
    resumed = make("finetune", "text", checkpoint=tmp_path, resume=True, **params).fit(X, y)
    assert as_bytes(resumed.to_state()) == expected


def test_without_a_checkpoint_signals_are_not_touched() -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    seen: list[Any] = []
    told = Told(lambda _: seen.append(signal.getsignal(signal.SIGTERM)))
    make("finetune", "text", reporter=told).fit(X, y)
    assert set(seen) == {signal.getsignal(signal.SIGTERM)}


def test_in_a_thread_signals_are_left_to_the_main_one(tmp_path: Path) -> None:
    X, y = items_of("text", N), labels_of("classes", N)
    made: list[Any] = []
    model = make("finetune", "text", checkpoint=tmp_path)
    thread = threading.Thread(target=lambda: made.append(model.fit(X, y)))
    thread.start()
    thread.join()
    plain = make("finetune", "text").fit(X, y)
    assert as_bytes(made[0].to_state()) == as_bytes(plain.to_state())


def test_the_state_of_training_is_only_what_a_checkpoint_holds() -> None:
    assert set(vars(loops.Progress())) == {
        "step", "epoch", "place", "micro", "since_best", "best", "best_step", "loss_sum",
        "loss_count", "stopped", "history",
    }  # fmt: skip


def test_a_number_is_measured_once_and_read_again(tmp_path: Path) -> None:
    path, values = tmp_path / "deep" / "a.seconds.json", iter([1.5, 2.5, 3.5, 4.5])

    def measure() -> float:
        return next(values)

    assert remembered(path, ["a", 3], measure, resume=True) == 1.5
    assert remembered(path, ["a", 3], measure, resume=True) == 1.5
    assert remembered(path, ["a", 3], measure, resume=False) == 2.5
    assert remembered(path, ["b", 3], measure, resume=True) == 3.5
    path.write_text("{")
    assert remembered(path, ["b", 3], measure, resume=True) == 4.5
    assert [file.name for file in path.parent.iterdir()] == ["a.seconds.json"]
