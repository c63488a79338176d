"""What is known of classes before any label: how they are described, and what is made of that."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart import encode, sources, strategies
from headstart.core.errors import OptionError
from headstart.core.types import Decision, FloatArray, Modality, Reporter
from headstart.data.class_list import ClassList
from headstart.select.race import Entry
from headstart.strategies.prompts import TEMPLATES, ensemble, prompts_of

WITH_PRIOR = ("anchored", "tip-adapter")
"""Strategies that learn from labels and start from what is known of the classes."""


@dataclass(frozen=True, eq=False)
class Start:
    """A candidate that needs no training, and how it is made.

    Parameters
    ----------
    entry : Entry
    params : dict
        What its estimator is made with.
    decisions : tuple of Decision
    rival : Start or None
        Another one, of which labelled items said that it is no better.
    """

    entry: Entry
    params: dict[str, Any]
    decisions: tuple[Decision, ...] = ()
    rival: Start | None = None

    def make(self, modality: Modality, seed: int = 0) -> Any:
        """Return the unfitted estimator."""
        return strategies.make(
            self.entry.strategy,
            kind="classification",
            modality=modality,
            random_state=seed,
            **self.params,
        )

    def told(self, decision: Decision) -> Start:
        """Return the candidate with one more decision."""
        return replace(self, decisions=(*self.decisions, decision))

    def beside(self, named: Sequence[str] | None) -> dict[Entry, dict[str, Any]]:
        """Return the candidates that know the classes, with their parameters.

        Parameters
        ----------
        named : sequence of str, or None
            The strategies that the user named: no others then.
        """
        found = {self.entry: self.params}
        if self.entry.strategy == "zero-shot":
            features = self.params["class_features"]
            for name in WITH_PRIOR:
                if name in strategies.STRATEGIES and "centre" not in self.params:
                    found[Entry(name, self.entry.source)] = {"class_features": features}
        return {e: given for e, given in found.items() if named is None or e.strategy in named}


def start(
    said: ClassList,
    modality: Modality,
    *,
    source: str | None = None,
    templates: Sequence[str] | None = None,
    reporter: Reporter,
) -> Start:
    """Return the candidate that knows the classes by what is said of them.

    Attributes make an ESZSL; texts are compared with sentence embeddings; images with the texts of
    a source that reads both, else by way of the names that the source's own classifier gives them.

    Parameters
    ----------
    said : ClassList
    modality : {"image", "text"}
    source : str, optional
        The default of the modality otherwise.
    templates : sequence of str, optional
        Sentences with ``{}`` where the name of a class goes.
    reporter : Reporter

    Raises
    ------
    OptionError
        There is no way to know classes of such items by their names.
    SourceError
        A source cannot be used.
    """
    if said.attributes is not None:
        return _by_attributes(said, modality, source)
    if modality == "text":
        return _by_text(said, source, templates, reporter)
    if modality == "image":
        return _by_image(said, source, templates, reporter)
    raise OptionError(
        f"classes of {modality} data cannot be known by their names",
        where="--classes",
        allowed="text or image data; or a class x attribute table",
    )


def _usual(modality: Modality, source: str | None) -> str:
    """Return the source that is named, or the default, of this modality."""
    name = source or sources.default_source(modality)
    if name is None:
        raise OptionError(
            f"headstart has no pretrained source for {modality} data",
            where="--classes",
            hint="name one with --source",
        )
    found = sources.card(name).modality
    if found != modality:
        raise OptionError(
            f"the source {name!r} is for {found} data, this is {modality} data", where="--source"
        )
    return name


def _by_attributes(said: ClassList, modality: Modality, source: str | None) -> Start:
    assert said.attributes is not None
    features = dict(zip(said.names, said.attributes, strict=True))
    count = len(said.attribute_names)
    decision = Decision(
        "eszsl", f"{said.origin} gives {count} attributes of {len(said.names)} classes"
    )
    entry = Entry("eszsl", _usual(modality, source))
    return Start(entry, {"class_features": features}, (decision,))


def _by_text(
    said: ClassList, source: str | None, templates: Sequence[str] | None, reporter: Reporter
) -> Start:
    name = _usual("text", source)
    features = _embedded(said, name, "text", templates, reporter)
    entry = Entry("zero-shot", name)
    decision = Decision(
        f"source {name}", _how(said, "text", templates), "--source NAME takes another"
    )
    return Start(entry, {"class_features": features}, (decision,))


def _how(said: ClassList, modality: Modality, templates: Sequence[str] | None) -> str:
    described = sum(bool(texts) for texts in said.descriptions)
    count = len(templates or TEMPLATES[modality])
    by = f"its name in {count} sentences"
    if described:
        by = "its descriptions" if described == len(said.names) else f"its descriptions, or {by}"
    return f"a class is the mean embedding of {by}"


def _embedded(
    said: ClassList,
    name: str,
    modality: Modality,
    templates: Sequence[str] | None,
    reporter: Reporter,
) -> dict[str, FloatArray]:
    """Return a direction for each class, in the space of a source of texts."""
    prompts = prompts_of(said.names, said.descriptions, modality, templates)
    flat = [text for texts in prompts for text in texts]
    found = encode.features(flat, sources.load(name, reporter=reporter), reporter=reporter).array
    rows = ensemble(found, [len(texts) for texts in prompts])
    return dict(zip(said.names, rows, strict=True))


def _by_image(
    said: ClassList, source: str | None, templates: Sequence[str] | None, reporter: Reporter
) -> Start:
    name = _usual("image", source)
    card = sources.card(name)
    if sources.reads_both(card):
        prompts = prompts_of(said.names, said.descriptions, "image", templates)
        found, scale = sources.text_features(card, [text for texts in prompts for text in texts])
        rows = ensemble(found, [len(texts) for texts in prompts])
        decision = Decision(f"source {name}", _how(said, "image", templates))
        params = {"class_features": dict(zip(said.names, rows, strict=True)), "sharpness": scale}
        return Start(Entry("zero-shot", name), params, (decision,))
    return _by_names(said, name, templates, reporter)


def _by_names(
    said: ClassList, name: str, templates: Sequence[str] | None, reporter: Reporter
) -> Start:
    backbone = sources.load(name, reporter=reporter)
    head: Any = backbone.head
    if head is None or backbone.head_classes is None:
        raise OptionError(
            "this source reads no texts, and names no classes",
            where=f"--source {name}",
            allowed="CLIP, SigLIP and their kind, or an EfficientNet-Lite of the catalogue",
        )
    words = _usual("text", None)
    used = list(templates or TEMPLATES["image"][:1])
    synonyms = [tuple(word.strip() for word in line.split(",")) for line in backbone.head_classes]
    prompts = [
        [text for texts in prompts_of(each, [()] * len(each), "image", used[:1]) for text in texts]
        for each in synonyms
    ]
    loaded = sources.load(words, reporter=reporter)
    flat = [text for texts in prompts for text in texts]
    found = encode.features(flat, loaded, reporter=reporter).array
    params = {
        "class_features": _embedded(said, words, "image", used, reporter),
        "name_features": ensemble(found, [len(texts) for texts in prompts]),
        "classifier": (head.weight.detach().numpy().T, head.bias.detach().numpy()),
    }
    decision = Decision(
        f"source {name}",
        f"it names what it sees in {len(synonyms):,} words of its own, which {words} compares with "
        "the names of your classes (ConSE); a source that reads texts and images does better",
        "--source PATH of a CLIP or SigLIP",
    )
    return Start(Entry("conse", name), params, (decision,))


def identity(beside: Mapping[Entry, Mapping[str, Any]]) -> str:
    """Return what candidates are known by that were made elsewhere: sha256 of all they hold."""
    digest = hashlib.sha256()
    for entry, params in beside.items():
        digest.update(f"{entry.name}\n".encode())
        for name in sorted(params):
            digest.update(name.encode())
            _hashed(digest, params[name])
    return digest.hexdigest()


def _hashed(digest: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for key in sorted(value):
            digest.update(str(key).encode())
            _hashed(digest, value[key])
    elif isinstance(value, tuple):
        for each in value:
            _hashed(digest, each)
    else:
        digest.update(np.ascontiguousarray(value).tobytes())
