"""Checked reading of parsed JSON: values that know where they are in their document.

Whatever isn't as its reader wants it raises UnsafeInputError with the file and the key path, such
as ``packages[2].hashes``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar, cast

from slim.errors import UnsafeInputError
from slim.system.key_path import item_path, key_path
from slim.system.strict_json import parse_json

_EXACT: Final = 1 << 53
"""Integers of smaller amounts are exact in all implementations of JSON (RFC 7493, 2.2)."""

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")

E = TypeVar("E", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSource:
    """Document that a cursor reads, as messages name it.

    ``document`` is its name within ``file`` where that is an archive. ``hint`` is the advice about
    a malformed document, ``missing_hint`` about a missing key where that is something else.
    """

    file: object
    hint: str
    document: str = ""
    missing_hint: str | None = None

    def parse(self, raw: bytes) -> JsonCursor:
        """Parse the document strictly; return a cursor on its outermost value.

        Raises UnsafeInputError.
        """
        name = f"{self.file}: {self.document}" if self.document else self.file
        return JsonCursor(parse_json(raw, file=name, hint=self.hint), self)


class JsonCursor:
    """Value in a JSON document that knows its key path. Its methods raise UnsafeInputError.

    ``step`` is the key or the index that leads to it from the ``outer`` one.
    """

    __slots__ = ("_outer", "_step", "source", "value")

    def __init__(
        self,
        value: object,
        source: JsonSource,
        outer: JsonCursor | None = None,
        step: str | int = "",
    ) -> None:
        self.value = value
        self.source = source
        self._outer = outer
        self._step = step

    @property
    def path(self) -> str:
        """Key path from the top of the document, where it is empty."""
        outer = "" if self._outer is None else self._outer.path
        if isinstance(self._step, int):
            return item_path(outer, self._step)
        return key_path(outer, self._step)

    def wrong(self, message: str, *, at: str = "", hint: str | None = None) -> UnsafeInputError:
        """Return the error for this value, or for what is at the path ``at`` below it."""
        place = ": ".join(part for part in (self.source.document, key_path(self.path, at)) if part)
        return UnsafeInputError(
            message, file=self.source.file, place=place or None, hint=hint or self.source.hint
        )

    # Objects

    def members(self) -> Mapping[str, object]:
        """Values of the object by key."""
        if not isinstance(self.value, dict):
            raise self.wrong("must be an object")
        return cast("dict[str, object]", self.value)

    def __getitem__(self, key: str) -> JsonCursor:
        """The value of a key that the object has to have."""
        values = self.members()
        if key not in values:
            raise self.wrong(f"{key!r} is missing", at=key, hint=self.source.missing_hint)
        return JsonCursor(values[key], self.source, self, key)

    def get(self, key: str) -> JsonCursor | None:
        """The value of a key, None where the object doesn't have it or has null."""
        return None if self.members().get(key) is None else self[key]

    def name(self, key: str) -> str:
        """The name under ``key``, which isn't UTF-8 where its bytes are given as ``<key>_base64``.

        Such bytes are surrogate escapes in the result (PEP 383), as in the names of files.
        """
        if f"{key}_base64" not in self.members():
            return self[key].text()
        encoded = self[f"{key}_base64"]
        try:
            raw = base64.b64decode(encoded.text(), validate=True)
        except (binascii.Error, ValueError):
            raise encoded.wrong("must be base64") from None
        return raw.decode("utf-8", "surrogateescape")

    # Lists

    def items(self, *, expected: str = "a list") -> list[JsonCursor]:
        """The items of a list."""
        if not isinstance(self.value, list):
            raise self.wrong(f"must be {expected}")
        return [JsonCursor(item, self.source, self, index) for index, item in enumerate(self.value)]

    # Single values

    def text(self, *, longest: int | None = None) -> str:
        """A string, of ``longest`` characters at most."""
        if not isinstance(self.value, str) or (longest is not None and len(self.value) > longest):
            raise self.wrong("must be a string")
        return self.value

    def flag(self) -> bool:
        """A boolean."""
        if not isinstance(self.value, bool):
            raise self.wrong("must be true or false")
        return self.value

    def integer(self) -> int:
        """A whole number, positive or negative."""
        if type(self.value) is not int or abs(self.value) >= _EXACT:
            raise self.wrong("must be an integer")
        return self.value

    def number(self, *, expected: str = "a whole number, 0 or more") -> int:
        """A whole number that isn't negative."""
        if type(self.value) is not int or not 0 <= self.value < _EXACT:
            raise self.wrong(f"must be {expected}")
        return self.value

    def sha256(self) -> str:
        """A SHA-256 digest, in lower case."""
        text = self.text()
        if not _SHA256.match(text):
            raise self.wrong("must be 64 hexadecimal digits")
        return text

    def one_of(self, known: Collection[str]) -> str:
        """One of the known strings."""
        text = self.text()
        if text not in known:
            raise self.wrong(f"must be one of {', '.join(known)}")
        return text

    def choice(self, kind: type[E]) -> E:
        """A member of an enumeration, by its value."""
        return kind(self.one_of([member.value for member in kind]))
