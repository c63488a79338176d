"""The fields of a JSON object, taken one by one, each of a known type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headstart.core.errors import BundleCorruptError

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Fields:
    """Takes the fields of a JSON object one by one, each of a known type, and leaves none over."""

    def __init__(self, found: Mapping[str, Any], where: str) -> None:
        self.rest, self.where = dict(found), where

    def take(self, name: str, of: type) -> Any:
        """Take a field of a type."""
        if name not in self.rest:
            raise BundleCorruptError(f"the field {name!r} is missing", where=self.where)
        value = self.rest.pop(name)
        if of is float and type(value) is int:
            value = float(value)
        if type(value) is not of:
            raise BundleCorruptError(
                f"the field {name!r} is of the wrong type",
                where=self.where,
                got=type(value).__name__,
                allowed=of.__name__,
            )
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> Any:
        """Take a text that is one of some."""
        value = self.take(name, str)
        if value not in allowed:
            raise BundleCorruptError(
                f"the field {name!r} is none of the known values",
                where=self.where,
                got=value,
                allowed=allowed,
            )
        return value

    def count(self, name: str) -> int:
        """Take a number that is not negative."""
        value = self.take(name, int)
        if value < 0:
            raise BundleCorruptError(f"{name!r} is negative", where=self.where, got=value)
        return int(value)

    def sha256(self, name: str) -> str:
        """Take a sha256 in hexadecimal."""
        value = self.take(name, str)
        if not _SHA256.fullmatch(value):
            raise BundleCorruptError(f"{name!r} is not a sha256", where=self.where, got=value)
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        """Take a list of texts."""
        value = self.take(name, list)
        if not all(isinstance(part, str) for part in value):
            raise BundleCorruptError(f"{name!r} holds something else than text", where=self.where)
        return tuple(value)

    def done(self) -> None:
        """Refuse fields that nobody took."""
        if self.rest:
            raise BundleCorruptError(
                "there are fields that nobody knows", where=self.where, got=sorted(self.rest)
            )
