"""Recognising PE files (``.dll``, ``.exe``, ``.pyd``). Nothing in them is worth an edit.

Source: Microsoft, "PE Format".
"""

from __future__ import annotations

import struct

from slim.binaries.base import UNKNOWN_MACHINE, Buffer, ImageKind, NativeInfo
from slim.binaries.pe.headers import CERTIFICATE, CLR, LFANEW, PE32, PE32_PLUS, PeHeaders
from slim.model.record import NativeFormat
from slim.model.stack import System

MAGIC = b"MZ"
SIGNATURE = b"PE\0\0"

_COFF = struct.Struct("<HHIIIHH")
_MACHINES = {0x014C: "i686", 0x8664: "x86_64", 0xAA64: "aarch64", 0xA641: "aarch64", 0x01C4: "arm"}
"""``IMAGE_FILE_MACHINE_*``; 0xA641 is ARM64EC."""
_FIRMWARE = range(10, 14)
"""``IMAGE_SUBSYSTEM_EFI_*``: applications, drivers and ROMs, which firmware loads."""
_DLL, _EXECUTABLE_IMAGE = 0x2000, 0x0002


def describe_pe(view: Buffer) -> NativeInfo | None:
    """Machine, kind, signature and CLR header of a PE file.

    None for what only begins with MZ (a DOS program, a text).
    """
    if len(view) < LFANEW + 4 or bytes(view[:2]) != MAGIC:
        return None
    at = int.from_bytes(view[LFANEW : LFANEW + 4], "little")
    if bytes(view[at : at + 4]) != SIGNATURE or len(view) < at + 4 + _COFF.size:
        return None
    code, _, _, _, _, optional_size, flags = _COFF.unpack_from(view, at + 4)
    image = bool(flags & _EXECUTABLE_IMAGE) and optional_size > 0
    kind = ImageKind.OTHER
    signed = clr = firmware = False
    if image:
        kind = ImageKind.SHARED if flags & _DLL else ImageKind.EXECUTABLE
        signed, clr, firmware = _from_headers(memoryview(view))
    return NativeInfo(
        format=NativeFormat.PE,
        system=System.UNKNOWN if firmware else System.WINDOWS,
        machine=_MACHINES.get(code, UNKNOWN_MACHINE),
        bits=_optional_bits(view, at + 4 + _COFF.size) if image else 0,
        kind=kind,
        dynamic=image,
        signed=signed,
        clr=clr,
    )


def _from_headers(view: memoryview) -> tuple[bool, bool, bool]:
    """Presence of a certificate table, of a CLR header, and of a UEFI subsystem.

    All False if headers are cut short.
    """
    try:
        headers = PeHeaders(view)
    except struct.error:
        return False, False, False
    certificate, clr = (headers.directory(number)[1] > 0 for number in (CERTIFICATE, CLR))
    return certificate, clr, headers.subsystem in _FIRMWARE


def _optional_bits(view: Buffer, at: int) -> int:
    """The word size by the optional header's magic: PE32 or PE32+."""
    return {PE32: 32, PE32_PLUS: 64}.get(int.from_bytes(view[at : at + 2], "little"), 0)
