"""The strategies headstart knows, as data: what each needs and which class does it.

A new strategy is one new file and one line in ``STRATEGIES``; tests, command line, documentation
and reports derive from it. Importing this module imports no estimator (and no scikit-learn).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headstart.core.errors import OptionError, UnknownNameError
from headstart.core.types import Kind, Modality, State

ANY_MODALITY: tuple[Modality, ...] = ("image", "text", "audio", "table")
ENCODED: tuple[Modality, ...] = ("image", "text", "audio")


@dataclass(frozen=True)
class StrategySpec:
    """One way to transfer (or not to): what it takes and where its estimator is.

    Parameters
    ----------
    name : str
        What users type.
    summary : str
        One line for lists and reports.
    input : {"features", "items", "pair"}
        What ``fit`` takes: the (n, d) features of a frozen source, the items themselves, or a
        ``core.types.Pair`` of what two members take.
    modalities : tuple of {"image", "text", "audio", "table"}
    uses_source : bool
        Whether knowledge from a pretrained source goes in.
    paper : str
        Where the method comes from.
    classes : mapping
        ``kind`` or ``(modality, kind)`` to ``"module:Class"`` in this room.
    heads : mapping
        ``kind`` to the class that opens a saved model without scikit-learn, where there is one.
    on_request : bool
        Whether it takes part only where it is asked for.
    by_classes : bool
        Whether it knows the classes by what is said of them: it must be told ``class_features``.
    """

    name: str
    summary: str
    input: Literal["features", "items", "pair"]
    modalities: tuple[Modality, ...]
    uses_source: bool
    paper: str
    classes: Mapping[Kind | tuple[Modality, Kind], str] = field(default_factory=dict)
    heads: Mapping[Kind, str] = field(default_factory=dict)
    on_request: bool = False
    by_classes: bool = False

    @property
    def tunes(self) -> bool:
        """Whether the weights of the source change: it takes items, and a source."""
        return self.uses_source and self.input == "items"

    @property
    def combines(self) -> bool:
        """Whether it is made of two others: it takes no part in a race, it comes out of one."""
        return self.input == "pair"

    def path(self, kind: Kind, modality: Modality) -> str | None:
        """Return ``"module:Class"`` for a kind of task and a modality; None if it has none."""
        if modality not in self.modalities:
            return None
        return self.classes.get((modality, kind)) or self.classes.get(kind)

    def supports(self, kind: Kind, modality: Modality) -> bool:
        """Say whether the strategy can do this kind of task on this modality."""
        return self.path(kind, modality) is not None

    def opens(self, kind: Kind, modality: Modality) -> bool:
        """Say whether a saved model of this kind and modality can be opened."""
        saved = modality in self.modalities and kind in self.heads
        return saved or self.supports(kind, modality)


def _tuned(name: str, summary: str, paper: str, cls: str) -> StrategySpec:
    """Return the spec of a strategy that tunes the source itself."""
    return StrategySpec(
        name,
        summary,
        "items",
        ENCODED,
        True,
        paper,
        {"classification": f"finetune:{cls}", "regression": f"finetune:{cls}Regressor"},
        {"classification": "heads:TunedHead", "regression": "heads:TunedRegressorHead"},
    )


_SPECS = (
    StrategySpec(
        "majority",
        "the constant guess: class frequencies, or the mean",
        "items",
        ANY_MODALITY,
        False,
        "",
        {"classification": "majority:Majority", "regression": "majority:MeanRegressor"},
    ),
    StrategySpec(
        "scratch",
        "the best honest model without transfer",
        "items",
        ANY_MODALITY,
        False,
        "",
        {
            ("text", "classification"): "scratch_text:ScratchText",
            ("text", "regression"): "scratch_text:ScratchTextRegressor",
            ("image", "classification"): "scratch_image:ScratchImage",
            ("image", "regression"): "scratch_image:ScratchImageRegressor",
            ("audio", "classification"): "scratch_audio:ScratchAudio",
            ("audio", "regression"): "scratch_audio:ScratchAudioRegressor",
            ("table", "classification"): "scratch_table:ScratchTable",
            ("table", "regression"): "scratch_table:ScratchTableRegressor",
        },
    ),
    StrategySpec(
        "probe",
        "a linear model on frozen features",
        "features",
        ENCODED,
        True,
        "Alain & Bengio, ICLR workshop 2017",
        {"classification": "probe:LinearProbe", "regression": "probe:LinearProbeRegressor"},
        {"classification": "heads:LinearHead", "regression": "heads:LinearRegressorHead"},
    ),
    StrategySpec(
        "knn",
        "the nearest labelled neighbours of frozen features",
        "features",
        ENCODED,
        True,
        "Cover & Hart, IEEE Trans. Information Theory 1967",
        {"classification": "knn:KNearest", "regression": "knn:KNearestRegressor"},
    ),
    StrategySpec(
        "prototypes",
        "the nearest class mean of centred, normalised features",
        "features",
        ENCODED,
        True,
        "SimpleShot: Wang et al., arXiv:1911.04623 (2019)",
        {"classification": "prototypes:Prototypes"},
    ),
    StrategySpec(
        "anchored",
        "logistic regression pulled towards the class means, or towards what class names say",
        "features",
        ENCODED,
        True,
        "LP++: Huang et al., CVPR 2024; CLAP: Silva-Rodriguez et al., CVPR 2024",
        {"classification": "anchored:Anchored"},
        {"classification": "heads:UnitHead"},
        on_request=True,
    ),
    StrategySpec(
        "few-shot",
        "the best of four linear heads for few labels, or their average",
        "features",
        ENCODED,
        True,
        "RFS: Tian et al., ECCV 2020",
        {"classification": "few_shot:FewShot"},
        {"classification": "heads:UnitHead"},
        on_request=True,
    ),
    StrategySpec(
        "zero-shot",
        "the class whose name or description the features point to; needs no labels",
        "features",
        ENCODED,
        True,
        "Radford et al., ICML 2021",
        {"classification": "zero_shot:ZeroShot"},
        {"classification": "cosine:CosineHead"},
        on_request=True,
        by_classes=True,
    ),
    StrategySpec(
        "conse",
        "the class whose name is near the names that the source's own classifier sees",
        "features",
        ("image",),
        True,
        "ConSE: Norouzi et al., ICLR 2014",
        {"classification": "conse:ConSE"},
        on_request=True,
        by_classes=True,
    ),
    StrategySpec(
        "eszsl",
        "classes known by attributes, learnt from labels of some of them",
        "features",
        ENCODED,
        True,
        "ESZSL: Romera-Paredes & Torr, ICML 2015",
        {"classification": "eszsl:ESZSL"},
        {"classification": "heads:LinearHead"},
        on_request=True,
        by_classes=True,
    ),
    StrategySpec(
        "alpha-tim",
        "class means, which a batch of unlabelled items can adapt",
        "features",
        ENCODED,
        True,
        "alpha-TIM: Veilleux et al., NeurIPS 2021",
        {"classification": "transductive:AlphaTIM"},
        {"classification": "heads:UnitHead"},
        on_request=True,
    ),
    StrategySpec(
        "tip-adapter",
        "what class names say (or class means), and a cache of labelled items",
        "features",
        ENCODED,
        True,
        "Tip-Adapter: Zhang et al., ECCV 2022",
        {"classification": "tip_adapter:TipAdapter"},
        on_request=True,
    ),
    StrategySpec(
        "enrolled",
        "a head on frozen features that took in classes after it was fitted",
        "features",
        ENCODED,
        True,
        "imprinted weights: Qi et al., CVPR 2018",
        {"classification": "enrolled:Enrolled"},
        {"classification": "enrolled_head:EnrolledHead"},
        on_request=True,
    ),
    StrategySpec(
        "adapted",
        "a head on frozen features that was adapted to another domain: `headstart transfer`",
        "features",
        ENCODED,
        True,
        "see headstart.strategies.adaptation",
        {},
        {
            "classification": "adaptation.forms:AdaptedHead",
            "regression": "adaptation.number_head:NumberHead",
        },
        on_request=True,
    ),
    StrategySpec(
        "adapted-table",
        "a model of a table that was adapted to another domain: `headstart transfer`",
        "items",
        ("table",),
        False,
        "see headstart.strategies.adaptation",
        {},
        {
            "classification": "adaptation.tables:AdaptedTable",
            "regression": "adaptation.number_head:NumberTable",
        },
        on_request=True,
    ),
    _tuned(
        "finetune",
        "all layers of the source, at small rates",
        "Howard & Ruder, ACL 2018",
        "FineTune",
    ),
    _tuned(
        "partial",
        "the last blocks of the source; the frozen ones are cached",
        "Yosinski et al., NeurIPS 2014",
        "Partial",
    ),
    _tuned(
        "gradual",
        "all layers, unfrozen from the last to the first",
        "ULMFiT: Howard & Ruder, ACL 2018",
        "Gradual",
    ),
    _tuned(
        "lp-ft",
        "the probe's solution first, then all layers",
        "Kumar et al., ICLR 2022",
        "LPFT",
    ),
    _tuned(
        "lora",
        "low-rank changes of the layers",
        "Hu et al., ICLR 2022",
        "LoRA",
    ),
    _tuned(
        "bitfit",
        "the biases alone",
        "Ben Zaken et al., ACL 2022",
        "BitFit",
    ),
    StrategySpec(
        "weighted-layers",
        "a weighted sum of what all layers of the frozen source see, and a linear model",
        "items",
        ("text", "audio"),
        True,
        "SUPERB: Yang et al., Interspeech 2021",
        {
            "classification": "weighted_layers:WeightedLayers",
            "regression": "weighted_layers:WeightedLayersRegressor",
        },
        {"classification": "heads:TunedHead", "regression": "heads:TunedRegressorHead"},
        on_request=True,
    ),
    StrategySpec(
        "contrastive",
        "all layers, so that items of a class come close to each other; then a linear model",
        "items",
        ENCODED,
        True,
        "SetFit: Tunstall et al., 2022; SupCon: Khosla et al., NeurIPS 2020",
        {"classification": "contrastive:Contrastive"},
        {"classification": "heads:TunedHead"},
    ),
    StrategySpec(
        "blend",
        "scratch and a transfer strategy, weighted",
        "pair",
        ENCODED,
        True,
        "Wolpert, Neural Networks 1992; Breiman, Machine Learning 1996",
        {"classification": "blend:Blend", "regression": "blend:BlendRegressor"},
        {"classification": "blend:BlendHead", "regression": "blend:BlendRegressorHead"},
    ),
)

STRATEGIES: dict[str, StrategySpec] = {spec.name: spec for spec in _SPECS}


def resolve(path: str) -> Any:
    """Import the class that ``"module:Class"`` names in this room."""
    module, name = path.split(":")
    return getattr(importlib.import_module(f"headstart.strategies.{module}"), name)


def built(cls: Any, params: dict[str, Any], what: str, random_state: int | None) -> Any:
    """Return ``cls(**params)``, with the seed where it takes one.

    Raises
    ------
    UnknownNameError
        ``cls`` has no such parameter; ``what`` says what the name should have been.
    """
    known = inspect.signature(cls).parameters
    for given in params:
        if given not in known:
            raise UnknownNameError(what, given, known)
    if "random_state" in known:
        params = params | {"random_state": random_state}
    return cls(**params)


def _class_of(name: str, kind: Kind, modality: Modality) -> Any:
    if name not in STRATEGIES:
        raise UnknownNameError("strategy", name, STRATEGIES)
    path = STRATEGIES[name].path(kind, modality)
    if path is None:
        able = [other for other, spec in STRATEGIES.items() if spec.supports(kind, modality)]
        raise OptionError(
            f"strategy {name!r} does not do {kind} of {modality} data",
            allowed=able or "no strategy does",
        )
    return resolve(path)


def make(
    name: str, *, kind: Kind, modality: Modality, random_state: int | None = 0, **params: Any
) -> Any:
    """Make an unfitted estimator of a strategy.

    Parameters
    ----------
    name : str
        A name in ``STRATEGIES``.
    kind : {"classification", "regression"}
    modality : {"image", "text", "audio", "table"}
    random_state : int or None
        The seed; strategies without randomness do not take it.
    **params
        Parameters of the estimator.

    Returns
    -------
    estimator
        With ``fit``, ``predict``, ``to_state`` and, for classification, ``predict_proba``.

    Raises
    ------
    UnknownNameError
        The strategy, or a parameter, does not exist.
    OptionError
        The strategy does not do this kind of task on this modality.

    Examples
    --------
    >>> from headstart import strategies
    >>> strategies.make("knn", kind="classification", modality="text", n_neighbors=3)
    KNearest(n_neighbors=3)
    """
    cls = _class_of(name, kind, modality)
    if "modality" in inspect.signature(cls).parameters:
        params["modality"] = modality
    return built(cls, params, f"parameter of strategy {name!r}", random_state)


def from_state(name: str, *, kind: Kind, modality: Modality, state: State) -> Any:
    """Rebuild a fitted estimator from its state; it predicts bit-identically.

    Parameters
    ----------
    name, kind, modality
        As given to :func:`make`.
    state : State
        What the fitted estimator's ``to_state`` returned.

    Raises
    ------
    UnknownNameError, OptionError
        As :func:`make`.
    """
    return _class_of(name, kind, modality).from_state(state)


def open_state(name: str, *, kind: Kind, modality: Modality, state: State) -> Any:
    """Return what predicts as the fitted estimator did, without scikit-learn where possible.

    Parameters
    ----------
    name, kind, modality, state
        As given to :func:`from_state`.

    Returns
    -------
    object
        With ``predict`` and, for classification, ``classes_`` and ``predict_proba``.

    Raises
    ------
    UnknownNameError, OptionError
        As :func:`make`.
    """
    head = STRATEGIES[name].heads.get(kind) if name in STRATEGIES else None
    if head is not None:
        return resolve(head).from_state(state)
    return from_state(name, kind=kind, modality=modality, state=state)
