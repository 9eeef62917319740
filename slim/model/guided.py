"""Settings and facts of the profile ``guided``: what traces tell of a product's uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slim.model.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedSettings:
    """The ``[guided]`` table, with the traces of the command line."""

    traces: tuple[Path, ...] = ()
    """Files that ``slim trace`` wrote."""
    closed: tuple[str, ...] = ()
    """Starts of module names, with a dot at the end, of which only traced members stay."""


@dataclass(frozen=True, kw_only=True)
class Guidance:
    """Traces of a product, and how they are to be read for one stack."""

    trace: Trace
    """All traces of the run, merged."""
    closed: tuple[str, ...] = ()
    """Starts of module names of which only traced members stay."""
    unstarted: frozenset[str] = frozenset()
    """Names of the layers that an application uses which no ``[[verify.command]]`` starts."""
    needed: frozenset[str] = frozenset()
    """Dotted names of modules that what the run itself adds to layers imports."""
    guarded: bool = False
    """True if layers that lose modules get a guard, which every start of Python imports."""
