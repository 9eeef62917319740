"""Words by which code finds the folder of another package, to open a file that lies there."""

from __future__ import annotations

import re

from slim.analysis.vocabulary import AnyOf

_ELSEWHERE = re.compile(
    rb"[\w\])]\.__(?:file|path)__|\bfiles\s*\(|get_data|resource_|open_text|open_binary|read_binary"
)
_WORDS = (
    *(b".__file__", b".__path__", b"get_data", b"resource_", b"open_text", b"open_binary"),
    b"read_binary",
)
"""One of these or of :data:`_FILES` is wherever :data:`_ELSEWHERE` is, and is found sooner."""
_FILES = re.compile(rb"files\s*\(")
_IN_BYTECODE = AnyOf(
    *(b"__file__", b"__path__", b"files", b"get_data", b"resource_", b"open_text"),
    *(b"open_binary", b"read_binary", b"find_spec", b"getfile"),
)


def finds_elsewhere(content: bytes, *, compiled: bool) -> bool:
    """Return whether code, or bytecode, may find the folder of another package."""
    if compiled:
        return _IN_BYTECODE.within(content)
    if not any(map(content.__contains__, _WORDS)) and not _FILES.search(content):
        return False
    return _ELSEWHERE.search(content) is not None
