"""The rows that reports of ``slim diff`` show to people."""

from __future__ import annotations

from slim.model.diff import Change, Comparison, Metric, OwnerChange


def changed_owners(comparison: Comparison) -> list[OwnerChange]:
    """Return owners with a changed size, version or file; the largest change of content first."""
    owners = [owner for owner in comparison.owners if owner.changed or owner.places]
    return sorted(owners, key=lambda owner: (-abs(owner.delta(Metric.UNPACKED)), owner.name))


def changed_categories(comparison: Comparison) -> list[Change]:
    """Return the categories with a changed size."""
    return [change for change in comparison.categories if change.changed]


def size_rows(comparison: Comparison, *, unchanged: bool = False) -> list[Change]:
    """Return the layers with a changed size, or all, and the total; a lone layer is the total."""
    layers = comparison.layers if len(comparison.layers) > 1 else ()
    total = Change(label="total", before=comparison.before, after=comparison.after)
    return [*(layer for layer in layers if layer.changed or unchanged), total]


def shown_metrics(comparison: Comparison) -> list[Metric]:
    """Return the metrics that are known; archives only where there are any."""
    metrics = [Metric.UNPACKED, Metric.DEPLOYED, Metric.FILES]
    archives = comparison.before.archive or comparison.after.archive
    return [Metric.ARCHIVE, *metrics] if comparison.archives and archives else metrics
