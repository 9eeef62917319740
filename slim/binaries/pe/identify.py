"""Recognising PE files (``.dll``, ``.exe``, ``.pyd``). Nothing in them is worth an edit.

Source: Microsoft, "PE Format".
"""

from __future__ import annotations

import struct

from slim.binaries.base import UNKNOWN_MACHINE, Buffer, ImageKind, NativeInfo
from slim.model.record import NativeFormat
from slim.model.stack import System

MAGIC = b"MZ"
SIGNATURE = b"PE\0\0"

_LFANEW = 0x3C
_COFF = struct.Struct("<HHIIIHH")
_MACHINES = {0x014C: "i686", 0x8664: "x86_64", 0xAA64: "aarch64", 0xA641: "aarch64", 0x01C4: "arm"}
"""``IMAGE_FILE_MACHINE_*``; 0xA641 is ARM64EC."""
_DLL, _EXECUTABLE_IMAGE = 0x2000, 0x0002


def describe_pe(view: Buffer) -> NativeInfo | None:
    """Machine and kind from the COFF header; None for what only begins with MZ (a DOS program, a text)."""
    if len(view) < _LFANEW + 4 or bytes(view[:2]) != MAGIC:
        return None
    at = int.from_bytes(view[_LFANEW : _LFANEW + 4], "little")
    if bytes(view[at : at + 4]) != SIGNATURE or len(view) < at + 4 + _COFF.size:
        return None
    code, _, _, _, _, optional_size, flags = _COFF.unpack_from(view, at + 4)
    image = bool(flags & _EXECUTABLE_IMAGE) and optional_size > 0
    kind = ImageKind.OTHER
    if image:
        kind = ImageKind.SHARED if flags & _DLL else ImageKind.EXECUTABLE
    return NativeInfo(
        format=NativeFormat.PE,
        system=System.WINDOWS,
        machine=_MACHINES.get(code, UNKNOWN_MACHINE),
        bits=_optional_bits(view, at + 4 + _COFF.size) if image else 0,
        kind=kind,
        dynamic=image,
    )


def _optional_bits(view: Buffer, at: int) -> int:
    """The word size by the optional header's magic: PE32 or PE32+."""
    return {b"\x0b\x01": 32, b"\x0b\x02": 64}.get(bytes(view[at : at + 2]), 0)
