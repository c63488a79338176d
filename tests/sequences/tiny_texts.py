"""Tiny text encoders in directories of their own, and sentences that a model can learn."""

from __future__ import annotations

from pathlib import Path

LETTERS = list("abcdefghijklmnopqrstuvwxyz0123456789.,?-")
WORDS = ["anna", "bert", "paris", "rome", "lives", "in", "saw", "the", "who", "where", "when"]


def tiny_bert(folder: Path, *, positions: int = 64, seed: int = 0) -> str:
    """Write a BERT of two layers, with a tokenizer of some words and all letters."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *LETTERS, *(f"##{x}" for x in LETTERS)]
    tokenizer = Tokenizer(
        models.WordPiece({one: at for at, one in enumerate(vocab)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=positions,
    )
    transformers.BertModel(config).eval().save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


PEOPLE, PLACES = ("anna", "bert", "carl", "dora"), ("paris", "rome", "new york", "oslo")


def sentences(n: int) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return n different sentences with the tags of their names."""
    made = []
    for at in range(n):
        who, where = PEOPLE[at % 4], PLACES[at // 4 % 4].split()
        words = (who, ("lives", "works", "sleeps")[at // 16 % 3], "in", *where, *["."] * (at % 2))
        tags = ("B-PER", "O", "O", "B-LOC", *["I-LOC"] * (len(where) - 1), *["O"] * (at % 2))
        made.append((words, tags))
    return made
