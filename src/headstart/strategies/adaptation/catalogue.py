"""The adapters headstart knows, as data: what each assumes and which class does it.

A new adapter is one new file and one line in ``ADAPTERS``; tests, command line and documentation
derive from it. Importing this module imports no estimator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headstart.core.errors import UnknownNameError
from headstart.strategies import base

Family = Literal[
    "baseline",
    "reweighting",
    "label shift",
    "alignment",
    "transport",
    "self-training",
    "deep",
    "tuning",
    "skada",
    "several sources",
    "inductive",
]


@dataclass(frozen=True)
class AdapterSpec:
    """One way to adapt.

    Parameters
    ----------
    name : str
        What users type.
    summary : str
        One line for lists and reports.
    family : str
    assumes : str
        What must hold between source and target for it to help.
    paper : str
    path : str
        ``"module:Class"`` in this room.
    needs_labels : bool
        Whether some rows of the target must have a label.
    raced : bool
        Whether it takes part by itself; others only where they are asked for.
    several : bool
        Whether it needs several source domains.
    requires : str
        The package it needs beyond the ordinary ones; empty for none.
    params : mapping
        What its class is given.
    tunes : bool
        Whether it takes items and changes the weights of the source that encodes them.
    """

    name: str
    summary: str
    family: Family
    assumes: str
    paper: str
    path: str
    needs_labels: bool = False
    raced: bool = False
    several: bool = False
    requires: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    tunes: bool = False


def _on_weights(spec: AdapterSpec) -> AdapterSpec:
    """Return the adapter that does to a source itself what another does to its features."""
    return AdapterSpec(
        f"tuned-{spec.name}",
        f"what `{spec.name}` does, on the weights of the source itself",
        "tuning",
        spec.assumes,
        spec.paper,
        "tuned:TunedAdapter",
        requires=spec.requires,
        params={"method": spec.name},
        tunes=True,
    )


_SPECS: tuple[AdapterSpec, ...] = (
    AdapterSpec(
        "source-only",
        "learn from the source alone",
        "baseline",
        "no shift that matters",
        "",
        "baselines:SourceOnly",
        raced=True,
    ),
    AdapterSpec(
        "target-only",
        "learn from the labelled rows of the target alone",
        "baseline",
        "labels enough in the target",
        "",
        "baselines:TargetOnly",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "pooled",
        "learn from the source and the labelled rows of the target together",
        "baseline",
        "both domains are nearly one",
        "",
        "baselines:Pooled",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "biased-regularization",
        "fine-tune the source's linear model on labelled rows of the target",
        "inductive",
        "the target's rule is near the source's",
        "Chelba & Acero 2004; Yang et al. 2007",
        "biased:BiasedRegularization",
        needs_labels=True,
        raced=True,
    ),
    AdapterSpec(
        "feature-augmentation",
        "a general, a source and a target copy of every feature",
        "inductive",
        "both domains share a part of their rule",
        "Daume III 2007",
        "augmentation:FeatureAugmentation",
        needs_labels=True,
    ),
    AdapterSpec(
        "source-predictions",
        "the source's class scores as features of a learner on the target",
        "inductive",
        "the source's scores say something about the target's classes",
        "Wolpert 1992; Daume III 2007",
        "source_predictions:SourcePredictions",
        needs_labels=True,
    ),
    AdapterSpec(
        "tradaboost",
        "boosting that drops rows of the source that disagree with the target",
        "inductive",
        "some rows of the source follow the target's rule",
        "Dai et al. 2007",
        "tradaboost:TrAdaBoost",
        needs_labels=True,
    ),
    AdapterSpec(
        "boost-on",
        "boosted trees of the source, and more of them grown on the target",
        "inductive",
        "the target's rule is near the source's",
        "Friedman 2001; Chen & Guestrin 2016",
        "boost_on:BoostOn",
        needs_labels=True,
    ),
    AdapterSpec(
        "mcc",
        "a small network that confuses no two classes of the target",
        "deep",
        "the same classes; without adaptation most of the target is right",
        "Jin et al., ECCV 2020",
        "deep_closed:MCC",
    ),
    AdapterSpec(
        "deep-coral",
        "a small network with alike covariances in both domains",
        "deep",
        "classes are as frequent in both domains",
        "Sun & Saenko, ECCV workshops 2016",
        "deep_closed:DeepCORAL",
    ),
    AdapterSpec(
        "deep-jdot",
        "a small network that carries features and labels over at the least cost",
        "deep",
        "classes are as frequent in both domains",
        "Damodaran et al., ECCV 2018",
        "deep_closed:DeepJDOT",
        requires="POT",
    ),
    AdapterSpec(
        "cdan",
        "a small network whose features with its predictions do not tell the domain",
        "deep",
        "classes are as frequent in both domains, and most predictions right",
        "Long et al., NeurIPS 2018",
        "deep_closed:CDAN",
    ),
    AdapterSpec(
        "dann",
        "a small network whose features do not tell the domain; harms more often than it helps",
        "deep",
        "classes are as frequent in both domains, and stay apart when domains are confused",
        "Ganin et al., JMLR 2016",
        "deep_closed:DANN",
    ),
    AdapterSpec(
        "afn",
        "a small network whose features grow in norm",
        "deep",
        "the target may have fewer classes; small norms mean foreign rows",
        "Xu et al., ICCV 2019",
        "deep_closed:AFN",
    ),
    AdapterSpec(
        "osbp",
        "a small network with one class more, for what the source does not know",
        "deep",
        "the target has classes of its own, apart from those of the source",
        "Saito et al., ECCV 2018",
        "deep_open:OSBP",
    ),
    AdapterSpec(
        "logistic-weights",
        "source rows weigh as much as a domain classifier takes them for the target",
        "reweighting",
        "the same rule everywhere; the target lies within the source",
        "Bickel et al., JMLR 2009",
        "reweight:LogisticWeights",
    ),
    AdapterSpec(
        "rulsif",
        "source rows weigh by a relative density ratio with kernels",
        "reweighting",
        "the same rule everywhere; the target lies within the source",
        "Yamada et al., NeurIPS 2011",
        "reweight:RuLSIF",
    ),
    AdapterSpec(
        "label-shift-em",
        "correct the model for how frequent the classes are in the target",
        "label shift",
        "classes look alike in both domains, but are differently frequent",
        "Saerens et al. 2002; Alexandari et al., ICML 2020",
        "label_shift:LabelShiftEM",
        raced=True,
    ),
    AdapterSpec(
        "bbse",
        "weigh classes by how often the model says them in the target",
        "label shift",
        "classes look alike in both domains, but are differently frequent",
        "Lipton et al., ICML 2018",
        "label_shift:BBSE",
    ),
    AdapterSpec(
        "linear-ot",
        "map the source to the target by mean and covariance, moving it least",
        "alignment",
        "the target is the source, moved and stretched; classes are as frequent",
        "Flamary et al. 2019",
        "align:LinearOT",
        raced=True,
    ),
    AdapterSpec(
        "coral",
        "give the source the mean and the covariance of the target",
        "alignment",
        "the target is the source, moved and stretched; classes are as frequent",
        "Sun et al., AAAI 2016",
        "align:Coral",
    ),
    AdapterSpec(
        "subspace-alignment",
        "rotate the principal axes of the source onto those of the target",
        "alignment",
        "the same widest directions mean the same in both domains",
        "Fernando et al., ICCV 2013",
        "align:SubspaceAlignment",
    ),
    AdapterSpec(
        "entropic-ot",
        "send source rows to the target by an entropic transport plan",
        "transport",
        "rows keep their neighbours; classes are as frequent",
        "Courty et al., TPAMI 2017",
        "transport:EntropicOT",
        requires="POT",
    ),
    AdapterSpec(
        "class-ot",
        "send source rows to the target by a plan that keeps classes apart",
        "transport",
        "rows keep their neighbours; classes are as frequent",
        "Courty et al., ECML PKDD 2014",
        "transport:ClassRegularizedOT",
        requires="POT",
    ),
    AdapterSpec(
        "pseudo-labels",
        "learn in rounds from the target rows that the model is surest of",
        "self-training",
        "without adaptation most of the target is right",
        "Lee 2013; Zou et al., ECCV 2018",
        "pseudo_labels:PseudoLabels",
        raced=True,
    ),
    AdapterSpec(
        "per-source-mapping",
        "map each source domain to the target by itself, then pool",
        "several sources",
        "each source, moved and stretched, is the target; classes are as frequent",
        "Montesuma & Mboula, CVPR 2021",
        "several:PerSourceMapping",
        several=True,
    ),
    AdapterSpec(
        "weighted-sources",
        "one model a source domain, weighted by how transferable it looks",
        "several sources",
        "some sources, moved and stretched, are the target",
        "Mansour et al., NeurIPS 2008",
        "several:WeightedSources",
        several=True,
    ),
)


def _of_skada(name: str, summary: str, assumes: str, paper: str) -> AdapterSpec:
    """Return a method that only skada has."""
    path = "skada_door:SkadaAdapter"
    how = {"method": name}
    return AdapterSpec(name, summary, "skada", assumes, paper, path, requires="skada", params=how)


_SKADA = (
    _of_skada(
        "jdot",
        "a transport plan of features and labels at once, and the linear model that fits it",
        "rows of the target near to rows of the source have their labels; classes are as frequent",
        "Courty et al., NeurIPS 2017",
    ),
    _of_skada(
        "tsl",
        "a subspace in which classes are apart and domains alike",
        "some directions of the features mean the same in both domains",
        "Si, Tao & Geng, TKDE 2010",
    ),
    _of_skada(
        "mmd-ls",
        "move and stretch each class of the source towards the target",
        "each class of the target is that of the source, moved and stretched feature by feature",
        "Zhang et al., ICML 2013",
    ),
    _of_skada(
        "dasvm",
        "pass from source to target rows step by step; two classes only",
        "without adaptation most of the target is right",
        "Bruzzone & Marconcini, TPAMI 2010",
    ),
)
_TUNED = tuple(_on_weights(spec) for spec in _SPECS if spec.family == "deep")

ADAPTERS: dict[str, AdapterSpec] = {spec.name: spec for spec in (*_SPECS, *_TUNED, *_SKADA)}


def resolve(path: str) -> Any:
    """Import the class that ``"module:Class"`` names in this room."""
    return base.resolve(f"adaptation.{path}")


def make(name: str, *, random_state: int | None = 0, **params: Any) -> Any:
    """Make an unfitted adapter.

    Parameters
    ----------
    name : str
        A name in ``ADAPTERS``.
    random_state : int or None
        The seed; adapters without randomness do not take it.
    **params
        Parameters of the adapter.

    Raises
    ------
    UnknownNameError
        The adapter, or a parameter, does not exist.

    Examples
    --------
    >>> from headstart.strategies import adaptation
    >>> adaptation.make("source-only", C=0.1)
    SourceOnly(C=0.1)
    """
    if name not in ADAPTERS:
        raise UnknownNameError("adapter", name, ADAPTERS)
    cls = resolve(ADAPTERS[name].path)
    params = {**ADAPTERS[name].params, **params}
    return base.built(cls, params, f"parameter of adapter {name!r}", random_state)
