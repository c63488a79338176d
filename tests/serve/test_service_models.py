"""Real models behind the service: bundles of every modality, and exports without torch."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from service_fakes import Asker

from headstart.core.errors import BundleError, OptionError
from headstart.serve import open_predictor
from headstart.serve.predictor import SequencePredictor, headline

sys.path.append(str(Path(__file__).parent.parent / "bundle"))


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")


def saved(case, where):
    from tiny_models import contents_of

    from headstart import bundle

    return bundle.save(where, contents_of(case))


@pytest.mark.parametrize(
    "case",
    [
        ("probe", "classification", "text"),
        ("scratch", "classification", "table"),
        ("scratch", "regression", "table"),
        ("majority", "classification", "image"),
    ],
    ids="-".join,
)
def test_bundles_answer_as_they_do_in_python(case, tmp_path):
    from tiny_models import items_of

    from headstart import bundle

    path = saved(case, tmp_path / "model")
    items = items_of(case[2], 5, seed=3)
    want = bundle.load(path).predict_frame(items)
    if case[2] == "table":
        rows = items.astype(object).where(items.notna(), None).to_dict("records")
        body = {"json": {"items": rows}}
    elif case[2] == "image":
        import io

        from PIL import Image

        files = []
        for item in items:
            buffer = io.BytesIO()
            Image.fromarray(item).save(buffer, "PNG")
            files.append(("files", ("a.png", buffer.getvalue())))
        body = {"files": files}
    else:
        body = {"json": {"items": items}}
    answer = asyncio.run(Asker(open_predictor(path)).post(**body))
    assert answer.status_code == 200, answer.text
    made = answer.json()["predictions"]
    if case[1] == "regression":
        assert np.allclose([one["label"] for one in made], want["label"], rtol=1e-6)
        return
    assert [one["label"] for one in made] == list(want["label"])
    assert np.allclose([one["confidence"] for one in made], want["confidence"], atol=1e-5)
    for name, share in made[0]["probabilities"].items():
        assert share == pytest.approx(want[f"p_{name}"][0], abs=1e-5)


def test_answers_do_not_depend_on_the_batch(tmp_path):
    from tiny_models import items_of

    predictor = open_predictor(saved(("probe", "classification", "text"), tmp_path / "model"))
    items = items_of("text", 20, seed=5)
    together = predictor.predict(items)
    for item, one in zip(items, together, strict=True):
        alone = predictor.predict([item])[0]
        assert alone.label == one.label
        assert np.allclose(alone.probabilities, one.probabilities, atol=2e-3)


WITHOUT = """
import asyncio, sys
sys.path.insert(0, sys.argv[2])
from headstart.serve import open_predictor
from service_fakes import Asker
asker = Asker(open_predictor(sys.argv[1]))
answer = asyncio.run(asker.post(json={"items": ["a warm film", "the fox"]}))
assert answer.status_code == 200, answer.text
assert asker.service.info()["drift"]["tests"] == []
assert asyncio.run(asker.post("/explain", json={"text": "a"})).status_code == 501
heavy = {"torch", "pandas", "sklearn", "scipy", "transformers"} & set(sys.modules)
assert not heavy, heavy
"""


def test_exports_are_served_without_torch(tmp_path):
    from headstart import bundle

    path = saved(("scratch", "classification", "text"), tmp_path / "model")
    bundle.export(path, tmp_path / "export")
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "export"), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_no_model(tmp_path):
    with pytest.raises(BundleError):
        open_predictor(tmp_path)


def test_tasks_that_are_not_served():
    class Odd:
        class manifest:  # noqa: N801
            task, modality, digest = "dreaming", "text", "abc"

    with pytest.raises(OptionError, match="cannot be served"):
        SequencePredictor(Odd())


def test_headlines():
    score = {"metric": "macro_f1", "estimate": 0.5, "low": 0.4, "high": 0.6, "n": 1200}
    info = {"modality": "image", "kind": "classification", "classes": ["a", "b"], "score": score}
    assert headline(info) == (
        "Tells pictures apart by 2 classes: macro f1 0.500 [0.400, 0.600], measured on 1,200 items."
    )
    number = {"modality": "table", "kind": "regression", "classes": [], "label": "price"}
    assert headline(number) == "Estimates price of rows."
