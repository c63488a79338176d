"""Repositories of models on the Hugging Face hub: read and written whole, through its client."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from headstart.core.errors import FetchError, MissingExtraError, OptionError
from headstart.fetch import offline

_NAME = re.compile(r"hf:/{1,2}(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?", re.ASCII)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def hub_name(path: str | Path) -> tuple[str, str | None] | None:
    """Return the repository and the revision that ``hf://user/name@revision`` means.

    None for anything else. A ``Path`` has lost one of the two slashes; it is understood.
    """
    found = _NAME.fullmatch(str(path))
    return (found["repo"], found["revision"]) if found else None


def is_repo(name: str) -> bool:
    """Say whether a text could be the name of a repository, ``user/name``."""
    return bool(_REPO.fullmatch(name)) and ".." not in name and "--" not in name


def upload(
    files: Mapping[str, bytes],
    repo: str,
    *,
    ours: Set[str],
    private: bool = False,
    token: str | None = None,
    api: Any = None,
) -> str:
    """Put files into a repository, in one commit: all of them, or none.

    Parameters
    ----------
    files : mapping of name to bytes
    repo : str
        ``user/name``; made where it is not there.
    ours : set of str
        Names that may be there already; those that are not among ``files`` are removed.
    private : bool
        Of a repository that is made.
    token : str, optional
        Else the one that the client of the hub finds.
    api : HfApi, optional
        The client.

    Returns
    -------
    str
        Where it is now.

    Raises
    ------
    OptionError
        The repository holds something else than a model.
    FetchError
        The hub cannot be reached, or does not allow it.
    MissingExtraError
        Its client is not installed.
    """
    hub = _client()
    if offline():
        raise FetchError("nothing is sent while HEADSTART_OFFLINE is set", where=repo)
    made = hub.HfApi(token=token) if api is None else api
    try:
        made.create_repo(repo, private=private, exist_ok=True, repo_type="model")
        there = set(made.list_repo_files(repo))
        foreign = sorted(there - set(files) - ours)
        if foreign:
            raise OptionError(
                "the repository holds something else than a model",
                where=repo,
                got=foreign[:10],
                hint="choose another name; headstart replaces nothing but its own models",
            )
        changes = [
            hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=raw)
            for name, raw in sorted(files.items())
        ]
        gone = sorted((there & ours) - set(files) - {".gitattributes"})
        changes += [hub.CommitOperationDelete(path_in_repo=name) for name in gone]
        made.create_commit(repo, operations=changes, commit_message="A model of headstart")
    except OptionError:
        raise
    except Exception as error:  # the client raises what its own libraries raise
        raise _unreachable("the model could not be sent to the hub", repo, error) from error
    return f"https://huggingface.co/{repo}"


def download(
    repo: str, revision: str | None, *, known: Set[str], max_bytes: int, api: Any = None
) -> tuple[dict[str, Path], set[str]]:
    """Fetch the files of a repository that a model could have into the client's cache.

    Parameters
    ----------
    repo : str
    revision : str, optional
        A branch, a tag or a commit.
    known : set of str
        What is fetched; nothing else is.
    max_bytes : int
        More is refused before any of it is fetched.
    api : HfApi, optional
        The client.

    Returns
    -------
    files : dict of name to path
    others : set of str
        What else is in the repository.

    Raises
    ------
    FetchError
        It is too large, or cannot be fetched.
    MissingExtraError
        The client of the hub is not installed.
    """
    hub = _client()
    made = hub.HfApi() if api is None else api
    try:
        if offline():
            folder = Path(made.snapshot_download(repo, revision=revision, local_files_only=True))
            there = {one.name for one in folder.iterdir()}
        else:
            told = made.repo_info(repo, revision=revision, files_metadata=True)
            sizes = {one.rfilename: one.size or 0 for one in told.siblings}
            there = set(sizes)
            whole = sum(size for name, size in sizes.items() if name in known)
            if whole > max_bytes:
                raise FetchError(
                    "larger than what is fetched",
                    where=repo,
                    got=f"{whole:,} bytes",
                    allowed=f"at most {max_bytes:,} bytes",
                )
            wanted = sorted(there & known)
            folder = Path(
                made.snapshot_download(repo, revision=told.sha, allow_patterns=wanted or ["none"])
            )
    except FetchError:
        raise
    except Exception as error:  # the client raises what its own libraries raise
        raise _unreachable("the model could not be fetched from the hub", repo, error) from error
    return {name: (folder / name).resolve() for name in there & known}, there - known


def _unreachable(what: str, repo: str, error: Exception) -> FetchError:
    words = str(error).strip().splitlines()
    return FetchError(
        f"{what}: {words[0][:300] if words else type(error).__name__}",
        where=repo,
        hint="is there a network, and a token that may do this (`hf auth login`, or HF_TOKEN)?",
    )


def _client() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface_hub", "hf", "the hub") from error
    return huggingface_hub
