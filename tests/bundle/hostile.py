"""Malicious models: each made from the files of a sound one, every digest made to fit again."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Files = dict[str, bytes]
MANIFEST = "manifest.json"


def resealed(files: Files, edit: Callable[[dict[str, Any]], Any] | None = None) -> Files:
    """Return the files with a manifest whose sizes, sha256 and digest fit, then edited."""
    said = json.loads(files[MANIFEST])
    for name, raw in files.items():
        if name != MANIFEST:
            record = {"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
            said["files"][name] = record
    for name in set(said["files"]) - set(files):
        del said["files"][name]
    made = edit(said) if edit else None
    said["digest"] = said.pop("digest", "")
    text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
    return {
        **files,
        MANIFEST: sealed(
            made if isinstance(made, bytes) else text.encode("utf-8", "surrogatepass")
        ),
    }


def sealed(raw: bytes) -> bytes:
    """Make the digest at the end of a manifest fit what is before it."""
    body, mark, _ = raw.rpartition(b'"digest": "')
    return body + mark + hashlib.sha256(body + mark).hexdigest().encode() + b'"\n}\n'


def manifest(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Files], Files]:
    return lambda files: resealed(files, edit)


def put(*keys: str, value: Any) -> Callable[[Files], Files]:
    def edit(said: dict[str, Any]) -> None:
        for key in keys[:-1]:
            said = said[key]
        said[keys[-1]] = value

    return manifest(edit)


def spliced(old: str, new: str) -> Callable[[Files], Files]:
    """Change the text of the manifest."""

    def edit(said: dict[str, Any]) -> bytes:
        said["digest"] = said.pop("digest")
        text = json.dumps(said, indent=1, ensure_ascii=False) + "\n"
        assert old in text, old
        return text.replace(old, new, 1).encode("utf-8", "surrogatepass")

    return manifest(edit)


def swapped(name: str, make: Callable[[bytes], bytes]) -> Callable[[Files], Files]:
    """Replace a file, and let the manifest agree."""
    return lambda files: resealed({**files, name: make(files[name])})


def tensors(name: str, edit: Callable[[dict[str, Any]], Any]) -> Callable[[Files], Files]:
    def make(raw: bytes) -> bytes:
        from headstart.bundle.codec import from_safetensors, to_safetensors

        arrays = from_safetensors(raw, name)
        edit(arrays)
        return to_safetensors(arrays, name)

    return swapped(name, make)


def header(name: str, edit: Callable[[dict[str, Any]], Any]) -> Callable[[Files], Files]:
    """Change the header of safetensors and nothing else."""

    def make(raw: bytes) -> bytes:
        length = struct.unpack("<Q", raw[:8])[0]
        said = json.loads(raw[8 : 8 + length])
        made = edit(said)
        text = made if isinstance(made, bytes) else json.dumps(said).encode()
        return struct.pack("<Q", len(text)) + text + raw[8 + length :]

    return swapped(name, make)


def state(
    edit: Callable[[dict[str, Any]], Any], name: str = "state.json"
) -> Callable[[Files], Files]:
    def make(raw: bytes) -> bytes:
        said = json.loads(raw)
        made = edit(said)
        return made if isinstance(made, bytes) else json.dumps(said).encode()

    return swapped(name, make)


def first(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(iter(value for key, value in said.items() if key[:2] != "__"))
    return found


def card(**changes: Any) -> Callable[[Files], Files]:
    """Change the card of the source."""

    def edit(said: dict[str, Any]) -> None:
        about = said["source"]["card"]
        for key, value in changes.items():
            if isinstance(value, dict) and isinstance(about.get(key), dict):
                about[key] = {**about[key], **value}
            else:
                about[key] = value

    return manifest(edit)


def tokens(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Files], Files]:
    return state(edit, "tokenizer.json")


def split_by(pattern: str) -> Callable[[Files], Files]:
    part = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return tokens(lambda said: said.update(pre_tokenizer=part))


def deep(_: Any) -> bytes:
    return b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


def wide(_: Any) -> bytes:
    return b'{"a": [' + b"[]," * 6_000_000 + b"[]]}"


def many(said: dict[str, Any]) -> None:
    said["texts"] = ["a"] * 5000


def nan(arrays: dict[str, Any]) -> None:
    for name, array in arrays.items():
        if array.dtype.kind == "f":
            arrays[name] = np.full_like(array, np.nan)


def overlap(said: dict[str, Any]) -> None:
    for told in said.values():
        told["data_offsets"][0] = 0
    spans = sorted(said.values(), key=lambda told: told["data_offsets"][1])
    spans[-1]["data_offsets"][0] = 0


CASES: dict[str, Callable[[Files], Files]] = {
    # what the manifest says of files
    "a path upwards": put("files", "../evil.json", value={"size": 1, "sha256": "0" * 64}),
    "an absolute path": put("files", "/etc/passwd", value={"size": 1, "sha256": "0" * 64}),
    "a path of Windows": put("files", "..\\evil.json", value={"size": 1, "sha256": "0" * 64}),
    "the manifest lists itself": put("files", MANIFEST, value={"size": 1, "sha256": "0" * 64}),
    "a name that looks alike": lambda f: resealed(
        {("st\u0430te.json" if n == "state.json" else n): raw for n, raw in f.items()}
    ),
    "a file of code": lambda f: resealed({**f, "model.py": b"import os; os.abort()"}),
    "a pickle": lambda f: resealed({**f, "model.pkl": b"cos\nabort\n(tR."}),
    "a file not listed": lambda f: {**f, "extra.json": b"{}"},
    "a size of a billion gigabytes": put("files", "model.safetensors", "size", value=10**18),
    "a size of more than 64 bits": put("files", "model.safetensors", "size", value=10**40),
    "sizes of nine gigabytes": put("files", "source.safetensors", "size", value=9 * 10**9),
    "a size below zero": put("files", "model.safetensors", "size", value=-1),
    "a sha256 that lies": put("files", "state.json", "sha256", value="f" * 64),
    # what the manifest is written in
    "a key twice": spliced('"n": 36', '"n": 36,\n "n": 35'),
    "nested deep": spliced('"n": 36', '"n": ' + "[" * 200_000),
    "a number of a million digits": spliced('"n": 36', '"n": ' + "9" * 900_000),
    "a number of 64 bits and one": put("n", value=2**64),
    "not a number": spliced('"n": 36', '"n": NaN'),
    "minus infinity": spliced('"n": 36', '"n": -Infinity'),
    "a number out of range": spliced('"n": 36', '"n": 1e999'),
    "larger than a megabyte": put("fingerprint", value="x" * 1_000_000),
    "another encoding": lambda f: {**f, MANIFEST: f[MANIFEST].decode().encode("utf-16")},
    "a mark of byte order": lambda f: {**f, MANIFEST: sealed(b"\xef\xbb\xbf" + f[MANIFEST])},
    "half a character": put("classes", value=["birnen", "q,uitten", "\ud800pfel"]),
    "letters put together otherwise": manifest(
        lambda m: m.update(classes=[unicodedata.normalize("NFD", c) for c in m["classes"]])
    ),
    "a newer schema": put("schema", value=2),
    "a schema that is no whole number": put("schema", value=1.0),
    "another format": put("format", value="headstart-pickle"),
    "a special number that is none": put("result", "x", value={"$float": "os.system"}),
    # what the manifest says of the model
    "a strategy by its module": put("strategy", value="os.system"),
    "a strategy of another kind": put("strategy", value="scratch"),
    "another kind": put("kind", value="regression"),
    "a class more": manifest(lambda m: m["classes"].append("zzz")),
    "classes in another order": manifest(lambda m: m["classes"].reverse()),
    "a result with the digest of another model": put("result", "digest", value="0" * 64),
    "a field that nobody knows": put("auto_map", value={"AutoModel": "evil.py"}),
    # arrays
    "a header of a gigabyte": swapped(
        "model.safetensors", lambda raw: struct.pack("<Q", 10**9) + raw[8:]
    ),
    "a header beyond 64 bits": swapped("model.safetensors", lambda raw: b"\xff" * 8 + raw[8:]),
    "a header nested deep": header("model.safetensors", lambda s: deep(s)),
    "a header that is no JSON": header("model.safetensors", lambda s: b"import os"),
    "a shape of a terabyte": header(
        "model.safetensors", lambda s: first(s).update(shape=[10**6, 10**6])
    ),
    "a shape that overflows": header(
        "model.safetensors", lambda s: first(s).update(shape=[2**33, 2**33])
    ),
    "a shape below zero": header("model.safetensors", lambda s: first(s).update(shape=[-1, -5])),
    "an empty axis beside a huge one": header(
        "model.safetensors",
        lambda s: s.update(z={"dtype": "F32", "shape": [0, 2**40], "data_offsets": [0, 0]}),
    ),
    "tensors that overlap": header("model.safetensors", overlap),
    "tensors outside": header(
        "model.safetensors", lambda s: first(s).update(data_offsets=[10**9, 10**9 + 8])
    ),
    "a type that is never saved": header(
        "model.safetensors", lambda s: first(s).update(dtype="BF16")
    ),
    "a type that is none": header("model.safetensors", lambda s: first(s).update(dtype="OBJ")),
    "bytes of no tensor": swapped("model.safetensors", lambda raw: raw + b"\0" * 8),
    "weights that are not numbers": tensors("model.safetensors", nan),
    "weights of another shape": tensors(
        "model.safetensors", lambda a: a.update({n: v[..., :1] for n, v in a.items()})
    ),
    "weights of another type": tensors(
        "model.safetensors", lambda a: a.update({n: v.astype(np.int8) for n, v in a.items()})
    ),
    "other weights": tensors(
        "model.safetensors", lambda a: a.update({n: v * 3 + 1 for n, v in a.items()})
    ),
    "no weights": tensors("model.safetensors", lambda a: a.clear()),
    # states
    "a state nested deep": state(deep),
    "a state of millions of values": state(wide),
    "classes of a type of gigabytes": state(lambda s: s.update(classes_dtype="<U500000000")),
    "classes of a type of objects": state(lambda s: s.update(classes_dtype="O,O,O")),
    "class names of gigabytes": state(
        lambda s: s.update(classes=["x" * 4_000_000] + ["y"] * 100_000)
    ),
    "other classes in the state": state(lambda s: s.update(classes=["a", "b", "c"])),
    "a state of another strategy": state(lambda s: [s.clear(), s.update(tree={"left": 1})][1]),
    "a state that is a list": state(lambda s: b"[]"),
    "a state that is not UTF-8": state(lambda s: b'{"a": "\xff\xfe"}'),
    # golden
    "golden outputs that are not numbers": tensors("golden.safetensors", nan),
    "other golden outputs": tensors(
        "golden.safetensors", lambda a: a.update(outputs=a["outputs"][:, ::-1].copy())
    ),
    "golden outputs of another number": tensors(
        "golden.safetensors", lambda a: a.update(outputs=a["outputs"][:1])
    ),
    "golden inputs by the thousand": state(many, "golden.json"),
    "golden features of another source": tensors(
        "golden.safetensors", lambda a: a.update(features=a["features"] * 0 + 1)
    ),
    # the source
    "a source of a billion numbers": card(config={"hidden": 10**9}),
    "a source of a million layers": card(config={"layers": 10**6}),
    "a vocabulary of a billion": card(config={"vocab_size": 10**9}),
    "a source of another family": card(family="ge2e"),
    "a source of no family": card(family="__import__('os')"),
    "a source of the hub, with its code": card(
        family="hf", config={"model_type": "bert", "auto_map": {"AutoModel": "evil--model.py"}}
    ),
    "a source with a kernel of the hub": card(
        family="hf", config={"model_type": "bert", "attn_implementation": "evil/kernel"}
    ),
    "a source that timm would fetch": card(family="timm", config={"model": "hf-hub:evil/model"}),
    "a source from a folder": card(family="timm", config={"model": "local-dir:/etc"}),
    "weights of the source that are not numbers": tensors("source.safetensors", nan),
    "weights of another source": tensors(
        "source.safetensors", lambda a: a.update({n: v * 0 + 0.01 for n, v in a.items()})
    ),
    "a source with a weight less": tensors("source.safetensors", lambda a: a.popitem()),
    # the tokenizer
    "a tokenizer that is none": tokens(lambda s: b"{}"),
    "a tokenizer nested deep": tokens(deep),
    "a tokenizer with a pattern that never ends": split_by("(a+)+$"),
    "a tokenizer with another pattern that never ends": split_by("^(a|a|aa)*$"),
    "a tokenizer with groups by the number": split_by("(x+x+){5,}y"),
    "a tokenizer of another vocabulary": tokens(lambda s: s["model"].update(vocab={"[UNK]": 0})),
    "a tokenizer beyond the vocabulary": tokens(
        lambda s: s["model"].update(vocab={w: i + 10**6 for w, i in s["model"]["vocab"].items()})
    ),
}


def directory(path: Path, files: Files) -> Path:
    path.mkdir()
    for name, raw in files.items():
        if "/" not in name and "\\" not in name:
            (path / name).write_bytes(raw)
    return path


def archive(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, raw in files.items():
            made.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), raw)
    return path


def linked(path: Path, name: str, to: str | Path) -> None:
    (path / name).unlink()
    (path / name).symlink_to(to)


def piped(path: Path) -> None:
    (path / "state.json").unlink()
    os.mkfifo(path / "state.json")


def listening(path: Path) -> None:
    (path / "state.json").unlink()
    here = Path.cwd()
    os.chdir(path)  # the name of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("state.json")
    finally:
        os.chdir(here)


def foldered(path: Path) -> None:
    (path / "state.json").unlink()
    (path / "state.json").mkdir()


def crowded(path: Path) -> None:
    for i in range(1200):
        (path / f"{i}").touch()


def swapped_folder(path: Path) -> None:
    outside = path.with_name(path.name + "-outside")
    outside.mkdir()
    (outside / "state.json").write_bytes(b"{}")
    linked(path, "state.json", outside / "state.json")


ON_DISK: dict[str, Callable[[Path], None]] = {
    "a link to a file of this machine": lambda p: linked(p, "state.json", "/etc/passwd"),
    "a link to a file of its own": lambda p: linked(p, "state.json", "golden.json"),
    "a link to itself": lambda p: linked(p, "state.json", "state.json"),
    "a link to nowhere": lambda p: linked(p, "state.json", "nowhere"),
    "a manifest that is a link": lambda p: linked(p, MANIFEST, "/etc/passwd"),
    "a card that is a link": lambda p: linked(p, "README.md", "/etc/passwd"),
    "a link to what never ends": lambda p: linked(p, "state.json", "/dev/zero"),
    "a link to a file outside": swapped_folder,
    "a pipe": piped,
    "a socket": listening,
    "a folder in place of a file": foldered,
    "a signature that is a link": lambda p: (p / "manifest.sig").symlink_to("/etc/passwd"),
    "a signature that is a pipe": lambda p: os.mkfifo(p / "manifest.sig"),
    "attributes that are a folder": lambda p: (p / ".gitattributes").mkdir(),
    "attributes of megabytes": lambda p: (p / ".gitattributes").write_bytes(b" " * 2_000_000),
    "a folder more": lambda p: (p / "hooks").mkdir(),
    "a thousand files more": crowded,
}
"""What only a directory can be: changed after it was written."""
