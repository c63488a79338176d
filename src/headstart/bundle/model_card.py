"""The model card: ``README.md`` of a bundle, in the format of the Hugging Face hub.

Nothing in it is written by hand and nothing is guessed: what was not measured is left out, or said
to be so. The same model gives the same bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headstart.bundle.card_words import (
    baseline_rows,
    limits,
    measured,
    number,
    standing,
    use,
    worth,
)
from headstart.bundle.codec import from_json, plain, to_json
from headstart.bundle.manifest import README
from headstart.bundle.markup import escaped, table, visible, yaml_lines

if TYPE_CHECKING:
    from headstart.bundle.manifest import Manifest
    from headstart.bundle.model import Bundle
    from headstart.bundle.sequence import SequenceBundle
    from headstart.bundle.sequence_manifest import SequenceManifest

MOST_CLASSES = 100
MOST_ROWS = 60
PIPELINES = {
    ("text", "classification"): "text-classification",
    ("image", "classification"): "image-classification",
    ("audio", "classification"): "audio-classification",
    ("table", "classification"): "tabular-classification",
    ("table", "regression"): "tabular-regression",
    ("audio", "speech-to-text"): "automatic-speech-recognition",
    ("text", "question-answering"): "question-answering",
    ("text", "token-classification"): "token-classification",
    ("text", "translation"): "translation",
    ("text", "summarization"): "summarization",
}
"""What the hub calls a task; where it has no word, the card names none."""
_LICENCES = {
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "ISC": "isc",
    "CC0-1.0": "cc0-1.0",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "BSD-3-Clause": "bsd-3-clause",
    "BSD-2-Clause": "bsd-2-clause",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}", re.ASCII)


def card(model: Bundle | SequenceBundle) -> str:
    """Return the model card of a model: Markdown behind YAML front matter.

    Parameters
    ----------
    model : Bundle or SequenceBundle

    Returns
    -------
    str
        What ``README.md`` of the saved model holds.
    """
    return card_of(model.manifest)


def card_of(manifest: Manifest | SequenceManifest) -> str:
    """Return the model card of what a manifest says; its files and its digest do not matter."""
    facts = facts_of(manifest)
    front = yaml_lines(front_matter(facts))
    return "\n".join(["---", *front, "---", "", *body(facts)]) + "\n"


def facts_of(manifest: Manifest | SequenceManifest) -> dict[str, Any]:
    """Return what a card is made of: one shape for both kinds of model."""
    result = from_json(to_json(plain(manifest.result, README)), README)  # as a saved one has it
    extra = _mapping(result.pop("extra", None))
    record = manifest.source
    return {
        **extra,
        **result,
        "modality": manifest.modality,
        "kind": getattr(manifest, "kind", None) or getattr(manifest, "task", ""),
        "strategy": manifest.strategy,
        "metric": manifest.metric,
        "label": manifest.label_name,
        "classes": list(getattr(manifest, "classes", ())),
        "columns": manifest.columns,
        "source": None if record is None else dict(vars(record)),
        "name": f"{record.name} + {manifest.strategy}" if record else manifest.strategy,
        "n": manifest.n,
        "fingerprint": manifest.fingerprint,
        "headstart": manifest.headstart,
        "versions": dict(manifest.versions),
    }


def front_matter(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the YAML part of a card as a dict."""
    source = facts["source"]
    found: dict[str, Any] = {"license": "unknown"}
    if source is not None:
        known = _LICENCES.get(source["licence"])
        found["license"] = known or "other"
        if known is None:
            found["license_name"] = visible(source["licence"])
    languages = [code for code in _mapping(facts.get("languages")) if _LANGUAGE.fullmatch(code)]
    if languages:
        found["language"] = languages
    found["library_name"] = "headstart"
    pipeline = PIPELINES.get((facts["modality"], facts["kind"]))
    if pipeline:
        found["pipeline_tag"] = pipeline
    found["tags"] = ["headstart", "transfer-learning", facts["modality"], facts["strategy"]]
    hub = _base_model(source)
    if hub:
        found["base_model"] = hub
    score = _mapping(facts.get("score"))
    if _finite(score.get("estimate")):
        found["metrics"] = [facts["metric"]]
        found["model-index"] = [_index(facts, score, pipeline)]
    return found


def _index(
    facts: Mapping[str, Any], score: Mapping[str, Any], pipeline: str | None
) -> dict[str, Any]:
    judged = visible(str(facts.get("judged_by") or "held-out items"))
    metrics = [{"type": facts["metric"], "name": facts["metric"], "value": score["estimate"]}]
    for end, words in (("low", "lower"), ("high", "upper")):
        if _finite(score.get(end)):
            name = f"{facts['metric']}, {words} end of the 95 % interval"
            metrics.append({"type": facts["metric"], "name": name, "value": score[end]})
    return {
        "name": visible(facts["name"]),
        "results": [
            {
                "task": {"type": pipeline or f"{facts['modality']}-{facts['kind']}"},
                "dataset": {
                    "name": f"the user's own data, label {visible(facts['label'])!r}: {judged}",
                    "type": "private",
                },
                "metrics": metrics,
            }
        ],
    }


def _base_model(source: Mapping[str, Any] | None) -> str | None:
    """Return the hub's name of the source, where it has one that is sound."""
    origin = _mapping(_mapping(source).get("card")).get("origin")
    found = _mapping(_mapping(origin).get("hub")).get("id")
    return found if isinstance(found, str) and _HUB_ID.fullmatch(found) else None


def body(facts: Mapping[str, Any]) -> list[str]:
    """Return the lines of the Markdown part."""
    return [
        f"# {escaped(facts['name'])}",
        "",
        *_about(facts),
        *_section("What transfer is worth here", worth(facts)),
        *_section("How it was measured", measured(facts)),
        *_section("Baselines", baseline_rows(facts)),
        *_section("Candidates", _candidates(facts)),
        *_section("Classes", _classes(facts)),
        *_section("What it was made from", _origin(facts)),
        *_section("Limits", [f"- {line}" for line in limits(facts)]),
        *_section("Decisions", _decisions(facts)),
        *_section("How to use it", use(facts)),
        *_section("Versions", _versions(facts)),
    ]


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def _about(facts: Mapping[str, Any]) -> list[str]:
    answers = {"classification": "names one of its classes", "regression": "predicts a number"}
    does = answers.get(facts["kind"], f"does {escaped(facts['kind'])}")
    kinds = {"text": "texts", "image": "images", "audio": "sounds", "table": "rows of a table"}
    lines = [
        f"A model that [headstart](https://github.com/headstart-ml/headstart) fitted: it takes "
        f"{kinds[facts['modality']]} and {does} ({escaped(facts['label'])}). "
        f"It learnt from {facts['n']:,} items.",
    ]
    adapted = facts.get("adapted_by")
    if adapted:
        lines.append(f"It was adapted to another domain by {escaped(adapted)}.")
    return lines


def _candidates(facts: Mapping[str, Any]) -> list[str]:
    found = [one for one in _list(facts.get("candidates")) if isinstance(one, dict)]
    rows = []
    for one in found[:MOST_ROWS]:
        name = " + ".join(str(one[key]) for key in ("source", "strategy") if one.get(key))
        rows.append(
            (
                escaped(name),
                standing(one.get("score")),
                escaped(one.get("status") or "unknown"),
                escaped(one["reason"]) if one.get("reason") else "",
            )
        )
    if not rows:
        return []
    more = _more(len(found) - len(rows), "candidates")
    return [
        *table((f"candidate, {escaped(facts['metric'])}", "95 %", "status", "why"), rows),
        *more,
    ]


def _classes(facts: Mapping[str, Any]) -> list[str]:
    classes, counts = facts["classes"], _mapping(facts.get("class_counts"))
    if not classes:
        return []
    told = [
        (escaped(name), number(counts[name]) if name in counts else "not kept")
        for name in classes[:MOST_CLASSES]
    ]
    more = _more(len(classes) - len(told), "classes")
    return [*table(("class", "training items"), told), *more]


def _more(count: int, what: str) -> list[str]:
    return ["", f"And {count:,} {what} more: `manifest.json` lists them all."] if count > 0 else []


def _origin(facts: Mapping[str, Any]) -> list[str]:
    source, lines = facts["source"], []
    if source is None:
        lines.append("- source: none; it learnt from its training items alone")
    else:
        about = _mapping(source.get("card"))
        title = about.get("title") or source["name"]
        lines.append(f"- source: {escaped(source['name'])} ({escaped(title)})")
        if about.get("pretrained_on"):
            lines.append(f"- pretrained on: {escaped(about['pretrained_on'])}")
        lines.append(f"- licence of the source: {escaped(source['licence'])}")
        lines.append(f"- weights of the source: sha256 `{source['weights_sha256']}`")
        inside = "inside this model" if source["standalone"] else "fetched by name, not inside"
        lines.append(f"- where these weights are: {inside}")
        if about.get("paper"):
            lines.append(f"- paper: {escaped(about['paper'])}")
    lines.append(
        f"- training items: {facts['n']:,}, fingerprint `{_word(facts['fingerprint']) or 'none'}` "
        "(sha256 of items and labels)"
    )
    lines.append("- the licence of the training items is not known to headstart")
    return lines


def _decisions(facts: Mapping[str, Any]) -> list[str]:
    found = [one for one in _list(facts.get("decisions")) if isinstance(one, dict)]
    lines = [
        f"- {escaped(one.get('what', ''))}: {escaped(one.get('why', ''), 600)}"
        for one in found[:MOST_ROWS]
    ]
    return lines + _more(len(found) - len(lines), "decisions")


def _versions(facts: Mapping[str, Any]) -> list[str]:
    named = {"headstart": facts["headstart"], **facts["versions"]}
    lines = table(("what", "version"), [(escaped(a), escaped(b)) for a, b in named.items()])
    if isinstance(facts.get("seed"), int):
        lines += ["", f"Seed: {facts['seed']}."]
    return lines


def _word(text: str) -> str:
    return "".join(char for char in text if char.isascii() and char.isalnum())[:64]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
