"""Versions of the C and C++ runtimes that an ELF file asks for, read with pyelftools.

Source: Linux Standard Base, "Symbol Versioning" (``.gnu.version_r``, ``.gnu.version``); glibc,
``elf/dl-version.c``, for what the loader refuses; musl's ``ldso/dynlink.c``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, cast

from elftools.elf.elffile import ELFFile

from slim.binaries.base import Buffer
from slim.binaries.elf.dynamic import read_dynamic
from slim.binaries.elf.layout import (
    ET_DYN,
    ET_EXEC,
    OSABI_GNU,
    OSABI_NONE,
    SHT_DYNSYM,
    SHT_GNU_VERNEED,
    SHT_GNU_VERSYM,
    ElfStructs,
    Section,
    machine_name,
    read_header,
    read_sections,
)
from slim.binaries.elf.stream import BoundedStream
from slim.model.floor import PlatformFloor, Runtime

_VERSION = re.compile(r"(GLIBC|GLIBCXX)_(\d+(?:\.\d+)*)")
_RUNTIMES = {"GLIBC": Runtime.GLIBC, "GLIBCXX": Runtime.LIBSTDCXX}
_MARKERS = {"GLIBC_ABI_DT_RELR": (2, 36)}
"""Names that aren't versions, and the version of glibc that has them first."""
_MUSL = ("ld-musl-", "libc.musl-")
_WEAK = 0x2
"""VER_FLG_WEAK: the loader doesn't mind if the version is missing."""
_HIDDEN = 0x8000
"""The bit of an entry of ``.gnu.version`` that is no part of the number."""
_MOST_VERSIONS = 1 << 12
_MOST_SYMBOLS = 3
_LONGEST_NAME = 256


@dataclass(frozen=True, slots=True)
class _Need:
    """One version of a library that the file needs. ``index`` stands for it in ``.gnu.version``."""

    library: str
    name: str
    index: int
    runtime: Runtime
    version: tuple[int, ...]


def elf_floors(data: Buffer) -> tuple[PlatformFloor, ...]:
    """The oldest glibc and libstdc++ that an ELF file works with, or that it wants musl.

    Empty for a file that asks for none of them, is no program or library for Linux, or can't be
    followed. Raises nothing, whatever the bytes are.
    """
    view = memoryview(data)
    try:
        return tuple(_floors(view))
    except Exception:
        # As in slim.binaries.elf.dynamic: pyelftools raises what comes along.
        return ()


def _floors(view: memoryview) -> Iterator[PlatformFloor]:
    found = read_header(view)
    if found is None or found[1].type not in (ET_EXEC, ET_DYN):
        return
    structs, header = found
    if view[7] not in (OSABI_NONE, OSABI_GNU):
        return
    machine = machine_name(header, structs)
    sections = read_sections(view, structs, header) or ()
    needs = list(_needs(view, sections))
    for runtime in _RUNTIMES.values():
        versions = [need for need in needs if need.runtime is runtime]
        if not versions:
            continue
        newest = max(versions, key=lambda need: need.version)
        library = newest.library
        symbols: tuple[str, ...] = ()
        if runtime is Runtime.GLIBC:
            # It comes as several libraries, always of one version, and never from a layer.
            indexes = {need.index for need in versions if need.name == newest.name}
            library, symbols = "", tuple(_symbols(view, structs, sections, indexes))
        yield PlatformFloor(
            runtime=runtime,
            machine=machine,
            version=newest.version,
            needs=newest.name,
            symbols=symbols,
            library=library,
        )
    if not needs:
        yield from _musl(view, machine)


def _needs(view: memoryview, sections: tuple[Section, ...]) -> Iterator[_Need]:
    """The versions in ``.gnu.version_r`` that are glibc's or libstdc++'s, but for weak ones."""
    number = next((i for i, one in enumerate(sections) if one.type == SHT_GNU_VERNEED), None)
    if number is None:
        return
    elf: Any = ELFFile(cast(Any, BoundedStream(view)))
    for needed, versions in islice(elf.get_section(number).iter_versions(), _MOST_VERSIONS):
        for version in islice(versions, _MOST_VERSIONS):
            if version["vna_flags"] & _WEAK:
                continue
            match = _VERSION.fullmatch(version.name)
            if match is not None:
                runtime = _RUNTIMES[match[1]]
                numbers = tuple(map(int, match[2].split(".")))
            elif version.name in _MARKERS:
                runtime, numbers = Runtime.GLIBC, _MARKERS[version.name]
            else:
                continue
            yield _Need(needed.name, version.name, version["vna_other"], runtime, numbers)


def _symbols(
    view: memoryview, structs: ElfStructs, sections: tuple[Section, ...], indexes: set[int]
) -> Iterator[str]:
    """Names of the first few symbols with one of these numbers in ``.gnu.version``."""
    versions = next((one for one in sections if one.type == SHT_GNU_VERSYM), None)
    if versions is None or versions.link >= len(sections):
        return
    table = sections[versions.link]
    if table.type != SHT_DYNSYM or table.link >= len(sections):
        return
    names = sections[table.link]
    order: Literal["little", "big"] = "little" if structs.little else "big"
    count = min(versions.size // 2, table.size // structs.symbol.size)
    found = 0
    for number in range(count):
        at = versions.offset + 2 * number
        if int.from_bytes(view[at : at + 2], order) & ~_HIDDEN not in indexes:
            continue
        name = structs.symbol.unpack_from(view, table.offset + number * structs.symbol.size)[0]
        start = names.offset + name
        text = bytes(view[start : start + _LONGEST_NAME]).partition(b"\0")[0]
        if text:
            yield text.decode("utf-8", "backslashreplace")
            found += 1
        if found == _MOST_SYMBOLS:
            return


def _musl(view: memoryview, machine: str) -> Iterator[PlatformFloor]:
    """The request for musl, which has no versions: its name as a library or as the interpreter."""
    dynamic = read_dynamic(view)
    if dynamic is None:
        return
    interpreter = (dynamic.interpreter or "").rpartition("/")[2]
    for name in (interpreter, *dynamic.needed):
        if name.startswith(_MUSL):
            yield PlatformFloor(runtime=Runtime.MUSL, machine=machine, version=(), needs=name)
            return
