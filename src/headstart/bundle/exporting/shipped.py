"""What is shipped beside a model: the runner, README.md, requirements.txt and a Dockerfile.

The runner is headstart's own: its modules, and those that they need, are copied with the name of
the package changed, and nothing else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from importlib.resources import files
from typing import Any

from headstart._version import __version__
from headstart.bundle.manifest import Manifest
from headstart.bundle.runner.files import ARRAYS, MANIFEST, NETWORK, PICTURES, TOKENIZER
from headstart.core.types import Modality

PACKAGE = "headstart_runner"
RUNNER = "runner.py"
REQUIRED: Mapping[str, str] = {
    "numpy": "1.26",
    "onnxruntime": "1.20",
    "tokenizers": "0.20",
    "pillow": "10.1",
}
"""The oldest versions that an export was tested with."""
SERVICE = (
    *("fastapi", "httptools", "prometheus-client", "python-multipart", "uvicorn", "uvloop"),
    *("rich", "typer"),
)
"""What ``headstart serve`` needs besides, of an export."""
_ALWAYS = ("headstart.bundle.runner", "headstart.bundle.runner.command")
_LATE: Mapping[str, tuple[str, ...]] = {
    "image": ("headstart.encode.crop", "headstart.data.images"),
    "ngrams": ("headstart.bundle.runner.ngrams",),
    "descriptors": ("headstart.strategies.descriptors",),
    "trees": ("headstart.strategies.trees",),
    "adapted": ("headstart.strategies.adaptation.forms",),
    "enrolled": ("headstart.strategies.gallery",),
}
"""What is imported when it is first used, by the modality or the form of model that uses it."""
_IMPORT = re.compile(r"^(\s*(?:from|import) )headstart\b", re.MULTILINE)
_MARK = f'"""A part of headstart {__version__}, shipped with an exported model."""\n'
_SCRIPT = f'''"""Predict with the exported model of this directory: python runner.py INPUT..."""

from pathlib import Path

from {PACKAGE}.bundle.runner import Model, open_export

__all__ = ["Model", "open_export"]

if __name__ == "__main__":
    from {PACKAGE}.bundle.runner.command import main

    raise SystemExit(main(directory=Path(__file__).parent))
'''


def needs(modality: Modality, present: Collection[str]) -> dict[str, str]:
    """Return the packages that an export needs, with the oldest version of each."""
    names = ["numpy"]
    if NETWORK in present or PICTURES in present:
        names.append("onnxruntime")
    if TOKENIZER in present:
        names.append("tokenizers")
    if modality == "image":
        names.append("pillow")
    return {name: REQUIRED[name] for name in names}


def shipped(m: Manifest, present: Collection[str], head: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the files beside the model's own, by their names.

    Parameters
    ----------
    m : Manifest
        Of the bundle.
    present : collection of str
        The model's own files.
    head : mapping
        The node of the model, see ``headstart.bundle.runner.heads``.
    """
    needed = needs(m.modality, present)
    listed = "".join(f"{name}>={version}\n" for name, version in needed.items())
    made = {
        RUNNER: _SCRIPT,
        "requirements.txt": listed,
        "README.md": _readme(m, needed, present),
        "Dockerfile": _dockerfile(),
        **runner_files(m.modality, forms_of(head)),
    }
    return {name: text.encode() for name, text in made.items()}


def forms_of(head: Mapping[str, Any]) -> set[str]:
    """Return the forms of a node and of its parts."""
    below = [head[name] for name in ("base", "scratch", "transfer") if name in head]
    return {str(head["form"])}.union(*map(forms_of, below))


def runner_files(modality: Modality, forms: Collection[str]) -> dict[str, str]:
    """Return the modules of the runner that a model needs, by their paths in an export.

    Parameters
    ----------
    modality : {"text", "image", "table"}
    forms : collection of str
        Of its parts, see ``headstart.bundle.runner.heads``.
    """
    found: dict[str, str] = {}
    waiting = [*_ALWAYS]
    for name in (modality, *sorted(forms)):
        waiting += _LATE.get(name, ())
    while waiting:
        name = waiting.pop()
        path, text = _source(name)
        if path in found:
            continue
        found[path] = _IMPORT.sub(rf"\g<1>{PACKAGE}", text)
        waiting += _imported(text)
    for path in list(found):
        folders = path.split("/")[1:-1]
        for depth in range(len(folders) + 1):
            blank = "/".join([PACKAGE, *folders[:depth], "__init__.py"])
            found.setdefault(blank, _MARK)
    return dict(sorted(found.items()))


def _source(name: str) -> tuple[str, str]:
    """Return the path of a module in an export, and its source."""
    parts = name.split(".")
    home = files("headstart").joinpath(*parts[1:])
    if home.is_dir():
        return "/".join([PACKAGE, *parts[1:], "__init__.py"]), home.joinpath(
            "__init__.py"
        ).read_text("utf-8")
    text = files("headstart").joinpath(*parts[1:-1], f"{parts[-1]}.py").read_text("utf-8")
    return "/".join([PACKAGE, *parts[1:-1], f"{parts[-1]}.py"]), text


def _imported(text: str) -> Iterator[str]:
    """Yield the modules of headstart that a module imports when it is itself imported."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headstart."):
            for alias in node.names:
                below = f"{node.module}.{alias.name}"
                yield below if _exists(below) else str(node.module)


def _exists(name: str) -> bool:
    *folders, last = name.split(".")[1:]
    return files("headstart").joinpath(*folders, f"{last}.py").is_file()


def _readme(m: Manifest, needed: Mapping[str, str], present: Collection[str]) -> str:
    example = {
        "text": '"a text in quotes" "and another"',
        "image": "photo.jpg",
        "table": "rows.csv",
        "audio": "",
    }[m.modality]
    what = f"{m.modality} {m.kind}"
    lines = [
        f"# An exported model: {what}",
        "",
        f"Made by headstart {__version__} from the saved model `{m.digest[:12]}` "
        f"(strategy `{m.strategy}`). It runs with {', '.join(needed)} alone; torch is not needed.",
        "",
        "```sh",
        "python -m venv venv && . venv/bin/activate",
        "pip install -r requirements.txt",
        f"python runner.py {example}",
        "python runner.py --check    # does it still predict what the model predicted?",
        "```",
        "",
        "In Python, with this directory on the path:",
        "",
        "```python",
        "from runner import Model",
        f'model = Model("{"."}")',
        f"labels, probabilities, confidence, abstained = model.answer([{_item(m)}])",
        "```",
        "",
        "| file | what it is |",
        "|---|---|",
    ]
    about = {
        NETWORK: "the pretrained source, with what was tuned in it",
        PICTURES: "the small network that was trained without a source",
        TOKENIZER: "how texts become tokens",
        ARRAYS: "the model on top, what calibrates it, golden inputs and outputs",
    }
    lines += [f"| `{name}` | {about[name]} |" for name in about if name in present]
    lines += [
        f"| `{MANIFEST}` | classes, columns, how items are read, sizes and sha256 of the above |",
        f"| `{RUNNER}`, `{PACKAGE}/` | what runs it: modules of headstart, copied |",
        "| `Dockerfile` | a container that serves it, without torch |",
        "",
    ]
    if m.classes:
        shown = ", ".join(f"`{name}`" for name in m.classes[:20])
        more = f" and {len(m.classes) - 20} more" if len(m.classes) > 20 else ""
        lines += [f"Classes: {shown}{more}.", ""]
    if m.source is not None:
        lines += [f"Source: {m.source.name}, licence {m.source.licence}.", ""]
    return "\n".join(lines)


def _item(m: Manifest) -> str:
    if m.modality == "table":
        cells = ", ".join(f'"{column.name}": ...' for column in m.columns[:3])
        return "{" + cells + (", ..." if len(m.columns) > 3 else "") + "}"
    return '"a text"' if m.modality == "text" else '"photo.jpg"'


def _dockerfile() -> str:
    return f"""# Serves the exported model of this directory. No torch.
#   docker build -t model . && docker run -p 8000:8000 -e HEADSTART_API_KEY=... model
FROM python:3.12-slim
WORKDIR /model
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt {" ".join(SERVICE)} \\
 && pip install --no-cache-dir --no-deps headstart=={__version__} \\
 && useradd --create-home --uid 10001 app
COPY . ./
USER app
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \\
  ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz')"]
CMD ["headstart", "serve", "/model", "--host", "0.0.0.0", "--port", "8000"]
"""
