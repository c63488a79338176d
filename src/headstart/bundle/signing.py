"""Signatures: who made a model. OpenSSF model-signing over the manifest, by a key in PEM.

The manifest names the size and the sha256 of every file, so what signs its bytes signs the whole
model; and a reader checks the signature over the very bytes that it then goes by, in a directory,
in an archive or from a hub alike. ``manifest.sig`` lies beside the manifest, which cannot list it.
`model_signing verify key manifest.json --signature manifest.sig --public_key KEY` agrees.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from headstart.bundle import disk
from headstart.bundle.manifest import MANIFEST, SIGNATURE
from headstart.bundle.store import is_archive, put
from headstart.bundle.verified import verified_files
from headstart.core.errors import BundleCorruptError, BundleError, MissingExtraError, OptionError

MAX_KEY = 100_000


def sign(path: str | Path, key: str | Path, *, password: str | None = None) -> Path:
    """Sign a saved model: ``manifest.sig`` is written into it, or replaced.

    Its files are verified first; none of them is changed.

    Parameters
    ----------
    path : str or Path
        The directory or the ``.zip``.
    key : str or Path
        A private key in PEM, on the curve P-256, P-384 or P-521.
    password : str, optional
        Of the key, where it is encrypted.

    Returns
    -------
    Path
        The model, links resolved.

    Raises
    ------
    OptionError
        The key cannot be used.
    BundleError, BundleCorruptError, BundleVersionError
        There is no sound model, or writing failed.
    MissingExtraError
        model-signing is not installed.
    """
    where = Path(os.path.realpath(path))
    found = verified_files(where)
    signature = _signature(found.said, Path(key), password)
    if is_archive(where):
        return put(where, {**found.raw, MANIFEST: found.said, SIGNATURE: signature})
    try:
        with disk.staged_file(where / SIGNATURE, where.parent) as file:
            file.write(signature)
    except OSError as error:
        raise BundleError(
            f"the signature could not be saved: {error.strerror or error}", where=str(where)
        ) from error
    return where


def verify(path: str | Path, key: str | Path | None = None) -> str:
    """Verify a saved model from the first byte to its golden outputs; with a key, who made it.

    Parameters
    ----------
    path : str or Path
    key : str or Path, optional
        A public key in PEM: the model must be signed with its private key.

    Returns
    -------
    str
        The digest of the model: the sha256 that stands in its manifest.

    Raises
    ------
    BundleError, BundleCorruptError, BundleVersionError, OptionError, MissingExtraError
        As ``headstart.load``.
    """
    from headstart.bundle.read import load

    return load(path, verify_key=key).manifest.digest


def check_signature(said: bytes, signature: bytes, key: Path) -> None:
    """Check that a signature over the bytes of a manifest was made with the private key of a key.

    Parameters
    ----------
    said, signature : bytes
        Of ``manifest.json`` and of ``manifest.sig``.
    key : Path
        The public key in PEM.

    Raises
    ------
    BundleCorruptError
        It was not, or it is none.
    OptionError
        The key cannot be read.
    MissingExtraError
        model-signing is not installed.
    """
    signing = _library()
    _readable(key)
    try:
        config = signing.verifying.Config().use_elliptic_key_verifier(public_key=key)
    except Exception as error:  # whatever a parser makes of a file that is no key
        raise _no_key(key, error, "a public key in PEM, on P-256, P-384 or P-521") from error
    config.set_hashing_config(_hashing(signing))
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        model, beside = Path(folder) / MANIFEST, Path(folder) / SIGNATURE
        model.write_bytes(said)
        beside.write_bytes(signature)
        try:
            config.verify(model, beside)
        except Exception as error:  # hostile signatures fail anywhere in it
            raise BundleCorruptError(
                f"the signature is not one of this key for this model: {error or 'it differs'}",
                where=SIGNATURE,
            ) from error


def _signature(said: bytes, key: Path, password: str | None) -> bytes:
    """Sign the bytes of a manifest."""
    signing = _library()
    _readable(key)
    try:
        config = signing.signing.Config().use_elliptic_key_signer(
            private_key=key,
            password=None if password is None else password.encode(),
        )
    except Exception as error:  # whatever a parser makes of a file that is no key
        raise _no_key(key, error, "a private key in PEM, on P-256, P-384 or P-521") from error
    config.set_hashing_config(_hashing(signing))
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        model, beside = Path(folder) / MANIFEST, Path(folder) / SIGNATURE
        model.write_bytes(said)
        config.sign(model, beside)
        return beside.read_bytes()


def _hashing(signing: Any) -> Any:
    config = signing.hashing.Config()
    return config.use_file_serialization(hashing_algorithm="sha256", allow_symlinks=False)


def _readable(key: Path) -> None:
    try:
        with key.open("rb") as file:
            fits = len(file.read(MAX_KEY + 1)) <= MAX_KEY
    except OSError as error:
        raise OptionError(
            f"the key cannot be read: {error.strerror}", where=f"--key {key}"
        ) from error
    if not fits:
        raise OptionError("no key is this large", where=f"--key {key}")


def _no_key(key: Path, error: Exception, allowed: str) -> OptionError:
    return OptionError(
        f"not a key that can be used: {error}", where=f"--key {key}", allowed=allowed
    )


def _library() -> Any:
    """Return model_signing with its parts; it is imported only when something is signed.

    Raises
    ------
    MissingExtraError
    """
    try:
        import model_signing.hashing
        import model_signing.signing
        import model_signing.verifying
    except ImportError as error:
        raise MissingExtraError("model-signing", "sign", "a signature") from error
    return model_signing
