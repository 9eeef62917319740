"""Fields of native files that hold an address or a distance: how each form of them is written."""

from __future__ import annotations

from typing import Final

Reference = tuple[int, int, int, int]
"""Position of a field, its form, the address that it counts from, and the address of its target."""

ADDRESS, SHORT_ADDRESS, DISTANCE, CHAINED = range(4)
"""Addresses of 8 and of 4 bytes, distances of 4, and addresses of 36 bits in a word of 8 bytes."""
BRANCH26, BRANCH19, PAGE, LOW12 = range(4, 8)
"""Numbers in instructions for ARM64. ``LOW12 + n`` is the rest of an address, shifted by ``n``."""
FIELDS: Final = (
    (8, 0xFFFFFFFFFFFFFFFF),
    (4, 0xFFFFFFFF),
    (4, 0xFFFFFFFF),
    (8, 0xFFFFFFFFF),
    (4, 0x03FFFFFF),
    (4, 0x00FFFFE0),
    (4, 0x60FFFFE0),
    *[(4, 0x003FFC00)] * 5,
)
"""Size in bytes, and the bits that belong to the field, by form."""


def value_of(form: int, base: int, target: int) -> int:
    """Return the bits of a field in their place, among others that don't belong to it."""
    if form == DISTANCE:
        return target - base
    if form == BRANCH26:
        return target - base >> 2
    if form == BRANCH19:
        return target - base >> 2 << 5
    if form == PAGE:
        pages = (target >> 12) - (base >> 12)
        return (pages & 3) << 29 | (pages >> 2) << 5
    if form >= LOW12:
        return (target & 0xFFF) >> form - LOW12 << 10
    return target


def write(content: bytearray, position: int, form: int, value: int) -> None:
    """Write the bits of a field, and leave all others as they are."""
    size, mask = FIELDS[form]
    end = position + size
    value &= mask
    if form >= CHAINED:
        value |= int.from_bytes(content[position:end], "little") & ~mask
    content[position:end] = value.to_bytes(size, "little")
