"""Weights of pieces of evidence: what counts, and what is told first."""

from __future__ import annotations

from slim.model.finding import Evidence, Strength
from slim.model.record import FileRecord


def holds_unused(evidence: Evidence, importer: FileRecord | None) -> bool:
    """Return whether weak evidence holds what no run used.

    Import statements do, be their failure caught or not, and so do packages that list their own
    modules, names in compiled code, and links. A name in a string doesn't: what computes names is
    known from the runs.
    """
    if importer is None:
        return True
    return evidence.kind in ("import", "listing") or importer.native is not None


def weight_of(evidence: Evidence) -> tuple[bool, bool, bool, str, int, str, str]:
    """Return what evidence is sorted by: the strongest comes first."""
    return (
        evidence.kind in ("api", "data"),
        evidence.strength is not Strength.STRONG,
        evidence.kind == "parent",
        evidence.file or "",
        evidence.line or 0,
        evidence.kind,
        evidence.text,
    )
