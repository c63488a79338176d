"""Tiny models that write texts, in directories of their own."""

from __future__ import annotations

from pathlib import Path

WORDS = ["summarize:", *"abcdefgh", ".", "one", "two", "red", "blue"]


def tiny_writer(folder: Path, *, kind: str = "t5", seed: int = 0, prefix: bool = False) -> str:
    """Write a random T5 or BART of 2 + 2 layers, with a tokenizer of a few words."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocab = ["<pad>", "</s>", "<unk>", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({one: at for at, one in enumerate(vocab)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    torch.manual_seed(seed)
    ends = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    if kind == "t5":
        config = transformers.T5Config(
            vocab_size=len(vocab),
            d_model=32,
            d_kv=8,
            d_ff=64,
            num_layers=2,
            num_heads=4,
            n_positions=64,
            feed_forward_proj="gated-gelu",
            **ends,
        )
        if prefix:
            config.task_specific_params = {"summarization": {"prefix": "summarize: "}}
        model = transformers.T5ForConditionalGeneration(config)
    else:
        config = transformers.BartConfig(
            vocab_size=len(vocab),
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=64,
            bos_token_id=0,
            forced_eos_token_id=1,
            **ends,
        )
        model = transformers.BartForConditionalGeneration(config)
    model.eval().save_pretrained(folder)
    return str(folder)
