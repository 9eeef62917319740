"""Formatted strings that Python 3.11 and every later version read alike.

Since Python 3.12 (PEP 701) an f-string may hold its own quotation marks, backslashes, comments and
line ends between braces, and fields within fields. 3.11 takes the string first, and then what
stands between its braces; it accepts ``f"{a for a in b}"``, which 3.12 refuses. Where the two first
disagree on where a string ends, 3.12 is between braces, so that for 3.11 one is missing.

Sources: the Python language reference ("Formatted string literals"), CPython's
``Parser/string_parser.c`` (3.11) and ``Parser/tokenizer.c`` (3.12).
"""

from __future__ import annotations

import re
import sys
import unicodedata

_TOKEN = re.compile(  # literals at the starts let the regex engine skip ahead quickly
    rb"#[^\r\n]*+"
    rb"|\"\"\"((?:[^\"\\]++|\\.|\"(?!\"\"))*+)\"\"\""
    rb"|'''((?:[^'\\]++|\\.|'(?!''))*+)'''"
    rb"|\"(?!\"\")((?:[^\"\\\r\n]++|\\\r\n|\\.)*+)\""
    rb"|'(?!'')((?:[^'\\\r\n]++|\\\r\n|\\.)*+)'"
    rb"|\""
    rb"|'",
    re.DOTALL,
)
"""A comment, a string as 3.11 takes it (its text by its sort of quotation marks), or a quotation
mark that begins none."""
_PREFIX = re.compile(rb"(?<![\w\x80-\xff])(?:[fFtT][rR]?|[rR][fFtT])\Z")
_PREFIX_ENDS = tuple(letter.encode() for letter in "fFtTrR")
_MARKS = tuple(
    (letter + quote).encode()
    for letter in ("f", "F", "t", "T", "fr", "fR", "Fr", "FR", "tr", "tR", "Tr", "TR")
    for quote in "\"'"
)
_CANDIDATE = re.compile(rb"[fFtT][rR]?[\"']")
"""What may be the beginning of a formatted string, and is one of a string more often."""
_SIMPLE = re.compile(
    rb"(?:[^{}\\]++|\{\{|\}\}|\\[^N{}]"
    rb"|\{[A-Za-z_][\w.]*(?:\([\w., ]*\))?(?:![rsa])?(?::[^{}\\]*)?\})*+",
    re.DOTALL,
)
"""Text of an f-string whose fields are plain names and calls."""
_BARE_FOR = re.compile(rb"(?<![A-Za-z_])for(?!\w)")
_DEEPEST = 2
"""Fields within the format of a field are read, fields within those aren't."""
_CLOSING = {ord("("): ord(")"), ord("["): ord("]"), ord("{"): ord("}")}
_BACKSLASH, _HASH, _OPEN, _CLOSE = b"\\#{}"
_EQUALS = ord("=")
_BLANK = ord(" ")
_NONE = -1
_UNICODE = unicodedata.ucd_3_2_0
"""The version of Unicode that every Python has, beside its own."""
_ASCII = bytes(range(128))
_HAS_TEMPLATES = sys.version_info >= (3, 14)


def may_have_fstrings(source: bytes) -> bool:
    """Return whether a source may hold formatted strings."""
    return any(mark in source for mark in _MARKS)


def places_of_fstrings(source: bytes) -> list[int] | None:
    """Return where formatted strings may begin in a source in UTF-8 that this Python parsed.

    None as for :func:`fstrings_read_alike`, which is asked only where a look at what may begin an
    f-string, or be a letter of a name, doesn't settle it.
    """
    places: list[int] = []
    for match in _CANDIDATE.finditer(source):
        at = match.end() - 1
        prefix = _PREFIX.search(source, max(0, at - 3), at)
        if prefix is None or (not _HAS_TEMPLATES and b"t" in prefix[0].lower()):
            continue
        token = _TOKEN.match(source, at)
        if token is None or not _is_read_alike(token, prefix[0]):
            return fstrings_read_alike(source)
        places.append(at)
    return places if _has_old_names(source) else fstrings_read_alike(source)


def fstrings_read_alike(source: bytes) -> list[int] | None:
    """Return where formatted strings begin in a source in UTF-8 that a Python can parse.

    None where Python 3.11 and a later version don't read one of them alike, or don't both know a
    character of a name.
    """
    plain = source.isascii()
    places: list[int] = []
    at = 0
    for match in _TOKEN.finditer(source):
        start = match.start()
        if not plain and not _has_old_letters(source[at:start]):
            return None
        at = match.end()
        if at - start == 1 and match[0] != b"#":
            return None
        if source[start - 1 : start] not in _PREFIX_ENDS or match[0][0] == _HASH:
            continue
        prefix = _PREFIX.search(source, max(0, start - 3), start)
        if prefix is None:
            continue
        if not _is_read_alike(match, prefix[0]):
            return None
        places.append(start)
    return places if plain or _has_old_letters(source[at:]) else None


def _is_read_alike(token: re.Match[bytes], prefix: bytes) -> bool:
    """Return whether all versions read a formatted string alike, as far as it is one."""
    if b"t" in prefix.lower():
        return False  # a template (PEP 750)
    body = next((text for text in token.groups() if text is not None), None)
    if body is None:
        return False
    raw = b"r" in prefix.lower()
    return _SIMPLE.fullmatch(body) is not None or _literal(body, 0, 0, raw) == len(body)


def _has_old_letters(code: bytes) -> bool:
    """Return whether all characters were in Unicode 3.2, so that every Python knows them."""
    if code.isascii():
        return True
    text = code.decode("utf-8", "replace")
    return all(_UNICODE.category(each) != "Cn" for each in set(text) if not each.isascii())


def _has_old_names(source: bytes) -> bool:
    """Return whether no character may be one of a name that an older Unicode doesn't have."""
    if source.isascii():
        return True
    letters = set(source.translate(None, _ASCII).decode("utf-8", "replace"))
    return all(_UNICODE.category(each) != "Cn" or not f"a{each}".isidentifier() for each in letters)


def _literal(body: bytes, at: int, level: int, raw: bool) -> int:
    """Return the index behind the text that begins at ``at``, with its fields.

    At level 0 that is the end of the string, else the brace that closes the field around it. -1
    where not all versions read it.
    """
    while at < len(body):
        char = body[at]
        if char == _BACKSLASH and (level or not raw):
            if level or body[at + 1 : at + 2] in (b"{", b"}", b"N"):
                return _NONE
            at += 2
        elif char == _OPEN and level == 0 and body[at + 1 : at + 2] == b"{":
            at += 2
        elif char == _CLOSE:
            if level:
                return at
            if body[at + 1 : at + 2] != b"}":
                return _NONE
            at += 2
        elif char == _OPEN:
            at = _field(body, at + 1, level, raw)
            if at == _NONE:
                return _NONE
        else:
            at += 1
    return at if not level else _NONE


def _field(body: bytes, at: int, level: int, raw: bool) -> int:
    """Return the index behind the field whose expression begins at ``at``, or -1."""
    end = _expression(body, at)
    if level >= _DEEPEST or end == _NONE or not _is_expression(body[at:end]):
        return _NONE
    at = end
    if body[at] == _EQUALS:
        at += 1
        while body[at : at + 1].isspace():
            at += 1
    if body[at : at + 1] == b"!":
        if body[at + 1 : at + 2] not in (b"r", b"s", b"a"):
            return _NONE
        at += 2
    if body[at : at + 1] == b":":
        at = _literal(body, at + 1, level + 1, raw)
    return at + 1 if at != _NONE and body[at : at + 1] == b"}" else _NONE


def _is_expression(text: bytes) -> bool:
    """Return whether all versions take a field's text alike, if they take it."""
    return (
        bool(text.strip())
        and (not text.lstrip().startswith(b"*") or b"," in _outside(text))
        and fstrings_read_alike(text) is not None
    ) and _BARE_FOR.search(_outside(text)) is None


def _outside(text: bytes) -> bytes:
    """The part of an expression that is in no brackets and no string."""
    text = _TOKEN.sub(b'""', text)
    depth = 0
    found = bytearray()
    for char in text:
        if char in _CLOSING:
            depth += 1
        found.append(_BLANK if depth else char)
        if char in _CLOSING.values():
            depth -= 1
    return bytes(found)


def _expression(body: bytes, at: int) -> int:
    """Return the index of what ends the expression of a field, as Python 3.11 finds it; or -1."""
    waiting: list[int] = []
    quote = b""
    while at < len(body):
        char = body[at]
        if char == _BACKSLASH:
            return _NONE
        if quote:
            ends = body.startswith(quote, at)
            at += len(quote) if ends else 1
            quote = b"" if ends else quote
            continue
        if char in b"\"'":
            mark = body[at : at + 1]
            quote = mark * 3 if body.startswith(mark * 3, at) else mark
            at += len(quote)
            continue
        if char == _HASH:
            return _NONE
        if char in _CLOSING:
            waiting.append(_CLOSING[char])
        elif not waiting and char in b"!:}=<>":
            if char in b"!=<>" and body[at + 1 : at + 2] == b"=":
                at += 2
                continue
            if char not in b"<>":
                return at
        elif char in b")]}" and (not waiting or waiting.pop() != char):
            return _NONE
        at += 1
    return _NONE
