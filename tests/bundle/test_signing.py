"""A signature says who made a model: nothing that anybody changes afterwards keeps it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headstart import bundle
from headstart.core.errors import (
    BundleCorruptError,
    BundleError,
    MissingExtraError,
    OptionError,
)

try:
    import model_signing  # noqa: F401
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
except ImportError:
    HERE = False
else:
    HERE = True
needs_signing = pytest.mark.skipif(not HERE, reason="model-signing is not installed")


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> dict[str, Path]:
    """Private and public keys: mine, a stranger's, one with a password, one of another kind."""
    folder = tmp_path_factory.mktemp("keys")
    made = {}
    for name, key, secret in (
        ("mine", ec.generate_private_key(ec.SECP256R1()), None),
        ("theirs", ec.generate_private_key(ec.SECP256R1()), None),
        ("locked", ec.generate_private_key(ec.SECP384R1()), b"open"),
        ("rsa", rsa.generate_private_key(65537, 2048), None),
    ):
        made[name], made[f"{name}.pub"] = folder / f"{name}.pem", folder / f"{name}.pub"
        how = serialization.BestAvailableEncryption(secret) if secret else None
        made[name].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                how or serialization.NoEncryption(),
            )
        )
        made[f"{name}.pub"].write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
    return made


@pytest.fixture(params=["m", "m.zip"])
def model(request, tmp_path, majority) -> Path:
    return bundle.save(tmp_path / request.param, majority)


def replaced(path: Path, signature: bytes | None, tmp_path: Path) -> Path:
    """Return a copy of a directory with another signature, or none."""
    made = Path(shutil.copytree(path, tmp_path / "copy", dirs_exist_ok=True))
    (made / "manifest.sig").unlink(missing_ok=True)
    if signature is not None:
        (made / "manifest.sig").write_bytes(signature)
    return made


@needs_signing
def test_a_signed_model_verifies_with_its_key_and_no_other(model, keys):
    digest = bundle.load(model).manifest.digest
    with pytest.raises(BundleCorruptError, match="not signed"):
        bundle.verify(model, keys["mine.pub"])
    assert bundle.sign(model, keys["mine"]) == model
    assert bundle.verify(model, keys["mine.pub"]) == digest
    assert bundle.verify(model) == digest
    assert bundle.load(model, verify_key=keys["mine.pub"]).manifest.digest == digest
    assert bundle.load_predictor(model, verify_key=keys["mine.pub"]).classes
    with pytest.raises(BundleCorruptError, match="not one of this key"):
        bundle.verify(model, keys["theirs.pub"])
    bundle.sign(model, keys["theirs"])  # signed anew: the old one is replaced
    bundle.verify(model, keys["theirs.pub"])
    leftovers = [one.name for one in model.parent.iterdir() if one.name != "cache"]
    assert leftovers == [model.name]


@needs_signing
def test_a_model_that_replaces_a_signed_one_is_not_signed(model, keys, majority):
    bundle.sign(model, keys["mine"])
    bundle.save(model, majority, overwrite=True)
    with pytest.raises(BundleCorruptError, match="not signed"):
        bundle.verify(model, keys["mine.pub"])


@needs_signing
def test_a_signature_of_another_model_is_refused(tmp_path, majority, probe, keys):
    one = bundle.sign(bundle.save(tmp_path / "one", majority), keys["mine"])
    other = bundle.save(tmp_path / "other", probe)
    shutil.copy(one / "manifest.sig", other / "manifest.sig")
    bundle.load(other)  # nobody asked who made it
    with pytest.raises(BundleCorruptError, match="not one of this key"):
        bundle.verify(other, keys["mine.pub"])


@needs_signing
def test_damaged_and_hostile_signatures_are_refused(tmp_path, majority, keys):
    path = bundle.sign(bundle.save(tmp_path / "m", majority), keys["mine"])
    raw = (path / "manifest.sig").read_bytes()
    cases: list[Any] = [b"", b"{}", b"[]", b"null", raw[:-5], raw[::-1], b"[" * 5000, b"\xff" * 40]
    cases += [raw.replace(b'"payload"', b'"pay"'), raw.replace(b"dsseEnvelope", b"none")]
    step = max(1, len(raw) // 40)
    flips = 0
    for at in range(0, len(raw), step):
        cases.append(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    for case in cases:
        made = replaced(path, case, tmp_path)
        try:
            bundle.verify(made, keys["mine.pub"])
        except BundleCorruptError:
            flips += 1
    assert flips >= len(cases) - 8  # a flip in what nobody signs, as the media type, may pass
    with pytest.raises(BundleCorruptError, match="wrong size"):
        bundle.load(replaced(path, b" " * 1_000_001, tmp_path))


@needs_signing
def test_a_key_with_a_password(tmp_path, majority, keys):
    path = bundle.save(tmp_path / "m", majority)
    for wrong in (None, "shut"):
        with pytest.raises(OptionError, match="not a key that can be used"):
            bundle.sign(path, keys["locked"], password=wrong)
    assert not (path / "manifest.sig").exists()
    bundle.sign(path, keys["locked"], password="open")
    bundle.verify(path, keys["locked.pub"])


@needs_signing
def test_what_is_no_key_is_told(tmp_path, majority, keys):
    path = bundle.save(tmp_path / "m", majority)
    (tmp_path / "text.pem").write_text("hello")
    (tmp_path / "large.pem").write_bytes(b"x" * 200_000)
    for name, words in (
        ("none.pem", "cannot be read"),
        ("text.pem", "not a key"),
        ("large.pem", "no key is this large"),
    ):
        with pytest.raises(OptionError, match=words):
            bundle.sign(path, tmp_path / name)
        bundle.sign(path, keys["mine"])
        with pytest.raises(OptionError, match=words):
            bundle.verify(path, tmp_path / name)
    with pytest.raises(OptionError, match="not a key"):
        bundle.sign(path, keys["rsa"])
    with pytest.raises(OptionError, match="not a key"):
        bundle.verify(path, keys["rsa.pub"])


@needs_signing
def test_only_what_verifies_is_signed(tmp_path, majority, keys):
    path = bundle.save(tmp_path / "m", majority)
    (path / "state.json").write_bytes(b"{}")
    with pytest.raises(BundleCorruptError):
        bundle.sign(path, keys["mine"])
    assert not (path / "manifest.sig").exists()


@needs_signing
def test_a_signature_that_cannot_be_written_is_told(tmp_path, majority, keys, monkeypatch):
    from headstart.bundle import disk

    path = bundle.save(tmp_path / "m", majority)

    def full(*args: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "staged_file", full)
    with pytest.raises(BundleError, match="No space left"):
        bundle.sign(path, keys["mine"])


@needs_signing
def test_the_tool_of_openssf_agrees(tmp_path, majority, keys):
    path = bundle.sign(bundle.save(tmp_path / "m", majority), keys["mine"])
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(path / "manifest.json")]
    command += ["--signature", str(path / "manifest.sig")]
    for name, good in (("mine.pub", True), ("theirs.pub", False)):
        done = subprocess.run([*command, "--public_key", str(keys[name])], capture_output=True)
        assert (done.returncode == 0) == good, done.stderr


def test_without_the_package_it_says_what_to_install(tmp_path, majority, monkeypatch):
    path = bundle.save(tmp_path / "m", majority)
    (path / "manifest.sig").write_bytes(b"{}")
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(MissingExtraError, match=r"headstart\[sign\]"):
        bundle.sign(path, tmp_path / "key.pem")
    with pytest.raises(MissingExtraError, match=r"headstart\[sign\]"):
        bundle.load(path, verify_key=tmp_path / "key.pub")
    bundle.load(path)  # a signature that nobody asks for does no harm
