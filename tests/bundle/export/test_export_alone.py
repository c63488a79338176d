"""An export by itself: its runner in a Python that has neither headstart nor torch."""

from __future__ import annotations

import ast
import csv
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tiny_models import items_of

from headstart.bundle.exporting.shipped import PACKAGE, REQUIRED, needs, runner_files
from headstart.bundle.runner import heads, open_export
from headstart.bundle.runner.command import main

_KEPT_OUT = ("headstart", "torch", "pandas", "sklearn", "scipy", "safetensors", "onnx", "pydantic")
_NAMES = {"numpy": "numpy", "onnxruntime": "onnxruntime", "tokenizers": "tokenizers"}
_BLOCKED = f"""
import runpy, sys
for name in {_KEPT_OUT!r}:
    sys.modules[name] = None
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(where, alone, *arguments):
    """Run the runner of an export, everything else of headstart kept out."""
    command = [sys.executable, "-W", "error", "-c", _BLOCKED, str(where / "runner.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=alone, check=False)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_texts_are_predicted_without_headstart(exported, alone):
    model, where = exported(("probe", "classification", "text"))
    texts = ["the quick brown fox", 'a "warm", film', "cancel"]
    ran = run(where, alone, *texts)
    assert (ran.returncode, ran.stderr) == (0, "")
    rows = rows_of(ran.stdout)
    assert [row["input"] for row in rows] == texts
    assert [row["label"] for row in rows] == model.predict(texts).tolist()
    found = [[float(row[f"p_{name}"]) for name in model.classes] for row in rows]
    assert np.abs(np.array(found) - model.predict_proba(texts)).max() < 1e-3


def test_pictures_and_tables_are_predicted_without_headstart(exported, alone, tmp_path):
    model, where = exported(("blend", "classification", "image"))
    pictures = [Image.fromarray(item) for item in items_of("image", 3, 1)]
    for place, picture in enumerate(pictures):
        picture.save(tmp_path / f"{place}.png")
    ran = run(where, alone, str(tmp_path), str(tmp_path / "1.png"))
    assert ran.stderr == ""
    want = model.predict(pictures).tolist()
    assert [row["label"] for row in rows_of(ran.stdout)] == [*want, want[1]]
    model, where = exported(("scratch", "regression", "table"))
    rows = items_of("table", 4, 2)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    ran = run(where, alone, str(tmp_path / "rows.csv"))
    assert ran.stderr == ""
    found = rows_of(ran.stdout)
    assert np.abs([float(row["label"]) for row in found] - model.predict(rows)).max() < 1e-6
    assert [row["confidence"] for row in found] == [""] * 4


def test_an_export_checks_itself(exported, alone):
    _, where = exported(("adapted", "classification", "text"))
    ran = run(where, alone, "--check")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("largest difference from the model that was exported: ")


def imported(text):
    """Return the packages that a module imports, and the modules of the runner."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("modality", ["text", "image", "table"])
def test_what_is_shipped_imports_what_is_there(modality):
    files = runner_files(modality, heads.FORMS)
    there = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files}
    outside = set()
    for path, text in files.items():
        assert "headstart." not in "".join(
            line for line in text.splitlines() if line.lstrip().startswith(("from ", "import "))
        ).replace(f"{PACKAGE}.", "")
        top = ast.parse(text).body
        for node in top:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                homes = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
                assert homes & there, (path, node.module)
        outside |= {
            name.split(".")[0]
            for node in top
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in imported(ast.unparse(node))
        }
    outside -= set(sys.stdlib_module_names) | {PACKAGE}
    assert outside <= {"numpy", *(["PIL"] if modality == "image" else [])}


def test_only_what_a_model_needs_is_shipped_and_asked_for():
    assert needs("table", {"arrays.safetensors"}) == {"numpy": REQUIRED["numpy"]}
    assert list(needs("text", {"model.onnx", "tokenizer.json"})) == [
        *("numpy", "onnxruntime", "tokenizers")
    ]
    assert list(needs("image", {"pictures.onnx"})) == ["numpy", "onnxruntime", "pillow"]
    plain = runner_files("text", {"linear"})
    assert not [path for path in plain if "images" in path or "gallery" in path or "tree" in path]


def test_the_directory_tells_what_it_is(exported):
    _, where = exported(("probe", "classification", "image"))
    read_me = (where / "README.md").read_text("utf-8")
    assert "python runner.py photo.jpg" in read_me
    assert "tiny-image, licence CC0-1.0" in read_me
    docker = (where / "Dockerfile").read_text("utf-8")
    assert "USER app" in docker
    assert "HEALTHCHECK" in docker
    assert "torch" not in docker.replace("No torch", "")
    asked = (where / "requirements.txt").read_text("utf-8").split()
    assert asked == ["numpy>=1.26", "onnxruntime>=1.20", "pillow>=10.1"]


def test_the_command_reads_files_of_texts(exported, tmp_path, capsys):
    _, where = exported(("probe", "classification", "text"))
    (tmp_path / "lines.txt").write_text("the fox\n\ncancel my order\n", "utf-8")
    (tmp_path / "one.csv").write_text("words\nthe dog\n", "utf-8")
    (tmp_path / "two.csv").write_text("words,text\n1,the dog\n", "utf-8")
    (tmp_path / "odd.tsv").write_text("a\tb\n1\tthe dog\n", "utf-8")
    names = [str(tmp_path / name) for name in ("lines.txt", "one.csv", "two.csv")]
    assert main(names, directory=where) == 0
    assert len(rows_of(capsys.readouterr().out)) == 4
    assert main([str(tmp_path / "odd.tsv"), "--text", "b"], directory=where) == 0
    assert main([str(tmp_path / "odd.tsv")], directory=where) == 2
    assert "name it: --text COLUMN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("modality", "given", "said"),
    [
        ("text", [], "nothing to predict"),
        ("table", ["rows.xlsx"], "not a table"),
        ("table", ["nowhere.csv"], "cannot be read"),
        ("image", ["nowhere.png"], "cannot open the image"),
    ],
)
def test_the_command_says_what_it_cannot_use(modality, given, said, exported, capsys):
    name = {"table": "scratch"}.get(modality, "probe")
    assert main(given, directory=exported((name, "classification", modality))[1]) == 2
    assert said in capsys.readouterr().err


def test_a_cell_that_is_too_long_is_told(exported, tmp_path, capsys):
    (tmp_path / "long.csv").write_text("a" * 200_000, "utf-8")
    where = exported(("scratch", "classification", "table"))[1]
    assert main([str(tmp_path / "long.csv")], directory=where) == 2
    assert "cannot be read: field larger" in capsys.readouterr().err


def test_items_that_are_none_are_told(exported):
    from headstart.core.errors import DataError, OptionError

    text = open_export(exported(("probe", "classification", "text"))[1])
    image = open_export(exported(("probe", "classification", "image"))[1])
    with pytest.raises(OptionError, match="put a single one into a list"):
        text.predict("a text")
    with pytest.raises(OptionError, match="not a list of images"):
        image.predict(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match="item 1: not a text"):
        text.predict(["a", 3])
    with pytest.raises(DataError, match="item 0: not an image"):
        image.predict([3])
    with pytest.raises(DataError, match=r"items\[1\]: this is not an image"):
        image.predict([np.zeros((40, 40, 3), np.uint8), b"no picture"])


def test_a_model_of_numbers_has_no_probabilities(exported):
    from headstart.core.errors import OptionError

    opened = open_export(exported(("majority", "regression", "text"))[1])
    with pytest.raises(OptionError, match="numbers, not classes"):
        opened.predict_proba(["a"])
    with pytest.raises(OptionError, match="uses no source"):
        opened.features(["a"])
    assert repr(opened) == "<headstart export: majority, text regression>"
