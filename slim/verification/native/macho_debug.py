"""Oracle of emptied ``__DWARF`` segments: whether nothing needs what one held.

The part of :mod:`slim.verification.native.macho` that is about debugging information, the one
segment that may lose its content; shares no code with the editor either.

Source: Apple's ``mach-o/loader.h`` and ``mach-o/fixup-chains.h``, for how fixups name segments;
dyld (``UnsafeHeader::validSegment``), for what an empty segment has to look like.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator

from macholib import mach_o

NAME = b"__DWARF"
_ROW = 80

# A stream of opcodes, one at a time: every byte pattern that may stand there. A number ends with a
# byte below 0x80, a name with a zero.
_NUMBER = rb"[\x80-\xff]*[\x00-\x7f]"
_REBASE = re.compile(
    rb"(?P<segment>[\x20-\x2f])" + _NUMBER + rb"|[\x00-\x1f\x40-\x5f]"
    rb"|[\x30-\x3f\x60-\x7f]" + _NUMBER + rb"|[\x80-\x8f](?:" + _NUMBER + rb"){2}",
    re.DOTALL,
)
_BIND = re.compile(
    rb"(?P<segment>[\x70-\x7f])"
    + _NUMBER
    + rb"|[\x00-\x1f\x30-\x3f\x50-\x5f\x90-\x9f\xb0-\xbf\xd1]"
    rb"|[\x40-\x4f][^\x00]*\x00|[\x20-\x2f\x60-\x6f\x80-\x8f\xa0-\xaf\xd0]"
    + _NUMBER
    + rb"|[\xc0-\xcf](?:"
    rb"" + _NUMBER + rb"){2}",
    re.DOTALL,
)


def debug_problems(index: int, command: bytes, table: Callable[[str], memoryview]) -> Iterator[str]:
    """Tell why a segment may not lose its content; nothing if it may.

    ``index`` is its number, ``command`` its load command; ``table`` gives a table of the image by
    its name.
    """
    count = (len(command) - 72) // _ROW
    flags = [
        struct.unpack_from("<I", command, 72 + _ROW * number + 64)[0] for number in range(count)
    ]
    if not all(one & mach_o.S_ATTR_DEBUG for one in flags):
        yield "a section that isn't debugging information has lost its content"
    if len(table("split info")):
        yield "debugging information is gone from an image whose sections refer to each other"
    found = _chained(bytes(table("chained fixups")))
    for name, pattern in (
        ("rebases", _REBASE),
        ("binds", _BIND),
        ("weak binds", _BIND),
        ("lazy binds", _BIND),
    ):
        found |= _streamed(bytes(table(name)), pattern)
    if index in found or -1 in found:
        yield "a segment has lost its content that the loader writes into, or may write into"


def emptied(command: bytes) -> bytes:
    """Return a segment's load command as it has to be when its content is gone."""
    data = bytearray(command)
    address = data[24:32]
    data[48:56] = bytes(8)
    for at in range(72, len(data), _ROW):
        data[at + 32 : at + 52] = address + bytes(12)
    return bytes(data)


def _chained(data: bytes) -> set[int]:
    """Return indexes of segments with chains of pointers; -1 for data that can't be read."""
    if not data:
        return set()
    if len(data) < 8:
        return {-1}
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 4], "little")
    rows = data[start + 4 : start + 4 + 4 * count]
    if start + 4 > len(data) or len(rows) != 4 * count:
        return {-1}
    return {number for number in range(count) if any(rows[4 * number : 4 * number + 4])}


def _streamed(data: bytes, opcode: re.Pattern[bytes]) -> set[int]:
    """Return indexes of segments that opcodes name; -1 for what isn't one."""
    found: set[int] = set()
    at = 0
    while at < len(data):
        match = opcode.match(data, at)
        if match is None:
            return {*found, -1}
        if match["segment"]:
            found.add(data[at] & 0x0F)
        at = match.end()
    return found
