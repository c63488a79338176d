"""The rules that set every knob from the number of labels: a user tunes nothing.

In the spirit of BiT's HyperRule (Kolesnikov et al., ECCV 2020): rates belong to the strategy and
the modality, steps and depth follow from how many labels there are. What the rules reach is
measured in ``benchmarks/results/tuning.md``.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.core.errors import OptionError
from headstart.core.types import AnyArray, Modality
from headstart.strategies.tuning.settings import Settings, Target

if TYPE_CHECKING:
    from headstart.sources.backbone import Backbone

_FROM_PROBE: dict[str, Any] = {"head_rate": 1e-3, "head_first": True}
_TEXT: dict[str, dict[str, Any]] = {
    "finetune": {"rate": 1e-4, "head_rate": 3e-3},
    "lp-ft": _FROM_PROBE | {"rate": 1e-4, "wise": True},
    "partial": _FROM_PROBE | {"rate": 2e-4},
    "gradual": _FROM_PROBE | {"rate": 1e-4, "decay": 0.8, "gradual": True},
    "lora": _FROM_PROBE | {"rate": 1e-3, "decay": 1.0, "train": "lora"},
    "bitfit": _FROM_PROBE | {"rate": 1e-3, "decay": 1.0, "train": "biases"},
    "contrastive": {"rate": 1e-4, "decay": 1.0, "contrast": 0.1},
}
_IMAGE: dict[str, dict[str, Any]] = {
    "finetune": {"rate": 1e-3, "head_rate": 1e-3},
    "lp-ft": _FROM_PROBE | {"rate": 1e-3, "head_rate": 3e-3, "wise": True},
    "partial": _FROM_PROBE | {"rate": 1e-3, "head_rate": 3e-3},
    "gradual": _FROM_PROBE | {"rate": 1e-3, "head_rate": 3e-3, "gradual": True},
    "lora": _FROM_PROBE | {"rate": 3e-3, "head_rate": 3e-3, "decay": 1.0, "train": "lora"},
    "bitfit": _FROM_PROBE | {"rate": 5e-3, "head_rate": 3e-3, "decay": 1.0, "train": "biases"},
    "contrastive": {"rate": 1e-3, "contrast": 0.1},
}
# biases of LSTMs, of which each gate has two, do not bear the rate of texts
_AUDIO = _TEXT | {"bitfit": _TEXT["bitfit"] | {"rate": 1e-4}}
RULES: dict[Modality, dict[str, dict[str, Any]]] = {"text": _TEXT, "image": _IMAGE, "audio": _AUDIO}

_PASSES = {"text": (1200, 32, 4, 20), "audio": (400, 16, 4, 15)}  # steps, batch, passes
STRENGTH = 0.5  # of augmentation: of sounds 0, 0.5 and 1 could not be told apart (audio_tuning.md)
FEWEST_TO_VALIDATE = 40  # labelled items below which none are spared for validation
FEWEST_TO_STOP = 32  # labels a class below which contrastive tuning takes its steps and no look
MANY = 1000  # labelled items from which a twentieth is enough
MOST_TO_VALIDATE = 500
FEWEST_TO_TEMPER = 20  # validation items below which probabilities are left as they are
SIZE_STEP = 32  # pixels: what the strides of the sources divide
SMALLEST = 64
LOOKED_AT = 200  # images whose size is looked at


def epochs_for(modality: Modality, n: int) -> int:
    """Return how many passes over n items: many over few items, few over many.

    Texts: about 1,200 steps of 32, between 4 and 20 passes. Images: about 600 steps of 16, between
    5 and 25 passes. Sounds, of which each costs most: about 400 steps of 16, between 4 and 15.

    Examples
    --------
    >>> [epochs_for("text", n) for n in (100, 5_000, 50_000)]
    [20, 8, 4]
    """
    steps, batch, least, most = _PASSES.get(modality, (600, 16, 5, 25))
    return min(max(round(steps * batch / max(n, 1)), least), most)


def contrastive_epochs(n: int) -> int:
    """Return how many passes over n items contrastive tuning takes: 8, fewer over few and many.

    4 below 24 items, where more did no good; at most about 5,000 items in all, but one pass.

    Examples
    --------
    >>> [contrastive_epochs(n) for n in (16, 32, 600, 1_200, 10_000)]
    [4, 8, 8, 4, 1]
    """
    return min(max(round(5_000 / max(n, 1)), 1), 8 if n >= 24 else 4)


def views_for(epochs: int) -> int:
    """Return how many augmented views of each image a cached prefix keeps: one every 4 epochs.

    Each costs a pass through the frozen blocks; from 1 to 8.
    """
    return min(max(epochs // 4, 1), 8)


def depth_for(n_blocks: int, per_class: float) -> int:
    """Return how many of the last blocks ``partial`` trains: a third, or half from 20 labels."""
    return max(1, round(n_blocks * (0.5 if per_class >= 20 else 0.34)))


def validation_for(n: int, n_classes: int, strategy: str = "") -> float:
    """Return the share of n items to validate on; 0 where they are too few to spare any.

    A tenth, of many a twentieth, of few up to a fifth so that they are 20; at least one a class
    and at most 500 items: what validates does not train. Contrastive tuning needs more labels
    than others before it spares any.
    """
    if n < max(FEWEST_TO_VALIDATE, 4 * n_classes):
        return 0.0
    if strategy == "contrastive" and n < FEWEST_TO_STOP * n_classes:
        return 0.0
    most = max(MOST_TO_VALIDATE, n_classes)
    usual = 0.05 if n >= MANY else 0.1
    share = max(usual, min(0.2, FEWEST_TO_TEMPER / n), min(0.25, n_classes / n))
    return min(share, most / n)


def size_for(X: Sequence[Any], most: int) -> int:
    """Return the side of the images to train on: as large as they are, at most ``most`` pixels.

    Enlarged images cost more and show nothing more. The median of the shorter sides, up to the
    next multiple of 32.
    """
    places = np.linspace(0, len(X) - 1, min(len(X), LOOKED_AT)).astype(int)
    sides = [_shorter(X[int(place)]) for place in places]
    found = int(np.ceil(float(np.median(sides)) / SIZE_STEP)) * SIZE_STEP
    return min(max(found, SMALLEST), most)


def _shorter(item: Any) -> int:
    if isinstance(item, np.ndarray):
        return int(min(item.shape[:2]))
    if hasattr(item, "size"):
        return int(min(item.size))
    from PIL import Image

    try:
        with Image.open(item) as image:  # reads the header alone
            return int(min(image.size))
    except (OSError, ValueError):
        return 10**6  # reading it will say what is wrong


def settings_for(
    options: Any,
    base: Backbone,
    X: Sequence[Any],
    truth: AnyArray,
    target: Target,
    n_outputs: int,
) -> Settings:
    """Return the settings: what the user gave, else what the rules say.

    Parameters
    ----------
    options : Tuned
        The estimator with its parameters.
    base : Backbone
    X : sequence of length n
    truth : ndarray
    target : {"classes", "numbers", "sets"}
    n_outputs : int

    Raises
    ------
    OptionError
        A parameter is out of its range.
    """
    _check(options)
    modality = base.card.modality
    n, k = len(truth), n_outputs if target == "classes" else 1
    rule = dict(RULES[modality][options.strategy])
    wise = rule.pop("wise", False) if options.wise is None else options.wise
    head_first = rule.pop("head_first", False) if options.head is None else options.head == "probe"
    validation = options.validation
    if validation is None:
        validation = validation_for(n, k, options.strategy)
    elif isinstance(validation, np.ndarray):
        validation = len(np.unique(validation)) / n
    epochs, usual_batch = epochs_for(modality, n), 32 if modality == "text" else 16
    if options.strategy == "contrastive":
        epochs, usual_batch = contrastive_epochs(n), min(max(16, 2 * k), 64)
    found = Settings(**rule, epochs=epochs)
    depth = options.depth
    if depth is None and options.strategy == "partial":
        depth = depth_for(len(base.blocks), n / k)
    size = 0
    if modality == "image":
        wanted = int(base.card.input["size"])
        size = options.size or (size_for(X, wanted) if _any_size(base) else wanted)
    given = {
        "rate": options.rate,
        "head_rate": options.head_rate,
        "decay": options.decay,
        "epochs": options.epochs,
        "batch": options.batch or usual_batch,
        "depth": depth,
    }
    found = replace(found, views=views_for(options.epochs or found.epochs))
    made = replace(
        found,
        **{name: value for name, value in given.items() if value is not None},
        head_first=head_first or wise,
        wise=wise,
        validation=validation,
        schedule=options.schedule,
        warmup=options.warmup,
        weight_decay=options.weight_decay,
        smoothing=0.0 if target == "numbers" else options.smoothing,
        dropout=options.dropout,
        strength=STRENGTH if options.augment is None else options.augment,
        crop=options.crop,
        flip=options.flip is True,
        mixup=options.mixup,
        mask_tokens=options.mask_tokens,
        size=size,
        l2_sp=options.l2_sp,
        bss=options.bss,
        ema=options.ema,
        patience=options.patience,
        batch_norm=options.batch_norm,
        rank=options.rank,
        alpha=options.alpha,
        pooling=options.pooling,
    )
    # numpy's numbers, as of a grid, are none that JSON can hold
    return Settings(**{name: _plain(value) for name, value in asdict(made).items()})


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _any_size(base: Backbone) -> bool:
    """Say whether a source takes images of any size: convolutions do, position tables do not."""
    return base.card.family == "efficientnet-lite"


_RANGES: dict[str, tuple[float, float]] = {
    "rate": (1e-9, 10.0),
    "head_rate": (1e-9, 10.0),
    "decay": (1e-3, 1.0),
    "epochs": (1, 10_000),
    "batch": (1, 65_536),
    "warmup": (0.0, 1.0),
    "weight_decay": (0.0, 10.0),
    "smoothing": (0.0, 0.9),
    "dropout": (0.0, 0.9),
    "augment": (0.0, 1.0),
    "crop": (0.01, 1.0),
    "mixup": (0.0, 10.0),
    "mask_tokens": (0.0, 0.9),
    "l2_sp": (0.0, 100.0),
    "bss": (0.0, 100.0),
    "ema": (0.0, 1.0),
    "validation": (0.0, 0.5),
    "patience": (1, 10_000),
    "trials": (0, 1000),
    "size": (32, 1024),
    "rank": (1, 1024),
    "alpha": (1e-6, 1e4),
    "depth": (0, 1000),
}
_WHOLE = ("epochs", "batch", "patience", "trials", "size", "rank", "depth")
_MAY_BE_NONE = frozenset(
    (
        "rate",
        "head_rate",
        "decay",
        "epochs",
        "batch",
        "depth",
        "dropout",
        "augment",
        "size",
        "validation",
    )
)
_CHOICES: dict[str, tuple[Any, ...]] = {
    "schedule": ("cosine", "one-cycle", "constant", "linear"),
    "head": (None, "probe", "zero"),
    "flip": (True, False, "auto"),
    "batch_norm": ("frozen", "train"),
    "cache_prefix": (True, False, "auto"),
    "pooling": ("mean", "attentive"),
    "precision": ("auto", "float32", "bf16"),
    "wise": (None, True, False),
}


def _check(options: Any) -> None:
    """Check the parameters of an estimator.

    Raises
    ------
    OptionError
        One is out of its range, or none of its choices.
    """
    for name, (low, high) in _RANGES.items():
        value: Any = getattr(options, name)
        if name == "validation" and isinstance(value, np.ndarray):
            continue  # places, looked at where the items are
        if value is None and name in _MAY_BE_NONE:
            continue
        whole = name in _WHOLE
        right: Any = numbers.Integral if whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, right) or not low <= value <= high:
            unit = "a whole number, " if whole else ""
            raise OptionError(
                "out of range", where=name, got=value, allowed=f"{unit}{low:g} to {high:g}"
            )
    for name, allowed in _CHOICES.items():
        value = getattr(options, name)
        if not any(isinstance(value, type(one)) and value == one for one in allowed):
            raise OptionError("unknown choice", where=name, got=value, allowed=allowed)
    if options.size is not None and options.size % SIZE_STEP:
        raise OptionError(
            "not a size images can have",
            where="size",
            got=options.size,
            allowed=f"a multiple of {SIZE_STEP}",
        )
