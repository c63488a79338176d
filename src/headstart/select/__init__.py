"""The select room: numbers in, a choice or a veto out. It reads no files."""

from __future__ import annotations

from headstart.select.choose import Choice, choose
from headstart.select.corrected import Corrected, corrected
from headstart.select.guard import Guarded, guard, veto

__all__ = ["Choice", "Corrected", "Guarded", "choose", "corrected", "guard", "veto"]
