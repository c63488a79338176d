"""The same weights in the layouts that other libraries read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from headstart import sources

CONFIG = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
TOKENIZER = {"tokenizer_class": "BertTokenizerFast", "model_max_length": 512, "do_lower_case": True}


def hugging_face_layout(folder: Path) -> Path:
    """Put the installed MiniLM weights into ``folder`` as Hugging Face's libraries expect them."""
    folder.mkdir(parents=True)
    installed = sources.installed_path("minilm")
    shutil.copy(installed / "model.safetensors", folder / "model.safetensors")
    shutil.copy(installed / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENIZER))
    return folder
