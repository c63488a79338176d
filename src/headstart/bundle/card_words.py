"""The sentences of a model card: what was measured, in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from headstart.bundle.markup import escaped, table
from headstart.evaluate import METRICS, in_units
from headstart.evaluate.metrics import SEQUENCE_METRICS

FEW_JUDGED = 100
FEW_ITEMS = 10


def number(value: Any) -> str:
    """Return a measured number as people read it; what was not measured is said to be so."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "not measured"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def standing(score: Any) -> str:
    """Return a score with its interval."""
    if not isinstance(score, Mapping) or number(score.get("estimate")) == "not measured":
        return "not measured"
    ends = [number(score.get(name)) for name in ("low", "high")]
    told = number(score["estimate"])
    return told if "not measured" in ends else f"{told} [{ends[0]}, {ends[1]}]"


def _shares(metric: str) -> bool:
    known = METRICS.get(metric) or SEQUENCE_METRICS.get(metric)
    return bool(known and (known.bounded or getattr(known, "rate", False)))


def worth(facts: Mapping[str, Any]) -> list[str]:
    """Return what transfer is worth here: the sentence that matters."""
    gain = facts.get("gain")
    if not isinstance(gain, Mapping) or number(gain.get("estimate")) == "not measured":
        return ["It was not measured whether transfer helps here."]
    metric = str(gain.get("metric") or facts["metric"])
    ends = [gain.get(name) for name in ("estimate", "low", "high")]
    if _shares(metric):
        shown = [_points(one) for one in ends]
        size = f"{shown[0]} points of {escaped(metric)} [{shown[1]}, {shown[2]}]"
    else:
        shown = [_units(one) for one in ends]
        size = f"{shown[0]} [{shown[1]}, {shown[2]}] ({escaped(metric)} saved)"
    over = escaped(gain.get("baseline") or "the baseline")
    words = {
        "positive": "Positive transfer: what was learnt elsewhere helps here.",
        "negative": "Negative transfer: what was learnt elsewhere harms here.",
        "none": "No difference that matters: transfer neither helps nor harms here.",
        "inconclusive": "Inconclusive: more labels are needed to tell whether transfer helps here.",
    }
    verdict = words.get(str(gain.get("verdict")), "No verdict.")
    n = gain.get("n")
    items = f" on the same {n:,} held-out items" if isinstance(n, int) and n else ""
    return [
        f"{verdict} The best candidate that transfers is worth **{size}** over {over}, measured"
        f"{items}; the brackets hold the 95 % interval. A plus always means better.",
        "",
        f"This model is {escaped(facts['name'])}.",
        *(_multiplier(facts) if gain.get("verdict") == "positive" else ()),
    ]


def _points(value: Any) -> str:
    known = isinstance(value, int | float) and math.isfinite(value)
    return f"{100 * value:+.1f}" if known else "not known"


def _units(value: Any) -> str:
    known = isinstance(value, int | float) and math.isfinite(value)
    return in_units(float(value), signed=True) if known else "not known"


def _multiplier(facts: Mapping[str, Any]) -> list[str]:
    found, beyond = facts.get("label_multiplier"), None
    if isinstance(found, Mapping):
        beyond = found.get("censored")
        found = found.get("estimate")
    if not isinstance(found, int | float) or not math.isfinite(found) or found <= 0:
        return []
    about = {None: "about", "above": "more than"}.get(beyond)
    if about is None:
        return []
    return ["", f"From scratch {about} {found:.1f} times the labels would be needed for as much."]


def measured(facts: Mapping[str, Any]) -> list[str]:
    """Return the score, and what judged it."""
    score = facts.get("score")
    told = standing(score)
    if told == "not measured" or not isinstance(score, Mapping):
        return ["Not at all: there were no labelled items to judge it by."]
    lines = [
        f"- {escaped(facts['metric'])}: **{told}** (95 % interval), on "
        f"{number(score.get('n'))} items"
    ]
    if facts.get("judged_by"):
        lines.append(f"- judged by: {escaped(facts['judged_by'])}")
    measures = facts.get("measures")
    if isinstance(measures, Mapping):
        lines += [
            f"- {escaped(name)}: {standing(one)}"
            for name, one in measures.items()
            if name != facts["metric"]
        ]
    calibration = facts.get("calibration")
    if isinstance(calibration, Mapping):
        lines.append(f"- calibration: {_calibrated(calibration)}")
    return lines


def _calibrated(found: Mapping[str, Any]) -> str:
    ends = [number(_estimate(found.get(f"ece_{name}"))) for name in ("before", "after")]
    told = escaped(found.get("method") or "none")
    if "not measured" not in ends:
        told += f"; expected error of the confidence {ends[0]} before, {ends[1]} after"
    return f"{told}; {escaped(found['why'])}" if found.get("why") else told


def _estimate(value: Any) -> Any:
    return value.get("estimate") if isinstance(value, Mapping) else value


def baseline_rows(facts: Mapping[str, Any]) -> list[str]:
    """Return the baselines as a table."""
    found = facts.get("baselines")
    if not isinstance(found, Mapping) or not found:
        return []
    rows = [(escaped(name), standing(score)) for name, score in found.items()]
    return table((f"baseline, {escaped(facts['metric'])}", "95 %"), rows)


def limits(facts: Mapping[str, Any]) -> list[str]:
    """Return what the numbers do not say."""
    lines = []
    score = facts.get("score")
    n = score.get("n") if isinstance(score, Mapping) else None
    if not isinstance(n, int) or not n:
        lines.append("How often it is right was not measured.")
    elif n < FEW_JUDGED:
        lines.append(f"Only {n} items judged it: read the interval, not the estimate.")
    counts = facts.get("class_counts")
    if isinstance(counts, Mapping):
        few = sum(1 for one in counts.values() if isinstance(one, int) and one < FEW_ITEMS)
        if few:
            lines.append(
                f"{few} of its {len(facts['classes'])} classes had fewer than {FEW_ITEMS} "
                "training items."
            )
    lines.append(_abstention(facts))
    languages = facts.get("languages")
    if isinstance(languages, Mapping) and languages:
        codes = ", ".join(escaped(code) for code in languages)
        lines.append(f"It learnt from texts in: {codes}. Other languages were not measured.")
    lines.append(
        "Its numbers hold for items like those it was judged on. Where items drift away from them "
        "they do not; `headstart evaluate` measures again."
    )
    return lines


def _abstention(facts: Mapping[str, Any]) -> str:
    if facts["kind"] != "classification":
        return "It always answers; it never says that it does not know."
    found = facts.get("abstention")
    if not isinstance(found, Mapping):
        return (
            "It always names one of its classes, also for items of none of them: it was made "
            "without `--max-risk`."
        )
    return f"It abstains where it is not sure. {escaped(found.get('promise') or '', 400)}"


def use(facts: Mapping[str, Any]) -> list[str]:
    """Return how to ask the model."""
    inputs = {
        "text": ("a text", '["a text"]'),
        "image": ("picture.jpg", '["picture.jpg"]'),
        "audio": ("sound.wav", '["sound.wav"]'),
        "table": ("rows.csv", 'pandas.read_csv("rows.csv")'),
    }
    typed, items = inputs[facts["modality"]]
    if facts["kind"] == "question-answering":
        typed, items = "questions.csv", '[{"question": "Who?", "context": "A text."}]'
    first = ["import pandas", ""] if facts["modality"] == "table" else []
    quoted = f'"{typed}"' if " " in typed else typed
    return [
        "```console",
        f"$ headstart predict MODEL {quoted}",
        "```",
        "",
        "```python",
        *first,
        "import headstart as hs",
        "",
        'model = hs.load("MODEL")',
        f"model.predict({items})",
        "```",
        "",
        "MODEL is this directory. Loading it runs no code; every file is checked first.",
    ]
