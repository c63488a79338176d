"""Scratch for texts: n-grams against scikit-learn, and the estimators' behaviour."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV

from headstart.core.errors import DataError
from headstart.core.types import State
from headstart.strategies import scratch_text
from headstart.strategies.ngrams import fit_tfidf
from headstart.strategies.scratch_text import ScratchText, ScratchTextRegressor

ANIMALS = ["cat", "dog", "horse", "goat", "sheep", "cow"]
TOOLS = ["hammer", "saw", "drill", "wrench", "pliers", "chisel"]


def _texts(n=40, seed=0):
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for place in range(n):
        words = (ANIMALS, TOOLS)[place % 2]
        texts.append(f"the {rng.choice(words)} and a {rng.choice(words)} no {rng.integers(9)}")
        labels.append(("animal", "tool")[place % 2])
    return texts, np.array(labels)


def _reload(model):
    state = model.to_state()
    assert all(
        isinstance(part, np.ndarray) and part.dtype != object for part in state.arrays.values()
    )
    return type(model).from_state(State(dict(state.arrays), json.loads(json.dumps(state.meta))))


MIXED = [
    "Straße ist naß, ÉTÉ à Paris!",
    "İstanbul'da  hava\tgüzel",
    "日本語の文章です。 とても 長い",
    "",
    "   ",
    "a",
    "don't stop, don't",
    "emoji 😀😀 here",
]


@pytest.mark.parametrize("analyser", ["word", "char"])
def test_tfidf_is_scikit_learns(analyser):
    options = (
        {"token_pattern": r"\w+", "ngram_range": (1, 2)}
        if analyser == "word"
        else {"analyzer": "char_wb", "ngram_range": (2, 5)}
    )
    theirs = TfidfVectorizer(sublinear_tf=True, **options)
    texts = [*MIXED, *_texts()[0]]
    expected = theirs.fit_transform(texts)
    model, rows = fit_tfidf(texts, analyser)
    assert rows.shape == expected.shape
    assert np.abs((rows @ rows.T - expected @ expected.T).toarray()).max() < 1e-5
    new = ["a new cat and Straße 日本", "", "unseenword"]
    across = (model.transform(new) @ rows.T).toarray()
    assert np.abs(across - (theirs.transform(new) @ expected.T).toarray()).max() < 1e-5


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_any_texts_are_rows_of_length_one_or_zero(texts):
    for analyser in ("word", "char"):
        model, rows = fit_tfidf(texts, analyser)
        norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        assert np.all((np.abs(norms - 1) < 1e-5) | (norms == 0))
        assert (model.transform(texts) != rows).nnz == 0


def test_chunks_of_text_change_nothing(monkeypatch):
    texts = _texts()[0]
    model, rows = fit_tfidf(texts, "char")
    monkeypatch.setattr("headstart.strategies.gram_hashes.CHUNK", 100)
    other, again = fit_tfidf(texts, "char")
    assert np.array_equal(model.vocabulary, other.vocabulary)
    assert (rows != again).nnz == 0
    assert (model.transform(texts) != rows).nnz == 0


def test_rare_ngrams_go_first():
    texts = ["x y", "x y", "x z", "q"]
    model, _ = fit_tfidf(texts, "word", min_count=2)
    assert len(model.vocabulary) == 3  # x, y, "x y"
    single, _ = fit_tfidf(texts, "word", max_features=1)
    assert single.idf.tolist() == pytest.approx([np.log(5 / 4) + 1])


def test_learns_and_says_what_it_chose():
    texts, labels = _texts()
    model = ScratchText().fit(texts, labels)
    fresh, truth = _texts(seed=1)
    assert (model.predict(fresh) == truth).mean() == 1.0
    assert "TF-IDF of" in model.chosen_
    assert "inner accuracy" in model.chosen_


@pytest.mark.parametrize("classes", [2, 4])
def test_round_trip_is_bit_identical(classes):
    texts, labels = _texts()
    y = labels if classes == 2 else np.arange(len(texts)) % 4
    model = ScratchText().fit(texts, y)
    again = _reload(model)
    fresh = [*_texts(seed=2)[0], *MIXED]
    assert np.array_equal(model.predict_proba(fresh), again.predict_proba(fresh))
    assert np.array_equal(model.predict(fresh), again.predict(fresh))
    assert again.predict(fresh).dtype == model.classes_.dtype
    assert again.chosen_ == model.chosen_


def test_same_seed_same_bits_and_order_and_batch_do_not_matter():
    texts, labels = _texts()
    one, two = ScratchText().fit(texts, labels), ScratchText().fit(texts, labels)
    p = one.predict_proba(texts)
    assert np.array_equal(p, two.predict_proba(texts))
    assert np.array_equal(one.predict_proba(texts[::-1])[::-1], p)
    assert np.array_equal(np.concatenate([one.predict_proba([text]) for text in texts]), p)
    assert one.predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["distinct", "one", "two"])
def test_tiny_data_never_crash(n, kind):
    texts = ["good film", "bad film", "", "ok", "so good"][:n]
    y = {"distinct": list(range(n)), "one": [0] * n, "two": [0, 1, 0, 1, 0][:n]}[kind]
    model = _reload(ScratchText().fit(texts, y))
    p = model.predict_proba([*texts, "new"])
    assert p.shape == (n + 1, len(set(y)))
    assert np.abs(p.sum(axis=1) - 1).max() < 1e-9


def test_one_member_classes_beside_larger_ones():
    texts, labels = _texts(20)
    model = ScratchText().fit([*texts, "zebra crossing"], [*labels, "road"])
    assert model.predict(["zebra crossing"])[0] == "road"


def test_large_corpora_use_the_primal_solver_and_a_sample(monkeypatch):
    monkeypatch.setattr(scratch_text, "DUAL", 20)
    monkeypatch.setattr("headstart.strategies.views.DUAL", 20)
    texts, labels = _texts(80)
    model = ScratchText().fit(texts, labels)
    assert "on 20 items" in model.chosen_
    assert (model.predict(texts) == labels).all()
    assert np.array_equal(_reload(model).predict_proba(texts), model.predict_proba(texts))
    values = (labels == "tool") * 2.0
    regressor = ScratchTextRegressor().fit(texts, values)
    assert regressor.score(texts, values) > 0.9
    assert np.array_equal(_reload(regressor).predict(texts), regressor.predict(texts))


def test_characters_are_left_out_aloud(monkeypatch):
    monkeypatch.setattr(scratch_text, "CHARACTERS", 10)
    texts, labels = _texts(10)
    assert "characters left out" in ScratchText().fit(texts, labels).chosen_


def test_regression():
    texts = [f"{'great ' * (place % 5)}film number {place}" for place in range(40)]
    y = np.arange(40) % 5 * 1.0
    model = ScratchTextRegressor().fit(texts, y)
    assert model.score(texts, y) > 0.8
    again = _reload(model)
    assert np.array_equal(again.predict(texts), model.predict(texts))
    assert np.array_equal(model.predict(texts[::-1])[::-1], model.predict(texts))


def test_clone_and_grid_search():
    texts, labels = _texts(20)
    search = GridSearchCV(ScratchText(), {"cv": [2, 3]}, cv=2, error_score="raise")
    assert search.fit(texts, labels).best_score_ > 0.5
    copy = clone(ScratchText(cv=4, random_state=3))
    assert copy.get_params() == {"cv": 4, "random_state": 3}
    assert not hasattr(copy, "classes_")


@pytest.mark.parametrize("X", ["one text", ["a", 3], ["a", None]])
def test_what_is_not_a_text_is_named(X):
    with pytest.raises(DataError, match="text"):
        ScratchText().fit(X, [0, 1])
