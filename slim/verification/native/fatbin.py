"""Fat binaries and pointers at them, read from scratch for :mod:`slim.verification.native.gpu`.

Source: ``fatBinaryCtl.h`` and ``fatbinary_section.h`` of the CUDA toolkit; what ``nvcc`` writes;
System V gABI, chapter 5 ("Dynamic Section").
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import zstandard

from slim.system.mapped import seen
from slim.verification.native.elf_image import Elf, Section

CODE = ".nv_fatbin"
RELOCATABLE = "__nv_relfatbin"
WRAPPERS = ".nvFatBinSegment"
_MAGIC = 0xBA55ED50
_DYNAMIC = 2
_TABLE, _TABLE_SIZE, _FORMS = 7, 8, (17, 36, 0x6000_000F, 0x6000_0011)
_RELATIVE = {62: 8, 183: 1027}
_ROW = struct.Struct("<QQq")
_CHUNK = _ROW.size << 15
_BLOCK = 1 << 20
_MOST = 1 << 18
_LARGEST = 1 << 27
_LZ4, _ZSTD = 0x2000, 0x8000
_FIELDS = (("<Q", 40), ("<I", 16), ("<Q", 56))
"""Flags, compressed size and unpacked size in an entry's header."""


class UnreadableCode(Exception):
    """Raised for GPU code, or pointers at it, that can't be judged."""


@dataclass
class Pointers:
    """Relocations: targets and places of addends by slot for relative ones, all others as rows."""

    targets: dict[int, int] = field(default_factory=dict)
    addends: dict[int, int] = field(default_factory=dict)
    others: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Entry:
    """Entry of a container: the place of its header, the header's size, and that of its room."""

    offset: int
    header: int
    room: int

    @property
    def end(self) -> int:
        """Offset after its last byte."""
        return self.offset + self.header + self.room


def read_pointers(elf: Elf) -> Pointers:
    """Read the relocations of a 64-bit little-endian file. Raises UnreadableCode."""
    tags: dict[int, int] = {}
    for one in elf.programs:
        if one.kind == _DYNAMIC:
            size = one.file_size - one.file_size % 16
            for tag, value in struct.iter_unpack("<QQ", elf.data[one.offset : one.offset + size]):
                if not tag:
                    break
                tags[tag] = value
    if any(form in tags for form in _FORMS):
        raise UnreadableCode("relocations are of a form that can't be judged")
    found = Pointers()
    address, size = tags.get(_TABLE, 0), tags.get(_TABLE_SIZE, 0)
    relative = _RELATIVE.get(elf.header[2], -1)
    start = next(
        (
            one.offset + address - one.address
            for one in elf.programs
            if one.kind == 1 and one.address <= address <= one.address + one.file_size - size
        ),
        None,
    )
    if size % _ROW.size or (size and start is None):
        raise UnreadableCode("the table of relocations isn't loaded")
    for at in range(0, size, _CHUNK):
        place = (start or 0) + at
        data = elf.data[place : place + min(_CHUNK, size - at)]
        for index, (slot, info, addend) in enumerate(_ROW.iter_unpack(data)):
            if info == relative:
                found.targets[slot] = addend
                found.addends[slot] = address + at + index * _ROW.size + 16
            else:
                found.others.append((slot, info, addend))
        seen(elf.data, len(data))
    return found


def container_problems(
    old: Elf, new: Elf, before: Section, after: Section, pairs: Mapping[int, int]
) -> Iterator[str]:
    """Check the containers at pairs of addresses, before and after, and that there are no others.

    Raises UnreadableCode.
    """
    lead = _lead(old, before, pairs)
    if bytes(new.data[after.offset : after.offset + len(lead)]) != lead:
        yield "GPU code at the start of its section, which no wrapper points at, isn't what it was"
    used = [(after.offset, after.offset + len(lead))]
    end = before.offset + len(lead)
    for address, target in sorted(pairs.items()):
        at = before.offset + address - before.address
        place = after.offset + target - after.address
        if not after.address <= target < after.address + after.size:
            yield f"the pointer at the container of address {address:#x} leads out of GPU code"
            continue
        was = _entries(old, at, before)
        now = _entries(new, place, after)
        if at > end and any(old.data[end:at]):
            yield f"GPU code before the address {address:#x}, which no wrapper points at, is lost"
        end = max(end, was[-1].end if was else at + 16)
        size = 16 + sum(entry.header + entry.room for entry in now)
        used.append((place, place + size))
        if was and not now:
            yield f"the container of address {address:#x} is empty"
        left = iter(was)
        for entry in now:
            if not any(_equal(old, other, new, entry) for other in left):
                yield (
                    f"the container of address {address:#x} holds code that it didn't hold, "
                    "or in another order"
                )
                break
    if any(old.data[end : before.offset + before.size]):
        yield "GPU code at the end of its section, which no wrapper points at, is lost"
    at = after.offset
    for start, end in [*sorted(used), (after.offset + after.size, after.offset + after.size)]:
        if start < at:
            yield "containers overlap"
        elif any(bytes(new.data[at:start])) if start - at < _BLOCK else True:
            yield f"GPU code at offset {at:#x} belongs to no container"
        at = max(at, end)


def _lead(old: Elf, before: Section, pairs: Mapping[int, int]) -> bytes:
    """Return what lies before the first container that a wrapper points at, without padding."""
    size = min(pairs, default=before.address + before.size) - before.address
    return bytes(old.data[before.offset : before.offset + size]).rstrip(b"\0")


def _entries(elf: Elf, at: int, section: Section) -> list[Entry]:
    """Read the entries of the container at an offset. Raises UnreadableCode."""
    limit = section.offset + section.size
    if at + 16 > limit:
        raise UnreadableCode(f"no container lies at offset {at:#x}")
    magic, version, header, room = struct.unpack_from("<IHHQ", elf.data, at)
    if magic != _MAGIC or version != 1 or header != 16 or at + header + room > limit:
        raise UnreadableCode(f"no container lies at offset {at:#x}")
    found: list[Entry] = []
    place, end = at + header, at + header + room
    while place < end:
        if place + 64 > end or len(found) >= _MOST:
            raise UnreadableCode(f"the container at offset {at:#x} can't be read")
        size, content = struct.unpack_from("<IQ", elf.data, place + 4)
        entry = Entry(place, size, content)
        if size < 64 or entry.end > end:
            raise UnreadableCode(f"the container at offset {at:#x} can't be read")
        found.append(entry)
        place = entry.end
    return found


def _unpacks_alike(old: Elf, before: Entry, new: Elf, after: Entry) -> bool:
    """Return whether an entry that was compressed again is otherwise the same."""
    was, now = (
        bytearray(elf.data[one.offset : one.offset + one.header])
        for elf, one in ((old, before), (new, after))
    )
    flags, packed, size = (struct.unpack_from(form, was, at)[0] for form, at in _FIELDS)
    new_flags, new_packed, new_size = (struct.unpack_from(form, now, at)[0] for form, at in _FIELDS)
    if new_flags != (flags & ~_LZ4 | _ZSTD) or new_packed > after.room or new_size > _LARGEST:
        return False
    for start, end in ((8, 20), (40, 48), (56, 64)):
        was[start:end] = now[start:end] = bytes(end - start)
    if was != now:
        return False
    start = before.offset + before.header
    stored = bytes(old.data[start : start + (packed if flags & _LZ4 else before.room)])
    plain = _unpack(stored, size) if flags & _LZ4 else stored
    start = after.offset + after.header
    frame = bytes(new.data[start : start + new_packed])
    rest = bytes(new.data[start + new_packed : after.end])
    seen(old.data, len(stored))
    seen(new.data, len(frame))
    try:
        made = zstandard.ZstdDecompressor(max_window_size=_LARGEST).decompress(frame, new_size)
    except zstandard.ZstdError:
        return False
    return plain is not None and len(plain) == new_size and made == plain and not any(rest)


def _unpack(block: bytes, size: int) -> bytes | None:
    """Return what a block of LZ4 unpacks to; None where it isn't one of that size."""
    source, made = io.BytesIO(block), bytearray()

    def length(nibble: int) -> int:
        total, more = nibble, 255 if nibble == 15 else 0
        while more == 255:
            more = (source.read(1) or b"\0")[0]
            total += more
        return total

    while head := source.read(1):
        made += source.read(length(head[0] >> 4))
        distance = int.from_bytes(source.read(2), "little")
        if not distance:
            break
        count = length(head[0] & 15) + 4
        if distance > len(made) or len(made) + count > size:
            return None
        while count:
            chunk = made[len(made) - distance :][:count]
            made += chunk
            count -= len(chunk)
    return bytes(made) if len(made) == size else None


def _equal(old: Elf, before: Entry, new: Elf, after: Entry) -> bool:
    """Return whether two entries are the same, header and all, or unpack to the same."""
    if before.header != after.header:
        return False
    packed = struct.unpack_from("<Q", new.data, after.offset + 40)[0] & _ZSTD
    if packed and not struct.unpack_from("<Q", old.data, before.offset + 40)[0] & _ZSTD:
        return _unpacks_alike(old, before, new, after)
    if before.room != after.room:
        return False
    for at in range(0, before.end - before.offset, _BLOCK):
        stop = min(at + _BLOCK, before.end - before.offset)
        one = bytes(old.data[before.offset + at : before.offset + stop])
        if one != bytes(new.data[after.offset + at : after.offset + stop]):
            return False
        seen(old.data, stop - at)
        seen(new.data, stop - at)
    return True
