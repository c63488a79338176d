"""Which languages texts are in: the model of py3langid, on texts as users bring them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import samples

from headstart.data import Languages, detect
from headstart.data import languages as room

SAID = {  # one sentence of each, and a second to tell apart what is read one by one
    "en": ["Where is the parcel that I ordered last week?", "The weather was lovely yesterday."],
    "de": ["Wo ist das Paket, das ich letzte Woche bestellt habe?", "Gestern war schönes Wetter."],
    "fr": ["Où est le colis que j'ai commandé la semaine dernière ?", "Hier il faisait très beau."],
    "es": ["¿Dónde está el paquete que pedí la semana pasada?", "Ayer hizo muy buen tiempo."],
    "it": ["Dov'è il pacco che ho ordinato la settimana scorsa?", "Ieri il tempo era bellissimo."],
    "pl": ["Gdzie jest paczka, którą zamówiłem w zeszłym tygodniu?", "Wczoraj była ładna pogoda."],
    "ru": ["Где посылка, которую я заказал на прошлой неделе?", "Вчера была прекрасная погода."],
    "zh": ["我上周订的包裹在哪里？", "质量还不错，内容只适合消遣"],
    "ja": ["先週注文した荷物はどこですか？", "昨日はとても良い天気でした。"],
    "ko": ["지난주에 주문한 소포가 어디에 있나요?", "어제는 날씨가 아주 좋았습니다."],
    "ar": ["أين الطرد الذي طلبته الأسبوع الماضي؟", "كان الطقس جميلا أمس."],
    "hi": ["पिछले हफ्ते मैंने जो पार्सल मंगवाया था वह कहाँ है?", "कल मौसम बहुत अच्छा था।"],
    "tr": ["Geçen hafta sipariş ettiğim paket nerede?", "Dün hava çok güzeldi."],
    "vi": ["Gói hàng tôi đặt tuần trước ở đâu?", "Hôm qua thời tiết rất đẹp."],
}


@pytest.mark.parametrize("code", SAID)
def test_sentences_are_told(code):
    found = detect(SAID[code] * 3)
    assert found.main == (code,)
    assert found.told == found.looked == 6
    assert str(found) == room.name_of(code)


def test_mixed_texts_are_told_one_by_one_and_rare_ones_are_not_named():
    texts = SAID["en"] * 30 + SAID["zh"] * 10 + SAID["de"][:1]
    found = detect(texts)
    assert found.main == ("en", "zh")
    assert str(found) == "English (74%) and Chinese (25%)"
    assert found.shares["de"] == pytest.approx(1 / 81)
    assert found.kept() == {"en": 0.741, "zh": 0.247}


@pytest.mark.parametrize(
    "texts",
    [
        [],
        [""],
        ["", "   ", "\n"],
        ["😀😀", "❤️", ":-)"],
        ["7 + 5", "2024-11-03", "12,5 %"],
        ["https://example.org/une/page", "someone@example.org", "<br/>"],
        ["AX-17 Z9", "kk77_b", "w3 w4 w5"],
        samples.codes(60)["text"].tolist(),
        ["ok"],
    ],
    ids=["no", "empty", "blank", "emoji", "numbers", "links", "numbered", "codes", "short"],
)
def test_what_is_no_language_is_not_given_one(texts):
    found = detect(texts)
    assert not found
    assert found.main == ()
    assert str(found) == "no language that can be told"
    assert found.looked == len(texts)


def test_single_words_are_read_together():
    words = " ".join(samples.TOPICS.values()).split()
    assert detect(words[:1]).told == 0
    found = detect(words)
    assert found.main == ("en",)


def test_links_markup_and_loudness_do_not_hide_a_language():
    texts = [f"<p>{text.upper()}</p> https://example.com/x @you 😀 #42" for text in SAID["fr"]]
    assert detect(texts).main == ("fr",)


def test_languages_without_blanks_go_on_behind_numbers_and_links():
    texts = ["我上周订了3个包裹在哪里", "看https://example.com/a。质量还不错2颗星，内容只适合消遣"]
    assert detect(texts).main == ("zh",)
    assert detect(texts).told == 2


def test_code_with_comments_is_not_taken_for_a_foreign_language():
    lines = [
        "def split(values, index):  # where the list is cut",
        "    return values[:index], values[index:]",
        "for (int i = 0; i < n; i++) { total += x[i]; }",
        "SELECT name FROM users WHERE id = 3;",
    ]
    assert set(detect(lines * 5).main) <= {"en"}


def test_more_than_a_sample_is_not_looked_at():
    texts = SAID["en"] * 5_000
    assert detect(texts).looked == room.SAMPLE
    assert detect(texts, n=7).looked == 7
    long = detect(["x" * 10_000_000, "the " * 1_000_000])
    assert long.looked == 2


def test_the_sample_reaches_from_the_first_text_to_the_last():
    found = detect([*SAID["en"][:1] * 5_000, *SAID["ja"][:1] * 5_000])
    assert found.shares == {"en": 0.5, "ja": 0.5}


def test_dialects_that_short_texts_do_not_tell_apart_go_by_one_code():
    labels = set(room._model().labels)
    assert not labels - set(room._names()) - set(room._ALIKE) - {room.NONE}
    assert set(room._ALIKE.values()) <= set(room._names())
    assert not set(room._ALIKE) & set(room._ALIKE.values())


@given(st.lists(st.text(max_size=40), max_size=8))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_any_text_is_taken_and_the_same_is_said_twice(texts):
    found = detect(texts)
    assert found == detect(texts)
    assert found.looked == len(texts) >= found.told
    assert sum(found.shares.values()) == pytest.approx(1 if found else 0)


def test_half_a_character_is_not_fatal():
    assert detect(["\ud800 " + SAID["en"][0]]).main == ("en",)


def test_phrases():
    assert room.listed([]) == ""
    assert room.named(["en"]) == "English"
    assert room.named(["en", "zh", "xx"]) == "English, Chinese and xx"
    assert not Languages()
