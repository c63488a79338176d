"""Sources that headstart writes: a directory that loads by its path, and Conv-4."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from headstart import sources
from headstart.core.errors import IntegrityError, OptionError, SourceError
from headstart.sources import directory
from headstart.sources.conv4 import untrained


def small(seed: int = 0):
    return untrained(size=16, width=4, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def written(tmp_path):
    backbone = small()
    directory.write(backbone, tmp_path / "mine", card=backbone.card, report={"chosen": "rfs"})
    return tmp_path / "mine"


def test_conv4_is_that_of_the_paper():
    backbone = untrained(size=28, width=64, generator=torch.Generator())
    assert sum(p.numel() for p in backbone.parameters()) == backbone.card.parameters == 112_832
    assert backbone.card.dim == 64  # 28 -> 14 -> 7 -> 3 -> 1, as on Omniglot
    assert backbone(torch.zeros(2, 3, 28, 28)).shape == (2, 64)
    assert backbone.block_names == ("block1", "block2", "block3", "block4")


def test_conv4_spreads_as_he_et_al_say():
    weights = untrained(size=32, width=64, generator=torch.Generator()).blocks[1].conv.weight
    assert float(weights.detach().std()) == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("wrong", [{"size": 8}, {"size": 300}, {"width": 0}])
def test_conv4_of_an_impossible_size_is_refused(wrong):
    with pytest.raises(OptionError, match="out of range"):
        untrained(generator=torch.Generator(), **wrong)


def test_a_written_source_gives_the_same_features(written):
    batch = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    loaded = sources.load(str(written))
    with torch.inference_mode():
        assert torch.equal(loaded(batch), small()(batch))
    assert loaded.weights_sha256 == sources.card(str(written)).weights_sha256


def test_its_card_names_the_path_and_is_found_again(written):
    card = sources.card(str(written))
    assert card.name == str(written)
    assert card.provider == "directory"
    assert sources.SourceCard.from_json(card.to_json()) == card
    assert json.loads((written / "report.json").read_text()) == {"chosen": "rfs"}


def test_the_same_backbone_gives_the_same_bytes(written, tmp_path):
    backbone = small()
    backbone.to(memory_format=torch.channels_last)
    directory.write(backbone, tmp_path / "other" / "mine", card=backbone.card)
    for name in ("model.safetensors", "card.json"):
        assert (tmp_path / "other" / "mine" / name).read_bytes() == (written / name).read_bytes()


def test_a_text_source_keeps_its_tokenizer(weights, tmp_path):
    backbone = sources.load("minilm")
    directory.write(backbone, tmp_path / "mine", card=backbone.card)
    again = sources.load(str(tmp_path / "mine"))
    ids = again.tokenizer.encode("transfer learning").ids
    assert ids == backbone.tokenizer.encode("transfer learning").ids
    batch = (torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))
    with torch.inference_mode():
        assert torch.equal(again(batch), backbone(batch))


@pytest.mark.parametrize("name", ["model.safetensors"])
def test_damaged_and_missing_files_are_refused(written, name):
    raw = bytearray((written / name).read_bytes())
    raw[-1] ^= 1
    (written / name).write_bytes(raw)
    with pytest.raises(IntegrityError, match="not the one that its card promises"):
        sources.load(str(written))
    (written / name).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        sources.load(str(written))


def edited(written, **changes):
    card = json.loads((written / "card.json").read_text()) | changes
    (written / "card.json").write_text(json.dumps(card))
    return str(written)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"provider": "package"}, "not the card of a source directory"),
        ({"config": {"width": 5}}, "weights do not fit"),
        ({"config": {"width": "many"}}, "cannot be built from its card"),
        ({"family": "none"}, "unknown family"),
        ({"more": 1}, "unknown fields"),
    ],
)
def test_a_card_that_was_tampered_with_is_refused(written, changes, message):
    with pytest.raises(SourceError, match=message):
        sources.load(edited(written, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": "x"}, r"card\.json, dim.*wrong kind.*'x'"),
        ({"dim": 0}, "dim.*wrong kind"),
        ({"dim": True}, "dim.*wrong kind"),
        ({"dim": 10**6 + 1}, "wrong kind.*1 to 1000000"),
        ({"dim": 7}, r"as many features as its card says.*7.*allowed: 4"),
        ({"input": []}, "input.*wrong kind"),
        ({"input": {}}, "cannot be built from its card"),
        ({"config": "width"}, "config.*wrong kind"),
        ({"size_mb": "1"}, "size_mb.*wrong kind"),
        ({"family": ["conv4"]}, "family.*wrong kind"),
        ({"modality": "text"}, "conv4 is for images"),
    ],
)
def test_a_card_of_wrong_kinds_is_refused(written, changes, message):
    with pytest.raises(SourceError, match=message):
        sources.load(edited(written, **changes))


def test_a_card_must_say_how_wide_its_texts_are(weights, tmp_path):
    backbone = sources.load("minilm")
    directory.write(backbone, tmp_path / "mine", card=backbone.card)
    with pytest.raises(SourceError, match="as many features"):
        sources.load(edited(tmp_path / "mine", dim=7))
    with pytest.raises(SourceError, match="bert is for texts"):
        sources.load(edited(tmp_path / "mine", dim=384, modality="image"))


def test_a_card_that_is_too_long_or_no_object_is_refused(written):
    edited(written, title="x" * directory.MOST_CARD)
    with pytest.raises(SourceError, match="more than 1000000 bytes"):
        directory.describe(str(written))
    assert not directory.is_directory_source(written)
    for text in ("[]", '[{"a": 1}]'):
        (written / "card.json").write_text(text)
        with pytest.raises(SourceError, match="is an object"):
            directory.describe(str(written))
    (written / "card.json").write_text("[" * 100_000)
    with pytest.raises(SourceError, match="cannot be read as JSON"):
        directory.describe(str(written))


def test_a_card_that_is_no_json_is_refused(written, tmp_path):
    (written / "card.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read as JSON"):
        directory.describe(str(written))
    with pytest.raises(SourceError, match="not a model directory"):
        sources.card(str(written))


def test_what_is_there_is_never_replaced(written, tmp_path):
    before = (written / "card.json").read_bytes()
    with pytest.raises(OptionError, match="not replaced"):
        directory.write(small(1), written, card=small(1).card)
    assert (written / "card.json").read_bytes() == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OptionError, match="not replaced"):
        directory.check_free(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    directory.write(small(), tmp_path / "empty", card=small().card)
    assert sources.card(str(tmp_path / "empty")).dim == 4


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    class StopError(Exception):
        pass

    def fail(*_args, **_more):
        raise StopError

    monkeypatch.setattr(directory.json, "dumps", fail)
    with pytest.raises(StopError):
        directory.write(small(), tmp_path / "mine", card=small().card)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_elsewhere_loads_too(written, tmp_path):
    written.rename(tmp_path / "moved")
    card = sources.card(str(tmp_path / "moved"))
    assert card.origin["directory"] == str(tmp_path / "moved")
    assert np.isfinite(sources.load(card)(torch.zeros(1, 3, 16, 16)).detach().numpy()).all()
