"""PE files as a delta sees them, by their section table: for x86-64 and ARM64.

Source: Microsoft, "PE Format".
"""

from __future__ import annotations

import struct

from slim.binaries.pe.headers import LFANEW, PeHeaders
from slim.delta.image import NativeImage, Part, image_of
from slim.delta.references import Kind, Region

_CODE = {0x8664: Kind.X86_64, 0xAA64: Kind.ARM64}
_EXECUTABLE, _WRITABLE = 0x20000000, 0x80000000
_NAMED = {
    b".pdata": Kind.OFFSETS,
    b".edata": Kind.OFFSETS,
    b".idata": Kind.OFFSETS,
    b".xdata": Kind.PLAIN,
    b".reloc": Kind.PLAIN,
}


def pe_image(content: bytes) -> NativeImage | None:
    """Describe a PE file, or return None for one that a delta knows nothing about."""
    view = memoryview(content)
    try:
        (at,) = struct.unpack_from("<I", view, LFANEW)
        signature, machine = struct.unpack_from("<4sH", view, at)
        if signature != b"PE\0\0" or machine not in _CODE:
            return None
        headers = PeHeaders(view)
    except struct.error:
        return None
    parts = []
    high = headers.base
    for section in headers.sections:
        kind = Kind.WORDS if section.flags & _WRITABLE else Kind.CONSTANTS
        if section.flags & _EXECUTABLE:
            kind = _CODE[machine]
        kind = _NAMED.get(section.name, kind)
        address = headers.base + section.address
        high = max(high, address + section.size)
        length = min(section.size, section.length)
        region = Region(kind, section.offset, length, address)
        parts.append(Part(section.name, region, kind is not Kind.OFFSETS))
    if not any(part.region.kind is _CODE[machine] for part in parts):
        return None
    return image_of(content, parts, headers.base, high)
