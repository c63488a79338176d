"""What goes wrong with a request: a status, and the one shape of error that every answer has."""

from __future__ import annotations

import json
from collections.abc import Mapping

from headstart.core.errors import HeadstartError

CODES: dict[int, str] = {
    400: "bad_request",
    401: "no_key",
    403: "forbidden",
    404: "not_found",
    405: "not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unknown_type",
    422: "not_usable",
    429: "too_many",
    500: "internal",
    501: "not_possible",
    503: "busy",
    504: "too_late",
}
"""The code of each status that the service answers errors with."""


class Problem(Exception):  # noqa: N818
    """A request that cannot be answered as asked.

    Parameters
    ----------
    status : int
        A key of ``CODES``.
    message : str
        What is wrong, one plain sentence without a full stop.
    where : str, optional
        Which item, field or header.
    hint : str, optional
        What to do next.
    code : str, optional
        More exact than the status's own code.
    headers : mapping of str to str
        Added to the answer, as ``Retry-After``.
    close : bool
        Close the connection: what is left of the request will not be read.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        where: str | None = None,
        hint: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        self.status, self.message, self.where, self.hint = status, message, where, hint
        self.code = code or CODES[status]
        self.headers, self.close = dict(headers or {}), close
        super().__init__(message)

    def body(self) -> bytes:
        """Return the error as the JSON that is sent."""
        found = {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
        }
        return json.dumps({"error": found}, ensure_ascii=True).encode()


def of_data(error: HeadstartError) -> Problem:
    """Return what is said of an item that the model cannot read."""
    message = error.what
    if error.allowed is not None:
        allowed = error.allowed
        message += f"; allowed: {allowed if isinstance(allowed, str) else _listed(allowed)}"
    return Problem(422, message[:500], where=error.where, hint=error.hint)


def _listed(choices: object) -> str:
    try:
        return ", ".join(str(choice) for choice in choices)  # type: ignore[attr-defined]
    except TypeError:
        return str(choices)


def busy(message: str, *, seconds: int = 1) -> Problem:
    """Return that the service cannot take a request now, but may soon."""
    return Problem(
        503, message, hint="try again in a moment", headers={"Retry-After": str(max(1, seconds))}
    )


def plain_error(body: bytes) -> bytes:
    """Return an error as this protocol has it: one text."""
    found = json.loads(body)["error"]
    parts = [f"{found['where']}: {found['message']}" if found["where"] else found["message"]]
    if found["hint"]:
        parts.append(found["hint"])
    return json.dumps({"error": ". ".join(parts)}).encode()
