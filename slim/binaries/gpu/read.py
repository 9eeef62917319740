"""All GPU code of a file: sections are walked once, payloads aren't read.

Only headers are looked at, so that a library of several gigabytes costs a page for each entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from slim.binaries.base import Buffer
from slim.binaries.elf.layout import MAGIC as ELF_MAGIC
from slim.binaries.gpu import bare, bundle, fatbin
from slim.binaries.gpu.sections import NamedSection, named_sections
from slim.binaries.pe.identify import MAGIC as PE_MAGIC
from slim.binaries.refusal import Refused
from slim.model.gpu import (
    GpuBlock,
    GpuCode,
    GpuContainer,
    GpuDamage,
    GpuKind,
    GpuSection,
    GpuWrapper,
)
from slim.system.mapped import seen

MAGICS = (
    ELF_MAGIC,
    PE_MAGIC,
    fatbin.MAGIC,
    bundle.COMPRESSED_MAGIC,
    bundle.MAGIC,
    bare.METALLIB_MAGIC,
    *bare.SPIRV_MAGICS,
)
"""First bytes of files that may hold GPU code."""

CONTAINER_SECTIONS = frozenset(
    {".nv_fatbin", "__nv_relfatbin", ".nv_fatb", "__nv_rel", ".hip_fatbin", ".hip_fat"}
)
"""Sections of containers; PE cuts a name after eight characters."""
WRAPPER_SECTIONS = frozenset({".nvFatBinSegment", ".nvFatBi", ".hipFatBinSegment", ".hipFatB"})
"""Sections of wrappers."""
_SPIRV_SECTIONS = "__CLANG_OFFLOAD_BUNDLE__sycl-spir"
_BLOCKS = {".cask_resource": GpuKind.CASK, ".cask_re": GpuKind.CASK}

_MOST_ENTRIES = 1 << 18
"""Entries of a file that are read; libcublasLt has 5,424."""
_MOST_GAPS = 1 << 10
_MOST_SECTIONS = 64
"""Sections with GPU code of a file; a relocatable object may have some of one name."""
_NOT_ZERO = re.compile(rb"[^\0]")
_ANY_MAGIC = re.compile(
    b"|".join(map(re.escape, (fatbin.MAGIC, bundle.COMPRESSED_MAGIC, bundle.MAGIC)))
)


def read_gpu_code(data: Buffer) -> GpuCode | None:
    """Read all GPU code of a file; None where there is none.

    Raises nothing, whatever the bytes are: places that contradict their format are in
    :attr:`slim.model.gpu.GpuCode.damage`.
    """
    view = memoryview(data)
    start = bytes(view[: len(bundle.MAGIC)])
    if not start.startswith(MAGICS):
        return None
    reader = _Reader(view)
    if start.startswith((ELF_MAGIC, PE_MAGIC)):
        own = bare.read_bare_elf(view)
        if own is not None:
            return GpuCode(containers=(own,))
        for section in named_sections(view):
            reader.section(section)
    elif start.startswith((fatbin.MAGIC, bundle.COMPRESSED_MAGIC, bundle.MAGIC)):
        reader.walk(NamedSection("", 0, len(view)))
    else:
        block = bare.read_block(view)
        return None if block is None else GpuCode(blocks=(block,))
    return reader.result()


_ReadContainer = Callable[[memoryview, int, int, str], GpuContainer]


@dataclass
class _Reader:
    """Collects what the sections of one file hold."""

    view: memoryview
    sections: list[GpuSection] = field(default_factory=list)
    containers: list[GpuContainer] = field(default_factory=list)
    wrappers: list[GpuWrapper] = field(default_factory=list)
    blocks: list[GpuBlock] = field(default_factory=list)
    damage: list[GpuDamage] = field(default_factory=list)
    budget: fatbin.Budget = field(default_factory=lambda: fatbin.Budget(_MOST_ENTRIES))
    gaps_left: int = _MOST_GAPS

    def result(self) -> GpuCode | None:
        """All that has been read; None where it is nothing."""
        if not (self.sections or self.damage):
            return None
        return GpuCode(
            sections=tuple(self.sections),
            containers=tuple(self.containers),
            wrappers=tuple(self.wrappers),
            blocks=tuple(self.blocks),
            damage=tuple(self.damage),
        )

    def section(self, section: NamedSection) -> None:
        """Read a section, if its name is one of GPU code."""
        name, offset, size = section
        kind = GpuKind.SPIRV if name.startswith(_SPIRV_SECTIONS) else _BLOCKS.get(name)
        if kind is None and name not in CONTAINER_SECTIONS | WRAPPER_SECTIONS:
            return
        if len(self.sections) >= _MOST_SECTIONS:
            self._note(name, offset, "there are more sections with GPU code than slim reads")
            return
        if kind is not None:
            self.sections.append(GpuSection(name=name, offset=offset, size=size))
            self.blocks.append(GpuBlock(kind=kind, section=name, offset=offset, size=size))
        elif name in CONTAINER_SECTIONS:
            self.walk(section)
        else:
            self.sections.append(GpuSection(name=name, offset=offset, size=size))
            self._try(
                name,
                offset,
                lambda: self.wrappers.extend(
                    fatbin.read_wrappers(self.view, offset, size, name, self.budget)
                ),
            )

    def walk(self, section: NamedSection) -> None:
        """Read the containers of a section, one after the other, and note what lies between."""
        name, at, size = section
        end = at + size
        gaps: list[tuple[int, int]] = []
        while (start := self._next(_NOT_ZERO, at, end)) is not None:
            read = self._reader_at(start)
            before = len(self.containers)
            if read is not None:
                self._container(read, start, end, name)
            if len(self.containers) > before:
                at = self.containers[-1].end
                continue
            following = self._next(_ANY_MAGIC, start + 1, end)
            at = end if following is None else following
            gaps.append((start, at - start))
            self.gaps_left -= 1
            if self.budget.left <= 0 or self.gaps_left <= 0:
                self._note(name, at, "the rest of the section isn't read: there is too much of it")
                break
        self.sections.append(
            GpuSection(name=name, offset=section.offset, size=size, gaps=tuple(gaps))
        )

    def _reader_at(self, at: int) -> _ReadContainer | None:
        start = bytes(self.view[at : at + len(bundle.MAGIC)])
        if start.startswith(fatbin.MAGIC):
            return lambda view, at, end, name: fatbin.read_fatbin(view, at, end, name, self.budget)
        if start.startswith(bundle.COMPRESSED_MAGIC):
            return bundle.read_compressed_bundle
        return bundle.read_bundle if start == bundle.MAGIC else None

    def _next(self, pattern: re.Pattern[bytes], at: int, end: int) -> int | None:
        match = pattern.search(self.view, at, end)
        seen(self.view, (match.start() if match else end) - at)
        return match.start() if match else None

    def _container(self, read: _ReadContainer, at: int, end: int, name: str) -> None:
        def add() -> None:
            self.budget.take()
            self.containers.append(read(self.view, at, end, name))

        self._try(name, at, add)

    def _try(self, section: str, at: int, read: Callable[[], None]) -> None:
        try:
            read()
        except Refused as refused:
            self._note(section, at, refused.refusal.reason)

    def _note(self, section: str, at: int, reason: str) -> None:
        self.damage.append(GpuDamage(section=section, offset=at, reason=reason))
