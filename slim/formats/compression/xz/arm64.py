"""The ARM64 branch filter of the .xz format, which Python's lzma module doesn't offer.

Calls (``BL``) and page addresses (``ADRP``) hold distances from where they stand, so that the same
callee looks different at each call. The filter puts absolute values in their place, which repeat.
Readers need liblzma 5.4 (2022) or later, libarchive with it, or 7-Zip 23.

Sources: The .xz File Format 1.2.0, 5.3.2 (filter 0x0A); the Arm Architecture Reference Manual, C6.2
(BL, ADRP).
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

_CANDIDATES: Final = re.compile(rb"[\x90\x94-\x97\xb0\xd0\xf0]")
"""Most significant bytes of the two instructions: 100101xx for BL, 1xx10000 for ADRP."""

_PAGE_BITS: Final = 12
_REACH: Final = 1 << 17
"""Pages (512 MiB) either way.

ADRP reaches further, but real code doesn't, and other data that looks like it does.
"""


def arm64_filter(pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """A block's bytes as the ARM64 filter passes them on to LZMA2.

    An incomplete instruction at the end of the block stays as it is.
    """
    position = 0
    rest = b""
    for piece in pieces:
        data = rest + piece
        whole = len(data) & ~3
        rest = data[whole:]
        yield _filtered(data[:whole], position)
        position += whole
    yield rest


def _filtered(data: bytes, position: int) -> bytes:
    words = array("I")
    assert words.itemsize == 4
    words.frombytes(data)
    if sys.byteorder == "big":
        words.byteswap()
    for match in _CANDIDATES.finditer(data[3::4]):
        index = match.start()
        word = words[index]
        here = position + 4 * index & 0xFFFF_FFFF
        if word >> 26 == 0b100101:
            words[index] = 0x9400_0000 | (word + (here >> 2)) & 0x03FF_FFFF
            continue
        distance = (word >> 29 & 3) | (
            word >> 5 & 0x7_FFFF
        ) << 2  # in pages, 21 bits, two's complement
        if not (distance < _REACH or distance >= (1 << 21) - _REACH):
            continue
        page = distance + (here >> _PAGE_BITS)
        # 18 bits are kept, the topmost of them repeated into the three above, as a sign.
        sign = 0x00E0_0000 if page & _REACH else 0
        words[index] = (
            (word & 0x9000_001F) | (page & 3) << 29 | (page & (2 * _REACH - 4)) << 3 | sign
        )
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()
