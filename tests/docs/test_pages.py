"""The pages say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from headstart.cli.app import build
from headstart.cli.verbs import VERBS
from headstart.evaluate import METRICS
from headstart.select.domain_plan import EXTRAS
from headstart.strategies import STRATEGIES, StrategySpec
from headstart.strategies.adaptation import ADAPTERS, NUMBER_ADAPTERS, AdapterSpec
from headstart.strategies.source_free import SOURCE_FREE

DOCS = Path(__file__).resolve().parents[2] / "docs"
MODALITIES = ("image", "text", "audio", "table")
KINDS = ("classification", "regression")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """Return the text of a page under ``## heading``."""
    return re.split(r"^## ", page(name).split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


def row(spec: StrategySpec) -> str:
    """Return the row that the table of strategies.md must have for a strategy."""
    able = [one for one in MODALITIES if any(spec.supports(kind, one) for kind in KINDS)]
    kinds = [kind for kind in KINDS if any(spec.supports(kind, one) for one in MODALITIES)]
    names = dict.fromkeys(path.split(":")[1] for path in spec.classes.values())
    cells = (
        f"`{spec.name}`",
        spec.summary,
        ", ".join(able),
        ", ".join(kinds),
        "yes" if spec.uses_source else "no",
        ", ".join(f"`{name}`" for name in names),
        spec.paper or "-",
    )
    return f"| {' | '.join(cells)} |"


def test_the_table_of_strategies_is_what_the_code_says():
    shown = [line for line in page("strategies.md").splitlines() if line.startswith("| `")]
    assert shown == [row(spec) for spec in STRATEGIES.values() if spec.classes]


def adapter_row(spec: AdapterSpec) -> str:
    """Return the row that the table of domain-adaptation.md must have for an adapter."""
    needs = [
        "labels of the target" * spec.needs_labels,
        "several source domains" * spec.several,
        f"`headstart[{EXTRAS.get(spec.requires)}]`" * bool(spec.requires),
    ]
    said = ", ".join(filter(None, needs))
    return f"| `{spec.name}` | {spec.summary}{f' (needs {said})' * bool(said)} | {spec.assumes} |"


def test_the_tables_of_adapters_are_what_the_code_says():
    shown = [line for line in page("domain-adaptation.md").splitlines() if line.startswith("| `")]
    ways = [f"| `{one.name}` | {one.summary} | {one.assumes} |" for one in SOURCE_FREE.values()]
    every = [*ADAPTERS.values(), *NUMBER_ADAPTERS.values()]
    assert shown == [*map(adapter_row, every), *ways]


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_stands_in_the_section_of_its_verb(verb):
    options = {
        name
        for parameter in typer.main.get_command(build()).commands[verb].params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    } | {"--help"}
    shown = set(re.findall(r"`(--?[a-z][a-z-]*)[ `]", section("command-line.md", verb)))
    assert shown == options


def test_every_metric_is_named():
    assert all(f"`{name}`" in page("command-line.md") for name in METRICS)


def test_links_between_pages_lead_somewhere():
    for path in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            assert target.startswith("https://") or (path.parent / target).exists(), target


def test_environment_variables_are_those_the_code_reads():
    source = DOCS.parent / "src" / "headstart"
    text = "".join(path.read_text(encoding="utf-8") for path in source.rglob("*.py"))
    read = set(re.findall(r"environ[^\n]*?\"(HEADSTART_[A-Z_]+)\"", text))
    assert read <= set(re.findall(r"`(HEADSTART_[A-Z_]+)`", page("command-line.md")))
