"""The sentence that leads the report, in the honest form for every verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headstart.report import figures
from headstart.report.clean import name as short

TASKS = ("classification", "regression")
PILLS = {
    "positive": "Positive transfer",
    "none": "No difference that matters",
    "negative": "Negative transfer",
    "inconclusive": "Inconclusive",
    "untried": "Transfer not tried",
    "unmeasured": "Not measured",
    "zero": "Learnt from no label",
}
Parts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Headline:
    """What matters, and what stands below it.

    Parameters
    ----------
    verdict : str
        A key of ``PILLS``.
    parts : tuple of (kind, text)
        The sentence; kind "number" and "ends" are what was measured, "" is the rest.
    below : tuple of str
        Further sentences.
    """

    verdict: str
    parts: Parts
    below: tuple[str, ...]

    @property
    def pill(self) -> str:
        """The verdict in two words."""
        return PILLS[self.verdict]

    def __str__(self) -> str:
        return "".join(text for _, text in self.parts)


def part(info: Mapping[str, Any], key: str) -> Any:
    """Return what a bundle says, wherever its kind of bundle keeps it; None where it is silent."""
    if info.get(key) is not None:
        return info[key]
    extra = info.get("extra")
    return extra.get(key) if isinstance(extra, Mapping) else None


def told(one: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for everything else."""
    return one if isinstance(one, Mapping) else {}


def rows(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list; nothing for what is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def called(candidate: Mapping[str, Any]) -> str:
    """Return a candidate's name, as people see it."""
    strategy, source = short(candidate.get("strategy") or "?"), candidate.get("source")
    return f"{short(source)} + {strategy}" if source else strategy


def shipped(info: Mapping[str, Any]) -> str:
    """Return the name of what is handed back."""
    source = told(info.get("source")).get("name")
    return called({"strategy": info.get("strategy"), "source": source})


def best_transfer(info: Mapping[str, Any]) -> str | None:
    """Return the name of the transfer that was judged, where it is known."""
    kept = part(info, "transfer")
    if isinstance(kept, Mapping) and kept.get("strategy"):
        return called(kept)
    return shipped(info) if info.get("source") and info.get("strategy") != "scratch" else None


def tried(info: Mapping[str, Any]) -> bool:
    """Say whether a transfer was judged at all."""
    extra = told(info.get("extra"))
    if not measured(info.get("gain")):
        return False
    if info.get("kind") not in TASKS or "adapted_by" in extra:
        return True
    if "transfer" in extra:
        return extra["transfer"] is not None
    if info.get("source") and info.get("strategy") != "scratch":
        return True
    raced = rows(info.get("candidates"))
    return any(one.get("source") and measured(one.get("score")) for one in raced)


def measured(one: Any) -> bool:
    """Say whether a score or a gain holds a number."""
    return figures.number(told(one).get("estimate")) is not None


def headline(info: Mapping[str, Any]) -> Headline:
    """Return what matters: what transfer is worth here, as far as that was measured."""
    below = (*_handed_back(info), *_promise(info))
    if tried(info):
        gain = told(info["gain"])
        verdict = str(gain.get("verdict"))
        verdict = verdict if verdict in PILLS else "inconclusive"
        return Headline(verdict, (*_worth(info, gain, verdict), *_labels(info, verdict)), below)
    score = told(info.get("score"))
    if part(info, "zero_shot") is not None and measured(score):
        name = figures.metric_words(score.get("metric"))
        start = f"A model that learnt from no label has {_article(name)} of "
        ends = ("ends", figures.interval(score))
        return Headline(
            "zero",
            (("", start), ("number", figures.score(score)), ("", " "), ends, ("", " here.")),
            below,
        )
    if not measured(score):
        return Headline(
            "unmeasured", (("", "Nothing is measured: no labels judged this model."),), below
        )
    metric = figures.metric_words(score.get("metric"))
    sentence = f"Transfer was not tried here: you get {shipped(info)}, {metric} "
    ends = ("ends", figures.interval(score))
    return Headline(
        "untried",
        (("", sentence), ("number", figures.score(score)), ("", " "), ends, ("", ".")),
        below,
    )


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def _subject(info: Mapping[str, Any]) -> str:
    """Return what is compared: transfer, or a way to adapt."""
    by = told(info.get("extra")).get("adapted_by")
    if by is None:
        return "Transfer"
    if by in ("source-only", "as it was"):
        return "The best way to adapt"
    return (
        "Learning from the target's own labels"
        if by == "target-only"
        else f"Adapting by {short(by)}"
    )


def _over(info: Mapping[str, Any], gain: Mapping[str, Any]) -> str:
    """Return what it is compared with, where that is not scratch."""
    baseline = gain.get("baseline")
    return "" if baseline in (None, "scratch") else f" over {short(baseline)}"


def _worth(info: Mapping[str, Any], gain: Mapping[str, Any], verdict: str) -> Parts:
    metric, subject = gain.get("metric"), _subject(info)
    words, fewer = figures.metric_words(metric), figures.less_is_better(metric)
    over = _over(info, gain) if not fewer else _over(info, gain).replace(" over ", " against ")
    unit = " points" if figures.is_share(metric) else ""
    tail = "" if not fewer or unit else _units(info, metric)
    turned = verdict == "negative" or (fewer and (figures.number(gain.get("estimate")) or 0) < 0)
    size, ends = figures.gain(gain, turned=turned, signed=not fewer and verdict != "negative")
    number, of = ("number", f"{size}{unit}"), "" if fewer else f" of {words}"
    rest = (("", f"{of} "), ("ends", ends), ("", f"{tail}{over} here"))
    if fewer:
        verb = "lowers" if not turned else "raises"
        if verdict == "negative":
            verb = "would raise" if info.get("strategy") == "scratch" else "raises"
        change = f" {verb} the {words} by "
        starts = {
            "none": f"{subject} makes no difference that matters: it{change}",
            "inconclusive": f"Whether {_lower(subject)} helps is still open: it{change}",
        }
        return (("", starts.get(verdict, f"{subject}{change}")), number, *rest, ("", "."))
    cost = "would cost" if info.get("strategy") == "scratch" else "costs"
    starts = {
        "positive": f"{subject} is worth ",
        "negative": f"{subject} {cost} ",
        "none": f"{subject} makes no difference that matters: ",
        "inconclusive": f"Whether {_lower(subject)} helps is still open: ",
    }
    end: Parts = () if verdict == "positive" else (("", "."),)
    return (("", starts[verdict]), number, *rest, *end)


def _lower(subject: str) -> str:
    return subject[:1].lower() + subject[1:]


def _units(info: Mapping[str, Any], metric: Any) -> str:
    if str(metric) not in ("rmse", "mae") or not info.get("label"):
        return ""
    return f", in the units of “{short(info['label'], 40)}”,"


def _labels(info: Mapping[str, Any], verdict: str) -> Parts:
    """Return what scratch would need, where the curve is that of this transfer, and sure."""
    if verdict != "positive" or figures.less_is_better(told(info.get("gain")).get("metric")):
        return ()
    stop: Parts = (("", "."),)
    times, learning = told(part(info, "label_multiplier")), told(part(info, "learning"))
    estimate = figures.number(times.get("estimate"))
    if estimate is None or learning.get("transfer") != best_transfer(info):
        return stop
    if times.get("censored") == "above":
        more = f"; from scratch you would need more than {figures.few(estimate)}× the labels."
        return (("", more),)
    low = figures.number(times.get("low"))
    if times.get("censored") is not None or low is None or low <= 1:
        return stop
    return (("", f"; from scratch you would need about {_times(estimate)}× the labels."),)


def _times(value: float) -> str:
    return figures.fixed(value, 1 if value < 3 else 0)


def _handed_back(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is handed back and why, then who judged."""
    lines = []
    by = told(info.get("extra")).get("adapted_by")
    if by in ("source-only", "as it was"):
        lines.append("You get the model without adaptation.")
    elif by == "target-only":
        lines.append("You get what learnt from the target's own labels.")
    elif by is not None:
        lines.append(f"You get the model adapted by {short(by)}.")
    elif tried(info) or not measured(info.get("score")) or part(info, "zero_shot") is not None:
        lines.append(f"You get {shipped(info)}.")
    for one in rows(info.get("decisions")):
        what = str(one.get("what", ""))
        if what.startswith("ship ") and what.removeprefix("ship ").startswith(
            str(info.get("strategy"))
        ):
            lines.append(f"The reason: {_ended(one.get('why'))}")
    if not tried(info):
        lines += [
            f"The reason: {_ended(one.get('why'))}"
            for one in rows(info.get("decisions"))
            if str(one.get("what", "")) == "no transfer is tried"
        ]
    judged = part(info, "judged_by")
    if judged and measured(info.get("score")):
        lines.append(f"Judged on {judged}.")
    elif judged:
        lines.append(_upper(_ended(judged)))
    return tuple(lines)


def _promise(info: Mapping[str, Any]) -> tuple[str, ...]:
    promise = told(part(info, "abstention")).get("promise")
    return (str(promise),) if promise else ()


def _ended(sentence: Any) -> str:
    return str(sentence or "").rstrip(". ") + "."


def _upper(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
