"""Strings and comments of Python code, whether or not this Python can parse it.

Strings end where the latest Python has them end: since Python 3.12 (PEP 701) a formatted string may
hold its own quotation marks between braces, since 3.14 there are templates (PEP 750).

Sources: the Python language reference ("Lexical analysis"), PEP 701.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_CODE = re.compile(
    rb"#[^\r\n]*|(?:(?<![\w\x80-\xff])([A-Za-z]{1,2}))?(\"\"\"|'''|[\"'])|[\[({]|[\])}]|:"
)
"""What strings, comments and brackets begin with; a colon may end the expression of a field."""
_TEXT = {
    quote: re.compile(rb"(?s)\\N\{[^{}\n]*\}|\\[^{}]|\{\{|\}\}|[{}]|" + quote + line)
    for quote, line in ((b'"', b"|\n"), (b"'", b"|\n"), (b'"""', b""), (b"'''", b""))
}
"""What isn't plain text in a formatted string, by its quotation mark."""
_PLAIN = {
    quote: re.compile(rb"(?s)(?:[^\\" + quote[:1] + line + rb"]++|\\." + more + rb")*+" + quote)
    for quote, line, more in (
        *((b'"', b"\n", b""), (b"'", b"\n", b"")),
        *((b'"""', b"", b'|"(?!"")'), (b"'''", b"", b"|'(?!'')")),
    )
}
"""The rest of another string."""
_FIELD = b"{field"
_SPEC = b"spec"
_CLOSED_BY = {b")": (b"(",), b"]": (b"[",), b"}": (b"{", _FIELD)}
_REST_OF_LINE = re.compile(rb"[ \t\f]*(?:#[^\n]*)?(?:\r?\n|\Z)")


class Literal(NamedTuple):
    """A string or a comment: where it begins and ends; ``alone`` says that it does nothing."""

    start: int
    end: int
    alone: bool


def literals_of(source: bytes) -> list[Literal] | None:
    """Return the comments and plain strings of a source in their order.

    None where a string or a bracket doesn't end, so that nothing is certain. What stands in fields
    of formatted strings is told, the formatted strings themselves aren't.
    """
    found: list[Literal] = []
    around: list[tuple[bytes, bytes]] = []  # brackets and formatted strings, with quotation marks
    at = 0
    while at < len(source):
        kind, quote = around[-1] if around else (b"", b"")
        in_text = kind == _SPEC or (kind == quote and quote != b"")
        match = (_TEXT[quote] if in_text else _CODE).search(source, at)
        if match is None:
            return None if around else found
        at = match.end()
        mark = match[0]
        if kind == _SPEC and mark in (b"{{", b"}}"):  # no escapes there
            at, mark = at - 1, mark[:1]
        if in_text:
            if not _in_text(mark, kind, quote, around):
                return None
        elif mark in b"([{":
            around.append((mark, b""))
        elif mark in _CLOSED_BY:
            if kind not in _CLOSED_BY[mark]:
                return None
            around.pop()
        elif mark == b":":
            if kind == _FIELD:
                around.append((_SPEC, quote))
        elif mark.startswith(b"#"):
            found.append(Literal(match.start(), at, True))
        elif set(match[1] or b"") & set(b"fFtT"):
            around.append((match[2], match[2]))
        else:
            end = _PLAIN[match[2]].match(source, at)
            if end is None:
                return None
            at = end.end()
            alone = not around and _is_statement(source, match.start(), at)
            found.append(Literal(match.start(), at, alone))
    return None if around else found


def _in_text(mark: bytes, kind: bytes, quote: bytes, around: list[tuple[bytes, bytes]]) -> bool:
    """Take a mark in the text of a formatted string, or in a format; False where it can't be."""
    if mark == quote and kind != _SPEC:
        around.pop()
    elif mark == b"{":
        around.append((_FIELD, quote))
    elif kind == _SPEC and mark == b"}":
        del around[-2:]  # the format, and the field around it
    return mark not in (b"\n", b"}") or kind == _SPEC


def _is_statement(source: bytes, start: int, end: int) -> bool:
    """Return whether a string is a line of its own, outside of brackets."""
    line = source.rfind(b"\n", 0, start) + 1
    goes_on = source[:line].rstrip(b"\r\n").endswith(b"\\")
    return (
        not source[line:start].strip()
        and not goes_on
        and _REST_OF_LINE.match(source, end) is not None
    )


def without_idle(source: bytes) -> bytes | None:
    """Return a source without comments and documentation; lines keep their numbers.

    None as for :func:`literals_of`.
    """
    literals = literals_of(source)
    if literals is None:
        return None
    pieces: list[bytes] = []
    at = 0
    for literal in literals:
        if literal.alone:
            taken = source[literal.start : literal.end]
            pieces += (source[at : literal.start], b"\n" * taken.count(b"\n"))
            at = literal.end
    return b"".join((*pieces, source[at:]))
