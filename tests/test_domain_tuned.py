"""Adapters that change the weights of a source, through the front door and in bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import headstart as hs
from headstart.cli.app import run
from headstart.core.errors import OptionError
from headstart.core.types import State
from headstart.domain_transfer import transfer_from
from headstart.select import domain_items
from headstart.sources import directory
from headstart.sources.conv4 import untrained
from headstart.strategies.adaptation import ADAPTERS, make

SIZE = 16


def bars(n: int, seed: int, faint: bool = False) -> tuple[list[Image.Image], list[str]]:
    """Return bars, upright or lying, on noise; faint ones are paler and lighter."""
    rng = np.random.default_rng(seed)
    images, labels = [], []
    for row in range(n):
        pixels = rng.integers(0, 60, (SIZE, SIZE, 3))
        at = int(rng.integers(2, SIZE - 4))
        bar = (slice(at, at + 3), slice(None))[:: 1 if row % 2 else -1]
        pixels[bar] += 150
        pixels = pixels * 0.5 + 90 if faint else pixels
        images.append(Image.fromarray(pixels.astype(np.uint8)))
        labels.append(("lying", "upright")[row % 2])
    return images, labels


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    backbone = untrained(size=SIZE, width=4, generator=torch.Generator().manual_seed(0))
    directory.write(backbone, folder / "conv4", card=backbone.card)
    for name, faint, seed in (("source", False, 0), ("target", True, 1)):
        images, labels = bars(48, seed, faint)
        (folder / name).mkdir()
        for at, (image, label) in enumerate(zip(images, labels, strict=True)):
            inside = folder / name / label if name == "source" else folder / name
            inside.mkdir(exist_ok=True)
            image.save(inside / f"{at:02}.png")
    rows = {"path": [f"{at:02}.png" for at in range(48)], "label": bars(48, 1, True)[1]}
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Few passes: what is tested is the way through the house, not how well it learns."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    monkeypatch.setattr(
        domain_items.Tunable,
        "made",
        lambda both, one: one.set_params(
            source=both.backbone, epochs=2, batch=16, augment=0.0, crop=1.0, precision="float32"
        ),
    )


def test_each_deep_adapter_has_one_that_tunes_the_source() -> None:
    deep = {name for name, spec in ADAPTERS.items() if spec.family == "deep"}
    tuned = {name: spec for name, spec in ADAPTERS.items() if spec.tunes}
    assert set(tuned) == {f"tuned-{name}" for name in deep}
    for name, spec in tuned.items():
        model = make(name, random_state=3)
        assert model.method == name.removeprefix("tuned-")
        assert model.random_state == 3
        assert not spec.raced  # it takes long, and nothing but the guard vouches for it


@pytest.mark.usefixtures("quick")
def test_a_named_one_is_handed_back_and_its_bundle_holds_what_changed(
    here: Path, tmp_path: Path
) -> None:
    result = transfer_from(
        here / "source", here / "target", source=str(here / "conv4"), strategy="tuned-mcc"
    )
    assert result.chosen.strategy == "tuned-mcc"
    told = " ".join(map(str, result.decisions))
    assert "the guard would say" in told
    saved = hs.load(result.save(tmp_path / "model"))
    items = [here / "target" / f"{at:02}.png" for at in range(48)]
    assert np.array_equal(saved.predict_proba(items), result.predict_proba(items))
    assert saved.manifest.strategy == "finetune"
    assert saved.info["extra"]["adapted_by"] == "tuned-mcc"
    changed = [name for name in saved.state.arrays if name.startswith("tuned.")]
    assert any("conv.weight" in name for name in changed)
    alone = result.save(tmp_path / "alone", standalone=True)
    assert np.array_equal(hs.load(alone).predict_proba(items), result.predict_proba(items))
    again = hs.adapt(alone, here / "target", strategy="t3a")  # its head can be adapted again
    assert again.before.manifest.strategy == "finetune"


@pytest.mark.usefixtures("quick")
def test_where_it_steps_back_that_is_why_it_is_handed_back_so(here: Path) -> None:
    few = [here / "target" / f"{at:02}.png" for at in range(8)]  # too few to adapt to
    result = transfer_from(here / "source", few, source=str(here / "conv4"), strategy="tuned-mcc")
    assert "tuned-mcc is the source tuned on labelled items alone: 8 items" in result.why


@pytest.mark.usefixtures("quick")
def test_the_guard_decides_beside_source_only_and_by_labels(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["transfer", str(here / "source"), str(here / "target"), "-o", str(tmp_path / "model")]
    given += ["--source", str(here / "conv4"), "--target-labels", str(here / "labels.csv")]
    given += ["--strategy", "tuned-mcc", "--strategy", "source-only", "--json", "--quiet"]
    with pytest.raises(SystemExit) as stopped:
        run(given)
    assert not stopped.value.code
    told = json.loads(capsys.readouterr().out)
    scores = {one["strategy"]: one["estimate"] for one in told["candidates"]}
    assert {"tuned-mcc", "source-only", "target-only", "pooled"} <= set(scores)
    assert told["gain"]["baseline"] == "source-only"
    assert told["gain"]["n"] == 48
    best = max(scores, key=lambda name: scores[name])
    assert told["chosen"]["strategy"] in {best, "source-only"}
    assert "tuned-mcc tunes the source in each fold" in " ".join(map(str, told["decisions"]))


@pytest.mark.usefixtures("quick")
def test_a_source_of_texts_is_tuned_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart import sources
    from tests.encode.tiny_sources import tiny_text

    tiny = tiny_text()
    monkeypatch.setattr(sources, "card", lambda name: tiny.card)
    monkeypatch.setattr(sources, "load", lambda name, **how: tiny)
    rng = np.random.default_rng(0)

    def texts(n: int, first: int) -> pd.DataFrame:
        kinds = np.arange(n) % 2
        words = [rng.integers(first + 40 * kind, first + 40 * kind + 40, 6) for kind in kinds]
        said = [" ".join(f"w{word}" for word in row) for row in words]
        return pd.DataFrame({"text": said, "kind": np.array(["old", "new"])[kinds]})

    theirs = texts(40, 100).drop(columns="kind")
    result = transfer_from(texts(40, 0), theirs, label="kind", text="text", strategy="tuned-afn")
    assert result.chosen.strategy == "tuned-afn"
    assert result.contents.strategy == "finetune"
    assert result.predict_proba(["w1 w2", "w150 w160"]).shape == (2, 2)


def test_places_lead_back_to_items_and_copies_share_one() -> None:
    both = domain_items.Tunable(["a", "b", "a"], ["c", "b"], None)
    X, Z = np.array([[1.0], [2.0], [1.0]]), np.array([[3.0], [2.0]])
    ours, theirs = both.places(X, Z)
    assert both.at(ours) == ["a", "b", "a"]
    assert both.at(theirs) == ["c", "b"]
    assert ours[0] == ours[2]
    assert theirs[1] == ours[1]


def test_what_goes_round_the_circle_are_the_items_of_the_rows() -> None:
    """With rows that are their own items, an adapter of items scores what one of rows scores."""
    from headstart.select.circular import circular_score

    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.normal(size=(80, 2)) + 2 * y[:, None]
    Z = rng.normal(size=(60, 2)) + 2 * (np.arange(60) % 2)[:, None] + 1.0

    class OfItems:
        """Linear optimal transport of items that are lists."""

        def fit(self, items: Any, y: Any, target: Any = None, y_target: Any = None) -> OfItems:
            self.model = make("linear-ot").fit(np.array(items), y, np.array(target), y_target)
            return self

        def predict(self, items: Any) -> Any:
            return self.model.predict(np.array(items))

    both = domain_items.Tunable(X.tolist(), Z.tolist(), None)
    ours, theirs = both.places(X, Z)
    plain = circular_score(lambda: make("linear-ot"), X, y, Z)
    found = circular_score(
        lambda: domain_items.OnItems(OfItems, both),
        np.column_stack([X, ours]),
        y,
        np.column_stack([Z, theirs]),
    )
    assert np.array_equal(plain.labels, found.labels)


def test_made_for_a_source_keeps_its_parameters_and_copies_no_weights() -> None:
    backbone = untrained(size=SIZE, width=4, generator=torch.Generator().manual_seed(0))
    both = domain_items.Tunable([], [], backbone)
    found = both.made(make("tuned-cdan", random_state=5))
    assert found.source is backbone
    assert (found.method, found.random_state) == ("cdan", 5)


def test_tables_have_no_source_to_tune() -> None:
    frame = pd.DataFrame({"x": np.arange(8.0), "kind": ["a", "b"] * 4})
    with pytest.raises(OptionError, match="tuned-mcc needs a source that can be tuned"):
        transfer_from(frame, frame, label="kind", strategy="tuned-mcc")


def test_its_state_is_plain() -> None:
    images, labels = bars(12, 0)
    backbone = untrained(size=SIZE, width=4, generator=torch.Generator().manual_seed(0))
    model = make("tuned-mcc").set_params(source=backbone, epochs=1, batch=8)
    state = model.fit(images, labels, images).to_state()
    assert isinstance(state, State)
    json.dumps(state.meta)
