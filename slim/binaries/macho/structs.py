"""Layouts of the structures in 64-bit little-endian Mach-O images, for ``struct``.

Source: Apple's ``mach-o/loader.h`` and ``mach-o/nlist.h``.
"""

from __future__ import annotations

import struct

MAGIC_64 = b"\xcf\xfa\xed\xfe"
"""The first four bytes of such an image: MH_MAGIC_64 as it lies in the file."""

HEADER = struct.Struct("<8I")
COMMAND = struct.Struct("<2I")
SEGMENT = struct.Struct("<2I16s4Q4I")
SECTION = struct.Struct("<16s16s2Q8I")
SYMTAB = struct.Struct("<6I")
DYSYMTAB = struct.Struct("<20I")
DYLD_INFO = struct.Struct("<12I")
LINKEDIT_DATA = struct.Struct("<4I")
ENCRYPTION = struct.Struct("<6I")

SYMBOL_SIZE = 16
"""Bytes of ``nlist_64``."""
INDIRECT_SIZE = 4
"""Bytes of an entry of the indirect symbol table."""

LINKEDIT_SEGMENT = b"__LINKEDIT"
DEBUG_SEGMENT = b"__DWARF"
