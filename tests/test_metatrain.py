"""Meta-training from end to end, on tiny pictures and texts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import headstart as hs
from headstart.core.errors import DataError, OptionError, SourceError, UnknownNameError
from headstart.meta.train import meta_train
from headstart.sources import directory

QUICK = {"ways": 2, "steps": 4, "episodes": 10, "size": 16, "width": 4, "budget": "60s"}


def signs(classes: int = 8, each: int = 8, seed: int = 0):
    """Noisy grey pictures, each class a pattern of its own."""
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 2, size=(classes, 4, 4)).repeat(4, axis=1).repeat(4, axis=2) * 200
    noise = rng.integers(0, 55, size=(classes, each, 16, 16))
    pictures = (patterns[:, None] + noise).astype(np.uint8)
    return list(pictures.reshape(-1, 16, 16)), [
        f"s{c}" for c in range(classes) for _ in range(each)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("signs") / "signs"
    pictures, labels = signs()
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        (place / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / label / f"{number}.png")
    return place


@pytest.fixture(scope="module", autouse=True)
def no_sources(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(tmp_path_factory.mktemp("empty")))
        patch.setenv("HEADSTART_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def result(folder, no_sources):
    return hs.metatrain(folder, **QUICK)


def test_it_reports_rfs_beside_and_pixels(result):
    assert [row.name for row in result.rows] == ["protonet", "rfs", "pixels"]
    assert result.chosen in ("protonet", "rfs")
    for row in result.rows:
        assert set(row.as_source) == {1, 5}
        assert row.as_source[1].n == 10
    assert result.row("rfs").over_rfs == {}
    assert result.counts == {"train": 4, "validation": 2, "test": 2}


def test_the_source_loads_by_its_path_and_fits(result, folder, tmp_path):
    result.save(tmp_path / "mine")
    card = hs.sources.card(str(tmp_path / "mine"))
    assert "'signs'" in card.licence
    assert not card.permissive
    assert card.origin["method"] == result.chosen
    assert json.loads((tmp_path / "mine" / "report.json").read_text())["chosen"] == result.chosen
    fitted = hs.fit(folder, source=str(tmp_path / "mine"), strategy="probe", shots=3)
    assert fitted.chosen.source == str(tmp_path / "mine")
    fitted.save(tmp_path / "model")
    picture = str(next((folder / "s3").iterdir()))
    assert hs.load(tmp_path / "model").predict([picture])[0] == "s3"


def test_every_strategy_that_tunes_takes_the_new_source(result, tmp_path):
    result.save(tmp_path / "mine")
    pictures, labels = signs(2, 8, seed=1)
    given = {"source": str(tmp_path / "mine"), "epochs": 1, "validation": 0.0}
    for name in ("FineTune", "BitFit"):
        model = getattr(hs.strategies, name)(**given).fit(pictures, labels)
        assert len(model.predict(pictures)) == 16
    with pytest.raises(OptionError, match="no linear layer or 1x1 convolution for LoRA"):
        hs.strategies.LoRA(**given).fit(pictures, labels)


def test_the_same_seed_gives_the_same_bytes(result, folder, tmp_path):
    result.save(tmp_path / "one" / "mine")
    hs.metatrain(folder, **QUICK).save(tmp_path / "two" / "mine")
    for file in (tmp_path / "one" / "mine").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / "mine" / file.name).read_bytes()
    other = hs.metatrain(folder, **QUICK, seed=1)
    assert other.counts == result.counts
    assert other.row("rfs").as_source != result.row("rfs").as_source


@pytest.mark.parametrize("method", ["anil", "fomaml", "maml", "reptile", "rfs-distill"])
def test_each_method_trains_and_is_written_when_named(folder, method):
    found = hs.metatrain(folder, method=method, **QUICK)
    assert found.chosen == method
    assert [row.name for row in found.rows] == [method, "rfs", "pixels"]
    assert found.row(method).trained.steps == 4
    assert set(found.row(method).own) == {1, 5}
    assert found.row(method).own_over_rfs[1].n == found.row(method).own[1].n


def test_training_teaches(folder):
    found = hs.metatrain(folder, **QUICK | {"steps": 60})
    assert max(row.validation for row in found.rows if row.trained) >= 0.9
    history = found.row("protonet").trained.history
    assert history[-1]["loss"] < 0.8 * history[1]["loss"]


def test_a_folder_of_tasks_is_split_by_tasks(tmp_path):
    for task in range(5):
        pictures, labels = signs(3, 4, seed=task)
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            place = tmp_path / "tasks" / f"t{task}" / label
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(place / f"{number}.png")
    found = hs.metatrain(tmp_path / "tasks", rotate=True, **QUICK)
    assert found.tasks == {"train": 3, "validation": 1, "test": 1}
    assert found.counts == {"train": 36, "validation": 3, "test": 3}
    (tmp_path / "tasks" / "t3" / "s0" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"task 't3'.*0\.png"):
        hs.metatrain(tmp_path / "tasks", **QUICK)


def test_tables_of_texts_start_from_the_default_source(weights, tmp_path):
    subjects = ["horses", "soup", "trains", "rain", "chess", "violins", "banks", "roses"]
    for task in range(3):
        rows = [
            f"{verb} {subject} number {task},{subject}"
            for subject in subjects[task : task + 5]
            for verb in ("I like", "we saw", "they sell", "nobody talks of")
        ]
        text = "\n".join(["text,topic", *rows])
        (tmp_path / f"task{task}.csv").write_text(text)
    tasks = {f"t{i}": tmp_path / f"task{i}.csv" for i in range(3)}
    found = hs.metatrain(tasks, ways=3, steps=3, episodes=10, label="topic", text="text")
    assert {"frozen", "protonet", "rfs"} == {row.name for row in found.rows}
    assert "minilm" in " ".join(map(str, found.decisions))
    found.save(tmp_path / "mine")
    assert hs.sources.load(str(tmp_path / "mine")).card.modality == "text"


def test_a_source_of_its_own_is_a_start(result, folder, tmp_path):
    result.save(tmp_path / "mine")
    options = {key: value for key, value in QUICK.items() if key not in ("size", "width")}
    found = hs.metatrain(folder, source=str(tmp_path / "mine"), depth=1, **options)
    assert [row.name for row in found.rows] == ["frozen", "protonet", "rfs"]
    before = hs.sources.load(str(tmp_path / "mine")).tensors()
    after = found.backbone.tensors()
    kept = [name for name in before if not name.startswith("blocks.3")]
    assert all(np.array_equal(before[name], after[name]) for name in kept)
    with pytest.raises(OptionError, match="a source has its own"):
        hs.metatrain(folder, source=str(tmp_path / "mine"), size=32)
    with pytest.raises(OptionError, match="not so many blocks"):
        hs.metatrain(folder, source=str(tmp_path / "mine"), depth=9)
    with pytest.raises(OptionError, match="this source is for images"):
        hs.metatrain({"a": (["x", "y"] * 3, ["1", "2"] * 3)}, source=str(tmp_path / "mine"))


def test_the_untouched_source_is_written_where_no_method_is_better(folder, tmp_path, monkeypatch):
    start = hs.metatrain(folder, **QUICK)
    start.save(tmp_path / "good")
    monkeypatch.setattr("headstart.meta.learners.Learner.tuning_rate", 1.0)  # ruins what it touches
    options = {key: value for key, value in QUICK.items() if key not in ("size", "width")}
    found = hs.metatrain(folder, source=str(tmp_path / "good"), **options)
    assert found.chosen == "frozen"
    before, after = hs.sources.load(str(tmp_path / "good")).tensors(), found.backbone.tensors()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_measuring_does_not_look_at_the_items_beside(result):
    """No batch statistics: an item has the same features alone and among others."""
    import torch

    batch = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together, alone = result.backbone(batch), result.backbone(batch[:1])
    assert torch.allclose(together[:1], alone, atol=1e-6)
    assert not result.backbone.training


def test_a_budget_is_kept(folder):
    quick = QUICK | {"steps": 1_000_000, "budget": 6}
    found = hs.metatrain(folder, **quick)
    assert found.seconds < 20
    assert all(row.trained.steps < 1_000_000 for row in found.rows if row.trained)


def test_a_clock_that_runs_out_stops_and_keeps_the_best(folder):
    from headstart.core.types import SILENT
    from headstart.meta import Plan, Run, read_collection
    from headstart.meta.start import start_from

    collection = read_collection(folder)
    base, _ = start_from(collection, None, size=16, width=4, seed=0)
    run = Run(collection, base, Plan(ways=2, episodes=10, steps=5), scratch=True, depth=None)
    learner = run._learner("protonet")
    ticks = iter(range(1000))
    trained = meta_train(
        learner, run.valid, seconds=3.0, name="", reporter=SILENT, clock=lambda: float(next(ticks))
    )
    assert trained.steps < 5
    assert trained.why == "the time is up"


def test_a_loss_that_is_no_number_ends_it(folder, monkeypatch):
    monkeypatch.setattr("headstart.meta.learners.RFS.step", lambda self: float("nan"))
    with pytest.raises(OptionError, match="diverged"):
        hs.metatrain(folder, method="rfs", **QUICK)


def test_what_cannot_be_is_refused(folder, tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'reptile'"):
        hs.metatrain(folder, method="reptil")
    with pytest.raises(DataError, match="--ways 2"):
        hs.metatrain(folder, ways=3)
    with pytest.raises(OptionError, match="not a length of time"):
        hs.metatrain(folder, budget="soon")
    with pytest.raises(DataError, match="no such file or folder"):
        hs.metatrain(tmp_path / "nothing")
    with pytest.raises(SourceError):
        hs.metatrain(folder, ways=2, source="efficientnet-lite0")  # not here, and offline
    with pytest.raises(DataError, match=r"task 'b'"):
        hs.metatrain({"a": signs(3), "b": (signs(1)[0], signs(1)[1]), "c": signs(3)}, ways=2)
    with pytest.raises(DataError, match="different modalities"):
        hs.metatrain({"a": signs(2), "b": (["x", "y"] * 3, ["1", "2"] * 3)}, ways=2)
    table = [[float(i), float(i % 3)] for i in range(12)]
    with pytest.raises(OptionError, match="images and texts"):
        hs.metatrain((np.array(table), ["a", "b"] * 6), ways=2)
    prices = (["a b", "c d", "e f"] * 4, [0.5 * i for i in range(12)])
    with pytest.raises(OptionError, match="tasks with classes"):
        hs.metatrain(prices, ways=2)


def test_a_part_of_a_source_is_no_start(result, folder, weights, tmp_path):
    options = {key: value for key, value in QUICK.items() if key not in ("size", "width")}
    labels = [name for name in "abcdef" for _ in range(6)]
    texts = [f"{name} {number}" for number, name in enumerate(labels)]
    with pytest.raises(OptionError, match=r"whole source.*--source minilm$"):
        hs.metatrain((texts, labels), source="minilm@layer2", **options)
    result.save(tmp_path / "mine")
    with pytest.raises(OptionError, match=r"whole source.*--source \S*mine$"):
        hs.metatrain(folder, source=f"{tmp_path / 'mine'}@block2", **options)


def test_an_interrupted_run_leaves_nothing(result, tmp_path, monkeypatch):
    def stop(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(directory.json, "dumps", stop)
    with pytest.raises(KeyboardInterrupt):
        result.save(tmp_path / "place" / "mine")
    assert list((tmp_path / "place").iterdir()) == []
