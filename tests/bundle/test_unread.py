"""Whether a model learnt the language of its inputs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests import samples

import headstart as hs
from headstart.bundle.unread import unread
from headstart.core.errors import NotInstalledError
from headstart.domain_transfer import transfer_from
from headstart.serve import evaluate_model, predict_inputs

ENGLISH = ["Where is the parcel that I ordered last week?"]
CHINESE = ["我上周订的包裹在哪里？", "质量还不错，内容只适合消遣"]
GERMAN = ["Wo ist das Paket, das ich letzte Woche bestellt habe?"]


class Told:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, *unused: Any, **also: Any) -> None:
        pass


def model(languages: Any, source: str | None, reads: list[str] | None = None) -> Any:
    record = None if source is None else SimpleNamespace(name=source, card={"languages": reads})
    extra = {} if languages is None else {"languages": languages}
    manifest = SimpleNamespace(result={"extra": extra}, source=record)
    return SimpleNamespace(modality="text", manifest=manifest)


@pytest.mark.parametrize("texts", [ENGLISH, [], ["17"], ["ok"]])
def test_nothing_is_said_of_what_was_learnt_or_cannot_be_told(texts):
    assert unread(model({"en": 1.0}, "minilm", ["en"]), texts) == ""


def test_a_source_that_does_not_read_it_is_named():
    said = unread(model({"en": 1.0}, "minilm", ["en"]), CHINESE)
    assert "the inputs are in Chinese" in said
    assert "learnt from texts in English" in said
    assert "minilm does not read Chinese" in said


def test_a_source_that_reads_both_was_still_not_measured_there():
    said = unread(model({"en": 1.0}, "e5-small", ["en", "zh"]), CHINESE)
    assert "e5-small reads both" in said
    assert "not measured" in said
    assert "may not read both" in unread(model({"en": 1.0}, "own", []), CHINESE)
    assert unread(model({"en": 0.5, "zh": 0.5}, "e5-small", ["en", "zh"]), CHINESE) == ""


def test_words_alone_mean_nothing_in_another_language():
    assert "its answers mean nothing here" in unread(model({"en": 1.0}, None), GERMAN)


@pytest.mark.parametrize("kept", [None, {}, "en", ["en"]])
def test_a_bundle_that_says_nothing_of_languages_is_not_judged(kept):
    assert unread(model(kept, "minilm", ["en"]), CHINESE) == ""


def test_bundles_of_before_load_and_say_nothing():
    golden = Path(__file__).parent / "golden" / "v1-scratch-classification-text"
    old = hs.load(golden)
    assert "languages" not in old.manifest.result["extra"]
    assert unread(old, CHINESE) == ""
    assert len(old.predict(CHINESE)) == 2


def test_fitted_in_english_asked_in_chinese(tmp_path):
    frame = samples.topics(8)
    result = hs.fit(frame, label="topic", strategy="scratch", curve=False)
    assert any(str(one).startswith("the texts are in English") for one in result.decisions)
    place = result.save(tmp_path / "model")
    assert hs.load(place).info["extra"]["languages"] == {"en": 1.0}
    told = Told()
    predict_inputs(place, CHINESE, reporter=told)
    assert any(line.startswith("warning: the inputs are in Chinese") for line in told.said)
    told = Told()
    predict_inputs(place, ENGLISH, reporter=told)
    assert not any("warning" in line for line in told.said)
    judged = frame[:6].assign(text=GERMAN * 6)
    warned = evaluate_model(place, judged, label="topic")["warnings"]
    assert any("the inputs are in German" in line for line in warned)


def test_check_says_the_languages_and_what_the_default_source_reads(weights):
    frame = samples.topics(8)
    told = Told()
    checked = hs.check(frame, label="topic", suspects=False, reporter=told)
    assert not {one.kind for one in checked.findings} & {"languages", "unread-languages"}
    assert any(line.startswith("the texts are in English") for line in told.said)
    frame["text"] = [f"{CHINESE[i % 2]}{word}" for i, word in enumerate(frame["text"].str[-3:])]
    kinds = {one.kind: one for one in hs.check(frame, label="topic", suspects=False).findings}
    assert kinds["languages"].items == ("Chinese",)
    assert kinds["unread-languages"].severity == "warning"
    assert kinds["unread-languages"].items == ("minilm cannot read Chinese",)
    assert "headstart sources install e5-small" in kinds["unread-languages"].advice


def test_transfer_across_languages_with_an_english_source_alone_is_refused(weights):
    chinese = [f"{CHINESE[i % 2]}{i}" for i in range(20)]
    with pytest.raises(NotInstalledError, match="headstart sources install e5-small"):
        transfer_from(samples.topics(8), chinese, label="topic")
