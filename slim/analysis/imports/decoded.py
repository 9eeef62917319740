"""Literals that code decodes: Base64, hexadecimal digits, ROT13, compressed bytes, pickles.

``import_module(b64decode("cGtnLnRlc3Rz").decode())`` names a module as well as a plain string does.
In files that call a decoder, literals are replaced by what they come to, so that whoever reads the
file afterwards sees it as if it had been written plainly.

Sources: the Python documentation of ``base64``, ``binascii``, ``codecs``, ``zlib``, ``pickle`` and
``urllib.parse``.
"""

from __future__ import annotations

import ast
import base64
import bz2
import codecs
import lzma
import re
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from slim.analysis.vocabulary import vocabulary
from slim.system.literals import Literal, literals_of

_LONGEST = 1 << 20
"""Bytes of a literal, and of what it comes to."""
_ROUNDS = 3
"""How often something is decoded again: compressed bytes in Base64."""
_LIST = re.compile(rb"\b(?:bytes|map)\s*\(\s*(?:chr\s*,\s*)?[\[(]([\d\s,]{9,4000})[\])]")
"""The numbers of characters."""
_PLAIN = re.compile(rb"[\t\n\r -~]{4,}")
_SAYS = re.compile(rb"[./]|test|import")
_TESTS = re.compile(rb"test|import")
_PICKLED = re.compile(rb"c([A-Za-z_]\w*\.[\w.]+)\n")
"""A module behind the opcode of a pickle that is text."""
_FOR_ADDRESSES = bytes.maketrans(b"-_", b"+/")
_JOINED = re.compile(rb"[\s\\]*")


def _if_tests(text: bytes) -> bytes:
    """Return what any text may be decoded to, if it says something."""
    return text if _TESTS.search(text) else b""


def _from_base64(data: bytes) -> bytes:
    return base64.b64decode(data.translate(_FOR_ADDRESSES))


def _inflated(data: bytes) -> bytes:
    window = 31 if data[:2] == b"\x1f\x8b" else zlib.MAX_WBITS
    return zlib.decompressobj(window).decompress(data, _LONGEST)


class _Decoder(NamedTuple):
    """Words of code that decodes, how a literal of it is written, what it decodes, and how."""

    words: tuple[bytes, ...]
    written: re.Pattern[bytes]
    takes: re.Pattern[bytes]
    decode: Callable[[bytes], bytes]


_ANY = re.compile(rb"")
_COMPRESSED = re.compile(rb"b[\"']{1,3}(?:x\\x|x\^|\\x1f|BZh|\\xfd)")
_BEGINS = re.compile(rb"[\t\n\r -~]+\Z|\x80|\x1f\x8b|BZh|\xfd7zXZ|x[\x01\x5e\x9c\xda]")
"""What decoded text, or what may be decoded once more, begins with."""
_PICKLED_LITERAL = re.compile(rb"loads\(\s*b[\"']|b[\"'](?:\\x80|c[A-Za-z_]\w*\.)")
_DECODERS = (
    _Decoder(
        (b"b64decode", b"a2b_base64"),
        re.compile(rb"[\"']\s*([\w+/-]{6,}={0,2})(?=[\"'\s])"),
        re.compile(rb"[A-Za-z0-9+/=_\s-]{8,}"),
        _from_base64,
    ),
    _Decoder(
        (b"fromhex", b"unhexlify", b"a2b_hex", b"b16decode"),
        re.compile(rb"[\"']((?:[0-9A-Fa-f]{2}\s?){4,20})"),
        re.compile(rb"[0-9A-Fa-f\s]{8,}"),
        lambda data: bytes.fromhex(data.decode()),
    ),
    _Decoder((b"b32decode",), _ANY, re.compile(rb"[A-Z2-7=]{8,}"), base64.b32decode),
    _Decoder((b"b85decode",), _ANY, re.compile(rb"[!-~]{5,}"), base64.b85decode),
    _Decoder((b"a85decode",), _ANY, re.compile(rb"[!-~\s]{5,}"), base64.a85decode),
    _Decoder(
        (b"rot13", b"rot_13"),
        re.compile(rb"[\"']rot_?13[\"']"),
        re.compile(rb"[ -~\s]{4,}"),
        lambda data: _if_tests(codecs.decode(data.decode(), "rot13").encode()),
    ),
    _Decoder(
        (b"unquote",),
        re.compile(rb"%2[EFef]"),
        re.compile(rb"[ -~]*%[ -~]*"),
        unquote_to_bytes,
    ),
    _Decoder(
        (b"decompress",),
        _COMPRESSED,
        re.compile(rb"(?s)(?:\x1f\x8b|x[\x01\x5e\x9c\xda]).+"),
        _inflated,
    ),
    _Decoder((b"decompress",), _COMPRESSED, re.compile(rb"(?s)BZh.+"), bz2.decompress),
    _Decoder((b"decompress",), _COMPRESSED, re.compile(rb"(?s)\xfd7zXZ.+"), lzma.decompress),
    _Decoder((b"pickle", b"marshal"), _PICKLED_LITERAL, re.compile(rb"(?!)"), bytes),
)
_WORDS = (
    *(b"base64", b"binascii", b"fromhex", b"rot13", b"rot_13", b"unquote", b"decompress"),
    *(b"pickle", b"marshal"),
)
"""One of these is in the vocabulary of whatever decodes."""
_LISTS = (b"map(chr", b"bytes([", b"bytes((")


def _may_decode(decoder: _Decoder, source: bytes) -> bool:
    """Return whether a source may have a literal that a decoder takes."""
    for match in decoder.written.finditer(source):
        if not match.lastindex or _BEGINS.match(_decoded(decoder.decode, match[1])):
            return True
    return False


def with_decoded(source: bytes) -> bytes:
    """Return a source with the literals that it decodes replaced by what they come to.

    Lines keep their numbers.
    """
    found: list[tuple[int, int, bytes]] = []
    words = vocabulary(source)
    if (b"chr" in words or b"bytes" in words) and any(map(source.__contains__, _LISTS)):
        found = [(*match.span(1), _characters(match[1])) for match in _LIST.finditer(source)]
    if any(map(words.__contains__, _WORDS)):
        known = [one for one in _DECODERS if any(map(words.__contains__, one.words))]
        if not any(_may_decode(one, source) for one in known):
            known = []
        for start, end, value in _strings(source) if known else ():
            found.append((start, end, _come_to(value, known)))
    pieces: list[bytes] = []
    at = 0
    for start, end, text in sorted(found):
        if text and text.isascii() and b"\0" not in text and start >= at:
            lines = source.count(b"\n", start, end)
            quote = b'"""' if lines else b'"'
            written = text.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\r", b"\\r")
            written = written.replace(b"\n", b"\\n ")  # a word stands by itself, escaped or not
            pieces += (source[at:start], quote, written, b"\n" * lines, quote)
            at = end
    return b"".join((*pieces, source[at:])) if pieces else source


def _strings(source: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield where the plain strings of a source stand, and what they are; adjacent ones are one."""
    group: list[Literal] = []
    for literal in (*(literals_of(source) or ()), Literal(len(source), len(source), True)):
        if group and not _JOINED.fullmatch(source, group[-1].end, literal.start):
            yield from _value(source, group[0].start, group[-1].end)
            group = []
        if not literal.alone:
            group.append(literal)


def _value(source: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    with suppress(SyntaxError, ValueError, TypeError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if end - start <= _LONGEST:
            value = ast.literal_eval(f"({source[start:end].decode()})")
            yield start, end, value if isinstance(value, bytes) else value.encode()


def _characters(numbers: bytes) -> bytes:
    """Return the text of characters by their numbers; empty for none."""
    try:
        return bytes(map(int, numbers.replace(b",", b" ").split()))
    except ValueError:
        return b""


def _come_to(value: bytes, known: list[_Decoder]) -> bytes:
    """Return the text that a literal comes to where it doesn't say it itself; empty for none."""
    values, found = [value], []
    for _ in range(_ROUNDS):
        values = [
            made
            for one in values
            for decoder in known
            if decoder.takes.fullmatch(one)
            and (made := _decoded(decoder.decode, one)) not in (b"", one)
        ]
        found += values
    plain = value.isascii() and b"\0" not in value
    if not plain:  # a pickle, or what marshal made
        found.append(value)
    elif _TESTS.search(value) and b"%" not in value:
        found = []  # a word that might be Base64 as well
    runs = [
        run.strip()
        for one in found
        for run in _PLAIN.findall(one)
        if (_SAYS if run == one else _TESTS).search(run)
    ]
    pickled = [name for one in (value, *found) for name in _PICKLED.findall(one)]
    if pickled and plain:
        runs += _PLAIN.findall(value)
    return b" ".join((*runs, *pickled))[:_LONGEST]


def _decoded(decode: Callable[[bytes], bytes], data: bytes) -> bytes:
    try:
        return decode(data)[:_LONGEST]
    except (ValueError, zlib.error, lzma.LZMAError, OSError, EOFError):
        return b""
