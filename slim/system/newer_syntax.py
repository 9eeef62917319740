"""Sources in the syntax of later Pythons, in that of Python 3.11.

:func:`in_older_syntax` writes what 3.11 can't read in other words of the same length: each name,
string and statement stays where it was, and what only types say goes. So that a source that a
later Python reads says the same wherever slim runs.

Sources: PEP 695 and 696 (type parameters), PEP 701 (f-strings), PEP 750 (templates), PEP 758
(``except`` without brackets), PEP 798 (unpacking in comprehensions), PEP 810 (lazy imports).
"""

from __future__ import annotations

import re
from typing import Final

_WORD = re.compile(rb"[\w\x80-\xff]+")
_PREFIX = re.compile(rb"(?<![\w\x80-\xff])[A-Za-z]{1,2}\Z")
_FORMATTED: Final = frozenset({b"f", b"fr", b"rf", b"t", b"tr", b"rt"})
_BLANKS = re.compile(rb"[ \t\f]*")
_GENERIC = re.compile(rb"(?:async[ \t]+)?(?:def|class)[ \t]+[\w\x80-\xff]+[ \t]*(?=\[)")
_ALIAS = re.compile(rb"type[ \t]+([\w\x80-\xff]+)[ \t]*(?=[\[=])")
_LAZY = re.compile(rb"lazy[ \t]+(import|from)(?![\w\x80-\xff])")
_EXCEPT = re.compile(rb"except(?![\w\x80-\xff])[ \t]*\*?")
_CLOSING: Final = {ord("("): ord(")"), ord("["): ord("]"), ord("{"): ord("}")}
_OPEN, _CLOSE, _BACKSLASH, _HASH, _COLON, _BANG, _STAR = b"{}\\#:!*"
_QUOTES = b"\"'"
_LINE_ENDS = b"\r\n"
_DEEPEST: Final = 4
"""Strings within strings that are looked at."""


class _Unclear(Exception):
    """Something that is no source, or that can't be said in as many bytes."""


def in_older_syntax(code: bytes) -> bytes | None:
    """Return a source of as many bytes that says the same in Python 3.11; None for no such one.

    ``code`` is in UTF-8. It needn't be a source: what is returned may be none either.
    """
    try:
        made = _Writer(code).written()
    except (_Unclear, RecursionError, IndexError):
        return None
    return None if made == code else made


class _Writer:
    def __init__(self, code: bytes) -> None:
        self._code = code
        self._out = bytearray(code)

    def written(self) -> bytes:
        """Return the source. Raises :class:`_Unclear`."""
        self._expression(0, ())
        return bytes(self._out)

    def _expression(self, at: int, around: tuple[bytes, ...]) -> int:
        """Go over code, to its end or to that of a field; return where that is.

        ``around`` are the quotation marks of the strings that the code stands in.
        """
        code, size = self._code, len(self._code)
        waiting: list[tuple[int, int]] = []  # what closes a bracket, and a star behind its opening
        begins = not around
        while at < size:
            char = code[at]
            if begins and not waiting and not around:
                at = _BLANKS.match(code, at).end()  # type: ignore[union-attr]
                at = self._statement(at)
                begins = False
                continue
            if (end := self._token(at, around)) > at:
                at = end
            elif char in _CLOSING:
                star = _after_blanks(code, at + 1)
                waiting.append((_CLOSING[char], star if code[star : star + 1] == b"*" else -1))
                at += 1
            elif waiting and char == waiting[-1][0]:
                waiting.pop()
                at += 1
            elif around and not waiting and self._ends_field(at):
                return at
            elif char in b")]}":
                raise _Unclear
            elif char in _LINE_ENDS or (char in b";:" and not waiting):
                begins = True
                at += 1
            elif char == ord(",") and waiting:
                waiting[-1] = (waiting[-1][0], -1)
                at += 1
            elif word := _WORD.match(code, at):
                if word[0] == b"for" and waiting and waiting[-1][1] >= 0:
                    self._blank_stars(waiting[-1][1])
                at = word.end()
            else:
                at += 1
        if waiting or around:
            raise _Unclear
        return at

    def _token(self, at: int, around: tuple[bytes, ...]) -> int:
        """Go over a comment, a string or the end of a joined line; return where it ends."""
        char = self._code[at]
        if char == _HASH:
            return self._comment(at, around)
        if char == _BACKSLASH:
            return self._joined_line(at, around)
        return self._string(at, around) if char in _QUOTES else at

    def _ends_field(self, at: int) -> bool:
        char, after = self._code[at], self._code[at + 1 : at + 2]
        return char in (_CLOSE, _COLON) or (char == _BANG and after != b"=")

    def _comment(self, at: int, around: tuple[bytes, ...]) -> int:
        end = at
        while end < len(self._code) and self._code[end] not in _LINE_ENDS:
            end += 1
        if around:
            self._blank(at, end)
        return end

    def _joined_line(self, at: int, around: tuple[bytes, ...]) -> int:
        if around or self._code[at + 1 : at + 2] not in (b"\r", b"\n"):
            raise _Unclear
        return at + (3 if self._code[at + 1 : at + 3] == b"\r\n" else 2)

    def _blank_stars(self, at: int) -> None:
        while self._code[at] == _STAR:
            self._out[at] = ord(" ")
            at += 1

    def _blank(self, start: int, end: int) -> None:
        """Have blanks in a place; its lines stay one, by a backslash at the end of each."""
        for at in range(start, end):
            if self._code[at] in _LINE_ENDS:
                if self._code[at - 1] not in _LINE_ENDS:
                    self._out[at - 1] = _BACKSLASH
            else:
                self._out[at] = ord(" ")

    def _statement(self, at: int) -> int:
        """Write the beginning of a statement anew where need be; return where to go on."""
        code = self._code
        if match := _GENERIC.match(code, at):
            end = self._brackets(match.end())
            self._blank(match.end(), end)
            return end
        if match := _ALIAS.match(code, at):
            name, end = match[1], match.end()
            if code[end] == ord("["):
                end = self._brackets(end)
            equals = _after_blanks(code, end)
            if code[equals : equals + 1] == b"=" and code[equals + 1 : equals + 2] != b"=":
                self._blank(at, equals)
                self._out[at : at + len(name)] = name
                return equals
        elif match := _LAZY.match(code, at):
            self._blank(at, match.end())
            self._out[at : at + len(match[1])] = match[1]
            return match.end()
        elif match := _EXCEPT.match(code, at):
            return self._exceptions(match.end())
        return at

    def _brackets(self, at: int) -> int:
        """Return where brackets end that open at a place."""
        depth = 0
        while True:
            char = self._code[at]
            if char in _QUOTES or char == _HASH:
                at = self._token(at, ())
                continue
            depth += (char in _CLOSING) - (char in b")]}")
            at += 1
            if not depth:
                return at

    def _exceptions(self, at: int) -> int:
        """Put ``|`` for the commas between exceptions in no brackets; return where to go on."""
        commas: list[int] = []
        start, depth = at, 0
        while at < len(self._code) and self._code[at] not in _LINE_ENDS + b"#\"'\\":
            char = self._code[at]
            if not depth and char == _COLON:
                for comma in commas:
                    self._out[comma] = ord("|")
                return start
            if not depth and char == ord(","):
                commas.append(at)
            depth += (char in _CLOSING) - (char in b")]}")
            at += 1
        return start

    def _string(self, at: int, around: tuple[bytes, ...]) -> int:
        """Go over a string; return where it ends."""
        code = self._code
        mark = code[at : at + 1]
        mark = mark * 3 if code.startswith(mark * 3, at) else mark
        found = _PREFIX.search(code, max(0, at - 3), at)
        prefix = found[0].lower() if found else b""
        start = at
        at += len(mark)
        if prefix in _FORMATTED:
            end = self._literal(at, (*around, mark), raw=b"r" in prefix)
            place = start - len(prefix) + prefix.index(b"t") if b"t" in prefix else -1
            if place >= 0:
                self._out[place] = ord("f") if code[place] == ord("t") else ord("F")
        else:
            end = self._plain_end(at, mark)
        if around:
            self._inner(start, end + len(mark), mark, around, formatted=prefix in _FORMATTED)
        return end + len(mark)

    def _plain_end(self, at: int, mark: bytes) -> int:
        code = self._code
        while not code.startswith(mark, at):
            if at >= len(code) or (len(mark) == 1 and code[at] in _LINE_ENDS):
                raise _Unclear
            if code[at] == _BACKSLASH:
                at += 3 if code[at + 1 : at + 3] == b"\r\n" else 2
            else:
                at += 1
        return at

    def _literal(self, at: int, around: tuple[bytes, ...], *, raw: bool, spec: bool = False) -> int:
        """Go over the text of a formatted string, to its end, or over that of a format."""
        code, mark = self._code, around[-1]
        if len(around) > _DEEPEST:
            raise _Unclear
        while spec or not code.startswith(mark, at):
            char = code[at]
            if char == _BACKSLASH and not spec:
                named = not raw and code.startswith(b"\\N{", at)
                at = code.index(b"}", at) + 1 if named else at + (1 if raw else 2)
                if raw and code[at : at + 1] in (mark[:1], b"\\"):
                    at += 1
            elif char == _OPEN and code[at + 1] == _OPEN and not spec:
                at += 2
            elif char == _OPEN:
                at = self._field(at + 1, around, raw=raw)
            elif char == _CLOSE and spec:
                return at
            elif char in _LINE_ENDS and len(mark) == 1:
                raise _Unclear
            else:
                at += 1
        return at

    def _field(self, at: int, around: tuple[bytes, ...], *, raw: bool) -> int:
        start = at
        at = self._expression(at, around)
        if len(around[-1]) == 1 and any(char in _LINE_ENDS for char in self._code[start:at]):
            raise _Unclear  # in 3.11 it goes on in the next line only in three quotation marks
        if self._code[at] == _BANG:
            at = _after_blanks(self._code, at + 2)
        if self._code[at] == _COLON:
            at = self._literal(at + 1, around, raw=raw, spec=True)
        if self._code[at] != _CLOSE:
            raise _Unclear
        return at + 1

    def _inner(
        self, start: int, end: int, mark: bytes, around: tuple[bytes, ...], *, formatted: bool
    ) -> None:
        """Write a string that stands in fields of others so that it holds no mark of theirs."""
        free = next((one for one in (b'"', b"'") if one not in around), None)
        single = [one for one in around if len(one) == 1]
        text = self._code[start:end]
        if formatted and (b"\\" in text or mark in around):
            raise _Unclear
        if any(one in text for one in around if len(one) == 3):
            raise _Unclear
        if formatted or not (b"\\" in text or any(one in text for one in single)):
            return
        if free is None:
            raise _Unclear
        plain = bytearray(text)
        for at, char in enumerate(text):
            if char == _BACKSLASH or char in _QUOTES or (at and text[at - 1] == _BACKSLASH):
                plain[at] = char if char in _LINE_ENDS else ord("?")
        plain[: len(mark)] = plain[len(plain) - len(mark) :] = free * len(mark)
        self._out[start:end] = plain


def _after_blanks(code: bytes, at: int) -> int:
    while code[at : at + 1] in (b" ", b"\t", b"\f", b"\n", b"\r"):
        at += 1
    return at
