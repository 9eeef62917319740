"""The words of a configuration: what settings may be set to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class BytecodePolicy(StrEnum):
    """Policies for bytecode: none of it is shipped, all of it, or one file a source.

    That one file is for the CPython that runs the layer. ``TRACED`` ships none, and has the
    post-install step compile only what traced runs imported.
    """

    NONE = "none"
    KEEP = "keep"
    ONE = "one"
    TRACED = "traced"


class RestPolicy(StrEnum):
    """Policies for rest packs, the archives of what a run took from each layer.

    ``NONE``: there are none. ``INFERRED``: of what rules beyond the profile ``standard`` took.
    ``ALL``: of everything that was removed or rewritten.
    """

    NONE = "none"
    INFERRED = "inferred"
    ALL = "all"


class Level(StrEnum):
    """Levels of compression: how much time smaller archives may take."""

    FAST = "fast"
    DEFAULT = "default"
    MAX = "max"


MIN_MEMORY = 512_000_000
"""Smallest memory budget in bytes; less has no room for an encoder worth its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Limits of what writing archives may cost.

    ``level`` is how hard to compress. ``memory`` is a budget in bytes for the whole run (None: a
    quarter of the machine's memory, and at least 2 GB; that changes no byte). ``xz_arm64`` allows
    the ARM64 filter of xz, which readers from before 2023 lack.
    """

    level: Level = Level.DEFAULT
    memory: int | None = None
    xz_arm64: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DropSpec:
    """A whole distribution that the user wants out.

    ``despite`` names the distributions (normalised) that import or require it and that shall not
    hold it.
    """

    name: str
    """Normalised name of the distribution."""
    despite: frozenset[str] = frozenset()


def merge_drops(drops: Iterable[DropSpec]) -> tuple[DropSpec, ...]:
    """Return one entry a distribution, with all its exceptions, in order of first mention."""
    merged: dict[str, frozenset[str]] = {}
    for drop in drops:
        merged[drop.name] = merged.get(drop.name, frozenset()) | drop.despite
    return tuple(DropSpec(name=name, despite=despite) for name, despite in merged.items())
