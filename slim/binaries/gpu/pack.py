"""Containers of GPU code without the entries that go, one after the other.

An entry is carried over whole, with its header and padding; a container's header says how many
bytes follow it. Of a container of which everything would go, the smallest entry stays: a driver
that finds no code for its device says so, and how it takes an empty container isn't documented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from slim.binaries.gpu.fatbin import CONTAINER, ENTRY
from slim.binaries.gpu.recompress import Recompressor
from slim.model.gpu import GpuContainer, GpuEntry, GpuKind
from slim.model.gpu_target import Capability, Code, CodeKind, Suffix, Target, what_stays
from slim.model.recipe import Kept, Piece, Zeros

_ARCHITECTURE: Final = re.compile(r"sm_([0-9]{1,3})([0-9])([af]?)")
_KINDS: Final = {GpuKind.CUBIN: CodeKind.CUBIN, GpuKind.PTX: CodeKind.PTX}
_ALIGN: Final = 16
"""Alignment of a container whose old place has it; others have 8."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A section's containers without what goes.

    ``pieces`` are its new bytes, over the original file. ``places`` has the new offset of each
    container in the section, by the old one. ``gone`` are the entries that go, ``recompressed`` is
    the number of those that were compressed again, and ``saved`` by how many bytes.
    """

    pieces: tuple[Piece, ...]
    places: dict[int, int]
    gone: tuple[GpuEntry, ...]
    recompressed: int = 0
    saved: int = 0

    @property
    def size(self) -> int:
        """Bytes of the new section."""
        return sum(map(len, self.pieces))


def code_of(view: memoryview, entry: GpuEntry) -> Code:
    """Return what an entry of a fat binary is, as far as devices care."""
    written = _ARCHITECTURE.fullmatch(entry.architecture)
    kind = _KINDS.get(entry.kind)
    if written is None or kind is None:
        return Code(CodeKind.OTHER, Capability(0, 0))
    return Code(
        kind,
        Capability(int(written[1]), int(written[2])),
        Suffix(written[3]),
        _name(view, entry),
    )


def _name(view: memoryview, entry: GpuEntry) -> str:
    """Return the name of what an entry was compiled from; most have none."""
    fields = ENTRY.unpack_from(view, entry.offset)
    start, size = fields[9], fields[10]
    if not size or start + size > entry.header_size:
        return ""
    return bytes(view[entry.offset + start : entry.offset + start + size]).decode("latin-1")


def kept_entries(
    view: memoryview, container: GpuContainer, targets: Sequence[Target]
) -> tuple[GpuEntry, ...]:
    """Return the entries of a container that stay: all of them where no target is named."""
    entries = container.entries
    if not targets:
        return entries
    stays = what_stays([code_of(view, entry) for entry in entries], targets)
    kept = tuple(entry for entry, stay in zip(entries, stays, strict=True) if stay)
    if kept or not entries:
        return kept
    return (min(entries, key=lambda entry: (entry.kind is not GpuKind.CUBIN, entry.bytes_in_file)),)


def pack(
    view: memoryview,
    section: int,
    containers: Sequence[GpuContainer],
    targets: Sequence[Target],
    pinned: int = 0,
    recompressor: Recompressor | None = None,
) -> Packed:
    """Pack the containers of the section that begins at an offset of a file.

    The first ``pinned`` ones stay where and as they are. Raises Refused for code that can't be
    compressed again.
    """
    pieces: list[Piece | range] = []
    places: dict[int, int] = {}
    gone: list[GpuEntry] = []
    at = 0
    if pinned:
        at = containers[pinned - 1].end - section
        pieces.append(Kept(section, at))
    for container in containers[pinned:]:
        align = _ALIGN if container.offset % _ALIGN == 0 else 8
        padding = -(section + at) % align
        kept = kept_entries(view, container, targets)
        stay = {entry.offset for entry in kept}
        gone += (entry for entry in container.entries if entry.offset not in stay)
        new = list(_container(view, container, kept, recompressor))
        places[container.offset - section] = at + padding
        pieces += [Zeros(padding), *new]
        at += padding + sum(map(len, new))
    if recompressor is None:
        ready = [piece for piece in pieces if not isinstance(piece, range)]
        return Packed(tuple(merged(ready)), places, tuple(gone))
    return Packed(
        tuple(merged(recompressor.finish(pieces))),
        places,
        tuple(gone),
        recompressor.entries,
        recompressor.saved,
    )


def _container(
    view: memoryview,
    container: GpuContainer,
    kept: Sequence[GpuEntry],
    recompressor: Recompressor | None,
) -> Iterator[Piece | range]:
    """Yield what becomes of a container: its header, and the entries that stay."""
    entries: list[Piece | range] = []
    for entry in kept:
        again = None if recompressor is None else recompressor.compress(view, entry)
        entries += [_whole(entry)] if again is None else again
    yield _header(view, container, sum(map(len, entries)))
    yield from entries


def _header(view: memoryview, container: GpuContainer, room: int) -> bytes:
    """Return the header of a container whose entries take ``room`` bytes."""
    whole = bytes(view[container.offset : container.offset + container.header_size])
    magic, version, size, _ = CONTAINER.unpack_from(whole)
    return CONTAINER.pack(magic, version, size, room) + whole[CONTAINER.size :]


def _whole(entry: GpuEntry) -> Kept:
    return Kept(entry.offset, entry.bytes_in_file)


def merged(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Yield the same pieces without empty ones, those that follow each other as one."""
    last: Piece | None = None
    for piece in pieces:
        if not len(piece):
            continue
        match last, piece:
            case Kept(start, size), Kept(following, more) if start + size == following:
                last = Kept(start, size + more)
            case Zeros(size), Zeros(more):
                last = Zeros(size + more)
            case bytes() as one, bytes() as other:
                last = one + other
            case _:
                if last is not None:
                    yield last
                last = piece
    if last is not None:
        yield last
