"""The options that several verbs share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart.core.types import Modality as Names

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but the result.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Same seed: same numbers.", min=0)]
Label = Annotated[str | None, typer.Option("--label", help="The label column.", metavar="COL")]
Text = Annotated[str | None, typer.Option("--text", help="The text column.", metavar="COL")]
PathColumn = Annotated[
    str | None, typer.Option("--path", help="The column of file paths.", metavar="COL")
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="COL",
        help="Column whose equal values stay together (a patient, a slide, a film). "
        "For a folder: a regular expression searched in each file's path.",
    ),
]
Modality = Annotated[
    Names | None, typer.Option("--modality", help="image, text, audio or table.", metavar="NAME")
]
Unreadable = Annotated[
    float,
    typer.Option(
        "--allow-unreadable",
        metavar="SHARE",
        min=0.0,
        max=1.0,
        help="Share of items that may be unreadable.",
    ),
]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model saved by fit.")]
TargetLabels = Annotated[
    str | None,
    typer.Option(
        "--target-labels",
        metavar="FILE",
        help="Labels of some target items: a table of two columns, the item (its row, its path or "
        "its text) and its label. Thirty to a hundred judge.",
    ),
]
Items = Annotated[
    bool,
    typer.Option(
        "--items/--no-items",
        help="Keep small previews of up to 1,000 items in the model, for its report.",
    ),
]
