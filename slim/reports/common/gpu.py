"""GPU code in words: names of architectures, and a colour for each."""

from __future__ import annotations

from collections.abc import Sequence

from slim.model.gpu import GpuKind
from slim.model.gpu_audit import GpuArchitecture

_BLOCKS = {
    GpuKind.METALLIB: "Metal library",
    GpuKind.SPIRV: "SPIR-V",
    GpuKind.CASK: ".cask_resource",
    GpuKind.HSACO: "AMD, unknown",
    GpuKind.OTHER: "unknown",
}
_COLORS = ("cyan", "green", "yellow", "magenta", "blue", "red")


def architecture_name(kind: GpuKind, architecture: str) -> str:
    """Name for people: ``sm_90a``, ``sm_90 PTX``, ``Metal library``."""
    if not architecture:
        return _BLOCKS.get(kind, f"{kind.value}, unknown")
    suffix = {GpuKind.PTX: " PTX", GpuKind.LTO_IR: " LTO-IR", GpuKind.OTHER: " (unknown kind)"}
    return architecture + suffix.get(kind, "")


def architecture_names(found: Sequence[tuple[GpuKind, str]]) -> str:
    """Names of several architectures, in their order."""
    return ", ".join(architecture_name(kind, architecture) for kind, architecture in found)


def terminal_colors(rows: Sequence[GpuArchitecture]) -> dict[str, str]:
    """A colour of the terminal for each architecture; all its kinds have the same one.

    There are six; from the seventh architecture on they begin again.
    """
    names = dict.fromkeys(row.architecture for row in rows)
    return {name: _COLORS[place % len(_COLORS)] for place, name in enumerate(names)}
