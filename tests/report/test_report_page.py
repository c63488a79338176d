"""The page as a whole: what it holds, what it leaves out, how large it is."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_facts import COLOURS, evidence, info, numbers, preview, score, sequence
from test_hostile_text import Page, checked

from headstart.report import render

MANY = tuple(f"class {i:03d}" for i in range(150))
CASES: dict[str, Any] = {
    "image": lambda: (info(modality="image"), evidence("image")),
    "text": lambda: (info(), evidence("text")),
    "sound": lambda: (info(modality="audio"), evidence("sound")),
    "table": lambda: (info(modality="table"), evidence("row")),
    "regression": numbers,
    "150 classes": lambda: (info(classes=list(MANY)), evidence("text", 300, MANY)),
    "30 classes": lambda: (info(classes=list(MANY[:30])), evidence("text", 90, MANY[:30])),
    "2 classes": lambda: (info(), evidence("text", 40, ("fresh", "rotten"))),
    "sequence": lambda: (sequence(), None),
    "old": lambda: (info(), None),
}


def sections(page: Page) -> list[str]:
    return [str(attrs["id"]) for tag, attrs in page.elements if tag == "section"]


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_model_has_a_sound_page(case):
    facts, told = CASES[case]()
    html = render(facts, told, timing={"minilm + probe": 3.2, "fit": 61.0})
    page = checked(html)
    ids = [attrs["id"] for _, attrs in page.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    links = [str(attrs["href"])[1:] for tag, attrs in page.elements if tag == "a"]
    assert set(links) - {"main"} == set(sections(page))
    assert {"worth", "decisions", "source", "reproduce", "timing"} <= set(sections(page))
    for _, attrs in page.elements:
        for name in ("aria-labelledby", "for"):
            assert attrs.get(name) is None or attrs[name] in ids
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("main") == tags.count("nav") == 1


def test_what_a_rich_model_has_to_say():
    facts, told = CASES["image"]()
    found = sections(checked(render(facts, told)))
    assert found == [
        *("worth", "learning", "classes", "confusion", "confidence", "map", "mistakes"),
        *("suspects", "findings", "decisions", "source", "reproduce"),
    ]


def test_what_is_absent_is_left_out():
    found = sections(checked(render({"strategy": "scratch", "kind": "classification"})))
    assert found == ["reproduce"]
    assert sections(checked(render({}, {}))) == ["reproduce"]


def test_the_policy_lets_in_our_own_style_and_script_and_nothing_else():
    html = render(*CASES["image"]())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    rules = dict(one.strip().split(" ", 1) for one in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == rules["media-src"] == "data:"
    assert rules["base-uri"] == rules["form-action"] == "'none'"
    for kind in ("style", "script"):
        (inside,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    assert "url(" not in html
    assert "@import" not in html
    assert not re.search(r"\bfetch\(|XMLHttpRequest|innerHTML|document\.write|eval\(", html)


def test_1000_items_with_pictures_stay_below_3_mb():
    told = evidence("image", 1000, side=96)
    html = render(info(), told)
    assert len(html.encode()) < 3_000_000
    assert html.count('class="item ') >= 1000


@pytest.mark.parametrize("kind", ["image", "text"])
def test_evidence_of_4_mb_stays_below_3_mb(kind):
    told = evidence(kind, 1000)
    for one in told["items"]:
        if kind == "image":
            one["preview"] = {**preview("image", 0), "src": "data:image/webp;base64," + "A" * 4000}
        else:
            one["preview"] = {"kind": "text", "text": "é" * 2000}
    html = render(info(), told)
    assert len(html.encode()) < 3_000_000
    assert (kind == "image") == ("previews are left out" in html)
    # what matters most still has its picture
    assert html.split('id="mistakes"')[1].count("<img") >= (8 if kind == "image" else 0)


def test_scores_that_chose_stand_apart_from_those_that_judge():
    html = render(info(), None)
    judged, race = html.split('id="worth"')[1].split("<h3>The race</h3>")
    assert "87.2" in judged
    assert "34.0" in judged
    assert "88.0" not in judged
    assert "88.0" in race.split("</section>")[0]
    assert "do not judge" in race


def test_a_table_stands_beside_each_chart():
    facts, told = CASES["text"]()
    html = render(facts, told)
    for section in ("learning", "confidence", "map"):
        part = html.split(f'<section id="{section}"')[1].split("</section>")[0]
        assert "<svg" in part
        assert "<table" in part
    for chart in re.findall(r'<svg[^>]*class="(?:plot|strip|map)[^"]*"[^>]*>', html):
        assert "aria-label=" in chart or "aria-hidden=" in chart


def test_a_curve_of_one_point_is_a_table_only():
    facts = info()
    facts["extra"]["curve"] = facts["extra"]["curve"][:1]
    html = render(facts)
    part = html.split('<section id="learning"')[1].split("</section>")[0]
    assert "<svg" not in part
    assert "<table" in part


def test_numbers_of_the_curve_are_those_of_the_model():
    html = render(info())
    part = html.split('<section id="learning"')[1].split("</section>")[0]
    assert "6.2×" in part
    assert "[4.1, &gt; 16]" in part or "[4.1, > 16]" in part


def test_mistakes_show_why():
    for kind, sign in (
        ("image", 'class="heat"'),
        ("text", 'class="for s9"'),
        ("row", "whisker for"),
    ):
        html = render(info(), evidence(kind))
        assert sign in html.split('<section id="mistakes"')[1].split("</section>")[0]


def test_why_a_number_was_predicted_is_told_in_its_units():
    facts, told = numbers()
    columns = [{"name": "age", "value": 61.0, "weight": -12.5}]
    why = {"kind": "row", "method": "occlusion", "label": None, "columns": columns}
    told["mistakes"] = [{"item": 3, "preview": preview("row", 3), "explanation": why}]
    part = render(facts, told).split('<section id="mistakes"')[1].split("</section>")[0]
    assert "−12.5<" in part
    assert "in the units of the label" in part
    assert "points" not in part


@pytest.mark.parametrize("apart", [True, False, None])
def test_it_is_told_where_the_model_had_learnt_from_what_it_is_asked_about(apart):
    facts, told = numbers()
    columns = [{"name": "age", "value": 61.0, "weight": -12.5}]
    why = {"kind": "row", "method": "occlusion", "label": None, "columns": columns}
    told["mistakes"] = [{"item": 3, "preview": None, "explanation": why}]
    told["judged"]["apart"] = apart
    html = render(facts, told)
    for key, words in (
        ("mistakes", "has learnt from these items since"),
        ("importance", "learnt from the rows that are shuffled"),
    ):
        part = html.split(f'<section id="{key}"')[1].split("</section>")[0]
        assert (words in part) is (apart is False)


@pytest.mark.parametrize("apart", [True, False])
def test_a_sample_and_what_also_chose_are_called_so(apart):
    facts = evidence("text")
    judged = [one for one in facts["items"] if one.get("part") != "training"]
    facts["judged"] = {**facts["judged"], "n": 5_000, "apart": apart}
    html = render(info(), facts)
    assert f"A sample: {len(judged):,} of 5,000 judged items" in html
    assert ("flatter a little" in html) is not apart
    facts["judged"]["n"] = len(judged)
    assert "A sample:" not in render(info(), facts)


def test_copies_without_a_count_of_groups_make_a_whole_sentence():
    told = numbers()[1]
    pair = {"a": "x", "b": "y", "same": "exact", "labels": [], "across": False}
    told["duplicates"] = {"pairs": [pair], "items": 1}
    html = render(numbers()[0], told)
    assert "1 items repeat one another. Items" in html


def test_data_at_which_nobody_looked_are_not_called_sound():
    facts, told = numbers()
    html = render(facts, {**told, "findings": None, "duplicates": None, "skipped": []})
    part = html.split('<section id="findings"')[1].split("</section>")[0]
    assert "headstart check DATA" in part
    assert "Nothing odd" not in part


def test_many_mistakes_are_folded_away():
    told = evidence("image", 90)
    told["mistakes"] = [{**one, "item": i} for i, one in enumerate(told["mistakes"] * 3)]
    part = render(info(), told).split('<section id="mistakes"')[1].split("</section>")[0]
    assert part.count('class="card"') == 24
    assert part.split("<details")[0].count('class="card"') == 12
    assert "12 more" in part


def test_data_in_which_nothing_is_odd():
    part = render(info(), {"findings": [], "skipped": []}).split('<section id="findings"')[1]
    assert "Nothing odd was found." in part.split("</section>")[0]


def test_a_shift_is_told_with_its_columns_and_shares():
    shift = {
        "verdict": "label",
        "n_source": 280,
        "n_target": 289,
        "sentences": ["Label shift: the shares of the classes differ."],
        "features": [
            {"name": "age", "p_adjusted": 0.001, "difference": 3.83},
            {"name": "height", "p_adjusted": 0.4, "difference": -0.1},
        ],
        "label": {
            "counted": True,
            "shares": [{"name": "ill", "source": 0.5, "target": 0.2, "low": 0.1, "high": 0.33}],
        },
    }
    facts = info(extra={"adapted_by": "coral", "shift": shift, "judged_by": "60 items", "seed": 1})
    html = render(facts)
    part = html.split('<section id="shift"')[1].split("</section>")[0]
    for told in ("Label shift", "+3.83", "−0.10", "20.0", "source 50.0"):
        assert told in part
    assert "headstart transfer SOURCE_DATA TARGET_DATA --seed 1" in html


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "headstart fit DATA --shots 16 --metric accuracy --seed 7 -o MODEL"),
        (
            {"extra": {"seed": 2, "abstention": {"max_risk": 0.05}}},
            "headstart fit DATA --metric accuracy --max-risk 0.05 --seed 2 -o MODEL",
        ),
        (
            {"extra": {"seed": 2, "zero_shot": {"classes": []}}},
            "headstart fit DATA --classes CLASSES --seed 2 -o MODEL",
        ),
        (
            {"extra": {"seed": 0, "adapted_by": "em"}},
            "headstart adapt MODEL UNLABELLED --seed 0 -o MODEL2",
        ),
        (
            {"kind": "translation", "seed": 3, "extra": {}},
            "headstart fit DATA --task translation --seed 3 -o MODEL",
        ),
    ],
)
def test_how_to_make_it_again(changes, command):
    assert command in render(info(**changes))


def test_abstention_is_told():
    facts = info()
    facts["extra"]["abstention"] = {
        "max_risk": 0.05,
        "certified": True,
        "threshold": 0.8,
        "coverage": score("coverage", 0.7, 0.1),
        "risk_answered": score("risk", 0.02, 0.01),
        "judged": {"coverage": score("coverage", 0.68), "risk_answered": score("risk", 0.03)},
        "promise": "At most 5 % of its answers are wrong.",
    }
    html = render(facts)
    assert html.count("At most 5 % of its answers are wrong.") == 2
    assert "68.0" in html
    assert "5.0" in html


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place in nested values."""
    found = [at] if at else []
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, one in inner:
        found += paths(one, (*at, key))
    return found


def base() -> dict[str, Any]:
    told = evidence("text", 12)
    told["importance"] = [{"column": "age", "estimate": 0.2, "low": 0.1, "high": 0.3}]
    told["residuals"] = {"truth": [1.0, 2.0], "predicted": [1.5, 1.0]}
    told["mistakes"] = told["mistakes"][:1]
    return {"info": info(), "evidence": told, "timing": {"a": 1.0, "fit": 2.0}}


BASE = base()
PLACES = paths(BASE)
ODD = [None, "", "text", 0, -1, 1e308, -5.5, True, [], {}, [[]], [None], {"a": None}, [1, "a"]]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(ODD)), min_size=1, max_size=4))
def test_facts_of_another_form_are_left_out_not_a_crash(changes):
    told = copy.deepcopy(BASE)
    for place, value in changes:
        at: Any = told
        try:
            for key in place[:-1]:
                at = at[key]
            at[place[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    facts, kept, times = (told[key] if isinstance(told[key], dict) else {} for key in told)
    checked(render(facts, kept, timing=times))


def test_colours_of_the_map_are_kept_for_few_classes():
    few, many = render(*CASES["text"]()), render(*CASES["150 classes"]())
    for i in range(len(COLOURS)):
        assert f"item right c{i}" in few
    assert "item right c0" not in many
    assert '<select id="map-class">' in many
