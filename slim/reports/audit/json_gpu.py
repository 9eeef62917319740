"""GPU code in the JSON report of an audit."""

from __future__ import annotations

from collections.abc import Iterable

from slim.model.gpu import GpuKind
from slim.model.gpu_audit import GpuAudit, GpuFile, GpuShare
from slim.reports.common.json_parts import owner_document
from slim.system.json_text import Json, named, prose


def gpu_document(gpu: GpuAudit) -> Json:
    """Return all GPU code: sums by architecture and owner, and each file."""
    return {
        "size": gpu.size,
        "together": gpu.together,
        "by_architecture": [
            {
                "kind": row.kind.value,
                "architecture": prose(row.architecture),
                "entries": row.entries,
                "size": row.size,
                "together": row.together,
                "unpacked": row.unpacked,
                "files": row.files,
            }
            for row in gpu.architectures
        ],
        "by_owner": [
            {
                "owner": owner_document(row.owner),
                "size": row.size,
                "files": row.files,
                "architectures": _architectures(row.architectures),
            }
            for row in gpu.owners
        ],
        "files": [_file(file) for file in gpu.files],
    }


def _architectures(found: Iterable[tuple[GpuKind, str]]) -> list[Json]:
    return [
        {"kind": kind.value, "architecture": prose(architecture)} for kind, architecture in found
    ]


def _file(file: GpuFile) -> Json:
    return {
        **named("layer", file.record.layer),
        **named("path", file.record.path),
        "file_size": file.record.size,
        "owner": owner_document(file.record.owner),
        "size": file.size,
        "together": file.together,
        "containers": file.containers,
        "entries": [_share(share) for share in file.shares],
        "damage": [prose(text) for text in file.damage],
    }


def _share(share: GpuShare) -> Json:
    return {
        "kind": share.kind.value,
        "architecture": prose(share.architecture),
        "compression": share.compression.value,
        "together": share.together,
        "count": share.entries,
        "size": share.size,
        "unpacked": share.unpacked,
    }
