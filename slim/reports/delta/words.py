"""Words and numbers about a delta, the same in every report."""

from __future__ import annotations

from slim.model.delta import DeltaAction, DeltaMade, LayerMade, archive_size
from slim.model.size import format_size
from slim.reports.common.text import printable

Cells = tuple[str, str, str, str, str]
"""Name of a layer, its old archive, its new archive, the download, and the share that is left."""


def share(part: int, whole: int) -> str:
    """Return the part of a download that is left: ``1.9%``, ``<0.1%``.

    Empty where there is nothing to compare with.
    """
    if whole <= 0:
        return ""
    if part == 0:
        return "0%"
    value = 100 * part / whole
    if value < 0.1:
        return "<0.1%"
    return f"{value:.1f}%" if value < 10 else f"{value:.0f}%"


def layer_cells(layer: LayerMade) -> Cells:
    """Return the cells of one layer."""
    delta = layer.delta
    old, new = archive_size(delta.old), archive_size(delta.new)
    return (
        printable(delta.name),
        format_size(old) if old else "",
        format_size(new) if new else "",
        format_size(delta.download) if delta.action is not DeltaAction.REMOVED else "",
        share(delta.download, new),
    )


def total_cells(result: DeltaMade) -> Cells:
    """Return the cells of all layers together."""
    full = format_size(result.full) if result.full else ""
    download = format_size(result.download)
    return ("total", "", full, download, share(result.download, result.full))


def method_text(layer: LayerMade) -> str:
    """Return what an update does with a layer: ``patch, files``, ``full``, ``unchanged``."""
    delta = layer.delta
    return f"patch, {delta.method}" if delta.action is DeltaAction.PATCH else delta.action.value
