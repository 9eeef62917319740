"""ELF libraries with GPU code that a loader can map: segments, relocations, wrappers.

Nothing here is shared with slim's readers or its editor.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.gpu_files import entry, fatbin, wrapper

PAGE = 4096
RELATIVE = {62: 8, 183: 1027, 22: 12}
"""Numbers of relative relocations: x86-64, AArch64, s390x."""


@dataclass(kw_only=True)
class Library:
    """A library of two segments: one with code for GPUs, one with the wrappers that point at it.

    ``last`` puts the GPU code at the end of its segment; ``align`` is that of the segments;
    ``pointers`` are more relative relocations (slot in ``.data``, target); ``exports`` are
    addresses of dynamic symbols; ``prelinked`` writes the pointers into the slots, as lld can.
    ``tags`` are more entries of the dynamic section. ``relocatable`` are containers of
    ``__nv_relfatbin``, each with a wrapper; ``apart`` are sections between it and ``.nv_fatbin``.
    """

    containers: Sequence[bytes]
    last: bool = False
    align: int = PAGE
    pointers: Sequence[tuple[int, int]] = ()
    exports: Sequence[int] = ()
    prelinked: bool = False
    kind: int = 3
    machine: int = 62
    tail: bytes = b""
    wrapped: Sequence[int] | None = None
    tags: Sequence[tuple[int, int]] = ()
    relocatable: Sequence[bytes] = ()
    apart: bytes = b"names of kernels, which stay between the two" * 20
    after: bytes = b"read-only data after the code" * 100
    places: dict[str, tuple[int, int]] = field(default_factory=dict)

    def build(self) -> bytes:
        """The bytes of the file; ``places`` then has each section's address and size."""
        wrapped = range(len(self.containers)) if self.wrapped is None else self.wrapped
        code, starts = _joined(self.containers)
        other, others = _joined(self.relocatable)
        count = len(wrapped) + len(others)
        relocations = count + len(self.pointers)
        symbols = [(0, 0, 0, 0, 0, 0)] + [(1, 0x11, 0, 5, where, 8) for where in self.exports]
        strings = b"\0export\0"
        programs = 4
        at = 64 + programs * 56
        sections: list[tuple[str, int, int, int, int, bytes, int, int]] = []

        def place(name: str, kind: int, flags: int, data: bytes, align: int, link: int = 0) -> int:
            nonlocal at
            at = -(-at // align) * align
            sections.append((name, kind, flags, at, len(data), data, align, link))
            self.places[name] = (at, len(data))
            at += len(data)
            return at - len(data)

        rows = b"".join(struct.pack("<IBBHQQ", *row) for row in symbols)
        place(".dynsym", 11, 2, rows, 8, 2)
        place(".dynstr", 3, 2, strings, 1)
        rela = place(".rela.dyn", 4, 2, b"\0" * 24 * relocations, 8, 1)
        place(".rodata", 1, 2, b"read-only data before the code" * 50, 16)
        linked = at
        if other:
            linked = place("__nv_relfatbin", 1, 2, other, 16)
            place("__nv_module_id", 1, 2, self.apart, 32)
        if self.last:
            place(".eh_frame", 1, 2, self.after, 8)
            start = place(".nv_fatbin", 1, 2, code, 16)
        else:
            start = place(".nv_fatbin", 1, 2, code, 16)
            place(".eh_frame", 1, 2, self.after, 8)
        first_end = at
        at = -(-at // self.align) * self.align
        second = at
        data = place(".data", 1, 3, struct.pack("<8Q", *range(8)), 8)
        wrappers = place(".nvFatBinSegment", 1, 3, b"\0" * 24 * count, 8)
        tags = [(7, rela), (8, 24 * relocations), (9, 24), (6, self.places[".dynsym"][0])]
        tags += [(5, self.places[".dynstr"][0]), (10, len(strings)), *self.tags, (0, 0)]
        dynamic = place(".dynamic", 6, 3, b"".join(struct.pack("<QQ", *tag) for tag in tags), 8, 2)
        second_end = at

        targets = [start + starts[index] for index in wrapped]
        targets += [linked + one for one in others]
        contents = {name: content for name, _, _, _, _, content, _, _ in sections}
        written = targets if self.prelinked else [0] * len(targets)
        contents[".nvFatBinSegment"] = b"".join(wrapper(target) for target in written)
        slots = [(wrappers + 24 * index + 8, target) for index, target in enumerate(targets)]
        slots += [(data + 8 * slot, target) for slot, target in self.pointers]
        contents[".rela.dyn"] = b"".join(
            struct.pack("<QQq", slot, RELATIVE[self.machine], target) for slot, target in slots
        )
        segments = [
            (1, 4, 0, 0, 0, first_end, first_end, self.align),
            (1, 6, second, second, second, second_end - second, second_end - second + 64,
             self.align),
            (2, 6, *[dynamic] * 3, *[16 * len(tags)] * 2, 8),
            (0x6474_E551, 6, 0, 0, 0, 0, 0, 16),
        ]  # fmt: skip
        return self._file(sections, contents, segments, second_end)

    def _file(
        self,
        sections: Sequence[tuple[str, int, int, int, int, bytes, int, int]],
        contents: dict[str, bytes],
        segments: Sequence[tuple[int, ...]],
        end: int,
    ) -> bytes:
        names = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in sections)
        names += b".bss\0.gnu.build.attributes\0.comment\0.shstrtab\0"
        comment = b"GCC: (GNU) 14\0"
        rows: list[tuple[int, ...]] = [(0,) * 10]
        body = bytearray(end)
        for name, kind, flags, where, size, _, align, link in sections:
            body[where : where + size] = contents[name]
            entries = {".dynsym": 24, ".rela.dyn": 24, ".dynamic": 16}.get(name, 0)
            number = names.index(b"\0" + name.encode() + b"\0") + 1
            info = 1 if name == ".dynsym" else 0
            rows.append((number, kind, flags, where, where, size, link, info, align, entries))
        place = names.index(b"\0.bss\0") + 1
        rows.append((place, 8, 3, end, end, 64, 0, 0, 8, 0))
        place = names.index(b"\0.comment\0") + 1
        rows.append((place, 1, 0x30, 0, end, len(comment), 0, 0, 1, 1))
        after = end + len(comment)
        note = struct.pack("<III", 4, 4, 0x100) + b"GA*\0made"
        place = names.index(b"\0.gnu.build.attributes\0") + 1
        rows.append((place, 7, 0, end + 4096, after, len(note), 0, 0, 1, 0))
        place = names.index(b"\0.shstrtab\0") + 1
        rows.append((place, 3, 0, 0, after + len(note), len(names), 0, 0, 1, 0))
        body += comment + note + names
        body += b"\0" * (-len(body) % 8)
        table = len(body)
        body += b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
        numbers = (self.kind, self.machine, 1, 0, 64, table, 0, 64, 56, len(segments), 64)
        head = b"\x7fELF\x02\x01\x01" + b"\0" * 9
        head += struct.pack("<HHIQQQIHHHHHH", *numbers, len(rows), len(rows) - 1)
        head += b"".join(struct.pack("<IIQQQQQQ", *row) for row in segments)
        body[: len(head)] = head
        return bytes(body) + self.tail


def _joined(containers: Sequence[bytes]) -> tuple[bytes, list[int]]:
    """The containers at multiples of 16 bytes, and where each begins."""
    joined, starts = b"", []
    for one in containers:
        joined += b"\0" * (-len(joined) % 16)
        starts.append(len(joined))
        joined += one
    return joined, starts


def code(*arches: int, size: int = 9000, kind: int = 2, flags: int = 0x11) -> bytes:
    """A container with an entry of ``size`` bytes for each architecture, each of its own bytes."""
    return fatbin(
        *(
            entry(kind, arch, bytes([arch % 251, number]) * (size // 2), flags=flags)
            for number, arch in enumerate(arches)
        )
    )
