"""The model card: what the hub reads of it, what people read, and what nobody can slip in."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tiny_models import contents_of

from headstart import bundle
from headstart.bundle.markup import escaped, quoted, visible
from headstart.bundle.model_card import card_of, front_matter
from headstart.core.types import Gain, Score

HOSTILE = [
    "<script>alert(1)</script>",
    "a|b|c",
    "`code` ``more``",
    "[link](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "www.evil.example",
    "http://evil.example/?a=b",
    "mail@evil.example",
    "# title\n\n## Limits\n\nnone",
    "---\nlicense: mit\n---",
    "- a\n- b",
    "1. one",
    "*bold* _it_ ~~no~~",
    "&lt;b&gt; &amp;",
    "\\",
    "\\|",
    "\u202eevil\u202c",
    "\x00\x1b[31m",
    "\ud800",
    "😀 äpfel 林檎",
    "key: value # no",
    "\"quoted\" 'too'",
    "{a: b} [c] !!python/object:os.system",
    "=cmd|' /C calc'!A0",
    "$x^2$",
    "x" * 5000,
]
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def parts(text: str) -> tuple[dict[str, object], str]:
    """Return the front matter as YAML reads it, and the body."""
    match = re.match(r"---\n(.*?)\n---\n(.*)\Z", text, re.DOTALL)
    assert match
    return yaml.safe_load(match[1]), match[2]


def titles(body: str) -> list[str]:
    tokens = MARKDOWN.parse(body)
    return [tokens[i + 1].content for i, one in enumerate(tokens) if one.type == "heading_open"]


@pytest.fixture(scope="module")
def text(probe) -> str:
    return card_of(bundle.in_memory(probe).manifest)


def test_every_saved_model_has_its_card_inside(saved):
    inside = (saved / "README.md").read_text(encoding="utf-8")
    loaded = bundle.load(saved)
    assert bundle.card(loaded) == inside
    assert loaded.manifest.files["README.md"].size == len(inside.encode())


def test_the_hub_reads_it(text):
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(text).data
    assert data.library_name == "headstart"
    assert data.pipeline_tag == "text-classification"
    assert data.license == "cc0-1.0"
    assert "headstart" in data.tags
    first = data.eval_results[0]
    assert (first.metric_type, first.metric_value) == ("accuracy", 0.8)


def test_it_says_what_was_measured_and_nothing_else(text):
    front, body = parts(text)
    assert "+10.0 points of accuracy [-10.0, +30.0]** over scratch" in body
    assert "Inconclusive: more labels are needed" in body
    assert "**0.800 [0.700, 0.900]** (95 % interval), on 36 items" in body
    assert "| majority | 0.300 |" in body  # an end that is not known is not shown
    assert "| tiny-text | not measured |" not in body
    assert "Only 36 items judged it" in body
    assert "licence of the source: CC0-1.0" in body
    assert "base_model" not in front
    assert titles(body)[1:] == [
        "What transfer is worth here",
        "How it was measured",
        "Baselines",
        "Candidates",
        "Classes",
        "What it was made from",
        "Limits",
        "Decisions",
        "How to use it",
        "Versions",
    ]


def test_without_a_measurement_it_says_so():
    manifest = bundle.in_memory(
        contents_of(("majority", "regression", "table"), score=None, gain=None, baselines={})
    ).manifest
    front, body = parts(card_of(manifest))
    assert "model-index" not in front
    assert "metrics" not in front
    assert front["license"] == "unknown"
    assert front["pipeline_tag"] == "tabular-regression"
    assert "not measured whether transfer helps" in body
    assert "Not at all: there were no labelled items" in body
    assert "Baselines" not in titles(body)


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("positive", "helps here"), ("negative", "harms here"), ("none", "neither helps nor harms")],
)
def test_each_verdict_has_its_words(verdict, words, majority):
    gain = Gain(-2.5, -4.0, -1.0, 20, metric="rmse", verdict=verdict)
    _, body = parts(card_of(bundle.in_memory(replace(majority, gain=gain)).manifest))
    assert words in body
    assert "**-2.5 [-4, -1] (rmse saved)** over scratch, measured on the same 20 held-out" in body


def test_what_else_was_found_is_told(majority):
    extra = {
        "judged_by": "5 folds",
        "class_counts": {"birnen": 3, "q,uitten": 12},
        "languages": {"de": 0.9, "../x": 0.1},
        "calibration": {"method": "temperature", "ece_before": 0.1, "ece_after": 0.05, "why": "y"},
        "abstention": {"promise": "It answers 80 %."},
        "adapted_by": "coral",
        "seed": 3,
        "kind": "forged",
    }
    front, body = parts(card_of(bundle.in_memory(replace(majority, extra=extra)).manifest))
    assert front["language"] == ["de"]
    assert "1 of its 3 classes had fewer than 10 training items" in body
    assert "temperature; expected error of the confidence 0.100 before, 0.050 after; y" in body
    assert "It abstains where it is not sure. It answers 80 %." in body
    assert "| äpfel | not kept |" in body
    assert "adapted to another domain by coral" in body
    assert "names one of its classes" in body
    assert "Seed: 3." in body


@pytest.mark.parametrize(
    ("verdict", "censored", "words"),
    [
        ("positive", None, "From scratch about 8.0 times"),
        ("positive", "above", "From scratch more than 8.0 times"),
        ("positive", "below", ""),
        ("inconclusive", None, ""),
    ],
)
def test_the_labels_that_scratch_needs_are_told_as_far_as_they_are_known(
    verdict, censored, words, majority
):
    gain = Gain(0.2, 0.1, 0.3, 20, metric="accuracy", verdict=verdict)
    extra = {"label_multiplier": {"estimate": 8.0, "low": 2.0, "high": None, "censored": censored}}
    made = replace(majority, gain=gain, extra=extra)
    _, body = parts(card_of(bundle.in_memory(made).manifest))
    assert words in body
    assert ("From scratch" in body) is bool(words)


def test_a_source_of_the_hub_is_the_base_model_and_no_other_is(probe):
    manifest = bundle.in_memory(probe).manifest
    for name, told in (
        ("intfloat/e5-small", "intfloat/e5-small"),
        ("../../etc", None),
        ("a/b\nlicense: mit", None),
        (7, None),
    ):
        record = replace(manifest.source, card={"origin": {"hub": {"id": name}}}, licence="Odd 1")
        front, _ = parts(card_of(replace(manifest, source=record)))
        assert front.get("base_model") == told
        assert (front["license"], front["license_name"]) == ("other", "Odd 1")


def test_no_path_of_this_machine_is_in_it(probe):
    manifest = bundle.in_memory(probe).manifest
    record = replace(manifest.source, card={"origin": {"directory": "/home/somebody/secret"}})
    assert "secret" not in card_of(replace(manifest, source=record))


def test_hostile_names_are_shown_and_do_nothing(probe):
    plain = card_of(bundle.in_memory(probe).manifest)
    manifest = bundle.in_memory(probe).manifest
    result = {
        **manifest.result,
        "score": {"estimate": 0.5, "low": 0.4, "high": 0.6, "n": 30},
        "decisions": [{"what": name, "why": name} for name in HOSTILE],
        "candidates": [
            {"strategy": name, "source": name, "status": name, "reason": name} for name in HOSTILE
        ],
        "baselines": {name: {"estimate": 0.1} for name in HOSTILE},
        "extra": {"class_counts": dict.fromkeys(HOSTILE, 3), "judged_by": HOSTILE[8]},
    }
    for name in HOSTILE:
        forged = replace(
            manifest,
            classes=tuple(HOSTILE),
            label_name=name,
            strategy=name,
            metric=name,
            result=result,
            versions={name: name},
            headstart=name,
            fingerprint=name,
            source=replace(manifest.source, name=name, licence=name),
        )
        front, body = parts(card_of(forged))
        assert front["license"] == "other"
        assert len(titles(body)) == len(titles(parts(plain)[1]))
        for token in MARKDOWN.parse(body):
            kinds = {child.type for child in token.children or ()}
            assert token.type != "html_block"
            assert kinds <= {"text", "softbreak", "code_inline", "strong_open", "strong_close"} or (
                "headstart-ml" in token.content
            ), (name, token.content)
        assert "\u202e" not in body


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.text(max_size=40))
def test_any_text_survives_yaml_and_markdown(name):
    sound = name.encode("utf-8", "replace").decode() if not name.isascii() else name
    assert yaml.safe_load(f"a: {quoted(sound)}")["a"] == sound
    row = f"| x | {escaped(name)} |"
    tokens = MARKDOWN.parse(f"| a | b |\n| --- | --- |\n{row}\n")
    cells = [token for token in tokens if token.type == "inline"]
    shown = " ".join(cells[-1].children[0].content.split()) if cells[-1].children else ""
    assert len(cells) == 4
    assert "".join(child.content for child in cells[-1].children or ()).split() == (
        (visible(name) or "(nothing)").split()
    ), shown
    item = MARKDOWN.parse(f"- {escaped(name)}\n")
    assert sum(token.type == "list_item_open" for token in item) == 1


def test_it_is_the_same_bytes_each_time_and_bounded(majority):
    names = tuple(f"class {i:05}" for i in range(3000))
    manifest = replace(bundle.in_memory(majority).manifest, classes=names)
    text = card_of(manifest)
    assert text == card_of(manifest)
    assert "And 2,900 classes more" in text
    assert len(text) < 60_000


def test_a_task_that_the_hub_has_no_word_for_gets_none(majority):
    manifest = bundle.in_memory(majority).manifest
    forged = replace(manifest, modality="image", kind="regression")
    facts = front_matter(
        {
            "source": None,
            "modality": "image",
            "kind": forged.kind,
            "strategy": "x",
            "metric": "rmse",
            "label": "y",
            "name": "x",
            "score": vars(Score("rmse", 2.0, float("nan"), 3.0, 10)),
        }
    )
    assert "pipeline_tag" not in facts
    assert [one["value"] for one in facts["model-index"][0]["results"][0]["metrics"]] == [2.0, 3.0]
