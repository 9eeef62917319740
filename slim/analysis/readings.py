"""Readings of single Python files: what their bytes tell, whatever lies around them.

They are the same wherever those bytes turn up, so they are remembered by content from one run to
the next. Nothing of a result depends on that: a reading that isn't remembered is made.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import slim
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.path_scan import PathUse
from slim.analysis.imports.scans import Import, Scan, StringName, UnresolvedCall
from slim.analysis.imports.text_scan import Hints, text_hints
from slim.analysis.unimportable.lines import FileLines, ImportLine, Request, read_lines
from slim.model.finding import Strength
from slim.system.closing import Closing
from slim.system.remembered import Remembered

NAME: Final = "readings-1"
"""File in the cache's folder. Another layout of its table is another name."""
_LEAST: Final = 256
"""Bytes of the smallest file that is worth remembering."""
_KNOWN: Final = {
    known.__name__: known
    for known in (
        FileLines,
        Hints,
        Import,
        ImportLine,
        PathUse,
        Request,
        Scan,
        StringName,
        UnresolvedCall,
    )
}
"""The only types that a value from the cache may have, besides JSON's."""
_DIGEST: Final = 16
"""Bytes of the digest before a value."""

_R = TypeVar("_R", Scan, Hints, FileLines)


class Readings(Closing):
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

    def scan(self, source: bytes, *, expressions: bool, paths: bool) -> Scan:
        """Imports of a file; see :func:`slim.analysis.imports.ast_scan.scan`."""
        kind = f"scan {expressions:d}{paths:d}"
        return self._reading(
            Scan, kind, source, lambda: scan(source, expressions=expressions, paths=paths)
        )

    def hints(self, source: bytes, *, undotted: bool) -> Hints:
        """Words of a file; see :func:`slim.analysis.imports.text_scan.text_hints`."""
        kind = f"hints {undotted:d}"
        return self._reading(Hints, kind, source, lambda: text_hints(source, undotted=undotted))

    def lines(self, source: bytes) -> FileLines:
        """Import statements of a file; see :func:`slim.analysis.unimportable.lines.read_lines`."""
        return self._reading(FileLines, "lines", source, lambda: read_lines(source))

    def _reading(self, made: type[_R], kind: str, source: bytes, read: Callable[[], _R]) -> _R:
        if self._folder is not None:
            self._open(self._folder)
        if self._remembered is None or len(source) < _LEAST:
            return read()
        digest = hashlib.sha256(self._version + kind.encode() + b"\0")
        digest.update(source)
        key = digest.digest()
        stored = self._remembered.get(key)
        if stored is not None:
            value = _unpacked(key, stored)
            if isinstance(value, made):
                return value
        result = read()
        self._remembered.put(key, _packed(key, result))
        return result

    def _open(self, folder: Path) -> None:
        """Open the cache when it is first needed; many commands never need it."""
        self._folder = None
        version = _version()
        if version is not None:
            self._version = version
            self._remembered = Remembered(folder, NAME)


def _packed(key: bytes, value: object) -> bytes:
    """A value as it is stored, with a digest of itself and its key before it."""
    content = json.dumps(_plain(value), separators=(",", ":")).encode("ascii")
    return hashlib.blake2b(content, digest_size=_DIGEST, key=key).digest() + content


def _unpacked(key: bytes, stored: bytes) -> object:
    """The value in what is stored; None for anything that :func:`_packed` didn't write."""
    content = stored[_DIGEST:]
    if hashlib.blake2b(content, digest_size=_DIGEST, key=key).digest() != stored[:_DIGEST]:
        return None
    try:
        return _value(json.loads(content))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _plain(value: object) -> object:
    """A value as JSON has it: a list with a name first for all that JSON has no type for."""
    if isinstance(value, Strength):
        return ["Strength", value.value]
    if isinstance(value, bytes):
        return ["bytes", value.decode("latin-1")]
    if isinstance(value, frozenset):
        if value and all(isinstance(item, bytes) for item in value):
            return ["words", *sorted(item.decode("latin-1") for item in value)]
        return ["frozenset", *map(_plain, value)]
    if isinstance(value, tuple):
        return [type(value).__name__, *map(_plain, value)]
    if is_dataclass(value):
        named = (getattr(value, each.name) for each in fields(value))
        return [type(value).__name__, *map(_plain, named)]
    return value


def _value(plain: Any) -> object:
    """The value that :func:`_plain` made this of."""
    if not isinstance(plain, list):
        return plain
    name, *items = plain
    if name == "bytes":
        return str(items[0]).encode("latin-1")
    if name == "words":
        return frozenset(item.encode("latin-1") for item in items)
    if name == "Strength":
        return Strength(items[0])
    if name == "frozenset":
        return frozenset(map(_value, items))
    if name == "tuple":
        return tuple(map(_value, items))
    make: Any = _KNOWN[name]
    if is_dataclass(_KNOWN[name]):
        names = [each.name for each in fields(make)]
        return make(**dict(zip(names, map(_value, items), strict=True)))
    return make(*map(_value, items))


@cache
def _version() -> bytes | None:
    """Digest of all that decides over a reading but the file: slim's code, and Python's parser.

    None where the code can't be read, so that nothing is remembered.
    """
    digest = hashlib.sha256(f"{slim.__version__} {platform.python_implementation()}".encode())
    digest.update(sys.version.encode())
    folder = Path(__file__).parent
    files = [*sorted(folder.rglob("*.py")), folder.parent / "model" / "finding.py"]
    try:
        for file in files:
            digest.update(file.read_bytes())
    except OSError:  # slim is in a zip file
        return None
    return digest.digest()
