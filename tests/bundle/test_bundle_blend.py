"""A blend in a bundle: both members as data, each given its own input, each damage refused."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_bundle_mutations import changed_bytes, edited, failure, forge_file, forged, put
from tiny_models import CLASSES, contents_of, items_of, tiny_backbone

from headstart import bundle, encode, serve, sources
from headstart.bundle.codec import from_json, from_safetensors, plain, to_json, to_safetensors
from headstart.core.errors import BundleCorruptError, BundleError, DataError, IntegrityError
from headstart.core.types import Pair
from headstart.strategies import from_state

MEMBERS = ("probe", "knn", "lp-ft", "lora", "bitfit")
CASES = [
    *((member, "classification", "text") for member in MEMBERS),
    ("lp-ft", "regression", "text"),
    ("probe", "classification", "image"),
    ("partial", "classification", "image"),
    ("knn", "regression", "image"),
]


@functools.cache
def blend(member: str, kind: str, modality: str) -> Any:
    """Contents of a blend, fitted once; nobody changes them."""
    return contents_of(("blend", kind, modality), member=member)


def by_hand(contents: Any, items: Any) -> Any:
    """What the fitted estimator predicts, given what each member takes."""
    meta = contents.state.meta
    tunes = "given" in meta
    other: Any = items
    if not tunes:
        other = encode.features(items, contents.backbone, cache=False).array
    plainly = encode.pixels(items) if contents.modality == "image" else items
    model = from_state(
        "blend", kind=contents.kind, modality=contents.modality, state=contents.state
    )
    if tunes:
        model.transfer_.source = contents.backbone
    made = model.predict_proba if contents.kind == "classification" else model.predict
    return made(Pair(plainly, other))


@pytest.mark.parametrize(("member", "kind", "modality"), CASES)
@pytest.mark.parametrize("standalone", [True, False])
def test_a_saved_blend_predicts_what_was_fitted(
    member: str, kind: str, modality: str, standalone: bool, tmp_path: Path, monkeypatch: Any
) -> None:
    contents = replace(blend(member, kind, modality), standalone=standalone)
    path = bundle.save(tmp_path / "m", contents)
    assert (path / "source.safetensors").exists() == standalone
    assert (path / "training.jsonl").exists() == (member not in ("probe", "knn"))
    monkeypatch.setattr(sources, "load", lambda name, **_: tiny_backbone(modality))
    loaded, fresh = bundle.load(path), bundle.in_memory(contents)
    items = items_of(modality, 7, seed=9)
    np.testing.assert_array_equal(loaded.predict(items), fresh.predict(items))
    made = loaded.predict_proba(items) if kind == "classification" else loaded.predict(items)
    np.testing.assert_allclose(made, by_hand(contents, items), atol=1e-5, rtol=1e-5)
    single = np.concatenate([loaded.predict(items[i : i + 1]) for i in range(7)])
    if kind == "classification":
        np.testing.assert_array_equal(single, loaded.predict(items))
    else:
        np.testing.assert_allclose(single, loaded.predict(items), rtol=1e-4)


def test_both_members_have_a_say() -> None:
    contents = blend("probe", "classification", "text")
    items = items_of("text", 12, seed=3)
    whole = bundle.in_memory(contents).predict_proba(items)
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        arrays = contents.state.arrays | {"weights": np.array(weights)}
        alone = replace(contents, state=replace(contents.state, arrays=arrays))
        made = bundle.in_memory(alone).predict_proba(items)
        assert np.abs(made - whole).max() > 1e-3


def test_an_image_bundle_says_how_both_members_read_an_image() -> None:
    said = bundle.in_memory(blend("partial", "classification", "image")).manifest.input
    assert said["side"] == 64
    assert said["size"] % 32 == 0


def test_evaluate_and_predict_take_a_blend(tmp_path: Path) -> None:
    loaded = bundle.load(bundle.save(tmp_path / "m", blend("probe", "classification", "text")))
    items = items_of("text", 12, seed=2)
    found = loaded.evaluate((items, list(loaded.predict(items))))
    assert found["estimate"] == 1.0
    frame, skipped = serve.predict_inputs(tmp_path / "m", items)
    assert not skipped
    assert frame["label"].tolist() == loaded.predict(items).tolist()
    columns = [f"p_{name}" for name in CLASSES]
    np.testing.assert_allclose(frame[columns], loaded.predict_proba(items), atol=1e-6)
    with pytest.raises(DataError, match="item 1"):
        loaded.predict(["fine", 3])


# ------------------------------------------------------------------ damage


@pytest.fixture(scope="module", params=["probe", "lp-ft"])
def whole(request: Any, tmp_path_factory: Any) -> Path:
    """A standalone bundle of a blend, with a frozen and with a tuned member."""
    contents = blend(request.param, "classification", "text")
    return bundle.save(tmp_path_factory.mktemp("blend") / "m", contents)


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "manifest.json"])
def test_changed_bytes_are_refused(name: str, copy: Path) -> None:
    file = copy / name
    raw = file.read_bytes()
    for what, mutated in changed_bytes(raw, np.random.default_rng(3)):
        if mutated != raw:
            file.write_bytes(mutated)
            assert isinstance(failure(copy), BundleError), f"{name}: {what} was loaded"


def test_arrays_that_are_missing_cut_or_renamed_are_refused(copy: Path) -> None:
    good = from_safetensors((copy / "model.safetensors").read_bytes(), "")
    assert "weights" in good
    for name, array in good.items():
        if ".tuned." in name:
            continue  # a tuned tensor is refused when the source is put together, below
        for what, changed in (
            ("removed", {}),
            ("renamed", {f"{name}x": array}),
            ("cut", {name: array[:-1]}),
        ):
            rest = {key: value for key, value in good.items() if key != name}
            forge_file(copy, "model.safetensors", to_safetensors(rest | changed, ""))
            assert isinstance(failure(copy), BundleCorruptError), f"{name} {what} was loaded"
    forge_file(copy, "model.safetensors", to_safetensors(good, ""))
    bundle.load(copy)


@pytest.mark.parametrize(
    "weights",
    [[np.nan, 1.0], [-1.0, 2.0], [np.inf, 0.0], [0.9, 0.1, 0.1], [3.0, 0.0]],
)
def test_forged_weights_are_refused(weights: list[float], copy: Path) -> None:
    edited(copy, "model.safetensors", lambda a: a.update(weights=np.array(weights)))
    with pytest.raises(BundleCorruptError):
        bundle.load(copy)


def test_forged_states_are_refused(copy: Path) -> None:
    good = (copy / "state.json").read_bytes()

    def state(**changes: Any) -> None:
        said = from_json(good, "")
        forge_file(copy, "state.json", to_json(plain(said | changes, "")))

    members = from_json(good, "")["members"]
    for changes in (
        {"transfer": "blend"},
        {"transfer": "scratch"},
        {"transfer": "os:system"},
        {"transfer": "prototypes"},
        {"transfer": ["probe"]},
        {"modality": "smell"},
        {"modality": "image"},
        {"members": {}},
        {"members": {"scratch": members["scratch"]}},
        {"members": {"scratch": members["transfer"], "transfer": members["scratch"]}},
        {"members": {**members, "scratch": members["scratch"] | {"classes": ["x", "y", "z"]}}},
    ):
        state(**changes)
        assert isinstance(failure(copy), BundleCorruptError), changes
    state()
    bundle.load(copy)


def test_a_blend_is_no_other_strategy(copy: Path) -> None:
    for name in ("probe", "lp-ft", "scratch", "majority"):
        forged(copy, put("strategy", value=name))
        with pytest.raises(BundleCorruptError):
            bundle.load(copy)


def test_golden_inputs_of_one_member_alone_are_refused(copy: Path) -> None:
    edited(copy, "golden.safetensors", lambda arrays: arrays.pop("features"))
    with pytest.raises(BundleCorruptError, match="belong to a source"):
        bundle.load(copy)


def test_a_tuned_tensor_of_another_source_is_refused(tmp_path: Path) -> None:
    path = bundle.save(tmp_path / "m", blend("lp-ft", "classification", "text"))

    def cut(arrays: dict[str, Any]) -> None:
        name = next(name for name in arrays if ".tuned.blocks" in name)
        arrays[name] = arrays[name][..., :-1].copy()

    edited(path, "model.safetensors", cut)
    with pytest.raises(BundleCorruptError, match="not those of this source"):
        bundle.load(path).predict(["my order"])


def test_other_weights_below_a_blend_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    contents = replace(blend("probe", "classification", "text"), standalone=False)
    path = bundle.save(tmp_path / "m", contents)
    other = tiny_backbone("text", seed=1)
    monkeypatch.setattr(sources, "load", lambda name, **_: other)
    with pytest.raises(IntegrityError, match="other weights"):
        bundle.load(path).predict(["my order"])


def test_an_image_blend_needs_a_sound_size(tmp_path: Path) -> None:
    path = bundle.save(tmp_path / "m", blend("probe", "classification", "image"))
    said = dict(bundle.load(path).manifest.input)
    for side in (0, 5000, "64", None):
        forged(path, put("input", value=said | {"side": side}))
        with pytest.raises(BundleCorruptError, match="no sound image size"):
            bundle.load(path)
