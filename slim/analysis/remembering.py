"""Readings of single files, remembered by content from one run to the next.

A reading is what a file's bytes tell, whatever lies around them. It is the same wherever those
bytes turn up. Nothing of a result depends on what is remembered: a reading that isn't, is made.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import slim
from slim.model.record import FileRecord
from slim.system.closing import Closing
from slim.system.remembered import Remembered

NAME: Final = "readings-2"
"""File in the cache's folder. Another layout of its table is another name."""
_LEAST: Final = 256
"""Bytes of the smallest file that is worth remembering."""
_DIGEST: Final = 16
"""Bytes of the digest before a value."""
_ROOMS: Final = ("analysis", "binaries", "model", "passes", "system")
"""Rooms whose code decides over readings."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form(Generic[T]):
    """A sort of reading, and how it is written as JSON.

    ``pack`` makes of a reading what JSON can say, ``unpack`` the reading of that. ``unpack`` may
    raise ValueError, TypeError, LookupError or AttributeError for what ``pack`` didn't make.
    """

    name: str
    pack: Callable[[T], object]
    unpack: Callable[[Any], T]


def plain(name: str, kind: type[T]) -> Form[T]:
    """Form of a reading that JSON can say as it is: text, a number, or a truth value."""

    def unpack(stored: Any) -> T:
        if type(stored) is not kind:
            raise TypeError(name)
        return stored

    return Form(name, lambda value: value, unpack)


def texts_or_none(name: str) -> Form[tuple[str, ...] | None]:
    """Form of a reading that is some texts, or None where nothing can be said."""

    def unpack(stored: Any) -> tuple[str, ...] | None:
        return None if stored is None else tuple(stored)

    return Form(name, lambda texts: texts, unpack)


class Remembering(Closing):
    """Makes readings, and remembers them in a folder; None for not at all.

    Closing writes what is new. Not for several threads at a time.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._version = b""
        self._remembered: Remembered | None = None

    def close(self) -> None:
        """Write what is new."""
        if self._remembered is not None:
            self._remembered.close()

    @property
    def remembers(self) -> bool:
        """True if there is a folder in which readings may be remembered."""
        return self._folder is not None or self._remembered is not None

    def of_record(
        self, form: Form[T], record: FileRecord, make: Callable[[], T], variant: str = ""
    ) -> T:
        """The reading of a file's bytes; ``make`` makes it where it isn't remembered.

        ``variant`` says what else the reading depends on.
        """
        return self.of_bytes(form, record.sha256, record.size, make, variant)

    def knows(self, form: Form[T], record: FileRecord, variant: str = "") -> bool:
        """Return whether the reading of a file is remembered, so that it needn't be made."""
        return self._is_known(form.name, variant, record.sha256)

    def of_bytes(
        self, form: Form[T], sha256: str, size: int, make: Callable[[], T], variant: str = ""
    ) -> T:
        """The reading of some bytes by their SHA-256 (hexadecimal), and how many they are.

        Without the former nothing is remembered.
        """
        if self._folder is not None:
            self._open(self._folder)
        if self._remembered is None or size < _LEAST or not sha256:
            return make()
        key = self._key(form.name, variant, sha256)
        stored = self._remembered.get(key)
        if stored is not None:
            try:
                return form.unpack(_content(key, stored))
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
                pass  # it is made anew, and takes the place of what is there
        result = make()
        self._remembered.put(key, _sealed(key, form.pack(result)))
        return result

    def _is_known(self, form: str, variant: str, sha256: str) -> bool:
        if self._folder is not None:
            self._open(self._folder)
        return self._remembered is not None and self._key(form, variant, sha256) in self._remembered

    def _key(self, form: str, variant: str, sha256: str) -> bytes:
        kind = f"{form}\0{variant}\0{sha256}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(self._version + kind).digest()

    def _open(self, folder: Path) -> None:
        """Open the cache when it is first needed; many commands never need it."""
        self._folder = None
        version = _version()
        if version is not None:
            self._version = version
            self._remembered = Remembered(folder, NAME)


def _sealed(key: bytes, value: object) -> bytes:
    """A value as it is stored, with a digest of itself and its key before it."""
    content = json.dumps(value, separators=(",", ":")).encode("ascii")
    return hashlib.blake2b(content, digest_size=_DIGEST, key=key).digest() + content


def _content(key: bytes, stored: bytes) -> Any:
    """The value in what is stored. Raises ValueError for what :func:`_sealed` didn't write."""
    content = stored[_DIGEST:]
    if hashlib.blake2b(content, digest_size=_DIGEST, key=key).digest() != stored[:_DIGEST]:
        raise ValueError("it isn't what was stored")
    return json.loads(content)


@cache
def _version() -> bytes | None:
    """Digest of all that decides over a reading but the file: slim's code, and Python's parser.

    None where the code can't be read, so that nothing is remembered.
    """
    digest = hashlib.sha256(f"{slim.__version__} {platform.python_implementation()}".encode())
    digest.update(sys.version.encode())
    top = Path(__file__).parent.parent
    try:
        for room in _ROOMS:
            for file in sorted((top / room).rglob("*.py")):
                digest.update(file.read_bytes())
    except OSError:  # slim is in a zip file
        return None
    return digest.digest()
