"""What any native file asks of its loader, by the format that its first bytes tell."""

from __future__ import annotations

from slim.binaries.base import Buffer
from slim.binaries.elf.dynamic import ElfDynamic, read_dynamic
from slim.binaries.elf.layout import MAGIC as ELF_MAGIC
from slim.binaries.macho.dynamic import MachoDynamic, read_macho_dynamic
from slim.binaries.macho.identify import FAT_MAGICS, THIN_MAGICS
from slim.binaries.pe.dynamic import PeDynamic, read_pe_dynamic
from slim.binaries.pe.identify import MAGIC as PE_MAGIC

Dynamic = ElfDynamic | MachoDynamic | PeDynamic


def read_any_dynamic(data: Buffer) -> Dynamic | None:
    """What a native file needs; None where it needs nothing of a loader or can't be read. Raises nothing."""
    start = bytes(data[:4])
    if start == ELF_MAGIC:
        return read_dynamic(data)
    if start in THIN_MAGICS or start in FAT_MAGICS:
        return read_macho_dynamic(data)
    return read_pe_dynamic(data) if start[:2] == PE_MAGIC else None
