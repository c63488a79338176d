"""The report room: what was measured in, one HTML file out. It computes no statistics."""

from __future__ import annotations

from headstart.report.page import render
from headstart.report.write import check_target, write

__all__ = ["check_target", "render", "write"]
