"""From a name to a backbone that is ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from headstart.core.errors import NotInstalledError
from headstart.core.types import SILENT, AnyArray, Reporter
from headstart.sources import (
    bert,
    conv4,
    efficientnet_lite,
    ge2e,
    mpnet,
    musicnn,
    view,
    whisper,
)
from headstart.sources.backbone import Backbone, fill, tensors_sha256
from headstart.sources.cards import SourceCard
from headstart.sources.guard import check_card, check_tokenizer
from headstart.sources.names import card as card_of
from headstart.sources.store import (
    TOKENIZER,
    WEIGHTS,
    install_card,
    is_installed,
    path_of,
    verify,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BUILD: dict[str, Callable[[SourceCard], Backbone]] = {
    "bert": bert.build,
    "conv4": conv4.build,
    "efficientnet-lite": efficientnet_lite.build,
    "ge2e": ge2e.build,
    "mpnet": mpnet.build,
    "musicnn": musicnn.build,
    "whisper": whisper.build,
}
_RENAME: dict[str, Callable[[str], str | None]] = {"bert": bert.rename, "mpnet": mpnet.rename}


def load(
    name: str | SourceCard, *, install_missing: bool = True, reporter: Reporter = SILENT
) -> Backbone:
    """Return a source as a backbone in eval mode, float32, on the CPU.

    Parameters
    ----------
    name : str or SourceCard
        See `headstart.sources.card`.
    install_missing : bool
        Fetch the weights once if they are not on this machine.
    reporter : Reporter
        Hears about fetching.

    Raises
    ------
    NotInstalledError
        The weights are not here and may not be fetched.
    IntegrityError
        The installed files are damaged.
    SourceError, MissingExtraError
        See `headstart.sources.card`.

    Examples
    --------
    >>> backbone = load("minilm")                                 # doctest: +SKIP
    >>> backbone.block_names                                      # doctest: +SKIP
    ('embeddings', 'layer1', 'layer2', 'layer3', 'layer4', 'layer5', 'layer6')
    """
    card = card_of(name) if isinstance(name, str) else name
    if view.of(card) is not None:
        base = load(view.whole(card), install_missing=install_missing, reporter=reporter)
        return view.cut(base, card)
    if card.provider in ("local", "huggingface"):
        from headstart.sources import hf

        return hf.load(card)
    if card.provider == "directory":
        from headstart.sources import directory

        return directory.load(card)
    if card.family == "timm":
        from headstart.sources import timm_door

        return timm_door.load(card)
    if not is_installed(card):
        if not install_missing:
            raise NotInstalledError(
                f"the weights of {card.name} are not on this machine",
                hint=f"headstart sources install {card.name}",
            )
        install_card(card, reporter=reporter)
    return _from_cache(card)


def load_together(
    names: Sequence[str], *, install_missing: bool = True, reporter: Reporter = SILENT
) -> list[Backbone]:
    """Return sources, of which the views of one source share its weights, read once.

    ``headstart.encode.features_together`` runs such views in one pass.

    Parameters
    ----------
    names : sequence of str
        As for `load`: ``["whisper-base", "whisper-base@layer1", "whisper-base@norm:3"]``.
    install_missing : bool
    reporter : Reporter

    Raises
    ------
    NotInstalledError, IntegrityError, SourceError, MissingExtraError
        As for `load`.

    Examples
    --------
    >>> whole, first = load_together(["minilm", "minilm@layer1"])  # doctest: +SKIP
    >>> whole.blocks[0] is first.blocks[0]                         # doctest: +SKIP
    True
    """
    wholes: dict[str, Backbone] = {}
    found = []
    for name in names:
        card = card_of(name)
        whole = view.whole(card)
        if whole.name not in wholes:
            wholes[whole.name] = load(whole, install_missing=install_missing, reporter=reporter)
        base = wholes[whole.name]
        found.append(base if view.of(card) is None else view.part_of(base, card))
    return found


def _from_cache(card: SourceCard) -> Backbone:
    from safetensors.torch import load_file

    verify(card)
    folder = path_of(card)
    reads = card.modality == "text"  # the tokenizer of a Whisper is its decoder's
    text = (folder / TOKENIZER).read_text("utf-8") if reads else None
    return assemble_renamed(card, load_file(folder / WEIGHTS), text, where=str(folder / WEIGHTS))


def assemble_renamed(
    card: SourceCard,
    tensors: Mapping[str, torch.Tensor],
    tokenizer_json: str | None,
    *,
    where: str,
) -> Backbone:
    """Return the backbone of a card from tensors as their file names them."""
    rename = _RENAME.get(card.family, str)
    if card.family == "whisper":
        rename = whisper.renamer(card.config["layers"])
    renamed = {rename(name): tensor for name, tensor in tensors.items()}
    own = {name: tensor.float() for name, tensor in renamed.items() if name is not None}
    return _assemble(card, own, tokenizer_json, card.weights_sha256, where=where)


class _NoInit(TorchFunctionMode):
    """Skips the random initialisation of weights that are about to be set (it is slow)."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Return the tensor untouched where a function of ``torch.nn.init`` is called."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def unfilled(card: SourceCard) -> Backbone:
    """Return the network of a card without its weights, on the meta device."""
    with torch.device("meta"), _NoInit():
        backbone = _BUILD[card.family](view.whole(card))
    return view.cut(backbone, card)


def _assemble(
    card: SourceCard,
    tensors: Mapping[str, torch.Tensor],
    tokenizer_json: str | None,
    identity: str,
    *,
    where: str,
) -> Backbone:
    backbone = unfilled(card)
    fill(backbone, tensors, where=where)
    backbone.weights_sha256 = identity
    if tokenizer_json is not None:
        backbone.tokenizer = read_tokenizer(tokenizer_json, card.input)
    return backbone


def read_tokenizer(text: str, spec: Mapping[str, Any]) -> Tokenizer:
    """Return the tokenizer of a ``tokenizer.json``, cutting at the card's length, not padding."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(text)
    tokenizer.enable_truncation(max_length=int(spec["max_tokens"]))
    tokenizer.no_padding()
    return tokenizer


def from_state(
    card: SourceCard, tensors: Mapping[str, AnyArray], tokenizer_json: str | None
) -> Backbone:
    """Return a backbone from what `Backbone.tensors` gave: a bundle that carries its weights.

    Parameters
    ----------
    card : SourceCard
    tensors : mapping of str to ndarray
    tokenizer_json : str or None
        Contents of ``tokenizer.json`` (``backbone.tokenizer.to_str()``); None for what is no text.

    Raises
    ------
    SourceError
        The tensors are not those of the card's model.
    """
    check_card(card, tensors)
    if tokenizer_json is not None:
        check_tokenizer(tokenizer_json)
    if card.family == "hf":
        from headstart.sources import hf

        return hf.from_state(card, tensors, tokenizer_json)
    if card.family == "timm":
        from headstart.sources import timm_door

        return timm_door.from_state(card, tensors)
    own = {name: torch.tensor(array) for name, array in tensors.items()}
    identity = tensors_sha256(tensors)
    return _assemble(card, own, tokenizer_json, identity, where=f"saved weights of {card.name}")
