"""Machine code for GPUs inside of files: containers, and their entries by kind and architecture.

All offsets are bytes from the start of the file, all sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class GpuKind(StrEnum):
    """Kind of an entry. The values are stable."""

    CUBIN = "cubin"
    """Machine code for NVIDIA's GPUs, an ELF file."""
    PTX = "ptx"
    """NVIDIA's portable assembly, which the driver compiles."""
    LTO_IR = "lto-ir"
    """NVIDIA's intermediate code for linking at run time."""
    HSACO = "hsaco"
    """Machine code for AMD's GPUs, an ELF file."""
    SPIRV = "spirv"
    """Portable intermediate code of Khronos."""
    METALLIB = "metallib"
    """A library of Apple's Metal."""
    CASK = "cask"
    """Kernels that NVIDIA's libraries keep in a format of their own (``.cask_resource``)."""
    OTHER = "other"


class GpuCompression(StrEnum):
    """Compression of an entry, or of a whole bundle. The values are stable."""

    NONE = "none"
    LZ4 = "lz4"
    ZSTD = "zstd"
    ZLIB = "zlib"


class GpuForm(StrEnum):
    """Form of a container. The values are stable."""

    FATBIN = "fatbin"
    """NVIDIA's fat binary: a header, and entries with a header each."""
    BUNDLE = "bundle"
    """Clang's offload bundle: a table of entries, and their bytes."""
    BARE = "bare"
    """The file is the code itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuEntry:
    """One piece of code for one architecture.

    ``offset`` is where its header of ``header_size`` bytes begins (in a bundle, whose table is
    elsewhere, its bytes); the payload follows the header. ``padded_size`` is the room of the
    payload, ``stored_size`` its bytes without the padding after it; they are equal where nothing
    tells them apart. ``size`` is what the payload is once it is decompressed. In a compressed
    bundle, whose entries are compressed together, ``offset`` counts from the start of the
    decompressed bundle, and ``padded_size`` and ``stored_size`` are 0.
    """

    kind: GpuKind
    """Kind of the code."""
    architecture: str
    """``sm_90a``, ``gfx90a:xnack+``; for PTX that of the virtual architecture, as ``sm_90``; empty
    where the file doesn't say."""
    compression: GpuCompression
    """Compression of this entry."""
    offset: int
    header_size: int
    padded_size: int
    stored_size: int
    size: int
    flags: int = 0
    """Flags of a fat binary's entry as they are in its header."""
    number: int = 0
    """Kind of a fat binary's entry as it is in its header."""
    version: tuple[int, int] = (0, 0)
    """Version of a fat binary's code: of the ISA for PTX (9.0), of the ELF for a cubin (1.8)."""

    @property
    def payload(self) -> int:
        """Offset of the payload."""
        return self.offset + self.header_size

    @property
    def padding(self) -> int:
        """Bytes after the payload up to the next entry."""
        return self.padded_size - self.stored_size

    @property
    def bytes_in_file(self) -> int:
        """Bytes that it takes in the file: header, payload and padding."""
        return self.header_size + self.padded_size


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuContainer:
    """A fat binary, an offload bundle, or a file that is code itself.

    It begins at ``offset``. ``size`` is that of the whole container with its own header,
    ``header_size`` that of this header (in a bundle, of its table).
    """

    form: GpuForm
    """Form of the container."""
    section: str
    """Section that holds it, empty where the file has none."""
    offset: int
    header_size: int
    size: int
    entries: tuple[GpuEntry, ...]
    """Entries in the order of the file."""
    compression: GpuCompression = GpuCompression.NONE
    """Compression of a bundle as a whole."""

    @property
    def end(self) -> int:
        """Offset of the byte after the last one."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSection:
    """A section that holds containers, or GPU code in a format that slim doesn't read.

    It has ``size`` bytes from ``offset``. ``gaps`` are ranges (offset and size) between the
    containers that aren't just zeros.
    """

    name: str
    """Name in the section table (PE files cut it after eight characters)."""
    offset: int
    size: int
    gaps: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuWrapper:
    """A record, at ``offset``, by which the host's code registers one container with the driver.

    ``pointer`` and ``linked`` are as they stand in the file: addresses where the linker wrote them
    there, zeros where only a relocation has them.
    """

    section: str
    """Section that holds it."""
    offset: int
    version: int
    """1, or 2 for code that was linked on the device, which ``linked`` leads to the parts of."""
    pointer: int
    linked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuBlock:
    """GPU code that is told as a whole: Metal libraries, SPIR-V, ``.cask_resource``.

    It has ``size`` bytes from ``offset``.
    """

    kind: GpuKind
    """Kind of the code."""
    section: str
    """Section that it is, empty for a file of its own."""
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDamage:
    """A place, at ``offset``, that contradicts its format; what is around it is read all the same.

    ``reason`` is half a sentence for people.
    """

    section: str
    """Section, empty where the file has none."""
    offset: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuCode:
    """All GPU code of one file, in the order of the file."""

    sections: tuple[GpuSection, ...] = ()
    """Sections with containers, wrappers or blocks."""
    containers: tuple[GpuContainer, ...] = ()
    """Fat binaries and bundles."""
    wrappers: tuple[GpuWrapper, ...] = ()
    """Records that register containers."""
    blocks: tuple[GpuBlock, ...] = ()
    """Code that is told as a whole."""
    damage: tuple[GpuDamage, ...] = ()
    """Places that couldn't be read. No file with one may be edited."""

    @property
    def entries(self) -> tuple[GpuEntry, ...]:
        """Entries of all containers."""
        return tuple(entry for container in self.containers for entry in container.entries)
