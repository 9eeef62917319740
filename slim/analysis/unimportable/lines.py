"""Import statements of a file as lines of text: quick, and good enough to tell where to look.

A statement that always runs when a module is imported begins in the first column; one that begins
with ``lazy`` (PEP 810) doesn't. Lines of strings
may look like one; :mod:`slim.analysis.unimportable.heads` parses what matters.

Source: the Python language reference ("The import statement").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from sys import intern
from typing import NamedTuple

_REST = rb"[^\n\\]*(?:\\(?:\r?\n|.)[^\n\\]*)*"
"""The rest of a line, and of those that a backslash adds to it."""
_STATEMENT = re.compile(
    rb"\n(?:\xef\xbb\xbf)?([ \t]*(?:lazy[ \t]+)?)"
    rb"(?:from\b[ \t]*(\.*)[ \t]*([\w.]*)[ \t]*\bimport\b[ \t]*"
    rb"(\((?:[^)#]|#[^\n]*)*\)|" + _REST + rb")"
    rb"|import[ \t]+(" + _REST + rb"))"
)
"""A statement with the end of the line before it, which is found sooner than the start of a line.
"""
_NAME = re.compile(rb"[A-Za-z_][\w.]*")
_COMMENT = re.compile(rb"#[^\n]*")


class Request(NamedTuple):
    """A module that a statement imports, as it is written, and the names that it takes from it."""

    level: int
    """Dots before the name (PEP 328)."""
    module: str
    names: tuple[str, ...] = ()


class ImportLine(NamedTuple):
    """Text in the first column that looks like an import statement."""

    request: Request
    start: int
    """Offset of its first byte."""
    end: int
    """Offset behind its last one."""


@dataclass(frozen=True, slots=True)
class FileLines:
    """The import statements of a file: those in the first column, and the tops of all."""

    always: tuple[ImportLine, ...]
    tops: frozenset[str]
    """First components of every absolute import, at any depth."""


def read_lines(source: bytes) -> FileLines:
    """Find what looks like an import statement. Never raises for what is in a file."""
    always: list[ImportLine] = []
    tops: set[str] = set()
    for match in _STATEMENT.finditer(b"\n" + source):
        for request in _requests(match):
            if not request.level:
                tops.add(request.module.partition(".")[0])
            if not match[1]:
                always.append(ImportLine(request, match.start(), match.end() - 1))
    return FileLines(tuple(always), frozenset(tops))


def _requests(match: re.Match[bytes]) -> list[Request]:
    if match[5] is not None:
        first, *others = _COMMENT.sub(b"", match[5]).split(b";")
        parts = (_NAME.match(part.strip()) for part in first.split(b","))
        found = [Request(0, _text(part[0])) for part in parts if part]
        statements = (_STATEMENT.match(b"\n" + other) for other in others)
        return found + [one for other in statements if other for one in _requests(other)]
    written = _COMMENT.sub(b"", match[4]).strip(b"() \t\r\n")
    names = (_NAME.match(part.strip(b" \t\r\n\\")) for part in written.split(b","))
    taken = tuple(_text(name[0]) for name in names if name) or ("*",)
    return [Request(len(match[2]), _text(match[3]), taken)]


def _text(name: bytes) -> str:
    return intern(name.decode("ascii", "replace"))
