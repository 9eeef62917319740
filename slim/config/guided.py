"""The ``[guided]`` table of a configuration: traces, and families that are closed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from slim.model.guided import GuidedSettings
from slim.system.toml_table import Table

_KEYS: Final = ("traces", "families")
TRACED: Final = "traced"
"""The word that closes a family."""
OPEN: Final = "open"
_PREFIX: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\.\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedGuided:
    """The table as written: paths are relative to the file."""

    traces: tuple[str, ...] = ()
    families: dict[str, str] = field(default_factory=dict)


def read_guided(table: Table) -> StatedGuided:
    """Read the ``[guided]`` table; every mistake is noted."""
    inner = table.table("guided")
    if inner is None:
        return StatedGuided()
    inner.allow(_KEYS)
    families = inner.table("families")
    stated: dict[str, str] = {}
    for prefix in () if families is None else families.values:
        word = families.text(prefix, choices=(TRACED, OPEN)) if families is not None else None
        if families is not None and not _PREFIX.match(prefix):
            families.note(
                prefix[:80],
                "isn't the start of module names",
                'write the package with a dot at the end, such as "mlx_lm.models."',
            )
        elif word is not None:
            stated[prefix] = word
    return StatedGuided(traces=inner.texts("traces"), families=stated)


def guided_settings(stated: StatedGuided, base: Path, more: tuple[Path, ...]) -> GuidedSettings:
    """Put together what a file in the folder ``base`` states, and the command line's traces."""
    traces = (*(base / path for path in stated.traces), *more)
    closed = sorted(prefix for prefix, word in stated.families.items() if word == TRACED)
    return GuidedSettings(traces=tuple(dict.fromkeys(traces)), closed=tuple(closed))
