"""Traps: data on which transfer cannot help, through ``headstart.fit``, small.

``make bench-traps`` springs them over seeds, and digits as pictures too, with the harm measured on
large independent parts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart as hs
from tests import samples

pytestmark = [pytest.mark.weights, pytest.mark.usefixtures("weights")]
BASELINES = ("scratch", "majority")
FROZEN = ("scratch", "probe", "knn", "prototypes")
THEMES = {
    "sea": "wave tide reef sail harbour coral anchor whale",
    "snow": "ice frost glacier sledge blizzard ski avalanche skate",
    "desk": "pen stapler folder printer memo invoice keyboard drawer",
}
FILLERS = ["and", "then", "there", "came", "another", "one", "of", "those", "some", "more", "all"]


def fitted(data: Any, label: Any, **options: Any) -> hs.Result:
    options = {"source": "minilm"} | options
    return hs.fit(data, label=label, strategy=FROZEN, curve=False, **options)


def themed(n: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of two words of the theme among fillers: counting words is enough."""
    rng = np.random.default_rng(seed)
    labels = [list(THEMES)[i % 3] for i in range(n)]
    texts = [
        " ".join(rng.permutation([*rng.choice(THEMES[k].split(), 2), *rng.choice(FILLERS, 5)]))
        for k in labels
    ]
    return texts, labels


def nonsense(texts: list[str], seed: int) -> list[str]:
    """Replace every word by a made-up one, the same everywhere."""
    rng = np.random.default_rng(seed)
    words = sorted({word for text in texts for word in text.split()})
    made = {word: "".join(rng.choice(list("bcdfghjklmnpqrstvwxz"), 6)) for word in words}
    return [" ".join(made[word] for word in text.split()) for text in texts]


def test_nonsense_words_take_the_meaning_and_leave_the_counts():
    """The source helps with the words, and is sent away once they mean nothing."""
    texts, labels = themed(300, seed=0)
    made_up = nonsense(texts, seed=0)
    result = fitted(made_up[:60], labels[:60])
    assert result.chosen.strategy in BASELINES
    assert result.gain.verdict != "positive"
    right = result.predict(made_up[60:]) == np.array(labels[60:], dtype=object)
    assert right.mean() > 0.7


def test_one_informative_word_among_noise():
    frame = samples.codes(80)
    result = fitted(frame[["text", "code"]], "code")
    assert result.chosen.strategy in BASELINES


def test_one_informative_column_among_noise():
    """No source suits a table: scratch has to find the column, and nothing else is shipped."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((90, 12)), columns=[f"c{i}" for i in range(12)])
    codes = np.arange(90) % 2
    frame["c7"] = 2.0 * codes + 0.3 * rng.standard_normal(90)
    result = hs.fit(frame.assign(kind=np.array(["x", "y"])[codes]), label="kind", curve=False)
    assert result.chosen.strategy == "scratch"
    assert result.score.low > result.majority.high


def test_repeats_of_training_items_are_no_evidence():
    """Labels are random; half of the test part repeats training items, exactly or nearly."""
    texts, _ = themed(160, seed=1)
    texts = [f"{text} number {i}" for i, text in enumerate(texts)]
    rng = np.random.default_rng(1)
    labels = rng.choice(["a", "b"], 160)
    copies = [*texts[:15], *(text.upper() + "!" for text in texts[15:30])]
    train = pd.DataFrame({"text": texts[:100], "label": labels[:100]})
    test = pd.DataFrame({"text": [*copies, *texts[100:]], "label": [*labels[:30], *labels[100:]]})
    result = fitted(train, "label", test=test)
    assert result.task.n == 70
    assert result.gain.verdict != "positive"
    assert result.score.low < 0.5 + 0.1


def test_items_that_come_three_times_count_once():
    """Random labels repeated with their items: a neighbour that is a copy knows the answer."""
    texts, _ = themed(40, seed=2)
    texts = [f"{text} number {i}" for i, text in enumerate(texts)]
    labels = np.random.default_rng(2).permutation(["a", "b"] * 20).tolist()
    tripled = [*texts, *texts, *(text.upper() for text in texts)]
    result = fitted(tripled, labels * 3)
    assert result.gain.verdict != "positive"
    assert result.score.low < 0.5
    knn = next(one for one in result.candidates if one.strategy == "knn")
    assert knn.score is None or knn.score.estimate < 0.75


@pytest.mark.parametrize("seed", [0, 1])
def test_permuted_labels_are_no_transfer(seed):
    frame = samples.topics(12)
    mixed = np.random.default_rng(seed).permutation(frame["topic"]).tolist()
    result = fitted(frame["text"].tolist(), mixed, seed=seed)
    assert result.gain.verdict != "positive"


def test_an_unrelated_source_is_sent_away(tmp_path):
    """A network of large random weights that reads letters: features without a meaning."""
    transformers = pytest.importorskip("transformers")
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz"]
    config = transformers.BertConfig(
        vocab_size=len(marks),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        initializer_range=1.0,
    )
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).eval().save_pretrained(tmp_path)
    made = Tokenizer(models.WordLevel({mark: i for i, mark in enumerate(marks)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    texts, labels = themed(90, seed=3)
    result = fitted(texts, labels, source=str(tmp_path))
    assert result.chosen.strategy in BASELINES
    assert result.gain.verdict != "positive"
