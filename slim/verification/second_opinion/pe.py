"""Facts of a PE file as LIEF reads them, as far as the Windows loader looks at it.

No editor changes such files yet; the first one that does finds its second opinion here.

Source: Microsoft, "PE Format".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lief

from slim.verification.second_opinion.facts import Facts, Images, digest

_NOT_LOADED = 4
"""Number of the data directory that is no part of the image: the certificate table."""


def read(data: bytes) -> Images | None:
    """Read the facts of a PE file; None where LIEF can't."""
    config = lief.PE.ParserConfig()
    config.parse_signature = False
    config.parse_rsrc = False
    binary = lief.PE.parse(data, config)
    return None if binary is None else {"": _facts(binary)}


def _facts(binary: Any) -> Facts:
    header, optional = binary.header, binary.optional_header
    return {
        "header fields": [
            int(header.machine),
            header.characteristics,
            optional.addressof_entrypoint,
            optional.imagebase,
            optional.section_alignment,
            optional.sizeof_image,
            int(optional.subsystem),
            optional.dll_characteristics,
        ],
        "data directories": [
            (number, one.rva, one.size)
            for number, one in enumerate(binary.data_directories)
            if number != _NOT_LOADED
        ],
        "sections": [
            (
                one.name,
                one.virtual_address,
                one.virtual_size,
                one.characteristics,
                digest(one.content),
            )
            for one in binary.sections
        ],
        "imports": list(_imports(binary)),
        "exports": list(_exports(binary)),
        "relocations": [
            (block.virtual_address, [entry.data for entry in block.entries])
            for block in binary.relocations
        ],
    }


def _imports(binary: Any) -> Iterator[tuple[object, ...]]:
    for table in (binary.imports, binary.delay_imports):
        for library in table:
            yield library.name, None, 0
            for entry in library.entries:
                name = entry.ordinal if entry.is_ordinal else entry.name
                yield library.name, name, entry.hint


def _exports(binary: Any) -> Iterator[tuple[object, ...]]:
    exports = binary.get_export()
    for one in () if exports is None else exports.entries:
        yield one.name, one.ordinal, one.address, str(one.forward_information)
