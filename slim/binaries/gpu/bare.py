"""Files that are GPU code themselves: cubins, AMD's code objects, Metal libraries, SPIR-V.

Source: LLVM, "User Guide for AMDGPU Backend" (ELF machine 224, the note with the target) and
``llvm/BinaryFormat/ELF.h`` (``EF_CUDA_*``); Khronos, "SPIR-V Specification" (magic number).
"""

from __future__ import annotations

import re

from slim.binaries.elf.layout import PT_NOTE, read_header, read_segments
from slim.model.gpu import (
    GpuBlock,
    GpuCompression,
    GpuContainer,
    GpuEntry,
    GpuForm,
    GpuKind,
)

METALLIB_MAGIC = b"MTLB"
SPIRV_MAGICS = (b"\x03\x02\x23\x07", b"\x07\x23\x02\x03")

_EM_CUDA, _EM_AMDGPU = 190, 224
_CUDA_ABI_2 = 8
"""``e_ident[EI_ABIVERSION]`` of cubins for sm_100 and later, and of all that CUDA 13 writes."""
_LARGEST_NOTE = 1 << 20
_TARGET = re.compile(rb"amdgcn-amd-amdhsa-[a-z]*-(gfx[0-9a-f]+(?:-generic)?(?::[a-z]+[+-])*)")


def read_bare_elf(view: memoryview) -> GpuContainer | None:
    """A cubin or a code object that is a file of its own; None for every other ELF file."""
    found = read_header(view)
    if found is None or found[1].machine not in (_EM_CUDA, _EM_AMDGPU):
        return None
    if found[1].machine == _EM_CUDA:
        kind, architecture = GpuKind.CUBIN, cuda_architecture(found[1].flags, view[8])
    else:
        kind, architecture = GpuKind.HSACO, _amd_architecture(view)
    entry = GpuEntry(
        kind=kind,
        architecture=architecture,
        compression=GpuCompression.NONE,
        offset=0,
        header_size=0,
        padded_size=len(view),
        stored_size=len(view),
        size=len(view),
    )
    return GpuContainer(
        form=GpuForm.BARE, section="", offset=0, header_size=0, size=len(view), entries=(entry,)
    )


def cuda_architecture(flags: int, abi: int) -> str:
    """The architecture of a cubin by ``e_flags`` and the version of its ABI.

    NVIDIA's compilers seldom write the suffix there: ``sm_90`` may be code for just ``sm_90a``.
    """
    new = abi >= _CUDA_ABI_2
    number = (flags >> 8) & 0xFF if new else flags & 0xFF
    specific = flags & (0x8 if new else 0x800)
    return f"sm_{number}{'a' if specific else ''}" if number else ""


def _amd_architecture(view: memoryview) -> str:
    found = read_header(view)
    segments = read_segments(view, *found) if found else None
    for segment in segments or ():
        if segment.type == PT_NOTE:
            size = min(segment.filesz, _LARGEST_NOTE)
            match = _TARGET.search(view[segment.offset : segment.offset + size])
            if match:
                return match[1].decode("ascii")
    return ""


def read_block(view: memoryview) -> GpuBlock | None:
    """A Metal library or a SPIR-V module that is a file of its own."""
    start = bytes(view[:4])
    if start == METALLIB_MAGIC:
        kind = GpuKind.METALLIB
    elif start in SPIRV_MAGICS:
        kind = GpuKind.SPIRV
    else:
        return None
    return GpuBlock(kind=kind, section="", offset=0, size=len(view))
