"""Words, numbers and names, the same in every report for people."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from slim.model.finding import Evidence

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(name: str) -> str:
    """Make a name harmless to a terminal: one line, no control characters, no bidirectional overrides.

    Undecodable bytes come out as ``\\xff``, other unsafe characters as ``\\u202e``. (Unicode
    Technical Report 36 tells what they are used for.)
    """
    if name.isascii() and name.isprintable():
        return name
    return "".join(
        _escape(char) if unicodedata.category(char) in _UNSAFE_CATEGORIES else char for char in name
    )


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, kept by "surrogateescape"
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """``1 file``, ``1,234 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(before: int, after: int) -> str:
    """The change from ``before`` to ``after``: ``-41%``, ``+3%``, ``-0.3%``; empty where there was nothing.

    Never rounded up to ``-100%`` while something is left, nor down to ``0%`` while something
    changed.
    """
    if before <= 0:
        return ""
    if before == after:
        return "0%"
    change = 100 * (after - before) / before
    if abs(change) < 0.1:
        return "-<0.1%" if change < 0 else "+<0.1%"
    if abs(change) < 1:
        return f"{change:+.1f}%"
    if after > 0 and change < -99:
        return "->99%"
    return f"{change:+.0f}%"


def duration(seconds: float) -> str:
    """Elapsed time: ``0.8 s``, ``12 s``, ``3 min 05 s``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02d} s"


def evidence_text(
    evidence: Evidence, shorten: Callable[[str], str] = str, about: str | None = None
) -> str:
    """One fact on one line, with its file (left out where it is ``about`` itself) and line."""
    if evidence.file is None or (evidence.file == about and evidence.line is None):
        return printable(evidence.text)
    where = (
        shorten(evidence.file)
        if evidence.line is None
        else f"{shorten(evidence.file)}:{evidence.line}"
    )
    return printable(f"{evidence.text} ({where})")


def common_place(paths: Sequence[str]) -> str:
    """What to call a group of files: the file itself, or the deepest folder they share (with a slash)."""
    if len(paths) == 1:
        return paths[0]
    shared: list[str] = []
    for parts in zip(*(path.split("/")[:-1] for path in paths), strict=False):
        if len(set(parts)) != 1:
            break
        shared.append(parts[0])
    return "/".join(shared) + "/" if shared else "(several places)"
