"""Texts to features: parity with the backbone's own forward pass, whatever the company."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_sources import WORDS, tiny_text

from headstart.core.errors import DataError, OptionError, SourceError
from headstart.encode import features
from headstart.encode import text as text_module
from headstart.encode.device import worst_cosine
from headstart.encode.fast_bert import PackedBert

TOLERANCE = 1e-5  # of the largest value: what the docstring of features promises


def texts(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, size=rng.integers(0, 30))) for _ in range(n)]


def plain(backbone, items):
    """The oracle: one text at a time through the backbone's own forward pass."""
    prefix = backbone.card.input["prefix"]
    rows = []
    for text in items:
        ids = backbone.tokenizer.encode(prefix + text).ids
        ids = [*ids[:23], 2] if len(ids) > 24 else ids
        with torch.inference_mode():
            rows.append(backbone((torch.tensor([ids]), torch.ones(1, len(ids)).long())))
    return torch.cat(rows).numpy()


def close(first, second):
    return np.abs(first - second).max() <= TOLERANCE * np.abs(second).max()


@pytest.mark.parametrize("family", ["bert", "mpnet"])
@pytest.mark.parametrize("prefix", ["", "w1 "])
def test_features_are_those_of_the_backbone(family, prefix):
    backbone = tiny_text(family, prefix=prefix)
    items = texts(40)
    array = features(items, backbone, cache=False).array
    assert array.dtype == np.float32
    assert array.shape == (40, 32)
    assert close(array, plain(backbone, items))


def test_side_by_side_equals_one_after_another(two_threads, monkeypatch, text_backbone):
    monkeypatch.setattr(text_module, "_CPU_TOKENS", 64)
    items = texts(60)
    found = features(items, text_backbone, cache=False).array
    assert torch.get_num_threads() == 2
    assert close(found, plain(text_backbone, items))


def test_packed_operations_of_onednn_agree_with_the_plain_ones(text_backbone):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch was built without oneDNN")
    groups = [torch.randint(4, 200, shape) for shape in ((3, 5), (1, 9), (2, 2))]
    with torch.inference_mode():
        packed = PackedBert(text_backbone, dtype=torch.float32, prepack=True)(groups)
        expected = torch.cat([text_backbone((ids, torch.ones_like(ids))) for ids in groups])
    assert worst_cosine(packed, expected) >= 0.99999


def test_a_module_that_is_not_ours_takes_the_padded_path(monkeypatch, text_backbone):
    monkeypatch.setattr(PackedBert, "fits", staticmethod(lambda backbone: False))
    items = texts(50)
    found = features(items, text_backbone, cache=False).array
    assert close(found, plain(text_backbone, items))


def test_a_packed_path_that_strays_is_refused_and_said(monkeypatch, text_backbone, recorder):
    monkeypatch.setattr(
        text_module.devices, "cpu_candidates", lambda *_: [(torch.bfloat16, 0.9998)]
    )
    monkeypatch.setattr(text_module.TextEncoder, "_compare", lambda *_: 0.9)
    monkeypatch.setattr(text_module, "PackedBert", _WithoutPrepack)
    items = texts(9)
    found = features(items, text_backbone, cache=False, reporter=recorder).array
    assert close(found, plain(text_backbone, items))
    assert any("strays" in line and "0.90000" in line for line in recorder.said)


def test_private_operations_that_are_gone_are_done_without(monkeypatch, text_backbone):
    def gone(*_):
        raise AttributeError("no such operation")

    monkeypatch.setattr(text_module.devices, "cpu_candidates", lambda *_: [(torch.float32, 0.9998)])
    monkeypatch.setattr(text_module.TextEncoder, "_compare", gone)
    monkeypatch.setattr(text_module, "PackedBert", _WithoutPrepack)
    items = texts(9)
    assert close(features(items, text_backbone, cache=False).array, plain(text_backbone, items))


class _WithoutPrepack(PackedBert):
    def __init__(self, backbone, *, dtype, prepack):
        super().__init__(backbone, dtype=dtype, prepack=False)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.lists(st.text(max_size=40), max_size=6), st.randoms(use_true_random=False))
def test_order_and_company_do_not_matter(items, random):
    backbone = tiny_text()
    together = features(items, backbone, cache=False).array
    order = list(range(len(items)))
    random.shuffle(order)
    shuffled = features([items[i] for i in order], backbone, cache=False).array
    assert together.shape == (len(items), 32)
    if items:
        assert close(shuffled, together[order])
        alone = features(items[:1], backbone, cache=False).array
        assert close(alone, together[:1])


def test_odd_texts_are_texts(text_backbone):
    odd = ["", "\0", "a\0b", "😀", "\ud800", "中文", "w1 " * 20_000, "\n\t", "w1" * 5000]
    array = features(odd, text_backbone, cache=False).array
    assert np.isfinite(array).all()
    assert close(array[6], plain(text_backbone, ["w1 " * 40])[0])


def test_cut_texts_are_counted(text_backbone, recorder):
    features(
        ["w1 " * 30, "w2", "w3 " * 22, "w3 " * 23], text_backbone, cache=False, reporter=recorder
    )
    assert recorder.said == [
        "2 of the texts embedded now are longer than the 24 tokens that tiny-bert reads; "
        "the rest of each was not used."
    ]


@pytest.mark.parametrize("bad", [None, 3, float("nan"), b"bytes", ["list"]])
def test_what_is_no_text_is_named_by_position(text_backbone, bad):
    with pytest.raises(DataError, match=r"items\[2\]"):
        features(["w1", "w2", bad], text_backbone)


def test_nothing_gives_nothing(text_backbone):
    assert features([], text_backbone).array.shape == (0, 32)


def test_progress_reaches_the_total_and_counts_duplicates(text_backbone, recorder):
    features([*texts(30), *texts(30)], text_backbone, cache=False, reporter=recorder)
    done = [step[1] for step in recorder.steps]
    assert done == sorted(done)
    assert recorder.steps[-1] == ("embedding texts", 60, 60, "texts")


def test_windows_join_up(monkeypatch, text_backbone):
    items = texts(23)
    whole = features(items, text_backbone, cache=False).array
    monkeypatch.setattr(text_module.TextEncoder, "window", 5)
    assert close(features(items, text_backbone, cache=False).array, whole)


def test_series_and_arrays_are_taken(text_backbone):
    import pandas as pd

    items = texts(4)
    whole = features(items, text_backbone, cache=False).array
    series = pd.Series(items, index=[7, 3, 3, 1])
    assert close(features(series, text_backbone, cache=False).array, whole)
    array = np.array(items, dtype=object)
    assert close(features(array, text_backbone, cache=False).array, whole)


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"precision": "int8"}, "precision"),
        ({"device": "toaster"}, "device"),
        ({"device": "meta"}, "device"),
        ({"out": "features.csv"}, "out"),
    ],
)
def test_options_that_cannot_be_used(text_backbone, option, match):
    with pytest.raises(OptionError, match=match):
        features(["w1"], text_backbone, cache=False, **option)


def test_a_source_of_another_modality_is_refused(text_backbone):
    import dataclasses

    text_backbone.card = dataclasses.replace(text_backbone.card, modality="table")
    with pytest.raises(OptionError, match="table"):
        features(["w1"], text_backbone)


def test_a_text_source_without_tokenizer_is_refused(text_backbone):
    text_backbone.tokenizer = None
    with pytest.raises(SourceError, match="tokenizer"):
        features(["w1"], text_backbone)


def test_bf16_that_the_cpu_lacks_is_said(monkeypatch, text_backbone, recorder):
    monkeypatch.setattr(text_module.devices, "native_bf16", lambda: False)
    features(["w1"], text_backbone, cache=False, precision="bf16", reporter=recorder)
    assert any("bfloat16" in line for line in recorder.said)


def test_the_backbone_is_left_as_it_was(text_backbone):
    before = {name: tensor.copy() for name, tensor in text_backbone.tensors().items()}
    tokenizer = text_backbone.tokenizer.to_str()
    features(texts(10), text_backbone, cache=False)
    assert text_backbone.tokenizer.to_str() == tokenizer
    after = text_backbone.tensors()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.weights
def test_minilm_keeps_its_features():
    from headstart import sources

    backbone = sources.load("minilm", install_missing=False)
    items = ["A man is eating food.", "ok", "transfer " * 300, "😀 naïve", *texts(20)]
    found = torch.from_numpy(np.array(features(items, backbone, cache=False).array))
    with torch.inference_mode():
        rows = []
        for encoding in backbone.tokenizer.encode_batch(items):
            ids = torch.tensor([encoding.ids])
            rows.append(backbone((ids, torch.ones_like(ids))))
    assert worst_cosine(found, torch.cat(rows)) >= 0.99999
