"""The training loop that all fine-tuning strategies share.

Every random number comes from two generators made of the seed (one for order, augmentation and
masks; torch's own, forked, for dropout), both kept in checkpoints: a run that was interrupted goes
on to the same bits.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.errors import Interrupted, OptionError
from headstart.core.types import SILENT, AnyArray, IntArray, Reporter
from headstart.strategies.tuning import regularise, schedule
from headstart.strategies.tuning.checkpoint import Checkpoint
from headstart.strategies.tuning.contrast import Pairs
from headstart.strategies.tuning.items import Items, count_batches, moved
from headstart.strategies.tuning.network import Network
from headstart.strategies.tuning.objective import (
    Objective,
    micro_pieces,
    no_memory,
    out_of_memory,
)
from headstart.strategies.tuning.settings import Settings
from headstart.strategies.tuning.stop import Stop, noting_signals

CHECKPOINT_SECONDS = 60.0
EVALUATIONS = 10  # at most about so many looks at the validation part
ROWS = 100  # at most about so many rows of the loss curve


@dataclass
class Progress:
    """How far a run has come: all that a checkpoint holds beside tensors."""

    step: int = 0
    epoch: int = 0
    place: int = 0  # in the epoch's batches
    micro: int = 0
    since_best: int = 0
    best: tuple[float, float] | None = None  # score and negative loss
    best_step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    stopped: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


class Loop:
    """Trains a network.

    Parameters
    ----------
    network : Network
        Prepared, on the device.
    items : Items
    objective : Objective
    settings : Settings
    train, valid : ndarray of int
        Places of the items that train, and of those that choose among epochs (may be empty).
    device : torch.device
    half : torch.dtype or None
        Of autocast.
    micro : int
        Items that go through the network at once; a batch is put together of such pieces.
    seed : int
    checkpoint : Checkpoint, optional
        Written every minute, and when a signal asks to stop.
    resume : bool
        Go on from the checkpoint, where there is one.
    refit : callable
        Called before the network is judged: gives it a head, where none trains.
    reporter : Reporter
    name : str
        What is tuned, for the progress.
    """

    def __init__(
        self,
        network: Network,
        items: Items,
        objective: Objective,
        settings: Settings,
        *,
        train: IntArray,
        valid: IntArray,
        device: torch.device,
        half: torch.dtype | None = None,
        micro: int = 0,
        seed: int = 0,
        checkpoint: Checkpoint | None = None,
        resume: bool = False,
        refit: Callable[[Loop], None] = lambda loop: None,
        reporter: Reporter = SILENT,
        name: str = "the source",
    ) -> None:
        self.network, self.items, self.objective, self.settings = (
            network,
            items,
            objective,
            settings,
        )
        self.train, self.valid = train, valid
        self.device, self.half = device, half
        self.seed, self.checkpoint, self.resume = seed, checkpoint, resume
        self.refit, self.reporter, self.name = refit, reporter, name
        self.progress = Progress(micro=micro or settings.batch)
        self.generator = torch.Generator().manual_seed(seed)
        self.total = count_batches(len(train), settings.batch) * settings.epochs
        self.named = network.named_trained()
        self.optimiser = self._optimiser()
        self.start = {name: tensor.detach().clone() for name, tensor in self.named.items()}
        self._regulariser = self._anchor()
        self._ema: dict[str, Tensor] = {}
        if settings.ema:
            self._ema = {name: tensor.clone() for name, tensor in self.start.items()}
        self._best: dict[str, Tensor] = {}
        self._batches: list[IntArray] = []
        self._unfrozen = network.first_trained
        self._saved = time.monotonic()

    def run(self) -> None:
        """Train to the end (or to where patience ends) and leave the best weights in place.

        Raises
        ------
        Interrupted
            A signal asked to stop; the checkpoint has been written.
        OptionError
            Training diverged: the rates are too large.
        OutOfMemoryError
            Not even one item at a time fits into memory.
        """
        with self.seeded():
            self._restore()
            with noting_signals(self.checkpoint is not None) as stop:
                self._epochs(stop)
        if self._best:
            self._put(self._best)
        elif self._ema:
            self._put(self._ema)

    @contextlib.contextmanager
    def seeded(self) -> Iterator[None]:
        """Let torch's own generators start from the seed; they are put back at the end."""
        on_gpu = self.device.type == "cuda"
        with torch.random.fork_rng(devices=[self.device] if on_gpu else []):
            torch.default_generator.manual_seed(self.seed)  # that of the CPU alone
            if on_gpu:
                torch.cuda.manual_seed(self.seed)
            yield

    def again(self) -> None:
        """Run once more over the items, from where the weights are: to see how long it takes."""
        self.progress = Progress(micro=self.progress.micro)
        self.run()

    def _epochs(self, stop: Stop) -> None:
        progress, settings = self.progress, self.settings
        while progress.epoch < settings.epochs and not progress.stopped:
            self._unfreeze(progress.epoch)
            if not self._batches:
                self._batches = self.order()
            with self.network.training_mode():
                while progress.place < len(self._batches):
                    self._goes_on(self._step(self._batches[progress.place]))
                    progress.place += 1
                    self._heed(stop)
            progress.epoch, progress.place, self._batches = progress.epoch + 1, 0, []
            self._look()
        if self.checkpoint is not None:
            self._save()
        self._heed(stop)

    def order(self) -> list[IntArray]:
        """Return the batches of an epoch, drawn anew."""
        return self.objective.order(
            self.items.sizes, self.train, self.settings.batch, self.generator
        )

    def _heed(self, stop: Stop) -> None:
        """Write a checkpoint once a minute, and when a signal asked to stop."""
        if self.checkpoint is None:
            return
        if stop.number or time.monotonic() - self._saved >= CHECKPOINT_SECONDS:
            self._save()
        if stop.number:
            raise Interrupted(stop.number, str(self.checkpoint.path))

    def _optimiser(self) -> torch.optim.AdamW:
        settings, network = self.settings, self.network
        groups: list[dict[str, Any]] = []
        blocks = network.blocks_trained()
        for place, block in enumerate(blocks):
            rate = settings.rate * settings.decay ** (len(blocks) - 1 - place)
            groups += _decayed(block, rate, settings.weight_decay)
        groups += _decayed(network.head_trained(), settings.head_rate, 0.0)
        on_fused = self.device.type in ("cpu", "cuda")
        optimiser = torch.optim.AdamW(groups, lr=settings.rate, fused=on_fused or None)
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
            for parameter in group["params"]:  # made now: memory ends before the first step, if so
                optimiser.state[parameter] = {
                    "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        return optimiser

    def _anchor(self) -> regularise.L2SP | None:
        if not self.settings.l2_sp:
            return None
        own = [p for block in self.network.blocks_trained() for _, p in block]
        return regularise.L2SP(own, self.settings.l2_sp)

    def _unfreeze(self, epoch: int) -> None:
        """Let more blocks train, the later the epoch, if unfreezing is gradual."""
        if not self.settings.gradual:
            return
        n = self.network.n_blocks
        share = min(1.0, (epoch + 1) / max(1.0, 0.6 * self.settings.epochs))
        self.network.train_from(max(self._unfrozen, n - max(1, round(share * n))))

    def _goes_on(self, loss: float) -> None:
        """Stop where the loss is no number: nothing good comes after it."""
        if not math.isfinite(loss):
            raise OptionError(
                "training diverged: the loss is no number any more",
                where=f"step {self.progress.step} of {self.total}",
                got=loss,
                hint="smaller rate and head_rate",
            )

    def _step(self, index: IntArray) -> float:
        """Make one optimiser step, where memory ends in smaller pieces; return the loss."""
        progress = self.progress
        order, noise = self.generator.get_state(), _noise(self.device)
        while True:
            try:
                loss = self._gradients(index, progress.micro)
                break
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self._halve(len(index), error)
                self.generator.set_state(order)
                _set_noise(self.device, noise)
        if self._regulariser is not None:
            self._regulariser.add_gradients()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        factor = schedule.rate(
            progress.step, self.total, kind=self.settings.schedule, warmup=self.settings.warmup
        )
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        self.optimiser.step()
        progress.step += 1
        self._average()
        progress.loss_sum += loss
        progress.loss_count += 1
        self._note(factor)
        return loss

    def _halve(self, n: int, error: BaseException) -> None:
        """Make the pieces of a batch half as large; say so."""
        progress = self.progress
        self.optimiser.zero_grad(set_to_none=True)
        now = min(progress.micro, n)
        if now <= 1:
            raise no_memory(self.name) from error
        progress.micro = now // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.reporter.say(
            f"Out of memory: {progress.micro} items at a time from now on; "
            f"a step still sees {self.settings.batch}."
        )

    def _gradients(self, index: IntArray, micro: int) -> float:
        """Accumulate the gradient of the batch's mean loss over its pieces; return the loss."""
        self.optimiser.zero_grad(set_to_none=True)
        if isinstance(self.objective, Pairs):
            return self.objective.backward(self._drawn, index, micro, (self._noise, self._replay))
        weight = float(self.objective.weights[torch.from_numpy(index)].sum())
        settings, loss_sum = self.settings, 0.0
        for piece in micro_pieces(len(index), micro):
            part = index[piece]
            batch = self.items.load(part, self.progress.epoch, self.generator)
            targets = self.objective.targets(part)
            if settings.mixup and isinstance(batch, Tensor):
                batch, targets = regularise.mixup(batch, targets, settings.mixup, self.generator)
            share = self.objective.weights[torch.from_numpy(part)].to(self.device) / weight
            with self._autocast():
                features, outputs = self.network(moved(batch, self.device), self.items.first)
            losses = self.objective.losses(outputs.float(), targets.to(self.device))
            loss = (losses * share).sum()
            loss_sum += float(loss.detach())
            if settings.bss:
                loss = loss + settings.bss * regularise.bss(features) * len(part) / len(index)
            loss.backward()
        return loss_sum

    def _drawn(self, index: IntArray) -> Tensor:
        """Return the features of items as they train: masked, augmented, with dropout."""
        batch = self.items.load(index, self.progress.epoch, self.generator)
        with self._autocast():
            return self.network(moved(batch, self.device), self.items.first)[0]

    def _noise(self) -> Any:
        return self.generator.get_state(), _noise(self.device)

    def _replay(self, state: Any) -> None:
        self.generator.set_state(state[0])
        _set_noise(self.device, state[1])

    def _autocast(self) -> Any:
        if self.half is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.half)

    def _average(self) -> None:
        if not self._ema:
            return
        step = self.progress.step
        horizon = max(1.0, self.settings.ema * self.total)
        keep = min(1 - 1 / horizon, step / (step + 9.0))
        for name, tensor in self.named.items():
            self._ema[name].lerp_(tensor.detach(), 1 - keep)

    def _note(self, factor: float) -> None:
        """Add to the loss curve, and say how far it is."""
        progress = self.progress
        every = max(1, self.total // ROWS)
        mean = progress.loss_sum / progress.loss_count
        rate = self.settings.rate * factor
        if progress.step % every == 0 or progress.step == self.total:
            progress.history.append(
                {
                    "step": progress.step,
                    "epoch": round(progress.step * self.settings.epochs / self.total, 4),
                    "rate": rate,
                    "loss": mean,
                }
            )
            progress.loss_sum, progress.loss_count = 0.0, 0
        self.reporter.progress(
            f"tuning {self.name}",
            progress.step,
            self.total,
            "steps",
            f"loss {mean:.3f}, rate {rate:.1e}",
        )

    def _look(self) -> None:
        """Look at the validation part: keep the best weights, stop where patience ends."""
        progress, settings = self.progress, self.settings
        every = max(1, settings.epochs // EVALUATIONS)
        last = progress.epoch >= settings.epochs
        if not len(self.valid) or (progress.epoch % every and not last):
            return
        kept = {}
        if self._ema:
            kept = {name: tensor.detach().clone() for name, tensor in self.named.items()}
            self._put(self._ema)
        self.refit(self)
        score, loss = self.objective.judged(self.outputs(self.valid), self.valid)
        progress.history.append(
            {
                "step": progress.step,
                "epoch": progress.epoch,
                "validation_score": score,
                "validation_loss": loss,
            }
        )
        if progress.best is None or score >= progress.best[0]:  # of equals the later
            progress.best, progress.best_step, progress.since_best = (
                (score, -loss),
                progress.step,
                0,
            )
            self._best = {name: tensor.detach().clone() for name, tensor in self.named.items()}
        else:
            progress.since_best += 1
        if kept:
            self._put(kept)
        if progress.since_best >= settings.patience and not last:
            progress.stopped = True

    def outputs(self, index: IntArray) -> Tensor:
        """Return the outputs (m, k) for items, float32 on the CPU, nothing random."""
        return self._looked_at(index, self.objective.outputs, 1)

    def features(self, index: IntArray) -> Tensor:
        """Return the features (m, dim) of items, float32 on the CPU, nothing random."""
        return self._looked_at(index, self.network.head.in_features, 0)

    def _looked_at(self, index: IntArray, width: int, part: int) -> Tensor:
        self.network.eval()
        order = np.argsort(self.items.sizes[index], kind="stable")
        found = torch.empty((len(index), width))
        done = 0
        while done < len(order):
            rows = order[done : done + max(1, self.progress.micro)]
            try:
                with torch.inference_mode(), self._autocast():
                    batch = moved(self.items.load(index[rows], 0, None), self.device)
                    made = self.network(batch, self.items.first)[part]
                found[torch.from_numpy(rows)] = made.float().cpu()
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self._halve(len(rows), error)
                continue
            done += len(rows)
        return found

    def _put(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in self.named.items():
                tensor.copy_(tensors[name])

    def _save(self) -> None:
        """Write all that the rest of the run depends on."""
        assert self.checkpoint is not None
        arrays: dict[str, AnyArray] = {}
        for prefix, tensors in self._tensors():
            for name, tensor in tensors.items():
                arrays[f"{prefix}/{name}"] = tensor.detach().cpu().numpy()
        arrays["order"] = self.generator.get_state().numpy()
        for name, state in _noise(self.device).items():
            arrays[f"noise/{name}"] = state.cpu().numpy()
        if self._batches:
            arrays["batches"] = np.concatenate(self._batches)
            arrays["cuts"] = np.cumsum([len(batch) for batch in self._batches])[:-1]
        self.checkpoint.save(arrays, vars(self.progress))
        self._saved = time.monotonic()

    def _tensors(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        yield "weights", self.named
        yield "ema", self._ema
        yield "best", self._best
        names = {id(p): name for name, p in self.named.items()}
        for key in ("step", "exp_avg", "exp_avg_sq"):
            state = self.optimiser.state
            yield key, {names[id(p)]: state[p][key] for p in state if id(p) in names}

    def _restore(self) -> None:
        """Go on from the checkpoint, where there is one and it was asked for."""
        if self.checkpoint is None or not self.resume:
            return
        found = self.checkpoint.load(self.reporter)
        if found is None:
            return
        arrays, meta = found
        self.progress = Progress(**meta)
        if self.progress.best is not None:
            self.progress.best = (self.progress.best[0], self.progress.best[1])
        self._best = {
            name: torch.empty_like(tensor)
            for name, tensor in self.named.items()
            if f"best/{name}" in arrays
        }
        with torch.no_grad():
            for prefix, tensors in self._tensors():
                for name, tensor in tensors.items():
                    tensor.copy_(torch.from_numpy(arrays[f"{prefix}/{name}"]))
        self.generator.set_state(torch.from_numpy(arrays["order"]))
        noise = {n[6:]: torch.from_numpy(a) for n, a in arrays.items() if n.startswith("noise/")}
        _set_noise(self.device, noise)
        if "batches" in arrays:
            self._batches = np.split(arrays["batches"], arrays["cuts"])
        done, total = self.progress.step, self.total
        self.reporter.say(f"Going on with {self.name} at step {done:,} of {total:,}.")


def _decayed(
    named: list[tuple[str, torch.nn.Parameter]], rate: float, decay: float
) -> list[dict[str, Any]]:
    """Return optimiser groups: matrices and kernels decay; biases, norms, embeddings do not."""
    heavy = [p for name, p in named if p.ndim > 1 and not _table(name)]
    light = [p for name, p in named if p.ndim <= 1 or _table(name)]
    groups = [(heavy, decay), (light, 0.0)]
    return [{"params": own, "lr": rate, "weight_decay": d} for own, d in groups if own]


def _table(name: str) -> bool:
    """Say whether a matrix is an embedding, by its place in the first block."""
    return name.startswith("backbone.blocks.0.") and any(
        word in name for word in (".word.", ".position.", ".token_type.", "embedding")
    )


def _noise(device: torch.device) -> dict[str, Tensor]:
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found


def _set_noise(device: torch.device, states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
