"""Python code that isn't told by its suffix: scripts that are started by their names, and bytecode.

Source: CPython's ``Python/marshal.c``.
"""

from __future__ import annotations

import posixpath
import re

from slim.analysis import ReadFile
from slim.model.record import EntryType, FileRecord

_PROGRAM_FOLDERS = ("bin", "Scripts", "libexec")
_SHEBANG = re.compile(
    rb"#![^\n]*\bpythonw?[\d.]*\b|#!/bin/sh\n'''exec' [^\n]{0,400}\bpython[\d.]*\b"
)
"""The first line, or the two that installers write where the path of Python is a long one."""
_START = 512
MOST_BYTECODE = 1 << 21
"""Bytes of a compiled module whose strings are told; nearly every byte may begin one."""
_SHORT = re.compile(rb"(?=[zZ\xfa\xda]([\x01-\xff]))", re.DOTALL)
"""The type of a string of ASCII letters, and its length."""
_LONG = re.compile(rb"(?=[suaAt\xf3\xf5\xe1\xc1\xf4]([\x01-\xff][\x00-\x0f]\x00\x00))", re.DOTALL)


def is_python_script(record: FileRecord, read: ReadFile) -> bool:
    """Return whether a file is a script that Python runs, by its first line."""
    folder, name = posixpath.split(record.path)
    return (
        record.type is EntryType.FILE
        and record.native is None
        and ("." not in name or folder in _PROGRAM_FOLDERS)
        and record.size > 2
        and _SHEBANG.match(bytes(read(record)[:_START])) is not None
    )


def is_lone_bytecode(record: FileRecord) -> bool:
    """Return whether a file is bytecode that is imported itself, not a cache of a source."""
    return (
        record.type is EntryType.FILE
        and record.path.endswith(".pyc")
        and "__pycache__" not in record.path
    )


def strings_in_bytecode(content: bytes) -> frozenset[str]:
    """Return the strings of a module, and some that only look like ones, whatever its version.

    For up to :data:`MOST_BYTECODE` bytes: strings may overlap, so they can be many times as long.
    """
    found: set[bytes] = set()
    for match in _SHORT.finditer(content):
        start = match.start() + 2
        found.add(content[start : start + match[1][0]])
    for match in _LONG.finditer(content):
        start = match.start() + 5
        found.add(content[start : start + int.from_bytes(match[1], "little")])
    texts = (data.decode("utf-8", "replace") for data in found)
    return frozenset(text for text in texts if text.isprintable())


def strings_as_source(content: bytes) -> bytes:
    """Return the strings of bytecode as code has them, a literal a line: for who goes by words."""
    strings = sorted(strings_in_bytecode(content))
    return "".join(f"'{text}'\n" for text in strings).encode("utf-8", "replace")
