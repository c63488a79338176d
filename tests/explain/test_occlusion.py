"""Explanations by occlusion: models whose reasons are known must be told back their reasons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError, OptionError, UnknownNameError
from headstart.explain import Asked, explain
from headstart.explain.texts import MOST, parts


def of_word(word):
    """A model that is sure of ``yes`` where a word stands in the text."""

    def answer(texts):
        yes = np.array([0.9 if word in text.split() else 0.2 for text in texts])
        return np.column_stack([1 - yes, yes])

    return Asked(answer, "text", ("no", "yes"))


def test_the_word_that_decides_has_all_the_weight():
    (told,) = explain(of_word("fine"), ["a fine old film\n"])
    assert told["label"] == "yes"
    assert told["confidence"] == 0.9
    assert "".join(token["text"] for token in told["tokens"]) == "a fine old film\n"
    assert [token["weight"] for token in told["tokens"]] == pytest.approx([0, 0.7, 0, 0])


def test_a_class_may_be_named():
    (told,) = explain(of_word("fine"), ["a fine film"], labels=["no"])
    assert told["confidence"] == pytest.approx(0.1)
    assert told["tokens"][1]["weight"] == pytest.approx(-0.7)


def test_what_is_asked_of_many_is_what_is_asked_of_each():
    texts = [f"film {i} fine" if i % 3 else f"film {i}" for i in range(40)]
    together = explain(of_word("fine"), texts)
    assert together == [explain(of_word("fine"), [text])[0] for text in texts]
    assert explain(of_word("fine"), []) == []


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.text(max_size=400))
def test_parts_joined_are_the_text(text):
    cut = parts(text)
    assert "".join(cut) == text
    assert len(cut) <= MOST


@pytest.mark.parametrize("text", ["", "   ", "wort", "这部电影很好看我们都喜欢它的故事"])
def test_texts_without_words_or_blanks(text):
    (told,) = explain(of_word("wort"), [text])
    assert "".join(token["text"] for token in told["tokens"]) == text


def test_the_column_that_decides_a_number():
    def answer(rows):
        return np.array([3.0 * (row["a"] or 0.0) + (row["b"] is None) for row in rows])

    asked = Asked(answer, "table", typical={"a": 1.0})
    (told,) = explain(asked, [{"a": 5.0, "b": "x", "c": np.nan}])
    assert told["label"] == 15.0
    assert told["confidence"] is None
    assert told["columns"] == [
        {"name": "a", "value": 5.0, "weight": 12.0},
        {"name": "b", "value": "x", "weight": -1.0},
        {"name": "c", "value": None, "weight": 0.0},
    ]


def corner(pictures):
    """A model that looks at the top left eighth of a picture."""
    arrays = [np.asarray(one) for one in pictures]
    tops = [one[: max(1, len(one) // 8), : max(1, one.shape[1] // 8)] for one in arrays]
    bright = np.array([top.mean() for top in tops])
    return np.column_stack([bright / 255, 1 - bright / 255])


@pytest.mark.parametrize("shape", [(64, 64), (40, 90), (700, 400), (5, 3)])
def test_the_corner_that_decides_is_hot(shape):
    picture = np.zeros((*shape, 3), np.uint8)
    picture[: max(1, shape[0] // 8), : max(1, shape[1] // 8)] = 255
    asked = Asked(corner, "image", ("bright", "dark"))
    (told,) = explain(asked, [picture], labels=["bright"])
    heat = np.array(told["weights"])
    assert heat.shape == (8, 8)
    assert np.isfinite(heat).all()
    if min(shape) >= 40:
        assert heat.argmax() == 0
        assert abs(heat[4:, 4:]).max() < 0.02


def test_the_window_that_decides_is_loud():
    rate = 16_000
    samples = np.zeros(rate, np.float32)
    samples[rate // 2 : rate // 2 + rate // 12] = 0.5

    def answer(sounds):
        loud = np.array([np.abs(wave).max() for wave, _ in sounds])
        return np.column_stack([loud, 1 - loud])

    (told,) = explain(Asked(answer, "audio", ("loud", "quiet")), [(samples, rate)], labels=["loud"])
    weights = [window["weight"] for window in told["windows"]]
    assert weights[6] == max(weights) == 0.5
    assert told["windows"][0]["start"] == 0
    assert told["windows"][-1]["end"] == 1
    (short,) = explain(Asked(answer, "audio", ("loud", "quiet")), [(samples[:300], rate)])
    assert len(short["windows"]) == 1


def test_what_is_asked_wrongly_is_refused():
    with pytest.raises(UnknownNameError, match="class"):
        explain(of_word("fine"), ["a"], labels=["maybe"])
    with pytest.raises(OptionError, match="a label for each item"):
        explain(of_word("fine"), ["a"], labels=["yes", "no"])
    with pytest.raises(DataError):
        explain(Asked(corner, "image", ("bright", "dark")), ["missing.png"])
