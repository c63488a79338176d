"""Fine-tuning against the plain loop that people write, the same weights, items and epochs.

The plain loop has the defaults of transformers' Trainer: batches of 8 in random order, padded to
their longest text, AdamW (fused, its default since torch 2.8; ``--optimiser foreach`` for the
older one) at 5e-5 falling linearly, gradients clipped at 1, float32, every parameter trained,
batch norm in training mode. Images are decoded by PIL in every epoch, cropped, mirrored, in NCHW.
Ours is ``fit`` of an estimator, whole: tokens, frozen features, memory, steps, all but predicting;
no cache survives from one repetition to the next. Both run in one process, by turns.

    python benchmarks/finetune_speed.py [--part text image prefix memory] [--runs 3]

"prefix" trains the last blocks with the frozen ones cached and run again every epoch, the frozen
features that the head starts from at hand for both, as they are after a probe; "memory" compares
the peak of a process of its own with what it said before. ``--data DIR`` takes CLINC150's texts
from ``DIR/clinc150/train.csv``; by default the script makes texts of that length. With a GPU
"text" and "image" are measured there, too. ``--try`` runs all of it on a few items and writes
nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import nn

from common import RESULTS, machine, ratio_interval, write_result
from headstart import sources, strategies
from peers import hugging_face_layout

NAME = "finetune_speed"
GOALS = {"text": 2.5, "image": 2.0, "prefix": 3.0, "memory_gb": 3.0}
PARTS = ("text", "image", "prefix", "memory")
INTENTS = {
    "transfer": "send move transfer wire",
    "booking": "book reserve order hold",
    "weather": "check forecast predict know",
    "alarm": "set start cancel change",
    "recipe": "cook bake prepare make",
    "music": "play stop repeat skip",
    "travel": "visit reach find leave",
    "repair": "repair fix replace mend",
}
OPENINGS = ("please", "can you", "i want to", "how do i", "tell me how to", "help me", "")
OBJECTS = ("fifty dollars", "a table for two", "the rain in london", "my timer", "a lasagna")
OBJECTS += ("the last song again", "the nearest airport by train", "the battery of my old phone")
ENDINGS = ("today", "for my savings account", "before seven in the morning", "", "if you can")
SIDES = (160, 120)  # pixels of the images, so that the default size is less than the source's 224
GPU_FACTOR = 8  # times as many items on a GPU


def made_texts(n: int) -> tuple[list[str], list[str]]:
    """Return n short requests and what they are about, the same on every machine."""
    rng = np.random.default_rng(0)
    names = list(INTENTS)
    texts, labels = [], []
    for i in range(n):
        label = names[i % len(names)]
        words = (rng.choice(part) for part in (OPENINGS, INTENTS[label].split(), OBJECTS, ENDINGS))
        texts.append(" ".join(word for word in words if word))
        labels.append(label)
    return texts, labels


def texts_of(data: Path | None, n: int) -> tuple[list[str], list[str]]:
    """Return n texts and labels: of CLINC150 where it is given."""
    if data is None:
        return made_texts(n)
    import pandas as pd

    frame = pd.read_csv(data / "clinc150" / "train.csv").sample(n, random_state=0)
    return frame["text"].tolist(), frame["intent"].tolist()


def image_files(n: int, folder: Path) -> tuple[list[str], list[str]]:
    """Write n JPEG files of four kinds: crops of two photographs, plain and in other colours."""
    rng = np.random.default_rng(0)
    photos = [load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    files, labels = [], []
    for i in range(n):
        left, top = int(rng.integers(0, 300)), int(rng.integers(0, 180))
        part = photos[i % 2][top : top + 240, left : left + 320]
        part = part[..., ::-1] if i % 4 > 1 else part
        image = Image.fromarray(np.ascontiguousarray(part)).resize(SIDES, Image.Resampling.BICUBIC)
        files.append(str(folder / f"{i}.jpg"))
        image.save(files[-1], quality=90)
        labels.append(f"kind {i % 4}")
    return files, labels


def trained(
    network: nn.Module,
    head: nn.Module,
    batches: Callable[[np.ndarray], Any],
    codes: np.ndarray,
    epochs: int,
    options: Any,
    device: str,
) -> None:
    """Train as a plain loop does; ``batches`` makes what ``network`` takes from places."""
    network.to(device).train()
    head.to(device).train()
    parameters = [*network.parameters(), *head.parameters()]
    for parameter in parameters:
        parameter.requires_grad_(True)
    own = {"fused": True} if options.optimiser == "fused" else {"foreach": True}
    optimiser = torch.optim.AdamW(parameters, lr=5e-5, weight_decay=0.0, **own)
    total = epochs * -(-len(codes) // 8)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / total)
    half = torch.autocast(device, torch.bfloat16, enabled=options.half)
    rng = np.random.default_rng(0)
    truth = torch.from_numpy(codes)
    for _ in range(epochs):
        order = rng.permutation(len(codes))
        for start in range(0, len(order), 8):
            index = order[start : start + 8]
            with half:
                outputs = head(network(batches(index)))
            loss = nn.functional.cross_entropy(outputs.float(), truth[index].to(device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            float(loss.detach())


class Plain(nn.Module):
    """BERT with mean pooling."""

    def __init__(self, bert: nn.Module) -> None:
        super().__init__()
        self.bert = bert
        self.dropout = nn.Dropout(0.1)

    def forward(self, batch: Any) -> torch.Tensor:
        hidden = self.bert(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        return self.dropout((hidden * mask).sum(dim=1) / mask.sum(dim=1))


def transformers_own(scratch: Path) -> tuple[Any, Any]:
    """Return transformers' tokenizer and model with MiniLM's weights."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    layout = hugging_face_layout(scratch / "peer")
    model = transformers.AutoModel.from_pretrained(layout, add_pooling_layer=False)
    return transformers.AutoTokenizer.from_pretrained(layout), model


def plain_text(
    peer: tuple[Any, Any],
    texts: list[str],
    codes: np.ndarray,
    epochs: int,
    options: Any,
    device: str,
) -> None:
    """Fine-tune transformers' own model, loaded before."""
    tokenizer, network = peer[0], Plain(copy.deepcopy(peer[1]))
    rows = [tokenizer(text, truncation=True, max_length=256) for text in texts]

    def batches(index: np.ndarray) -> Any:
        return tokenizer.pad([rows[i] for i in index], return_tensors="pt").to(device)

    head = nn.Linear(384, int(codes.max()) + 1)
    trained(network, head, batches, codes, epochs, options, device)


def plain_image(
    backbone: Any, files: list[str], codes: np.ndarray, epochs: int, options: Any, device: str
) -> None:
    """Fine-tune EfficientNet-Lite0, image by image at the size it was trained on."""
    network = copy.deepcopy(backbone)
    rng = np.random.default_rng(1)

    def batches(index: np.ndarray) -> torch.Tensor:
        made = np.stack([cropped(files[i], int(backbone.card.input["size"]), rng) for i in index])
        return torch.from_numpy(made).to(device)

    head = nn.Linear(backbone.card.dim, int(codes.max()) + 1)
    trained(network, head, batches, codes, epochs, options, device)


def cropped(file: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random crop of an image file, (3, size, size), perhaps mirrored."""
    image = Image.open(file).convert("RGB")
    area = image.width * image.height * rng.uniform(0.5, 1.0)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    width = min(image.width, round(np.sqrt(area * ratio)))
    height = min(image.height, round(np.sqrt(area / ratio)))
    left = int(rng.integers(0, image.width - width + 1))
    top = int(rng.integers(0, image.height - height + 1))
    box = (left, top, left + width, top + height)
    image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return ((np.asarray(image, dtype=np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)


def own(
    strategy: str, backbone: Any, X: Any, labels: Any, cache: str | None = None, **given: Any
) -> Any:
    """Fit one of our estimators with what lies in ``cache``; by default with nothing cached."""
    model = strategies.make(
        strategy,
        kind="classification",
        modality=backbone.card.modality,
        source=backbone,
        validation=0.0,
        **given,
    )
    before = os.environ.get("HEADSTART_CACHE")
    with tempfile.TemporaryDirectory() as empty:
        os.environ["HEADSTART_CACHE"] = cache or empty
        try:
            return model.fit(X, np.array(labels, dtype=object))
        finally:
            if before is None:
                del os.environ["HEADSTART_CACHE"]
            else:
                os.environ["HEADSTART_CACHE"] = before


def timed(function: Callable[[], Any], device: str = "cpu") -> tuple[float, float, Any]:
    """Return wall seconds, peak GB on a GPU, and the result."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    result = function()
    peak = float("nan")
    if device == "cuda":
        torch.cuda.synchronize()
        peak = torch.cuda.max_memory_allocated() / 1e9
    return time.perf_counter() - start, peak, result


def by_turns(
    loops: dict[str, Callable[[], Any]], runs: int, passes: int, device: str
) -> dict[str, Any]:
    """Run loops by turns; return items a second of each and ratios to the first, "plain"."""
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    peaks: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(runs):
        for name, loop in loops.items():
            wall, peak, _ = timed(loop, device)
            seconds[name].append(wall)
            peaks[name].append(peak)
    plain = np.array(seconds["plain"])
    found: dict[str, Any] = {"plain_items_per_s": round(passes / float(np.median(plain)), 2)}
    for name in loops:
        if name != "plain":
            wall = np.array(seconds[name])
            low, high = ratio_interval(plain, wall)
            found[name] = {
                "items_per_s": round(passes / float(np.median(wall)), 2),
                "ratio": round(float(np.median(plain) / np.median(wall)), 2),
                "low": round(low, 2),
                "high": round(high, 2),
            }
    if device == "cuda":
        found["peak_gb"] = {name: round(max(peak), 3) for name, peak in peaks.items()}
    return found | {"seconds": {name: np.round(wall, 3).tolist() for name, wall in seconds.items()}}


def coded(labels: list[str]) -> np.ndarray:
    return np.unique(labels, return_inverse=True)[1]


def measure_text(options: Any, device: str) -> dict[str, Any]:
    n = options.texts * (GPU_FACTOR if device == "cuda" else 1)
    texts, labels = texts_of(options.data, n)
    backbone = sources.load("minilm")
    codes, epochs = coded(labels), options.epochs
    with tempfile.TemporaryDirectory() as scratch:
        peer = transformers_own(Path(scratch))
        loops = {
            "plain": lambda: plain_text(peer, texts, codes, epochs, options, device),
            "finetune": lambda: own(
                "finetune", backbone, texts, labels, epochs=epochs, device=device
            ),
        }
        few = codes[:16]
        plain_text(peer, texts[:16], few, 1, options, device)
        own("finetune", backbone, texts[:16], labels[:16], epochs=1, device=device)
        found = by_turns(loops, options.runs, epochs * len(texts), device)
    tokens = [len(e.ids) for e in backbone.tokenizer.encode_batch(texts)]
    return {"texts": len(texts), "mean_tokens": round(float(np.mean(tokens)), 1)} | found


def measure_image(options: Any, device: str) -> dict[str, Any]:
    n = options.images * (GPU_FACTOR if device == "cuda" else 1)
    backbone = sources.load("efficientnet-lite0")
    size, epochs = int(backbone.card.input["size"]), options.epochs
    same = {"size": size, "augment": 0.0, "crop": 0.5, "flip": True}
    with tempfile.TemporaryDirectory() as scratch:
        files, labels = image_files(n, Path(scratch))
        codes = coded(labels)

        def ours(**given: Any) -> Any:
            return own("finetune", backbone, files, labels, epochs=epochs, device=device, **given)

        loops = {
            "plain": lambda: plain_image(backbone, files, codes, epochs, options, device),
            "finetune_same_size": lambda: ours(**same),
            "finetune_default": lambda: ours(),
        }
        plain_image(backbone, files[:8], codes[:8], 1, options, device)
        own("finetune", backbone, files[:8], labels[:8], epochs=1, device=device, **same)
        found = by_turns(loops, options.runs, epochs * n, device)
        settings = own("finetune", backbone, files[:8], labels[:8], epochs=1).settings_
    return {"images": n, "pixels": SIDES, "size": size, "default_size": settings["size"]} | found


def measure_prefix(options: Any) -> dict[str, Any]:
    """Train the last blocks for 10 epochs with and without the cached prefix."""
    with tempfile.TemporaryDirectory() as scratch:
        texts = texts_of(options.data, options.texts // 2)
        images = image_files(options.images // 2, Path(scratch))
        return {
            "text": prefix_of("minilm", *texts, options),
            "text_12_layers": prefix_of("e5-small", *texts, options),
            "image": prefix_of("efficientnet-lite0", *images, options, flip=True),
        }


def prefix_of(
    source: str, X: list[str], labels: list[str], options: Any, **given: Any
) -> dict[str, Any]:
    backbone = sources.load(source)
    given |= {"depth": options.depth, "device": "cpu"}
    with tempfile.TemporaryDirectory() as cache:

        def fit(cached: bool, epochs: int = 10) -> Any:
            return own(
                "partial", backbone, X, labels, cache, cache_prefix=cached, epochs=epochs, **given
            )

        fit(True, 1)
        walls, histories = [], []
        for _ in range(max(1, options.runs)):
            pair = [timed(lambda cached=cached: fit(cached)) for cached in (False, True)]
            walls.append([wall for wall, _, _ in pair])
            histories = [[row["loss"] for row in model.history_] for _, _, model in pair]
    again, cached = np.array(walls).T
    low, high = ratio_interval(again, cached)
    return {
        "items": len(X),
        "blocks": len(backbone.blocks),
        "trained": pair[0][2].settings_["depth"],
        "ratio": round(float(np.median(again) / np.median(cached)), 2),
        "low": round(low, 2),
        "high": round(high, 2),
        "loss_difference_max": float(np.abs(np.subtract(*histories)).max()),
        "seconds": {"again": again.round(3).tolist(), "cached": cached.round(3).tolist()},
    }


def measure_memory(options: Any) -> dict[str, Any]:
    """Fine-tune MiniLM at default settings in processes of their own."""
    found = {}
    for kind in ("short", "long"):
        command = [sys.executable, __file__, "--child", kind, "--texts", str(options.texts)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[kind] = json.loads(done.stdout.splitlines()[-1])
    return found


class Said:
    """A reporter that keeps the line about memory."""

    line = ""

    def say(self, text: str) -> None:
        if text.startswith("Tuning"):
            self.line = text

    def progress(self, *rest: Any) -> None:
        """Nothing."""


def child(kind: str, n: int) -> None:
    """Fine-tune, and print the peak of this process and what was said before."""
    texts, labels = made_texts(n if kind == "short" else max(8, n // 4))
    if kind == "long":
        texts = [" and ".join(texts[(i + j) % len(texts)] for j in range(40)) for i in range(32)]
        labels = [labels[i % len(labels)] for i in range(32)]
    said = Said()
    backbone = sources.load("minilm")
    before = resident()
    model = strategies.make(
        "finetune", kind="classification", modality="text", source=backbone, reporter=said, epochs=1
    )
    model.fit(texts, np.array(labels, dtype=object))
    peak = {"texts": len(texts), "peak_gb": round(resident() / 1e9, 3), "said": said.line}
    peak |= {"before_gb": round(before / 1e9, 3), "said_gb": round(model.memory_.total / 1e9, 3)}
    sys.stdout.write(json.dumps(peak) + "\n")


def resident() -> int:
    """Return the most bytes this process has held.

    Linux's own count: ``ru_maxrss`` of a child is at least what its parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(ln for ln in status.read_text().splitlines() if ln.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--texts", type=int, default=120)
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--depth", type=int, help="blocks that train in 'prefix'")
    parser.add_argument("--data", type=Path, help="a folder with clinc150/train.csv")
    parser.add_argument("--optimiser", choices=("fused", "foreach"), default="fused")
    parser.add_argument("--half", action="store_true", help="the plain loop in bfloat16, too")
    parser.add_argument("--try", action="store_true", dest="trial", help="a few items, no result")
    parser.add_argument("--child", choices=("short", "long"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.texts)
        return
    if options.trial:
        options.runs, options.epochs, options.texts, options.images = 1, 1, 32, 16
    place = RESULTS / f"{NAME}.json"
    result: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {}
    result |= {"machine": machine(), "threads": torch.get_num_threads(), "goals": GOALS}
    measures: dict[str, Callable[[], Any]] = {
        "text": lambda: measure_text(options, "cpu"),
        "image": lambda: measure_image(options, "cpu"),
        "prefix": lambda: measure_prefix(options),
        "memory": lambda: measure_memory(options),
    }
    if torch.cuda.is_available():
        result["gpu"] = torch.cuda.get_device_name()
        measures["text_gpu"] = lambda: measure_text(options, "cuda")
        measures["image_gpu"] = lambda: measure_image(options, "cuda")
    for name, measure in measures.items():
        if name.removesuffix("_gpu") in options.part:
            started, load = time.perf_counter(), os.getloadavg()[0]
            found = {"load_average_before": round(load, 2), **measure()}
            result[name] = found | {"took_s": round(time.perf_counter() - started, 1)}
            sys.stderr.write(f"{name}: {result[name]['took_s']} s\n")
    if options.trial:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    else:
        result.pop("command", None)
        write_result(NAME, result)


if __name__ == "__main__":
    main()
