"""The catalogue: data, names, search."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headstart import sources
from headstart.core.errors import SourceError, UnknownNameError
from headstart.sources import SourceCard


@pytest.mark.parametrize("name", sources.catalogue())
def test_every_card_is_complete(name: str) -> None:
    card = sources.card(name)
    assert card.name == name
    assert len(card.weights_sha256) == 64
    reads = card.modality == "text" or card.family == "whisper"
    assert len(card.tokenizer_sha256) == (64 if reads else 0)
    assert 0 < card.prior < 1
    assert card.prior_source != "none"
    assert card.paper
    assert card.parameters > 500_000
    assert card.permissive
    wanted = {
        "image": {"size", "mean", "std", "interpolation", "crop"},
        "text": {"max_tokens", "pooling", "normalise", "prefix", "pad_id"},
        "audio": {"rate", "seconds", "front", "mels", "normalise"},
    }
    more = {"silence", "floor"} if card.family == "whisper" else set()
    assert set(card.input) == wanted[card.modality] | more
    for package in card.origin["packages"]:
        assert len(package["sha256"]) == 64
        assert package["version"] in package["filename"]
        assert package["size"] > 0


def test_cards_survive_json() -> None:
    for card in sources.catalogue().values():
        again = SourceCard.from_json(json.loads(json.dumps(card.to_json())))
        assert again == card
        assert hash(again) == hash(card)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "unknown fields.*colour"),
        ({"dim": None}, "missing fields.*dim"),
        ({"family": "resnet"}, "unknown family.*efficientnet-lite"),
        ({"modality": "smell"}, "unknown modality.*audio"),
    ],
)
def test_wrong_cards_are_refused(changes: dict[str, object], message: str) -> None:
    data = {**sources.card("minilm").to_json(), **changes}
    data = {name: value for name, value in data.items() if value is not None}
    with pytest.raises(SourceError, match=message):
        SourceCard.from_json(data)


def test_search_filters_and_ranks_by_prior() -> None:
    names = [card.name for card in sources.search(modality="image")]
    assert names == ["efficientnet-lite2", "efficientnet-lite1", "efficientnet-lite0"]
    assert [card.name for card in sources.search(modality="text", max_size_mb=100)] == ["minilm"]
    assert [card.name for card in sources.search(licence="mit")] == ["whisper-base", "e5-small"]
    assert len(sources.search(licence="permissive")) == len(sources.catalogue())
    assert sources.search(licence="agpl") == []
    names = [card.name for card in sources.search(modality="audio")]
    assert names == ["whisper-base", "musicnn", "ge2e"]
    assert sources.search(modality="table") == []


def test_search_by_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert sources.search(installed=True) == []
    folder = sources.installed_path("efficientnet-lite0")
    assert folder == tmp_path / "sources" / "efficientnet-lite0"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"")
    assert [card.name for card in sources.search(installed=True)] == ["efficientnet-lite0"]
    assert "efficientnet-lite0" not in [card.name for card in sources.search(installed=False)]
    assert sources.installed("efficientnet-lite0")
    assert not sources.installed("minilm")


def test_defaults() -> None:
    assert sources.default_source("image") == "efficientnet-lite0"
    assert sources.default_source("text") == "minilm"
    assert sources.default_source("audio") == "whisper-base"
    assert sources.default_source("table") is None
    for modality in ("image", "audio"):
        for name in sources.default_views(modality):
            assert sources.base_of(name) == sources.default_source(modality)
            assert sources.card(name).dim > 0


@pytest.mark.parametrize("ask", [sources.card, sources.load, sources.install, sources.installed])
def test_an_unknown_name_gets_a_proposal(ask: object) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'minilm'"):
        ask("minilmm")  # type: ignore[operator]


def test_the_user_can_add_and_replace_cards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {**sources.card("minilm").to_json(), "name": "mine"}
    other = {**sources.card("mpnet").to_json(), "prior": 0.9}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"sources": [mine, other]}))
    monkeypatch.setenv("HEADSTART_CATALOGUE", str(path))
    assert sources.card("mine").dim == 384
    assert sources.card("mpnet").prior == 0.9
    assert "minilm" in sources.catalogue()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a catalogue"),
        ("[]", "not a catalogue"),
        ('{"sources": [{}]}', "not a catalogue"),
        ('{"sources": [{"name": "x"}]}', "mine.json: x: .*missing fields"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_catalogue_says_why(
    text: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("HEADSTART_CATALOGUE", str(path))
    with pytest.raises(SourceError, match=message):
        sources.catalogue()


def test_asking_the_catalogue_imports_nothing_heavy() -> None:
    code = (
        "import sys; from headstart import sources; sources.search(installed=False); "
        "sources.card('minilm'); "
        "assert not {'torch', 'numpy.random', 'sklearn', 'transformers', 'tokenizers', "
        "'safetensors', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sources.nothing
    assert all(getattr(sources, name) is not None for name in sources.__all__)
