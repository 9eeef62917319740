"""References in code for ARM64: branches, pages of addresses, and the rest of these addresses.

An address is told in two steps: ADRP gives its page of 4 KiB, and ADD, or a load or store, what is
left. Both become references to the whole address.

Source: Arm's Architecture Reference Manual, C4.1 (encodings), C6.2 (ADD, ADRP, B, B.cond, BL, CBZ,
LDR, STR).
"""

from __future__ import annotations

import re
import sys
from array import array
from collections.abc import Iterator
from typing import Final

from slim.delta.fields import BRANCH19, BRANCH26, LOW12, PAGE, Reference

_OPCODES: Final = re.compile(
    rb"(?P<b>[\x14-\x17\x94-\x97])|(?P<page>[\x90\xb0\xd0\xf0])"
    rb"|[\x54\x34\x35\xb4\xb5]"
)
"""Highest bytes of B and BL; of ADRP; of B.cond, CBZ and CBNZ."""
_REACH: Final = 32
"""Instructions after ADRP in which the rest of the address is looked for."""
_PAGE_BITS: Final = 12


def arm64_references(
    content: bytes, start: int, end: int, address: int, low: int, high: int
) -> Iterator[Reference]:
    """Yield the references in code from ``start`` to ``end``, which is loaded at ``address``."""
    end -= (end - start) % 4
    words = array("I", content[start:end])
    if sys.byteorder == "big":
        words.byteswap()
    for match in _OPCODES.finditer(content[start + 3 : end : 4]):
        number = match.start()
        word, here = words[number], address + 4 * number
        found = match.lastgroup
        if found == "page":
            yield from _page(words, number, start, address, low, high)
            continue
        if found == "b":
            form, distance = BRANCH26, ((word & 0x3FFFFFF) ^ 0x2000000) - 0x2000000
        else:
            form, distance = BRANCH19, ((word >> 5 & 0x7FFFF) ^ 0x40000) - 0x40000
        target = here + 4 * distance
        if low <= target < high:
            yield start + 4 * number, form, here, target


def _page(
    words: array[int], number: int, start: int, address: int, low: int, high: int
) -> Iterator[Reference]:
    """Yield the references of an ADRP, and of what adds to the register that it sets."""
    word, here = words[number], address + 4 * number
    pages = ((word >> 3 & 0x1FFFFC | word >> 29 & 3) ^ 0x100000) - 0x100000
    page, register = ((here >> _PAGE_BITS) + pages) << _PAGE_BITS, word & 31
    if not low <= page + 0xFFF or page >= high:
        return
    target = None
    for other in range(number + 1, min(number + 1 + _REACH, len(words))):
        user = words[other]
        if user >> 5 & 31 == register:
            scale = _scale(user)
            rest = 0 if scale is None else (user >> 10 & 0xFFF) << scale
            if scale is not None and rest <= 0xFFF:
                goal = page + rest
                if target is None:
                    target = goal
                    yield start + 4 * number, PAGE, here, target
                yield start + 4 * other, LOW12 + scale, here, goal
        if user & 31 == register:  # the register has another value from here on, most likely
            break
    if target is None:
        yield start + 4 * number, PAGE, here, page


def _scale(word: int) -> int | None:
    """Return by how many bits ADD, or a load or store, shifts its number; None for others."""
    if word & 0xFFC00000 == 0x91000000:
        return 0
    if word & 0x3B000000 != 0x39000000:
        return None
    return 4 if word & 0xC4800000 == 0x04800000 else word >> 30
