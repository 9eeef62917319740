"""Oracle of edited Mach-O files: whether one loads exactly as its original did.

Shares no code and no shortcut with the editor. The editor decides what may go and where the rest is
put; this module looks at two files and asks whether the second one can possibly behave differently,
and whether macOS would accept it. So it knows nothing of levels or layouts.

Source: Apple's ``mach-o/loader.h``, ``mach-o/nlist.h`` and ``mach-o/fat.h``; dyld
(``MachOAnalyzer``), for what a loader looks at. Signatures:
:mod:`slim.verification.native.macho_signature`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from macholib import mach_o

from slim.binaries.macho.names import CPU_SUBTYPE_MASK, CPU_TYPE_ARM64, CPU_TYPE_X86_64
from slim.system.mapped import seen
from slim.verification.native.macho_debug import NAME as _DEBUG
from slim.verification.native.macho_debug import debug_problems, emptied
from slim.verification.native.macho_image import DATA, DYLD_INFO, Image, LoadedSegment, Unreadable
from slim.verification.native.macho_signature import signature_changes, signature_problems

_BLOCK = 1 << 20
_REWRITTEN = frozenset({"symbols", "indirect symbols", "names", "signature"})
_PAGES = {CPU_TYPE_X86_64: 0x1000, CPU_TYPE_ARM64: 0x4000}
_ZERO_FILL = (mach_o.S_ZEROFILL, mach_o.S_GB_ZEROFILL, mach_o.S_THREAD_LOCAL_ZEROFILL)
_NAMED_INDIRECTLY = (
    mach_o.S_NON_LAZY_SYMBOL_POINTERS,
    mach_o.S_LAZY_SYMBOL_POINTERS,
    mach_o.S_SYMBOL_STUBS,
    mach_o.S_LAZY_DYLIB_SYMBOL_POINTERS,
)
"""Types of sections with an entry of the indirect symbol table for each of their items."""
_SUBTYPE = 0xFFFF_FFFF & ~CPU_SUBTYPE_MASK
_FAT = {b"\xca\xfe\xba\xbe": ">5I", b"\xca\xfe\xba\xbf": ">2I2Q2I"}

Slices = dict[tuple[int, int], memoryview]
"""Images of a file by CPU type and subtype."""


def check(original: bytes | memoryview, edited: bytes | memoryview) -> list[str]:
    """Compare an edited Mach-O file with its original; return what is wrong, a sentence each.

    Checked are that the file is smaller; the layout of each image by itself (:func:`check_layout`),
    with every page hash of its signature; and, against the original, each load command, every byte
    outside of ``__LINKEDIT``, binds, rebases, fixups, exports and all other tables, the symbols
    that others see, in order, that only local ones went, what each indirect symbol stands for, and
    all of the signature but the hashes of pages. A universal file has the same images as before, or
    is one of them. Raises nothing.
    """
    before, after = memoryview(original), memoryview(edited)
    try:
        old, new = slices_of(before), slices_of(after)
    except Unreadable as error:
        return [f"the files can't be judged: {error}"]
    problems = []
    if len(after) >= len(before):
        problems.append(f"the file isn't smaller: {len(after)} bytes, {len(before)} before")
    if _is_thin(after) and any(_same(after, part) for part in old.values()):
        return problems
    if len(new) == 1 and _is_thin(after):
        old = {key: one for key, one in old.items() if key in new}
    if list(old) != list(new):
        return [*problems, "the images are for other machines than before"]
    for key, part in new.items():
        if (
            bytes(part[:4]) == bytes(old[key][:4])
            and len(part) == len(old[key])
            and _same(part, old[key])
        ):
            continue
        problems += _check_image(old[key], part)
    return problems


def check_layout(data: bytes | memoryview) -> list[str]:
    """Return what is wrong with a file by itself, nothing if all is well. Raises nothing."""
    try:
        return [
            problem
            for part in slices_of(memoryview(data)).values()
            for problem in _layout_problems(Image(part))
        ]
    except Unreadable as error:
        return [f"the file is broken: {error}"]


def _check_image(before: memoryview, after: memoryview) -> list[str]:
    try:
        old = Image(before)
    except Unreadable as error:
        return [f"the original can't be judged: {error}"]
    try:
        new = Image(after)
        return [*_layout_problems(new), *_changes(old, new)]
    except Unreadable as error:
        return [f"the edited file is broken: {error}"]


def _is_thin(data: memoryview) -> bool:
    return bytes(data[:4]) not in _FAT


def slices_of(data: memoryview) -> Slices:
    """Return the images of a file, in file order. Raises Unreadable."""
    if _is_thin(data):
        if len(data) < 12:
            raise Unreadable("not a Mach-O file")
        cpu, subtype = struct.unpack_from("<2I", data, 4)
        return {(cpu, subtype & _SUBTYPE): data}
    layout = struct.Struct(_FAT[bytes(data[:4])])
    count = int.from_bytes(data[4:8], "big")
    if len(data) < 8 or not 0 < count < 44 or 8 + count * layout.size > len(data):
        raise Unreadable("the universal header is broken")
    at = 8 + count * layout.size
    found: dict[tuple[int, int], memoryview] = {}
    for row in sorted(layout.iter_unpack(data[8:at]), key=lambda row: row[2]):
        cpu, subtype, start, size, align = row[:5]
        if (
            align > 20
            or start % (1 << align)
            or start < at
            or start + size > len(data)
            or any(data[at:start])
        ):
            raise Unreadable(f"the image at offset {start:#x} isn't where it may be")
        found[cpu, subtype & _SUBTYPE] = data[start : start + size]
        at = start + size
    if len(found) != count or at != len(data):
        raise Unreadable("the universal header and the file disagree")
    return found


def _layout_problems(image: Image) -> Iterator[str]:
    yield from _segment_problems(image)
    yield from _table_problems(image)
    yield from _symbol_problems(image)
    if image.tables.get("signature", (0, 0))[1]:
        yield from signature_problems(image.data, *image.tables["signature"])


def _segment_problems(image: Image) -> Iterator[str]:
    page = _PAGES.get(image.cpu)
    for one in image.segments:
        unmapped = one.name == _DEBUG and not one.memory
        if one.start + one.size > len(image.data) or (one.size > one.memory and not unmapped):
            yield f"segment {one.name!r} isn't in the file, or not in memory"
        if page and (one.start % page or one.address % page):
            yield f"segment {one.name!r} isn't aligned to pages"
        yield from _section_problems(image, one)
    last = image.linkedit
    if last.name != b"__LINKEDIT" or last.start + last.size != len(image.data):
        yield "__LINKEDIT isn't the end of the file"
    for key in ("start", "address"):
        extent = "size" if key == "start" else "memory"
        spans = sorted(
            (getattr(one, key), getattr(one, extent))
            for one in image.segments
            if getattr(one, extent)
        )
        if any(first + size > second for (first, size), (second, _) in pairwise(spans)):
            yield "segments overlap"
        others = [
            getattr(one, key)
            for one in image.segments
            if getattr(one, extent) and one.name != _DEBUG
        ]
        if others and max(others) != getattr(last, key):
            yield "__LINKEDIT isn't the last segment"


def _section_problems(image: Image, one: LoadedSegment) -> Iterator[str]:
    if one.name == _DEBUG and not one.memory and one.size:
        return  # nothing of it is mapped
    for address, size, offset, _, relocations, count, flags, first, width, _ in one.sections:
        kind = flags & mach_o.SECTION_TYPE
        if relocations or count:
            yield f"a section of {one.name!r} has relocations"
        if address < one.address or address + size > one.address + one.memory:
            yield f"a section of {one.name!r} is outside of it"
        if size and kind not in _ZERO_FILL and offset - one.start != address - one.address:
            yield f"a section of {one.name!r} isn't where its address says"
        if kind in _NAMED_INDIRECTLY:
            step = width if kind == mach_o.S_SYMBOL_STUBS else 8
            if not step or 4 * (first + size // step) > image.tables["indirect symbols"][1]:
                yield f"a section of {one.name!r} has too few indirect symbols"


def _table_problems(image: Image) -> Iterator[str]:
    at, end = image.linkedit.start, image.linkedit.start + image.linkedit.size
    for start, size, name in sorted(
        (start, size, name) for name, (start, size) in image.tables.items()
    ):
        if not start and not size:
            continue
        if start < at or start + size > end:
            yield f"the {name} overlap something, or aren't in __LINKEDIT"
        elif start - at >= 16 or any(image.data[at:start]):
            yield f"there are bytes before the {name} that belong to nothing"
        at = max(at, start + size)
    if end - at >= 16:
        yield "there are bytes at the end that belong to nothing"
    for name, align in (("symbols", 8), ("indirect symbols", 4), ("signature", 16)):
        if image.tables.get(name, (0, 0))[0] % align:
            yield f"the {name} aren't aligned"


def _symbol_problems(image: Image) -> Iterator[str]:
    local, locals_, defined, defines, undefined, undefines = image.partition
    if (local, defined, undefined) != (0, locals_, locals_ + defines):
        yield "local, defined and undefined symbols aren't in that order"
    if 16 * (locals_ + defines + undefines) != image.tables["symbols"][1]:
        yield "the symbol table has another number of symbols than it should have"
    kinds = bytes(image.table("symbols")[4::16])
    if any(kind & mach_o.N_EXT and not kind & mach_o.N_STAB for kind in set(kinds[:defined])):
        yield "a symbol that others see is among the local ones"
    for one in set(kinds[defined:undefined]):
        if one & mach_o.N_STAB or not one & mach_o.N_EXT or one & mach_o.N_TYPE == mach_o.N_UNDF:
            yield f"a symbol of type {one:#x} is among the defined ones"
    for one in set(kinds[undefined:]):
        external = one & mach_o.N_EXT and not one & mach_o.N_STAB
        if not external or one & mach_o.N_TYPE not in (mach_o.N_UNDF, mach_o.N_PBUD):
            yield f"a symbol of type {one:#x} is among the undefined ones"


def _changes(old: Image, new: Image) -> Iterator[str]:
    if not _same(old.data[:32], new.data[:32]) or len(old.commands) != len(new.commands):
        yield "the Mach-O header has changed"
        return
    debug = _lost_debug(old, new)
    start = old.linkedit.start
    if debug is not None:
        start = debug.start
        command = next(command for command in old.commands if command.at == debug.at)
        yield from debug_problems(old.segments.index(debug), command.data, old.table)
        if any(old.data[debug.start + debug.size : old.linkedit.start]):
            yield "bytes between debugging information and __LINKEDIT are gone"
    for before, after in zip(old.commands, new.commands, strict=True):
        lost = debug is not None and before.at == debug.at
        if _blank(emptied(before.data) if lost else before.data, debug is not None) != _blank(
            after.data, debug is not None
        ):
            yield f"load command {before.kind:#x} at offset {before.at:#x} has changed"
    if new.linkedit.start != start or not _same(
        old.data[old.head_end : start], new.data[old.head_end : start]
    ):
        yield "mapped bytes have changed"
    page = _PAGES.get(old.cpu, 1)
    if (
        new.linkedit.memory > old.linkedit.memory
        or new.linkedit.memory % page > old.linkedit.memory % page
    ):
        yield "__LINKEDIT has grown in memory, or isn't a number of pages any more"
    for name in old.tables:
        if name not in _REWRITTEN and not _same(old.table(name), new.table(name)):
            yield f"the {name} have changed"
    yield from _symbol_changes(old, new)
    if old.tables.get("signature", (0, 0))[1]:
        yield from signature_changes(old.table("signature"), new.table("signature"))


def _lost_debug(old: Image, new: Image) -> LoadedSegment | None:
    """Return the original's ``__DWARF``, if it lies just before ``__LINKEDIT`` and is emptied."""
    before = [one for one in old.segments if one.size and one.start < old.linkedit.start]
    last = max(before, key=lambda one: one.start, default=None)
    if last is None or last.name != _DEBUG or last.start == 0:
        return None
    gone = any(one.name == _DEBUG and one.at == last.at and not one.size for one in new.segments)
    return last if gone else None


def _blank(command: bytes, moved: bool) -> bytes:
    """Blank what an edit may change in a load command; more if ``__LINKEDIT`` has ``moved``."""
    data = bytearray(command)
    kind = int.from_bytes(data[:4], "little")
    free: list[tuple[int, int]] = []
    if kind == mach_o.LC_SEGMENT_64 and data[8:24].rstrip(b"\0") == b"__LINKEDIT":
        free = [(32, 56 if moved else 40), (48, 56)]
    elif kind in (mach_o.LC_SYMTAB, mach_o.LC_CODE_SIGNATURE):
        free = [(8, len(data))]
    elif kind == mach_o.LC_DYSYMTAB:
        # Number of local symbols, first defined one, first undefined one, offset of the indirect
        # symbols.
        free = [(12, 20), (24, 28), (56, 60)]
    elif kind in DATA:
        free = [(8, 12)]
    elif kind in DYLD_INFO and moved:
        free = [(at, at + 4) for at in range(8, len(data), 8)]
    for start, end in free:
        data[start:end] = bytes(end - start)
    return bytes(data)


def _symbol_changes(old: Image, new: Image) -> Iterator[str]:
    visible = [
        list(image.symbols(image.partition[2], image.partition[3] + image.partition[5]))
        for image in (old, new)
    ]
    if visible[0] != visible[1]:
        yield "the symbols that others see have changed"
    if old.partition[3] != new.partition[3] or old.partition[5] != new.partition[5]:
        yield "there are more or fewer defined or undefined symbols"
    left = old.symbols(0, old.partition[1])
    if not all(any(symbol == one for one in left) for symbol in new.symbols(0, new.partition[1])):
        yield "a local symbol isn't in the original, or is in another place"
    if old.indirect() != new.indirect():
        yield "indirect symbols stand for others than before"


def _same(first: memoryview, second: memoryview) -> bool:
    if len(first) != len(second):
        return False
    # In blocks, as bytes: comparing memory views directly goes item by item and is thirty times
    # slower.
    for at in range(0, len(first), _BLOCK):
        one, other = first[at : at + _BLOCK], second[at : at + _BLOCK]
        if bytes(one) != bytes(other):
            return False
        seen(one)
        seen(other)
    return True
