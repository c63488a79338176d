"""Which source reads the languages of the texts, and what is said where none does."""

from __future__ import annotations

import numpy as np
import pytest

from headstart import select, sources
from headstart.core.errors import NotInstalledError
from headstart.core.types import Task
from headstart.data import Languages
from headstart.select import WARNING, Entry, across, for_languages, plan
from headstart.select.domain_plan import plan_domains

ENGLISH = ["Where is the parcel that I ordered?", "The weather was lovely yesterday."] * 3
CHINESE = ["我上周订的包裹在哪里？", "质量还不错，内容只适合消遣"] * 3
YORUBA = ["Gbogbo ènìyàn ni a bí ní òmìnira; iyì àti ẹ̀tọ́ kọ̀ọ̀kan sì dọ́gba."] * 6


@pytest.fixture
def here(monkeypatch):
    """Say which sources are installed, without any weights."""

    def only(*names: str) -> None:
        monkeypatch.setattr("headstart.sources.names.is_installed", lambda one: one.name in names)

    return only


def task(texts, modality="text"):
    n = len(texts)
    ids, groups = tuple(map(str, range(n))), np.arange(n)
    return Task(modality, "classification", texts, None, ids, groups)


def spoken(**shares):
    return Languages(dict(shares), 100, 100)


def words(decisions):
    return " | ".join(map(str, decisions))


def test_english_changes_nothing_but_is_said(here):
    here("minilm", "e5-small")
    before = plan("text", "classification")
    after = for_languages(before, spoken(en=1.0))
    assert after.transfers == before.transfers
    assert words(after.decisions).startswith("the texts are in English: 100 of 100")
    assert WARNING not in words(after.decisions)


def test_other_languages_bring_the_source_first_that_reads_them(here):
    here("minilm", "e5-small")
    after = for_languages(plan("text", "classification"), spoken(zh=0.9, en=0.1))
    assert after.sources == ("e5-small", "minilm")
    assert set(after.transfers) == set(plan("text", "classification").transfers)
    assert after.default == Entry("probe", "e5-small")
    assert "source e5-small first: it reads Chinese" in words(after.decisions)
    assert "minilm has learnt English only (--source minilm)" in words(after.decisions)


def test_a_few_foreign_texts_do_not_change_the_order(here):
    here("minilm", "e5-small")
    after = for_languages(plan("text", "classification"), spoken(en=0.85, zh=0.15))
    assert after.sources == ("minilm", "e5-small")


def test_where_nothing_reads_them_that_is_said_loudly_with_the_command(here):
    here("minilm")
    after = for_languages(plan("text", "classification"), spoken(zh=1.0))
    assert after.sources == ("minilm",)
    said = words(after.decisions)
    assert f"{WARNING}minilm cannot read Chinese" in said
    assert "`headstart sources install e5-small` fetches one that reads Chinese" in said


def test_a_source_that_was_named_is_kept_and_warned_of(here):
    here("minilm", "e5-small")
    after = for_languages(plan("text", "classification", source="minilm"), spoken(de=1.0))
    assert after.sources == ("minilm",)
    assert "--source e5-small reads German" in words(after.decisions)
    two = plan("text", "classification", source=["minilm", "e5-small"])
    after = for_languages(two, spoken(de=1.0))
    assert after.transfers == two.transfers
    assert f"{WARNING}minilm cannot read German" in words(after.decisions)


def test_a_language_that_no_source_reads_is_named(here):
    here("minilm", "e5-small")
    after = for_languages(plan("text", "classification"), spoken(yo=1.0))
    said = words(after.decisions)
    assert f"{WARNING}minilm and e5-small cannot read Yoruba" in said
    assert "name a source that reads Yoruba with --source" in said


def test_what_cannot_be_told_is_said_and_claims_nothing(here):
    here("minilm")
    after = for_languages(plan("text", "classification"), Languages({}, 0, 12))
    assert "the language of the texts cannot be told" in words(after.decisions)
    assert WARNING not in words(after.decisions)


def test_pictures_and_tables_have_no_language(here):
    here()
    assert not select.languages_of(task(["a.png"], "image")).looked
    assert not select.languages_of(None).looked
    for modality in ("image", "table"):
        assert for_languages(plan(modality, "classification"), Languages()).decisions == ()


def test_a_test_part_in_another_language_is_warned_of(here):
    here("minilm", "e5-small")
    after = for_languages(plan("text", "classification"), spoken(en=1.0), judged=spoken(zh=1.0))
    assert f"{WARNING}the items that judge are in Chinese" in words(after.decisions)
    after = for_languages(plan("text", "classification"), spoken(en=1.0), judged=spoken(en=1.0))
    assert WARNING not in words(after.decisions)


def test_labels_in_one_language_for_another_take_a_source_that_reads_both(here):
    here("minilm", "e5-small")
    found = across(task(ENGLISH), task(CHINESE), None)
    assert found.source == "e5-small"
    assert found.across
    assert found.kept == {"languages": {"zh": 1.0, "en": 1.0}, "labelled_in": {"en": 1.0}}
    said = words(found.decisions)
    assert "languages: English -> Chinese" in said
    assert "transfer across languages: the labels are of texts in English" in said
    assert "source e5-small: it reads English and Chinese" in said


def test_without_such_a_source_transfer_across_languages_is_refused(here):
    here("minilm")
    with pytest.raises(NotInstalledError, match="minilm has learnt English only") as error:
        across(task(ENGLISH), task(CHINESE), None)
    assert "headstart sources install e5-small" in str(error.value)
    assert "--source minilm" in str(error.value)
    named = across(task(ENGLISH), task(CHINESE), "minilm")
    assert named.source == "minilm"
    assert f"{WARNING}minilm cannot read Chinese" in words(named.decisions)


def test_the_same_foreign_language_on_both_sides_is_warned_of_and_not_refused(here):
    here("minilm")
    found = across(task(CHINESE), task(CHINESE), None)
    assert found.source is None
    assert not found.across
    assert f"{WARNING}minilm cannot read Chinese" in words(found.decisions)
    here("minilm", "e5-small")
    assert across(task(CHINESE), task(CHINESE), None).source == "e5-small"


def test_english_on_both_sides_and_unclear_texts_change_nothing(here):
    here("minilm", "e5-small")
    found = across(task(ENGLISH), task(ENGLISH[::-1]), None)
    assert (found.source, found.across) == (None, False)
    assert across(task(ENGLISH), task(["", "17"]), None).decisions == ()


def test_a_source_of_which_the_languages_are_not_known_is_not_judged():
    card = sources.card("minilm")
    assert card.reads("en")
    assert not card.reads("zh")
    assert sources.card("e5-small").reads("zh")
    assert sources.card("efficientnet-lite0").reads("zh")  # nothing is known of it


def test_across_languages_adapters_leave_the_spread_of_features_alone():
    usual = plan_domains(None, n_labels=0, several=False, alike=True)
    assert all(one.scale for one in usual.candidates.values() if hasattr(one, "scale"))
    plain = plan_domains(None, n_labels=0, several=False, alike=True, scale=False)
    assert set(plain.candidates) == set(usual.candidates)
    assert not any(getattr(one, "scale", False) for one in plain.candidates.values())
