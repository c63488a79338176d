"""``rank_sources``: from data to a ranking of the sources that are on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart import sources
from headstart.core.errors import DataError, NotInstalledError, OptionError, UnknownNameError
from headstart.ranking import Ranking, rank_sources
from tests import samples
from tests.encode.tiny_sources import tiny_image, tiny_text, tiny_tokenizer


def texts(n=48):
    """Texts of two classes that use different words."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        words = rng.choice(np.arange(0, 30) + 30 * (i % 2), 6)
        rows.append((" ".join(f"w{word}" for word in words), "ab"[i % 2]))
    return pd.DataFrame(rows, columns=["text", "label"])


def blind(seed=0):
    """A text source that sees how many words there are and nothing else."""
    backbone = tiny_text(seed=seed)
    tokenizer = tiny_tokenizer()
    tokenizer.enable_truncation(3)
    backbone.tokenizer = tokenizer
    for parameter in backbone.parameters():
        parameter.data *= 0
    return backbone


class Shelf:
    """Sources of our own in place of the catalogue's."""

    def __init__(self):
        self.backbones, self.cards, self.absent, self.loaded = {}, {}, set(), []

    def put(self, name, backbone, *, prior=0.6, size_mb=1.0, absent=False, published="a paper"):
        backbone.card = replace(
            backbone.card,
            name=name,
            weights_sha256=name * 8,
            prior=prior,
            prior_source=published,
            size_mb=size_mb,
        )
        backbone.weights_sha256 = name * 8
        self.backbones[name], self.cards[name] = backbone, backbone.card
        if absent:
            self.absent.add(name)
        return self

    def search(self, *, modality=None, licence=None, installed=None, max_size_mb=None):
        fits = [
            card
            for card in self.cards.values()
            if modality in (None, card.modality)
            and (licence is None or licence.lower() in card.licence.lower())
            and (max_size_mb is None or card.size_mb <= max_size_mb)
        ]
        return sorted(fits, key=lambda card: (-card.prior, card.name))

    def card(self, name):
        if name not in self.cards:
            raise UnknownNameError("source", name, self.cards)
        return self.cards[name]

    def load(self, card, *, install_missing=True, reporter=None):
        name = card if isinstance(card, str) else card.name
        self.loaded.append(name)
        return self.backbones[name]


@pytest.fixture
def shelf(monkeypatch, tmp_path):
    found = Shelf()
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "search", found.search, raising=False)
    monkeypatch.setattr(sources, "card", found.card, raising=False)
    monkeypatch.setattr(sources, "load", found.load, raising=False)
    monkeypatch.setattr(sources, "installed", lambda n: n not in found.absent, raising=False)
    return found


class Heard:
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def progress(self, *unused, **more):
        pass


def rank(data=None, **options):
    return rank_sources(texts() if data is None else data, label="label", **options)


def same(one, other):
    """Compare rankings, but for the clock."""
    found = []
    for ranking in (one, other):
        plain = ranking.to_json()
        plain.pop("seconds")
        for row in plain["sources"]:
            row.pop("seconds_per_1000")
        found.append(plain)
    return found[0] == found[1]


def test_a_source_that_sees_nothing_ranks_last_though_it_is_published_better(shelf):
    shelf.put("blind", blind(), prior=0.65).put("seeing", tiny_text(seed=1), prior=0.6)
    heard = Heard()
    found = rank(reporter=heard)
    assert found.names == ("seeing", "blind")
    assert found.too_close == ()
    assert found.take == ("seeing",)
    assert found.measured_on == 48
    assert found.sources[0].ranked.measured.low > found.guess
    assert found.sources[0].seconds_per_1000 > 0
    assert found.sentences()[0].startswith("seeing is first: accuracy ")
    assert found.sentences()[1].startswith("surely ahead of blind (lead +0.")
    assert [str(decision) for decision in found.decisions] == heard.lines
    assert any("metric accuracy" in line for line in heard.lines)


def test_identical_sources_are_too_close_to_call_and_the_prior_decides(shelf):
    shelf.put("one", tiny_text(), prior=0.6, size_mb=3.0)
    shelf.put("two", tiny_text(), prior=0.7, size_mb=9.0)
    found = rank()
    assert found.names == ("two", "one")
    assert found.too_close == ("one",)
    assert found.take == ("two", "one")
    said = found.sentences()
    assert said[1].startswith("too close to call on 48 items: two and one (lead +0.000 [")
    assert said[2].startswith("one is the smallest of them (3 MB, ")
    assert said[2].endswith("`fit` can race both")


def test_at_most_three_are_proposed_however_many_are_close(shelf):
    for name in "abcd":
        shelf.put(name, tiny_text())
    found = rank()
    assert found.too_close == ("b", "c", "d")
    assert found.take == ("a", "b", "c")
    assert "`fit` can race the first 3 of them" in "\n".join(found.sentences())


def test_a_worse_measured_first_is_explained(shelf):
    shelf.put("famous", blind(), prior=0.9).put("seeing", tiny_text(seed=1), prior=0.1)
    found = rank(texts(16))
    assert found.names == ("famous", "seeing")
    said = "\n".join(found.sentences())
    assert "seeing was measured better; on 16 items that weighs less than its published" in said
    assert "which counts as 80" in said


def test_all_that_are_close_are_counted(shelf):
    for name in "abc":
        shelf.put(name, tiny_text())
    assert rank().sentences()[2].endswith("`fit` can race all 3")


def test_the_same_seed_gives_the_same_ranking(shelf):
    for seed, name in enumerate("ab"):
        shelf.put(name, tiny_text(seed=seed))
    assert same(rank(seed=3), rank(seed=3))
    assert not same(rank(seed=3), rank(seed=4))


def test_what_is_not_installed_is_listed_and_neither_loaded_nor_fetched(shelf):
    shelf.put("here", tiny_text()).put("away", tiny_text(), prior=0.9, absent=True)
    found = rank()
    assert found.names == ("here",)
    assert shelf.loaded == ["here"]
    assert [(one.card.name, one.why) for one in found.unmeasured] == [("away", "not installed")]
    assert found.sentences()[0].startswith("here is the only one measured: accuracy")
    named = rank(source="away")
    assert named.names == ("away",)
    assert named.unmeasured == ()
    assert shelf.loaded == ["here", "away"]


def test_nothing_installed_is_an_answer_and_no_error(shelf):
    shelf.put("away", tiny_text(), prior=0.6, absent=True)
    shelf.put("better", tiny_text(), prior=0.7, absent=True)
    found = rank()
    assert found.names == found.take == ()
    assert [one.card.name for one in found.unmeasured] == ["better", "away"]
    assert found.guess is None
    assert found.measured_on == 0
    assert "nothing was measured" in str(found)


def test_filters_choose_who_takes_part(shelf):
    shelf.put("small", tiny_text(), size_mb=1.0).put("large", tiny_text(), size_mb=900.0)
    assert rank(max_size_mb=10).names == ("small",)
    assert str(rank(licence="MIT")) == "no source of the catalogue is like that"
    with pytest.raises(OptionError, match="not searched for"):
        rank(source="small", licence="MIT")
    with pytest.raises(OptionError, match="not searched for"):
        rank(source="small", max_size_mb=1)


def test_a_source_without_a_published_number_has_no_prior(shelf):
    shelf.put("ours", tiny_text(), prior=0.5, published="none: not in the catalogue")
    shelf.put("known", tiny_text(seed=2), prior=0.6)
    rows = {row["source"]: row for row in rank().to_json()["sources"]}
    assert rows["ours"]["prior"] is None
    assert rows["known"]["prior"] == 0.6


def test_images_with_a_classifier_have_leep_and_nce_and_folders_their_groups(shelf, tmp_path):
    shelf.put("lite", tiny_image())
    place = samples.pictures(tmp_path / "stripes", 8)
    found = rank_sources(place, group=r"(\d)\.png")
    row = found.to_json()["sources"][0]
    assert row["leep"] <= 0
    assert -np.log(2) - 1e-9 <= row["nce"] <= 0
    assert found.task.grouped


def test_the_classifier_says_what_the_whole_network_says():
    import torch

    from headstart.ranking import _said

    backbone = tiny_image()
    batch = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        features = backbone(batch)
        whole = torch.softmax(backbone.head(features), dim=1).numpy()
    found = _said(features.numpy(), backbone)
    assert found.shape == (4, 3)
    assert found == pytest.approx(whole, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(np.ones(4))


def test_numbers_are_ranked_too(shelf):
    frame = texts()
    frame["label"] = [
        float(np.mean([int(word[1:]) for word in text.split()])) for text in frame["text"]
    ]
    shelf.put("blind", blind(), prior=0.6).put("seeing", tiny_text(seed=1), prior=0.6)
    found = rank(frame)
    assert found.metric == "rmse"
    assert found.names == ("seeing", "blind")
    row = found.to_json()["sources"][0]
    assert row["logme"] is not None
    assert row["gbc"] is row["h_score"] is row["leep"] is row["nce"] is None
    assert rank(frame, metric="r2").names == ("seeing", "blind")


def test_labels_that_have_nothing_to_do_with_the_items_are_called_so(shelf):
    frame = texts()
    frame["label"] = np.random.default_rng(5).permutation(frame["label"].to_numpy())
    shelf.put("one", tiny_text())
    assert "no source is surely better than the constant guess" in str(rank(frame))


def test_a_source_that_gives_no_numbers_is_said_to_have_failed(shelf):
    broken = tiny_text(seed=1)
    broken.blocks[0].requires_grad_(False)
    for parameter in broken.parameters():
        parameter.data += float("nan")
    shelf.put("broken", broken).put("fine", tiny_text())
    found = rank()
    assert found.names == ("fine",)
    assert found.unmeasured[0].why == "its features are not finite numbers"
    only = rank(source="broken")
    assert only.sentences() == ["no source could be measured"]


def test_a_table_has_no_source_and_is_told_so(shelf):
    shelf.put("one", tiny_text())
    found = rank_sources(samples.wine_like(), label="grade")
    assert found.names == found.unmeasured == ()
    assert "no pretrained source for table data" in str(found)
    with pytest.raises(OptionError, match="is for text data, this is table data"):
        rank_sources(samples.wine_like(), label="grade", source="one")


def test_what_cannot_be_ranked_is_refused(shelf):
    shelf.put("one", tiny_text())
    with pytest.raises(UnknownNameError, match="did you mean 'one'"):
        rank(source="ones")
    with pytest.raises(OptionError, match="this task is classification"):
        rank(metric="rmse")
    with pytest.raises(DataError):
        rank(texts().assign(label="a"))


def test_a_large_task_is_sampled_and_that_is_said(shelf):
    shelf.put("one", tiny_text())
    found = rank(texts(900), metric="accuracy")
    assert found.measured_on == 400
    assert any("of 900 items measure the sources" in str(one) for one in found.decisions)


def test_a_ranking_is_json_and_text(shelf):
    shelf.put("a", tiny_text()).put("b", tiny_text(seed=1))
    found = rank()
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [row["rank"] for row in plain["sources"]] == [1, 2]
    assert plain["sources"][0]["lead"] is None
    assert set(plain["sources"][1]["lead"]) == {"estimate", "low", "high"}
    assert plain["task"]["classes"] == ["a", "b"]
    lines = str(found).splitlines()
    assert lines[0].startswith("1. ")
    assert lines[1].startswith("2. ")


def test_it_is_found_in_the_package_and_costs_nothing_until_it_is_used():
    assert headstart.rank_sources is rank_sources
    assert headstart.Ranking is Ranking
    code = "import headstart, sys; print('headstart.ranking' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.weights
@pytest.mark.usefixtures("weights")
def test_real_features_know_what_words_mean(monkeypatch):
    found = rank_sources(samples.topics(12), label="topic", source="minilm")
    assert found.sources[0].ranked.parts["probe"] > 0.8
    assert found.sources[0].ranked.measured.low > found.guess
    monkeypatch.setenv("HEADSTART_CACHE", os.environ["HEADSTART_CACHE"] + "/nothing")
    with pytest.raises(NotInstalledError):
        rank_sources(samples.topics(12), label="topic", source="minilm")
