"""Traces as text: sorted, one fact a line, the same bytes for the same trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from slim.model.record import Owner, OwnerKind
from slim.model.trace import Runs, Trace
from slim.system.atomic import replace_file
from slim.traces.words import join

HEADER: Final = "slim trace"
VERSION: Final = 1


def write_trace(path: Path, trace: Trace) -> None:
    """Write a trace file, in one step. Raises StorageError."""
    replace_file(path, render(trace).encode("ascii"))


def render(trace: Trace) -> str:
    """Return a trace as text in ASCII; docs/trace.md describes it."""
    return "\n".join((f"{HEADER} {VERSION}", *_lines(trace), ""))


def _lines(trace: Trace) -> Iterator[str]:
    for name, run in sorted(trace.runs.items()):
        yield join(("run", run.kind.value, name))
        for platform, witnesses in sorted(run.witnesses.items()):
            yield "  " + join(("on", platform, *sorted(witnesses)))
    last = None
    for layer, owner, uses in trace.all_uses():
        if layer != last:
            yield join(("layer", layer))
            last = layer
        yield "  " + join(_owner_words(owner))
        yield from _facts("module", uses.modules)
        yield from _facts("read", uses.read)
        yield from _facts("folder", uses.folders)
        for (platform, path), runs in sorted(uses.natives.items()):
            yield "    " + join(("native", platform, path, *sorted(runs)))
    for prefix, places in sorted(trace.families.items()):
        yield join(("family", prefix))
        for place, members in sorted(places.items()):
            yield "  " + join(("at", place))
            yield from _facts("member", members)


def _facts(word: str, table: Mapping[str, Runs]) -> Iterator[str]:
    for name, runs in sorted(table.items()):
        yield "    " + join((word, name, *sorted(runs)))


def _owner_words(owner: Owner) -> tuple[str, ...]:
    if owner.kind is OwnerKind.UNOWNED:
        return (owner.kind.value,)
    return (owner.kind.value, owner.name, owner.version)
