"""Words of a text that may be the digest of a file, in hexadecimal or base64.

Names in code are as long as a digest in base64 and have its alphabet: TensorFlow's headers hold a
hundred thousand of them. Whoever takes them for digests computes a dozen digests of every library,
which takes longer than all else that is done with it. What no digest looks like is left out here:
a word whose last character sets bits that stand for nothing (RFC 4648, section 3.5), and one that
is further from chance than one digest in ten thousand. Words with ``==`` behind them or the name
of an algorithm before them are digests whatever they look like.
"""

from __future__ import annotations

import base64
import bz2
import lzma
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Final

from slim.analysis.remembering import Form

ALGORITHMS = {
    **{"md5": 16, "sha1": 20, "sha224": 28, "sha256": 32, "sha384": 48, "sha512": 64},
    **{"sha3_224": 28, "sha3_256": 32, "sha3_384": 48, "sha3_512": 64},
    **{"blake2s": 32, "blake2b": 64},
}
"""Algorithms by the name that :mod:`hashlib` has for them, with the bytes of their digests."""

_TOKEN = re.compile(rb"(?<![0-9A-Za-z+/_])[0-9A-Za-z+/_-]{22,128}(?![0-9A-Za-z+/_-])={0,2}")
HEAD: Final = 1024
"""Bytes of a file that are looked at to tell whether it is binary."""
_GZIP = b"\x1f\x8b"
_ZLIB = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\0"
_MOST_UNPACKED = 1 << 20
"""Bytes that are looked at of what is compressed."""
_SHA256 = 64
"""Characters of a SHA-256 in hexadecimal."""
_LEAST = 22
"""Characters of the shortest word that :data:`_TOKEN` matches."""
_COLONS = re.compile(
    rb"(?<![0-9A-Fa-f:])(?:[0-9A-Fa-f]{2}:){15,63}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:])"
    rb"|(?<![0-9A-Fa-f ])(?:[0-9A-Fa-f]{2} ){15,63}[0-9A-Fa-f]{2}(?![0-9A-Fa-f]| [0-9A-Fa-f])"
)
_PREFIX = re.compile(rb"\A(?:(?:md5|sha\d{1,3})-|0[xX])")
_PREFIXES = (b"md5", b"sha", b"0x", b"0X")
_HEX = re.compile(rb"[0-9a-fA-F]+\Z")
_BASE32 = re.compile(rb"(?:[a-z2-7]{51}[aq]|[A-Z2-7]{51}[AQ])\Z")
_ADDRESS = re.compile(rb"bafkrei[a-z2-7]{52}\Z")
"""A SHA-256 in base32 (RFC 4648), and as the address of a file's bytes (IPFS, CIDv1)."""
_IN_BASE32 = frozenset({52, 59})
_SIZES = frozenset(ALGORITHMS.values())
_SPELLED = frozenset(length for size in _SIZES for length in (2 * size, -(-size * 4 // 3)))
"""Characters of a digest in hexadecimal and in base64."""
_SHA224 = 38
"""Characters of a SHA-224 in base64 without padding, which nobody writes; names in code are."""
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SORTS = bytes.maketrans(_ALPHABET, b"A" * 26 + b"a" * 26 + b"0" * 10 + b"-_")
"""Table that makes of each character of base64 its sort: capital, small, digit, or itself."""
_CAPITAL, _SMALL, _DIGIT = 26 / 64, 26 / 64, 10 / 64
_CHANGE = 1 - _CAPITAL**2 - _SMALL**2 - _DIGIT**2 - 2 / 64**2
"""Chance that two characters of a digest beside each other are of two sorts."""
_DEVIATIONS = 3.7
"""Standard deviations that one count in ten thousand is below the mean by, or more."""
_RARE = 1e-4


def _table(alphabet: bytes) -> bytes:
    """Table that makes ``w`` of what is in an alphabet, and spaces of all else."""
    return bytes(0x77 if byte in alphabet else 0x20 for byte in range(256))


_OF_WORDS = _table(_ALPHABET + b"+/=")
_OF_HEX = _table(b"0123456789abcdefABCDEF")
_OF_COLONS = _OF_HEX[:0x20] + b":" + _OF_HEX[0x21:0x3A] + b":" + _OF_HEX[0x3B:]


@dataclass(frozen=True, slots=True)
class Stated:
    """Words of a file that may be digests; of a binary one, only SHA-256 in hexadecimal."""

    is_text: bool
    digests: tuple[bytes, ...]


def stated_in(content: bytes, variant: str) -> Stated:
    """Read the digests that a small file may state; ``variant`` is "bytecode" for such a file."""
    content = _unpacked_text(content)
    if variant == "bytecode" or b"\0" not in content[:HEAD]:
        return Stated(is_text=True, digests=stated_digests(content))
    words = hexadecimal_words(content, _SHA256)
    spelled = (word.decode("ascii") for word in words if len(word) == _SHA256)
    return Stated(is_text=False, digests=tuple(map(bytes.fromhex, spelled)))


def _unpacked_text(content: bytes) -> bytes:
    """Return what a list is that was compressed, as far as it is looked at; else the content."""
    with suppress(zlib.error, lzma.LZMAError, OSError, ValueError, EOFError):
        if content.startswith(_GZIP):
            return zlib.decompressobj(31).decompress(content, _MOST_UNPACKED)
        if content.startswith(_ZLIB):
            return zlib.decompressobj().decompress(content, _MOST_UNPACKED)
        if content.startswith(_BZIP2):
            return bz2.BZ2Decompressor().decompress(content, _MOST_UNPACKED)
        if content.startswith(_XZ):
            return lzma.LZMADecompressor().decompress(content, _MOST_UNPACKED)
    return content


def _packed(stated: Stated) -> object:
    return [stated.is_text, [digest.hex() for digest in stated.digests]]


def _unpacked(stored: Any) -> Stated:
    is_text, digests = stored
    return Stated(bool(is_text), tuple(map(bytes.fromhex, digests)))


STATED: Final = Form("stated-digests", _packed, _unpacked)


def stated_digests(content: bytes) -> tuple[bytes, ...]:
    """Digests that a text may state, in hexadecimal or base64, each once."""
    found: dict[bytes, None] = {}
    long = sorted(set(_runs(content, _OF_WORDS, _LEAST)))
    for token in dict.fromkeys(_TOKEN.findall(b" ".join(long))):
        length = len(token.rstrip(b"="))
        spelled = token.strip(b"/=")
        if len(spelled) in _IN_BASE32 and (digest := _from_base32(spelled)) is not None:
            found[digest] = None
        if length not in _SPELLED and not token.startswith(_PREFIXES):
            continue
        digest = _decoded(token)
        if digest is not None and not (b"/" in token and _is_in_address(token, content)):
            found[digest] = None
    if b"ww:ww:ww:ww:ww:ww:ww:ww:" in content.translate(_OF_COLONS):
        for spelled in _COLONS.findall(content):
            found[bytes.fromhex(spelled.replace(b":", b" ").decode())] = None
    return tuple(found)


def spellings(digest: bytes) -> Iterator[bytes]:
    """Yield a digest as texts write it: in hexadecimal, and in both alphabets of base64."""
    yield digest.hex().encode()
    yield digest.hex().upper().encode()
    yield base64.b64encode(digest).rstrip(b"=")
    yield base64.urlsafe_b64encode(digest).rstrip(b"=")


def hexadecimal_words(content: bytes, least: int) -> Iterator[bytes]:
    """Each run of hexadecimal digits in a text, in small letters, of so many characters or more."""
    return (word.lower() for word in _runs(content, _OF_HEX, least))


def _runs(content: bytes, table: bytes, least: int) -> Iterator[bytes]:
    """Yield the runs of an alphabet's characters. Searching is a third of what splitting takes."""
    sorts = content.translate(table)
    wanted = b"w" * least
    start = sorts.find(wanted)
    while start >= 0:
        end = sorts.find(b" ", start + least)
        if end < 0:
            end = len(content)
        yield content[start:end]
        start = sorts.find(wanted, end)


def _decoded(token: bytes) -> bytes | None:
    """Return the digest that a word spells, in hexadecimal or base64; None for any other word."""
    word = _PREFIX.sub(b"", token)
    if len(token) - len(word) == 2 and len(word) != _SHA256:
        return None  # a number: few are digests, and none but this one is known of every file
    if len(word) // 2 in _SIZES and not len(word) % 2 and _HEX.match(word):
        return bytes.fromhex(word.decode("ascii"))
    bare = word.rstrip(b"=")
    size = len(bare) * 3 // 4
    if size not in _SIZES or len(bare) != -(-size * 4 // 3):
        return None
    is_marked = word != token or (word.endswith(b"==") and len(bare) % 4 == 2)
    if not (_is_canonical(bare, size) and (is_marked or _may_be_chance(bare))):
        return None
    try:
        return base64.urlsafe_b64decode(bare.translate(_URL_SAFE) + b"=" * (-len(bare) % 4))
    except ValueError:
        return None


def _from_base32(token: bytes) -> bytes | None:
    """Return the SHA-256 that a word spells in base32, None for any other word."""
    if _ADDRESS.match(token):
        return base64.b32decode(token[1:].upper() + b"=" * 6)[4:]
    if _BASE32.match(token):
        return base64.b32decode(token.upper() + b"=" * 4)
    return None


def _is_in_address(token: bytes, content: bytes) -> bool:
    """Return whether a word with slashes is the path of an address, wherever it stands."""
    return content.count(token) == content.count(b"." + token)


def _is_canonical(bare: bytes, size: int) -> bool:
    """Return whether the bits of the last character that stand for nothing are 0."""
    spare = 6 * len(bare) - 8 * size
    return _ALPHABET.index(bare[-1:].translate(_URL_SAFE)) & ((1 << spare) - 1) == 0


def _may_be_chance(bare: bytes) -> bool:
    """Return whether a word may be base64 of what is no text: of a digest, not a name in code."""
    if len(bare) == _SHA224:
        return False
    if (b"_" in bare or b"-" in bare) and (b"/" in bare or b"+" in bare):
        return False  # two alphabets
    sorts = bare.translate(_URL_SAFE).translate(_SORTS)
    length = len(bare)
    changes = sum(one != other for one, other in pairwise(sorts))
    return (
        max(sorts.count(b"-"), sorts.count(b"_")) < 5 + length // 28
        and changes >= _least(length - 1, _CHANGE)
        and sorts.count(b"A") >= _least(length, _CAPITAL)
        and sorts.count(b"a") >= _least(length, _SMALL)
        and sorts.count(b"0") >= _least(length, _DIGIT)
    )


@cache
def _least(length: int, chance: float) -> float:
    """Return the least count of what has a chance that one digest in ten thousand stays below."""
    middle, off = length * chance, _DEVIATIONS * math.sqrt(length * chance * (1 - chance))
    return max(middle - off, 1 if (1 - chance) ** length < _RARE else 0)
