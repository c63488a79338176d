"""docs/export.md shows what is exported, from the same table that exports."""

from __future__ import annotations

from pathlib import Path

from headstart.bundle.exporting.heads import table_row
from headstart.strategies import STRATEGIES

PAGE = Path(__file__).parents[3] / "docs" / "export.md"


def test_the_page_names_every_strategy():
    shown = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    rows = [table_row(n) for n, spec in STRATEGIES.items() if set(spec.modalities) - {"audio"}]
    assert shown == rows
