"""Texts that tell a file's size, a sum of it, or what may be its digest, near its name.

A program that checks its own files has them in a list, in code or in a file of settings. Sizes and
sums are too short to be looked for alone, so they count only near the name, and so does the
beginning or the end of a digest. A word that is as long as a digest, right beside the name, and is
none of this file may be made with a key, or of an algorithm that isn't tried: it counts, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from zlib import adler32, crc32

from slim.analysis.digest_words import stated_digests

_WORD = re.compile(rb"(?<![\w.])(?:0x)?([0-9a-f]{4,})(?![\w.])")
_NAMES = re.compile(rb"[^\s\"'`/\\,;:=<>(){}\[\]|*?&#]+")
_MOST_NAMED, _BEFORE, _AFTER = 20, 100, 300
"""How often a name is looked for in a list, and the bytes around it that may be about it."""
_SHORTEST = 8
"""Characters of the shortest part of a digest that counts."""
_LONG = rb"[0-9A-Fa-f]{32,128}|[0-9A-Za-z+/_-]{22,128}={0,2}"
_BEHIND = re.compile(
    rb"[\"'`]?\s*\)?\s*[:=,|;\t ]\s*(?:[\[{(]\s*)?(?:[\"'`]?\w{1,20}[\"'`]?\s*[:=]\s*)?"
    rb"[\"'`]?(?:\w{2,10}[-:]){0,2}(" + _LONG + rb")(?![\w+/=-])"
)
"""A long word right behind a name: as a value, in the next column, or as the next key's value."""
_AHEAD = re.compile(
    rb"(?<![\w+/=-])(" + _LONG + rb")[\"'`]?\s*[,:;=|*\t ]\s*[*\"'`]?(?:[\w.-]{0,40}[/\\]){0,8}\Z"
)
"""A long word right before a name, as in the lists that ``sha256sum`` writes."""
_LONGEST_BEFORE = 260
_HEX = re.compile(rb"[0-9A-Fa-f]+\Z")
_SUM = re.compile(rb"\d{4,10}\Z|[0-9a-f]{8}\Z")
"""A sum of 32 bits, in decimal or hexadecimal digits."""
_COMPUTES = re.compile(
    rb"\b(?:md5|sha\d{1,3}|sha3_\d+|blake2[bs]|blake3|file_digest|hmac\.new|hmac\.digest|crc32"
    rb"|adler32|xxh\w+)\s*\(|\bhashlib\.new\b"
)
"""A call that computes a digest or a sum."""
_OF_DIGEST = rb"(?:digest|hash|check_?sum|crc|adler|md5|sha_?\d|expected|fingerprint)\w*"
_COMPARED = rb"\s{0,9}(?:[=!]=|(?:not )?in\b)"
_COMPARES = re.compile(
    rb"\b(?:md5|sha\d+|crc32|adler32|(?:hex)?digest)\([^\n]{0,80}\)[\[\]:\d-]{0,9}"
    + (_COMPARED + rb"|\b\w{0,40}" + _OF_DIGEST + rb"(?:\[[^\n\]]{0,40}\])?" + _COMPARED)
    + (rb"|[=!]=\s{0,9}[\w.]{0,40}" + _OF_DIGEST + rb"|\bcompare_digest\b|\bverify\w*\s{0,9}\("),
    re.IGNORECASE,
)
"""A comparison of digests."""
_MEASURES = re.compile(rb"\bst_size\b|\bgetsize\b|\bfilecmp\b")
_READS = re.compile(rb"\bread_bytes\s*\(|\.read\s*\(")
_CHECKS = re.compile(rb"\blen\s*\(|\bverify\w*\s*\(")
"""Calls near a name that tell a file's size or compare it; and such that do so once it is read."""
_QUOTES = (b'"', b"'")
_LETTERS, _DIGITS = re.compile(rb"[a-f]"), re.compile(rb"\d")


@dataclass(frozen=True, slots=True)
class NearName:
    """Words of a text around the name of a file.

    ``words`` are numbers and hexadecimal words, in small letters. ``has_digest`` is True if what
    looks like a digest is right beside the name. ``is_checked`` is True for code that names the
    file in a string, and may check it.
    """

    words: frozenset[bytes]
    has_digest: bool
    is_checked: bool = False


def words_near(
    content: bytes, names: Set[bytes], hints: Collection[bytes], *, is_code: bool = False
) -> Iterator[tuple[bytes, NearName]]:
    """Yield each name that stands in a text, with what it says near it.

    ``is_code`` says that the text is Python code.
    ``hints`` are ends of the names: few, where the names are many, so that most texts aren't split
    into words. Takes time in proportion to the text, however many names there are.
    """
    if not any(hint in content and _ends(hint).search(content) for hint in hints):
        return
    if names.isdisjoint(_NAMES.findall(content)):
        return
    places: dict[bytes, list[int]] = {}
    for match in _NAMES.finditer(content):
        if match[0] in names:
            known = places.setdefault(match[0], [])
            if len(known) < _MOST_NAMED:
                known.append(match.start())
    computes = is_code and bool(places) and compares_digests(content)
    for name, starts in sorted(places.items()):
        for start in starts:
            near = _near(content, start, start + len(name))
            if is_code and content[start + len(name) : start + len(name) + 1] in _QUOTES:
                near = replace(near, is_checked=computes or _measures(content, start))
            if near.words or near.has_digest or near.is_checked:
                yield name, near


def compares_digests(source: bytes) -> bool:
    """Return whether code computes digests or sums, and compares them with something."""
    return _COMPUTES.search(source) is not None and _COMPARES.search(source) is not None


def _measures(content: bytes, start: int) -> bool:
    """Return whether code around a name reads the file, and may tell its size or compare it."""
    near = content[max(0, start - _BEFORE) : start + _AFTER]
    if _MEASURES.search(near) is not None:
        return True
    return _READS.search(near) is not None and _CHECKS.search(near) is not None


def _near(content: bytes, start: int, end: int) -> NearName:
    near = content[max(0, start - _BEFORE) : end + _AFTER].lower()
    before = content[max(0, start - _LONGEST_BEFORE) : start].rpartition(b"\n")[2]
    behind = _BEHIND.match(content, end, end + _AFTER)
    return NearName(
        words=frozenset(_WORD.findall(near)),
        has_digest=_is_long(behind) or _is_long(_AHEAD.search(before)),
    )


@cache
def _ends(hint: bytes) -> re.Pattern[bytes]:
    """A pattern of the end of a name, which ``.so`` in ``.sort`` isn't."""
    return re.compile(re.escape(hint) + rb"(?![A-Za-z])")


def _is_long(match: re.Match[bytes] | None) -> bool:
    """Return whether what was found looks like a digest."""
    if match is None:
        return False
    word = match[1]
    if _HEX.match(word):
        small = word.lower()
        return len(word) >= 32 and bool(_LETTERS.search(small) and _DIGITS.search(small))
    return bool(stated_digests(word))


def hint_of(name: bytes) -> bytes:
    """Return the end of a file's name from its suffix on: of ``lib.so.1`` that is ``.so``."""
    if b".so" in name:
        return b".so"
    _, dot, suffix = name.rpartition(b".")
    return dot + suffix if dot else name


def sums_of(pieces: Iterable[bytes | memoryview]) -> tuple[int, int]:
    """Return the CRC-32 and the Adler-32 of some bytes."""
    crc, adler = 0, 1
    for piece in pieces:
        crc, adler = crc32(piece, crc), adler32(piece, adler)
    return crc, adler


def is_sum(
    words: Set[bytes],
    size: int,
    sha256: str,
    sums: Callable[[], Iterable[int]],
    digests: Callable[[], Mapping[str, bytes]],
) -> bool:
    """Return whether one of some words is a file's size, a sum of it, or a part of its digest.

    ``sums`` are those of :func:`sums_of`, ``digests`` its digests by algorithm: asked for only
    where a word may be one.
    """
    if b"%d" % size in words:
        return True
    parts = [word for word in words if len(word) >= _SHORTEST]
    if any(map(sha256.encode().startswith, parts)):
        return True
    if any(_SUM.match(word) for word in words) and any(
        b"%d" % each in words or b"%08x" % each in words for each in sums()
    ):
        return True
    parts = [part for part in parts if _LETTERS.search(part) and _DIGITS.search(part)]
    spelled = [digest.hex().encode() for digest in digests().values()] if parts else []
    return any(each.startswith(part) or each.endswith(part) for part in parts for each in spelled)
