"""GPU code of a stack, as an audit tells it. All sizes are bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from slim.model.gpu import GpuCompression, GpuKind
from slim.model.record import FileRecord, Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShare:
    """Entries of one file with the same kind, architecture and compression.

    ``size`` is what they take in the file, with their headers and padding; 0 where they are
    ``together``: compressed with entries for other architectures, so that nobody can say what
    each takes. ``unpacked`` is what they are once they are decompressed.
    """

    kind: GpuKind
    """Kind of the code."""
    architecture: str
    """Architecture as in :class:`slim.model.gpu.GpuEntry`; empty for what is told as a block."""
    compression: GpuCompression
    """Compression of the entries."""
    together: bool
    entries: int
    """Number of them."""
    size: int
    unpacked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFile:
    """A file with GPU code.

    ``size`` is what the code takes in the file: ``shares``, bundles whose entries are compressed
    together (``together``), and the headers of containers. ``damage`` has a sentence for each place
    that slim can't read.
    """

    record: FileRecord
    """The file."""
    size: int
    together: int
    containers: int
    """Number of fat binaries and bundles."""
    shares: tuple[GpuShare, ...]
    damage: tuple[str, ...] = ()

    @property
    def architectures(self) -> tuple[tuple[GpuKind, str], ...]:
        """Kinds and architectures, each once, in the order of :func:`architecture_order`."""
        found = {(share.kind, share.architecture) for share in self.shares}
        return tuple(sorted(found, key=lambda one: architecture_order(*one)))


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuArchitecture:
    """All code of one kind for one architecture. The fields are sums of :class:`GpuShare`."""

    kind: GpuKind
    """Kind of the code."""
    architecture: str
    """Architecture; empty for what is told as a block."""
    together: bool
    """True if some of it is compressed together with code for other architectures."""
    entries: int
    """Number of entries."""
    size: int
    """Bytes in files, without what is compressed together with other code."""
    unpacked: int
    """Bytes once decompressed."""
    files: int
    """Number of files that hold some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOwner:
    """All GPU code of one distribution."""

    owner: Owner
    """The distribution; the runtime, or nobody."""
    size: int
    """Bytes of GPU code in its files."""
    files: int
    """Number of its files with GPU code."""
    architectures: tuple[tuple[GpuKind, str], ...]
    """Kinds and architectures, in the order of :func:`architecture_order`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuAudit:
    """All GPU code of a stack. ``files`` and ``owners`` have the largest first."""

    files: tuple[GpuFile, ...] = ()
    owners: tuple[GpuOwner, ...] = ()
    architectures: tuple[GpuArchitecture, ...] = ()
    """Sums by kind and architecture, in the order of :func:`architecture_order`."""

    @property
    def size(self) -> int:
        """Bytes of GPU code in all files."""
        return sum(file.size for file in self.files)

    @property
    def together(self) -> int:
        """Bytes of bundles whose entries are compressed together."""
        return sum(file.together for file in self.files)


_ORDER = tuple(GpuKind)
_NVIDIA = (GpuKind.CUBIN, GpuKind.PTX, GpuKind.LTO_IR)
_NUMBERS = re.compile(r"(\d+)")


def architecture_order(kind: GpuKind, architecture: str) -> tuple[int, tuple[str, ...], int]:
    """Sort key: NVIDIA's architectures, AMD's, then the rest; by name, numbers as numbers.

    Machine code comes before PTX for the same architecture.
    """
    if kind in _NVIDIA or architecture.startswith("sm_"):
        vendor = 0
    else:
        vendor = 1 if kind is GpuKind.HSACO else 2
    parts = tuple(
        part.zfill(9) if part.isdigit() else part for part in _NUMBERS.split(architecture)
    )
    return vendor, parts, _ORDER.index(kind)
