"""GPU code of a stack: by file, distribution and architecture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from slim.analysis import ReadFile
from slim.binaries.gpu.read import read_gpu_code
from slim.model.gpu import GpuCode, GpuCompression, GpuContainer, GpuForm, GpuKind
from slim.model.gpu_audit import (
    GpuArchitecture,
    GpuAudit,
    GpuFile,
    GpuOwner,
    GpuShare,
    architecture_order,
)
from slim.model.record import EntryType, FileRecord, Inventory, NativeFormat

_NATIVE = (NativeFormat.ELF, NativeFormat.PE)
_SUFFIXES = (".fatbin", ".hipfb", ".co", ".metallib", ".spv")
"""Files with GPU code that aren't native ones; their first bytes decide."""

_Key = tuple[GpuKind, str, GpuCompression, bool]
_Piece = tuple[_Key, int, int]
"""What an entry counts under, its bytes in the file, and its bytes once decompressed."""


def gpu_code(inventory: Inventory, read: ReadFile) -> GpuAudit:
    """All GPU code of a stack. Reads headers, never the code."""
    found = (_file(record, read) for record in inventory if _may_have_code(record))
    files = sorted(
        (file for file in found if file is not None),
        key=lambda file: (-file.size, file.record.key),
    )
    return GpuAudit(files=tuple(files), owners=_owners(files), architectures=_architectures(files))


def _may_have_code(record: FileRecord) -> bool:
    if record.type is not EntryType.FILE or not record.size:
        return False
    return record.native in _NATIVE or record.path.lower().endswith(_SUFFIXES)


def _file(record: FileRecord, read: ReadFile) -> GpuFile | None:
    code = read_gpu_code(read(record))
    if code is None:
        return None
    return GpuFile(
        record=record,
        size=sum(one.size for one in code.containers) + sum(one.size for one in code.blocks),
        together=sum(one.size for one in code.containers if _is_together(one)),
        containers=len(code.containers),
        shares=_shares(code),
        damage=tuple(
            f"{record.deployed_path}: {damage.reason}, at byte {damage.offset:,}"
            for damage in code.damage
        ),
    )


def _is_together(container: GpuContainer) -> bool:
    """True if entries are compressed as one."""
    packed = container.compression is not GpuCompression.NONE
    return container.form is GpuForm.BUNDLE and packed and len(container.entries) > 1


def _pieces(container: GpuContainer) -> Iterable[_Piece]:
    together = _is_together(container)
    for entry in container.entries:
        size = entry.bytes_in_file
        if not size and not together:  # alone in a compressed bundle
            size = container.size - container.header_size
        key = (entry.kind, entry.architecture, entry.compression, together)
        yield key, size, entry.size


def _shares(code: GpuCode) -> tuple[GpuShare, ...]:
    pieces = [piece for container in code.containers for piece in _pieces(container)]
    pieces += [
        ((block.kind, "", GpuCompression.NONE, False), block.size, block.size)
        for block in code.blocks
    ]
    sums: dict[_Key, list[tuple[int, int]]] = defaultdict(list)
    for key, size, unpacked in pieces:
        sums[key].append((size, unpacked))
    return tuple(
        GpuShare(
            kind=key[0],
            architecture=key[1],
            compression=key[2],
            together=key[3],
            entries=len(sums[key]),
            size=sum(size for size, _ in sums[key]),
            unpacked=sum(unpacked for _, unpacked in sums[key]),
        )
        for key in sorted(sums, key=lambda key: (architecture_order(*key[:2]), key[2:]))
    )


def _owners(files: Iterable[GpuFile]) -> tuple[GpuOwner, ...]:
    by_owner = defaultdict(list)
    for file in files:
        by_owner[file.record.owner].append(file)
    rows = [
        GpuOwner(
            owner=owner,
            size=sum(file.size for file in own),
            files=len(own),
            architectures=tuple(
                sorted(
                    {one for file in own for one in file.architectures},
                    key=lambda one: architecture_order(*one),
                )
            ),
        )
        for owner, own in by_owner.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.size, row.owner.label)))


def _architectures(files: Iterable[GpuFile]) -> tuple[GpuArchitecture, ...]:
    found: dict[tuple[GpuKind, str], list[tuple[GpuShare, FileRecord]]] = defaultdict(list)
    for file in files:
        for share in file.shares:
            found[share.kind, share.architecture].append((share, file.record))
    return tuple(
        GpuArchitecture(
            kind=kind,
            architecture=architecture,
            together=any(share.together for share, _ in found[kind, architecture]),
            entries=sum(share.entries for share, _ in found[kind, architecture]),
            size=sum(share.size for share, _ in found[kind, architecture]),
            unpacked=sum(share.unpacked for share, _ in found[kind, architecture]),
            files=len({record.key for _, record in found[kind, architecture]}),
        )
        for kind, architecture in sorted(found, key=lambda one: architecture_order(*one))
    )
