"""Editing ELF files: drop what no segment loads, and leave every loaded byte where and as it is."""

from __future__ import annotations

from slim.binaries.elf_dynamic import ElfDynamic, read_dynamic

__all__ = ["ElfDynamic", "read_dynamic"]
