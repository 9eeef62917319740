"""Words and numbers about a delta, the same in every report."""

from __future__ import annotations

from slim.model.delta import DeltaAction, LayerMade, archive_size
from slim.model.size import format_size
from slim.reports.common.text import printable


def share(part: int, whole: int) -> str:
    """Return the part that is left of a download: ``1.9%``, ``<0.1%``, empty where there is nothing to compare with."""
    if whole <= 0:
        return ""
    if part == 0:
        return "0%"
    value = 100 * part / whole
    return "<0.1%" if value < 0.1 else f"{value:.1f}%" if value < 10 else f"{value:.0f}%"


def layer_cells(layer: LayerMade) -> tuple[str, str, str, str, str]:
    """Return name, old and new size, download and its share of one layer."""
    delta = layer.delta
    before, after = archive_size(delta.old), archive_size(delta.new)
    return (
        printable(delta.name),
        format_size(before) if before else "",
        format_size(after) if after else "",
        format_size(delta.download) if delta.action is not DeltaAction.REMOVED else "",
        share(delta.download, after),
    )


def method_text(layer: LayerMade) -> str:
    """Return what an update does with a layer: ``patch, files``, ``full``, ``unchanged``."""
    delta = layer.delta
    return f"patch, {delta.method}" if delta.action is DeltaAction.PATCH else delta.action.value
