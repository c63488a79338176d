"""Models that write a text for a text (T5, BART, Marian, Pegasus), through transformers.

By a local directory or a name on the hub; code that comes with a model is never run, and only
safetensors are read.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from headstart.core.errors import IntegrityError, MissingExtraError, SourceError
from headstart.sources import folder as folders
from headstart.sources import hf
from headstart.sources.cards import SourceCard

MOST_TOKENS = 1024
"""Where a model states no length of its own."""
_IGNORED = -100


def describe(name: str) -> SourceCard:
    """Return the card of a model that writes texts.

    Parameters
    ----------
    name : str
        A directory in Hugging Face layout, ``org/name`` or ``hf:org/name``.

    Raises
    ------
    SourceError
        It is no such model.
    MissingExtraError, NotInstalledError, FetchError
        See ``sources.hf``.
    """
    if not Path(name).is_dir() and "/" not in name:
        raise SourceError(
            "no source of headstart's own writes texts",
            where="--source",
            got=name,
            hint="give the directory or the hub id of a T5, BART or Marian",
        )
    folder = folders.open_folder(hf.place_of(name))
    if not folder.config.get("is_encoder_decoder"):
        raise SourceError(
            "this model writes no text for a text",
            where=str(folder.path),
            got=folder.config.get("architectures") or folder.model_type,
            allowed="an encoder with a decoder: T5, mT5, BART, Marian, Pegasus",
        )
    if not hf.has_tokenizer(folder) and not (folder.path / "source.spm").is_file():
        raise SourceError("this source has no tokenizer", where=str(folder.path))
    config, shapes = folder.config, folders.header(folder)
    named, permissive = folders.licence(folder)
    local = Path(name).is_dir()
    return SourceCard(
        name=str(folder.path) if local else name.removeprefix("hf:"),
        modality="text",
        title=folder.path.name if local else name.removeprefix("hf:"),
        pretrained_on="see its model card",
        parameters=sum(map(prod, shapes.values())),
        dim=int(config.get("d_model") or config.get("hidden_size") or 1),
        input={"max_tokens": _max_tokens(config)},
        licence=named,
        permissive=permissive,
        licence_package="none",
        family="hf",
        config={"model_type": folder.model_type, "writes": True},
        origin={"directory": str(folder.path)} if local else {"hub": {"id": name}},
        weights_sha256=folders.identity(folder),
        size_mb=round(sum(file.stat().st_size for file in folder.weights) / 1e6, 1),
        prior_source="none: not in the catalogue",
        provider="local" if local else "huggingface",
    )


def _max_tokens(config: Mapping[str, Any]) -> int:
    found = config.get("max_position_embeddings") or config.get("n_positions") or MOST_TOKENS
    return int(found)


def load(card: SourceCard) -> Seq2Seq:
    """Return a model that writes texts, in eval mode.

    Raises
    ------
    IntegrityError
        It has changed since its card was made.
    SourceError
        It cannot be loaded, and why.
    MissingExtraError
        Without transformers.
    """
    folder = folders.open_folder(hf.located(card))
    if (found := folders.identity(folder)) != card.weights_sha256:
        raise IntegrityError(
            "the model is not the one that its card describes",
            where=str(folder.path),
            got=found,
            allowed=card.weights_sha256,
        )
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("transformers", "hf", f"the source {card.name!r}") from error
    try:
        model, info = transformers.AutoModelForSeq2SeqLM.from_pretrained(
            folder.path,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder.path, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever transformers raises for a folder that it cannot read
        raise SourceError(
            "transformers cannot load this model", where=str(folder.path), got=str(error)[:200]
        ) from error
    if info["missing_keys"]:
        raise SourceError(
            "weights are missing from the model's files",
            where=str(folder.path),
            got=sorted(info["missing_keys"])[:5],
        )
    return Seq2Seq(card, model.float().eval(), tokenizer)


class Seq2Seq:
    """A model that writes a text for a text.

    Parameters
    ----------
    card : SourceCard
    model : nn.Module
        Of transformers.
    tokenizer : object
        The same.
    """

    def __init__(self, card: SourceCard, model: Any, tokenizer: Any) -> None:
        self.card, self._tokenizer = card, tokenizer
        self.model: Any = model
        self.weights_sha256 = card.weights_sha256
        self.limit = int(card.input["max_tokens"])

    @property
    def prefixes(self) -> dict[str, str]:
        """What the model was trained to read before a text, by task."""
        tasks = getattr(self.model.config, "task_specific_params", None) or {}
        return {
            name: str(one["prefix"])
            for name, one in tasks.items()
            if isinstance(one, dict) and one.get("prefix")
        }

    def encode(self, texts: Sequence[str], *, target: bool = False) -> list[tuple[list[int], bool]]:
        """Return the token ids of each text, and whether it was cut at what the model reads.

        Parameters
        ----------
        texts : sequence of str
        target : bool
            They are what should be written, not what is read.
        """
        made = []
        for text in texts:
            clean = text.encode("utf-8", "replace").decode()
            named = {"text_target": clean} if target else {"text": clean}
            ids = list(self._tokenizer(**named, verbose=False)["input_ids"])
            cut = len(ids) > self.limit
            if cut:  # the last token says that the text ends
                ids = [*ids[: self.limit - 1], ids[-1]]
            made.append((ids or [self._end], cut))
        return made

    @property
    def _end(self) -> int:
        return int(self.model.config.eos_token_id or 0)

    def loss(self, read: Sequence[Sequence[int]], written: Sequence[Sequence[int]]) -> Tensor:
        """Return the mean cross-entropy of what should be written, token by token."""
        pad = int(self.model.config.pad_token_id or 0)
        ids, mask = _padded(read, pad)
        labels, known = _padded(written, pad)
        labels = labels.masked_fill(known == 0, _IGNORED)
        made: Tensor = self.model(input_ids=ids, attention_mask=mask, labels=labels).loss
        return made

    def write(
        self, read: Sequence[Sequence[int]], *, beams: int, longest: int
    ) -> list[tuple[str, float]]:
        """Return what is written for texts of one length, and exp(mean log-probability).

        Parameters
        ----------
        read : sequence of token ids
            All of one length: nothing is padded.
        beams : int
        longest : int
            New tokens at most.
        """
        plan = copy.deepcopy(self.model.generation_config)
        plan.max_length = None
        plan.max_new_tokens, plan.num_beams, plan.do_sample = longest, beams, False
        plan.min_length, plan.min_new_tokens = 0, None
        plan.length_penalty, plan.early_stopping = 1.0, beams > 1
        ids = torch.tensor([list(one) for one in read])
        with torch.inference_mode():
            made = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                generation_config=plan,
                return_dict_in_generate=True,
                output_scores=True,
            )
            steps = self.model.compute_transition_scores(
                made.sequences,
                made.scores,
                made.beam_indices if beams > 1 else None,
                normalize_logits=beams == 1,
            )
        texts = self._tokenizer.batch_decode(made.sequences, skip_special_tokens=True)
        found = []
        for text, one in zip(texts, steps, strict=True):
            known = one[torch.isfinite(one) & (one < 0)]
            sure = float(known.mean().exp()) if len(known) else 1.0
            found.append((text.strip(), min(max(sure, 0.0), 1.0)))
        return found


def _padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    length = max(len(row) for row in rows)
    ids = torch.full((len(rows), length), pad, dtype=torch.int64)
    mask = torch.zeros((len(rows), length), dtype=torch.int64)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(list(row))
        mask[at, : len(row)] = 1
    return ids, mask
