"""The error tree: every error that headstart raises on purpose.

::

    HeadstartError
    ├── OptionError             an option or argument that cannot be used as given
    │   └── UnknownNameError    a name that is not known ("did you mean ...?")
    ├── DataError               the user's data: a file, a row, a column, a label
    │   ├── AmbiguousDataError  two readings are possible; the user must choose
    │   └── UnreadableError     too many items cannot be read
    ├── SourceError             a pretrained source
    │   ├── NotInstalledError   its weights are not on this machine (and may not be fetched)
    │   └── FetchError          fetching failed
    ├── IntegrityError          bytes are not the bytes that were promised (a wrong sha256)
    ├── BundleError             a saved model
    │   ├── BundleCorruptError  damaged or tampered with
    │   └── BundleVersionError  written by a newer headstart
    ├── NotFittedModelError     used before ``fit``
    ├── OutOfMemoryError        not even the smallest batch fits into memory
    └── MissingExtraError       an optional dependency is not installed

    KeyboardInterrupt
    └── Interrupted             asked to stop by a signal, after a checkpoint was written

An error says what is wrong, where (file and row), what was got, what is allowed, what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    what : str
        What is wrong, one sentence without a full stop.
    where : str, optional
        The file, row, column or option concerned.
    got : object, optional
        The value that was found.
    allowed : object, optional
        What was expected: a text, or a collection of choices.
    hint : str, optional
        What to do next.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        got: object = None,
        allowed: object = None,
        hint: str | None = None,
    ) -> None:
        self.what, self.where, self.got, self.allowed, self.hint = what, where, got, allowed, hint
        super().__init__(what)

    def lines(self) -> list[str]:
        """Return the message as lines: what is wrong, what is allowed, what to do next."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        if self.got is not None:
            head += f" (got {self.got!r})"
        parts = [head]
        if self.allowed is not None:
            shown = self.allowed if isinstance(self.allowed, str) else _listed(self.allowed)
            if shown:
                parts.append(f"allowed: {shown}")
        if self.hint:
            parts.append(self.hint)
        return parts

    def __str__(self) -> str:
        return ". ".join(self.lines())


def _listed(choices: object) -> str:
    if isinstance(choices, Iterable):
        return ", ".join(str(choice) for choice in choices)
    return str(choices)


class OptionError(HeadstartError):
    """An option or argument that cannot be used as given."""


class UnknownNameError(OptionError):
    """A name that is not among the known ones; says which one was probably meant.

    Parameters
    ----------
    kind : str
        What the name should have named: "source", "strategy", "metric", ...
    name : str
        The unknown name.
    known : iterable of str
        The names that exist.
    where : str, optional
        The option or file concerned.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        known: Iterable[str],
        *,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        choices = sorted(known)
        near = difflib.get_close_matches(name, choices, n=1)
        meant = f"did you mean {near[0]!r}?" if near else None
        advice = " ".join(text for text in (meant, hint) if text) or None
        super().__init__(f"unknown {kind} {name!r}", where=where, allowed=choices, hint=advice)


class DataError(HeadstartError):
    """Something in the user's data is wrong."""


class AmbiguousDataError(DataError):
    """The data can be read in more than one way; the message lists the choices."""


class UnreadableError(DataError):
    """More items than allowed cannot be read."""


class SourceError(HeadstartError):
    """A pretrained source cannot be used."""


class NotInstalledError(SourceError):
    """The weights of a source are not on this machine and may not be fetched now."""


class FetchError(SourceError):
    """Fetching a pinned file failed; nothing was left half-done."""


class IntegrityError(HeadstartError):
    """Bytes are not the bytes that were promised: their sha256 differs."""


class BundleError(HeadstartError):
    """A saved model cannot be used."""


class BundleCorruptError(BundleError):
    """A saved model is damaged, incomplete or was tampered with."""


class BundleVersionError(BundleError):
    """A saved model was written by a newer version of headstart."""


class NotFittedModelError(HeadstartError):
    """A model was used before it was fitted."""


class MissingExtraError(HeadstartError):
    """An optional dependency is not installed.

    Parameters
    ----------
    package : str
        The package that is missing.
    extra : str
        The extra of headstart that brings it.
    purpose : str
        What it is needed for.
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed",
            hint=f"pip install 'headstart[{extra}]'",
        )


class OutOfMemoryError(HeadstartError):
    """Not even the smallest batch fits into memory."""


class OutOfTimeError(HeadstartError):
    """What was allowed to take part only as long as there is time has used it up."""


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop; what was done until then is in a checkpoint.

    No ``Exception``: whoever goes on after a candidate has failed must not go on after this.

    Parameters
    ----------
    number : int
        Of the signal.
    checkpoint : str
        Where the checkpoint is; empty where nothing had to be kept.
    """

    def __init__(self, number: int, checkpoint: str = "") -> None:
        self.number, self.checkpoint = number, checkpoint
        super().__init__(f"stopped by signal {number}")
