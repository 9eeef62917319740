"""A run that the cache of results has as a whole, published without reading a configuration.

Whoever has read it hands over what the key has of it. slim's fleets do: a task that was done
before costs little more than starting Python.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from slim.inventory.locate import locate
from slim.model.cache import CacheUse
from slim.model.context import RunContext
from slim.model.limits import Limits
from slim.model.outcome import RunResult
from slim.model.progress import Progress
from slim.pipeline.request import RunOrder
from slim.pipeline.whole import KeyedSettings, WholeRun
from slim.publish.staging import check_target, publish, staging
from slim.reuse.cache import open_cache

if TYPE_CHECKING:
    from slim.pipeline.previous import Previous


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Results of a run that the cache had, without rules; None where the run has to be made.

    ``notes`` are sentences about what was wrong with the cache.
    """

    results: tuple[RunResult, ...] | None
    notes: tuple[str, ...]


def publish_known(
    order: RunOrder, settings: KeyedSettings, limits: Limits, workers: int, progress: Progress
) -> Known:
    """Publish the set of a run that the cache has, for an order with an output and a cache.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published.
    """
    started = time.monotonic()
    assert order.output is not None and order.cache is not None
    stacks = locate(order.source, platforms=order.platforms)
    previous = _previous(order)
    check_target(order.output, order.source, force=order.force)
    read = (order.source, order.previous)
    results = open_cache(order.cache, inputs=read, output=order.output)
    with staging(order.output) as folder:
        spool_dir, staged = folder / "spool", folder / "set"
        spool_dir.mkdir()
        staged.mkdir()
        context = RunContext(spool_dir=spool_dir, limits=limits, workers=workers, progress=progress)
        whole = WholeRun.of(results, order, settings, stacks, previous)
        taken = whole.take(staged, stacks, context)
        if taken is None:
            return Known(results=None, notes=tuple(results.notes))
        progress.stage("Publishing")
        publish(staged, order.output, force=order.force)
    use = CacheUse(place=results.store.url, whole=True, notes=tuple(results.notes))
    elapsed = time.monotonic() - started
    made = tuple(replace(result, elapsed=elapsed, cache=use) for result in taken)
    return Known(results=made, notes=use.notes)


def _previous(order: RunOrder) -> Previous | None:
    if order.previous is None:
        return None
    from slim.pipeline.previous import read_previous  # late: it brings the writers

    return read_previous(order.previous)
