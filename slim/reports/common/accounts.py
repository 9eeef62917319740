"""Accounts for people: the rows that matter, the largest first, and the sum of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slim.model.footprint import FootprintDelta
from slim.model.report import UNTOUCHED


def contributors(rows: Sequence[FootprintDelta]) -> list[FootprintDelta]:
    """Return the rows of an account that changed something, the largest saving first."""
    changed = [row for row in rows if row.saved or row.files_removed or row.files_rewritten]
    return sorted(changed, key=lambda row: (-row.saved, row.label))


def first_rows(
    rows: Sequence[FootprintDelta], most: int | None
) -> tuple[Sequence[FootprintDelta], FootprintDelta | None]:
    """Return the first ``most`` rows, and the sum of the others as a row called ``N more``."""
    shown = rows[:most]
    rest = rows[len(shown) :]
    if not rest:
        return shown, None
    return shown, FootprintDelta(
        label=f"{len(rest)} more",
        before=sum(row.before for row in rest),
        removed=sum(row.removed for row in rest),
        shrunk=sum(row.shrunk for row in rest),
        files=sum(row.files for row in rest),
        files_removed=sum(row.files_removed for row in rest),
        files_rewritten=sum(row.files_rewritten for row in rest),
    )


def with_untouched(
    rows: Sequence[FootprintDelta], whole: Iterable[FootprintDelta]
) -> list[FootprintDelta]:
    """Return an account of changes with one more row for the rest of the ``whole``."""
    everything = list(whole)
    before = sum(row.before for row in everything) - sum(row.before for row in rows)
    files = sum(row.files for row in everything) - sum(row.files for row in rows)
    rest = FootprintDelta(label=UNTOUCHED, before=before, files=files)
    return [*rows, rest] if before or files else list(rows)
