"""Traces: recording what a product uses, and looking at what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slim.api.common import PathName
from slim.api.settings import load_config
from slim.api.stage_log import logged_stages

if TYPE_CHECKING:
    from slim.config.settings import Config
    from slim.model.progress import Progress
    from slim.model.trace import Recorded, Trace
    from slim.model.trace_results import TraceComparison, TraceSummary, TraceVerdict


def trace(
    stack: PathName,
    *,
    command: Sequence[str] = (),
    layer: str | None = None,
    name: str | None = None,
    timeout: int = 600,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> Recorded:
    """Record what a stack's install step and commands use, in a private copy of it.

    ``command`` is run in ``layer`` (its only application by default), as a run called ``name`` (its
    words by default), for at most ``timeout`` seconds; without one, the commands of ``config`` are.

    Raises :class:`~slim.errors.RefusedError` where a command fails, and
    :class:`~slim.errors.ConfigError` where there is none or the stack is for another platform.
    """
    from slim.tracing import record

    request = record.TraceRequest(
        stack=Path(stack),
        config=config or load_config(),
        platforms=tuple(platforms),
        command=tuple(command),
        layer=layer,
        name=name,
        timeout=timeout,
    )
    with logged_stages(progress) as observed:
        return record.record(request, observed)


def collect_trace(
    logs: PathName,
    stack: PathName,
    *,
    name: str,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> Recorded:
    """Return the trace of what a recorder that a product carries wrote into the folder ``logs``.

    ``stack`` is what the product was installed from, ``name`` what the run is called.
    """
    from slim.tracing import collect

    config = config or load_config()
    with logged_stages(progress) as observed:
        return collect.collect(Path(logs), Path(stack), name, config, tuple(platforms), observed)


def place_recorder(folder: PathName) -> tuple[Path, ...]:
    """Write the recorder that a product carries into a folder, and return its files.

    Every layer that is to be recorded needs them in its ``site-packages``. They do nothing unless
    the environment variable ``SLIM_TRACE`` names a folder for logs.
    """
    from slim.tracing import collect

    return collect.carry(Path(folder))


def read_trace(file: PathName) -> Trace:
    """Return what a trace file holds. Raises :class:`~slim.errors.UnsafeInputError`."""
    from slim.traces import read

    return read.read_trace(Path(file))


def write_trace(file: PathName, trace: Trace) -> None:
    """Write a trace file, in one step."""
    from slim.traces import write

    write.write_trace(Path(file), trace)


def merge_traces(traces: Iterable[Trace]) -> Trace:
    """Return one trace of several ``traces``: the same in whatever order, and however often."""
    from slim.traces import merge

    return merge.merge(traces)


def show_trace(
    trace: PathName | Trace,
    stack: PathName | None = None,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    notes: Iterable[str] = (),
    progress: Progress | None = None,
) -> TraceSummary:
    """Return what a trace tells, and whole distributions that no run used.

    With ``stack``, those come with their sizes, who imports them, and what would fail. ``notes``
    are remarks of recording, to be told with it.
    """
    from slim.tracing import look, summary

    found, source = _trace(trace)
    with logged_stages(progress) as observed:
        if stack is None:
            return summary.summarise(found, source, notes=tuple(notes))
        chosen = (Path(stack), config or load_config(), tuple(platforms))
        with look.opened(*chosen, observed) as loaded:
            return summary.summarise(found, source, loaded, tuple(notes))


def compare_traces(before: PathName | Trace, after: PathName | Trace) -> TraceComparison:
    """Return what differs from ``before`` to ``after``: runs, versions, uses and families."""
    from slim.tracing import compare

    (old, first), (new, second) = _trace(before), _trace(after)
    return compare.compare(old, new, (first, second))


def check_trace(
    trace: PathName | Trace,
    stack: PathName,
    *,
    config: Config | None = None,
    platforms: Iterable[str] = (),
    progress: Progress | None = None,
) -> TraceVerdict:
    """Return what a trace lacks for a stack and a configuration.

    Those are versions that were never traced, runs that are missing or vanished, and computed
    imports that no run exercised.
    """
    from slim.tracing import check, look

    found, source = _trace(trace)
    config = config or load_config()
    with (
        logged_stages(progress) as observed,
        look.opened(Path(stack), config, tuple(platforms), observed) as loaded,
    ):
        return check.check(found, loaded, config, (source, str(stack)))


def _trace(given: PathName | Trace) -> tuple[Trace, str]:
    from slim.model.trace import Trace
    from slim.traces.read import read_trace

    if isinstance(given, Trace):
        return given, "(trace)"
    return read_trace(Path(given)), str(given)
