"""Where memory ends, pieces are halved, it is said, and the result stays what it was."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tuned_tiny import Told, close, items_of, labels_of, make, source

from headstart.core.errors import OutOfMemoryError
from headstart.strategies.tuning.items import ImageItems, TextItems
from headstart.strategies.tuning.memory import Memory, memory_of
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.objective import Objective, micro_pieces, out_of_memory

PLAIN: dict[str, Any] = {"dropout": 0.0, "augment": 0.0, "crop": 1.0, "validation": 0.25}
ERRORS: list[Callable[[], BaseException]] = [
    lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    lambda: MemoryError(),
]


def rows_of(batch: Any) -> int:
    return len(batch[0]) if isinstance(batch, tuple) else len(batch)


class Failing:
    """Fails where pieces are larger than ``most``; or once, at a call."""

    def __init__(self, error: Callable[[], BaseException], most: int = 99, call: int = 0) -> None:
        self.error, self.most, self.call, self.calls, self.failed = error, most, call, 0, 0

    def __call__(self, rows: int) -> None:
        self.calls += 1
        if rows > self.most or self.calls == self.call:
            self.failed += 1
            raise self.error()


def inject(where: str, fails: Failing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``fails`` be asked in one place of the training step, or beside it."""
    load, text_load = ImageItems.load, TextItems.load
    forward, losses, backward = Network.forward, Objective.losses, torch.Tensor.backward
    prefix = Network.run_prefix

    def failing_load(plain: Any) -> Any:
        def new(self: Any, index: Any, epoch: int, generator: Any) -> Any:
            if generator is not None:
                fails(len(index))
            return plain(self, index, epoch, generator)

        return new

    def new_forward(self: Any, batch: Any, first: int = 0) -> Any:
        looking = torch.is_inference_mode_enabled()
        if looking == (where == "validation") and self.training | looking | (where == "estimate"):
            fails(rows_of(batch))
        return forward(self, batch, first)

    def new_losses(self: Any, outputs: Any, targets: Any) -> Any:
        if outputs.requires_grad:
            fails(len(outputs))
        return losses(self, outputs, targets)

    def new_backward(self: Any, *args: Any, **named: Any) -> None:
        fails(0)
        backward(self, *args, **named)

    def new_prefix(self: Any, batch: Any, stop: int) -> Any:
        fails(rows_of(batch))
        return prefix(self, batch, stop)

    if where == "load":
        monkeypatch.setattr(ImageItems, "load", failing_load(load))
        monkeypatch.setattr(TextItems, "load", failing_load(text_load))
    elif where == "loss":
        monkeypatch.setattr(Objective, "losses", new_losses)
    elif where == "backward":
        monkeypatch.setattr(torch.Tensor, "backward", new_backward)
    elif where == "prefix":
        monkeypatch.setattr(Network, "run_prefix", new_prefix)
    else:
        monkeypatch.setattr(Network, "forward", new_forward)


@pytest.fixture
def training_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Network.training says whether a step is being made."""
    import contextlib

    plain = Network.training_mode

    @contextlib.contextmanager
    def mode(self: Network) -> Any:
        with plain(self):
            self.training = True
            yield

    monkeypatch.setattr(Network, "training_mode", mode)


@pytest.mark.parametrize("modality", ["text", "image"])
@pytest.mark.parametrize(
    ("where", "name", "limits"),
    [
        ("load", "finetune", {"most": 3}),
        ("forward", "lora", {"most": 2}),
        ("loss", "lp-ft", {"most": 5}),
        ("backward", "finetune", {"call": 2}),
        ("validation", "lp-ft", {"most": 2}),
        ("prefix", "partial", {"most": 3}),
        ("load", "contrastive", {"most": 3}),
        ("forward", "contrastive", {"most": 2}),
        ("backward", "contrastive", {"call": 2}),
    ],
)
def test_pieces_are_halved_and_the_effective_batch_kept(
    where: str,
    name: str,
    limits: dict[str, int],
    modality: str,
    monkeypatch: pytest.MonkeyPatch,
    training_flag: None,
) -> None:
    X, y = items_of(modality), labels_of("classes")
    expected = make(name, modality, rate=1e-4, **PLAIN).fit(X, y)
    fails = Failing(ERRORS[len(where) % 3], **limits)
    inject(where, fails, monkeypatch)
    told = Told()
    model = make(name, modality, rate=1e-4, reporter=told, **PLAIN).fit(X, y)
    assert fails.failed
    said = [line for line in told.lines if line.startswith("Out of memory")]
    assert said
    if where == "prefix":
        assert "items at a time through the frozen blocks" in said[-1]
    else:
        half = 3 if where == "validation" else 4  # of the 6 that are looked at
        assert said[0] == f"Out of memory: {half} items at a time from now on; a step still sees 8."
        assert len(said) == {2: 2, 3: 2}.get(limits.get("most", 4), 1)
    # a head that is solved, not trained, enlarges the rounding of its features
    close(model, expected, 1e-3 if name == "contrastive" else 2e-5)
    np.testing.assert_allclose(
        [list(row.values()) for row in model.history_],
        [list(row.values()) for row in expected.history_],
        rtol=1e-4,
        atol=1e-5,
    )


def test_the_second_piece_of_a_batch_may_fail(
    monkeypatch: pytest.MonkeyPatch, training_flag: None
) -> None:
    from headstart.strategies.tuning import session

    X, y = items_of("text"), labels_of("classes")
    expected = make("finetune", "text", **PLAIN).fit(X, y)
    monkeypatch.setattr(
        session, "memory_of", lambda *args, **named: Memory(1, 1, 1, 4)
    )  # pieces of 4 in batches of 8
    fails = Failing(ERRORS[1], call=2)
    inject("forward", fails, monkeypatch)
    told = Told()
    model = make("finetune", "text", reporter=told, **PLAIN).fit(X, y)
    assert "Out of memory: 2 items at a time from now on; a step still sees 8." in told
    assert fails.failed == 1
    close(model, expected, 2e-5)


def test_random_draws_are_the_same_after_memory_ended(
    monkeypatch: pytest.MonkeyPatch, training_flag: None
) -> None:
    # in pieces from the start, or only after the second half of a batch failed: the same bits
    from headstart.strategies.tuning import session

    X, y = items_of("text"), labels_of("classes")
    params: dict[str, Any] = {"mask_tokens": 0.2, "dropout": 0.2}
    monkeypatch.setattr(session, "memory_of", lambda *args, **named: Memory(1, 1, 1, 2))
    expected = make("finetune", "text", **params).fit(X, y)
    monkeypatch.setattr(session, "memory_of", lambda *args, **named: Memory(1, 1, 1, 4))
    fails = Failing(ERRORS[0], call=2)
    inject("forward", fails, monkeypatch)
    model = make("finetune", "text", **params).fit(X, y)
    assert fails.failed == 1
    close(model, expected, 0.0)


@pytest.mark.parametrize("where", ["load", "forward", "loss", "validation", "prefix"])
def test_not_even_one_item_fits(
    where: str, monkeypatch: pytest.MonkeyPatch, training_flag: None
) -> None:
    inject(where, Failing(ERRORS[len(where) % 3], most=0), monkeypatch)
    name = "partial" if where == "prefix" else "finetune"
    with pytest.raises(OutOfMemoryError, match="not even one item at a time") as raised:
        make(name, "text", **PLAIN).fit(items_of("text"), labels_of("classes"))
    assert raised.value.where == "tiny-bert"
    assert "smaller source" in str(raised.value)
    assert raised.value.__cause__ is not None


def test_one_item_at_a_time_through_the_prefix_may_be_too_much_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class AllButTheFirst(Failing):
        def __call__(self, rows: int) -> None:
            self.calls += 1
            if self.calls > 1:
                raise self.error()

    inject("prefix", AllButTheFirst(ERRORS[0]), monkeypatch)
    with pytest.raises(OutOfMemoryError, match="not even one item"):
        make("partial", "text").fit(items_of("text"), labels_of("classes"))


@pytest.mark.parametrize("where", ["load", "forward", "loss", "validation", "prefix"])
def test_other_errors_are_not_taken_for_it(
    where: str, monkeypatch: pytest.MonkeyPatch, training_flag: None
) -> None:
    inject(where, Failing(lambda: RuntimeError("shapes differ"), call=2), monkeypatch)
    name = "partial" if where == "prefix" else "finetune"
    with pytest.raises(RuntimeError, match="shapes differ"):
        make(name, "text", **PLAIN).fit(items_of("text"), labels_of("classes"))


def _memory(monkeypatch: pytest.MonkeyPatch, most: int, error: Any = None) -> Memory:
    backbone = source("text")
    items = TextItems(items_of("text"), backbone)
    network = Network(backbone, 3, np.zeros(16), 1.0)
    with monkeypatch.context() as patch:
        inject("estimate", Failing(error or ERRORS[1], most=most), patch)
        return memory_of(
            network,
            items,
            np.arange(len(items)),
            batch=8,
            copies=5,
            device=torch.device("cpu"),
        )


def test_the_estimate_of_memory_where_two_items_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _memory(monkeypatch, 1).micro == 1
    assert _memory(monkeypatch, 2).micro == 8
    with pytest.raises(OutOfMemoryError, match="not even one item"):
        _memory(monkeypatch, 0)
    with pytest.raises(RuntimeError, match="shapes"):
        _memory(monkeypatch, 0, lambda: RuntimeError("shapes"))


def test_memory_is_said_before_it_starts_and_is_what_is_held() -> None:
    told = Told()
    model = make("finetune", "text", reporter=told).fit(items_of("text"), labels_of("classes"))
    line = next(line for line in told.lines if line.startswith("Tuning tiny-bert (finetune)"))
    assert line.endswith(f"takes {model.memory_}.")
    found = model.memory_
    assert found.total == found.weights + found.optimiser + found.activations
    assert found.micro == 8
    trained = sum(array.size for key, array in model.tuned_.items() if not key.startswith("index."))
    assert found.optimiser == 5 * 4 * (trained + model.coef_.size + model.intercept_.size)
    assert found.activations > 0
    assert str(found).startswith("about 1 MB beside what is loaded (weights 1, ")


def test_pieces_and_errors() -> None:
    assert micro_pieces(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert micro_pieces(0, 3) == []
    assert all(out_of_memory(error()) for error in ERRORS)
    assert not out_of_memory(RuntimeError("size mismatch"))
    assert not out_of_memory(ValueError("out of memory"))


def test_nothing_of_a_fit_stays_in_memory() -> None:
    def alive() -> int:
        gc.collect()
        kinds = (torch.Tensor, torch.nn.Parameter)  # isinstance would wake lazy modules
        return sum(type(each) in kinds for each in gc.get_objects())

    counts = []
    for _ in range(3):
        make("finetune", "text", **PLAIN).fit(items_of("text", 12), labels_of("classes", 12))
        counts.append(alive())
    assert counts[1] == counts[2]
