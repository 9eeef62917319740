"""Fleets: many stacks on many platforms, slimmed, audited and told together.

A fleet is described by a ``fleet.toml``. Each stack on each platform is a task in a process of its
own, which calls :mod:`slim.api`. Importing this package is cheap: each function imports what it
needs when it is called. As in :mod:`slim.api`, none of them prints, and they raise nothing but the
errors of :mod:`slim.errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from slim.api.common import PathName

if TYPE_CHECKING:
    from slim.fleet.executors.base import Placement
    from slim.model.budget import Verdict
    from slim.model.fleet import FleetObserver, FleetProgress, FleetResult

__all__ = ["audit_fleet", "check_fleet", "read_fleet", "run_fleet"]


def run_fleet(
    file: PathName,
    *,
    release: str | None = None,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    children: int | None = None,
    force: bool = False,
    observer: FleetObserver | None = None,
) -> FleetResult:
    """Slim every stack of a fleet, and publish each to the place that its template says.

    ``file`` is a ``fleet.toml``; ``release`` the name of this release (by default the date of
    today, UTC). ``scheduler`` is the address of a Dask cluster that runs the tasks, ``shard`` a
    number (from 1) and a number of shares, of which only that one is worked on; otherwise this
    machine runs all, ``children`` at once (by default as many as processors and memory allow).
    ``force`` replaces outputs that this fleet hasn't made of this input. ``observer`` is told how
    far it is.

    What was done by an earlier, interrupted run of the same release isn't done again. A stack that
    fails is a result with an error. Raises :class:`~slim.errors.ConfigError` for what is wrong with
    the fleet as a whole.
    """
    from slim.fleet.executors.base import Placement
    from slim.fleet.fleet_file import read_fleet_file

    fleet = read_fleet_file(Path(file))
    placement = Placement(
        scheduler=scheduler, shard=shard, children=children, scratch_folder=fleet.scratch_folder
    )
    return _run(Path(file), release, placement, force, observer, dry_run=False)


def audit_fleet(
    file: PathName,
    *,
    scheduler: str | None = None,
    shard: tuple[int, int] | None = None,
    children: int | None = None,
    observer: FleetObserver | None = None,
) -> FleetResult:
    """Tell what slimming every stack of a fleet would save, and what was refused; write nothing.

    The arguments are those of :func:`run_fleet`: ``file``, ``scheduler``, ``shard``, ``children``
    and ``observer``. Archives aren't written, so their new sizes aren't known.
    """
    from slim.fleet.executors.base import Placement
    from slim.fleet.fleet_file import read_fleet_file

    fleet = read_fleet_file(Path(file))
    placement = Placement(
        scheduler=scheduler, shard=shard, children=children, scratch_folder=fleet.scratch_folder
    )
    return _run(Path(file), None, placement, False, observer, dry_run=True)


def read_fleet(places: Sequence[PathName]) -> FleetResult:
    """Read and join the results of a fleet or of its shards.

    ``places`` are folders that :func:`run_fleet` wrote (``STATE/RELEASE``), folders with such
    folders in them, or JSON reports. What was planned and isn't done is there as missing.
    """
    from slim.fleet.records import read_results

    return read_results([Path(place) for place in places])


def check_fleet(
    results: Sequence[PathName], file: PathName, *, baseline: PathName | None = None
) -> Verdict:
    """Hold the results of a fleet to the ``[[budget]]`` tables of its ``fleet.toml``, ``file``.

    ``results`` are what :func:`read_fleet` reads; so is ``baseline``, which growth is measured
    from, or it is ``previous``: the newest earlier release in the same folder.
    """
    from slim.fleet.budgets import check_fleet as check
    from slim.fleet.fleet_file import read_fleet_file
    from slim.fleet.records import PREVIOUS, previous_of, read_results

    places = [Path(place) for place in results]
    budgets = read_fleet_file(Path(file)).budgets
    earlier = None
    if baseline is not None:
        known = previous_of(places) if str(baseline) == PREVIOUS else Path(baseline)
        earlier = read_results([known])
    return check(read_results(places), budgets, earlier)


def _run(
    file: Path,
    release: str | None,
    placement: Placement,
    force: bool,
    observer: FleetObserver | None,
    *,
    dry_run: bool,
) -> FleetResult:
    from contextlib import ExitStack

    from slim import __version__
    from slim.errors import ConfigError
    from slim.fleet.coordinator import Coordinator
    from slim.fleet.executors import choose
    from slim.fleet.fleet_file import read_fleet_file
    from slim.fleet.records import Records
    from slim.fleet.tasks import plan_tasks, share_of
    from slim.model.fleet import FleetResult

    if placement.shard is not None and not 1 <= placement.shard[0] <= placement.shard[1]:
        raise ConfigError(
            f"there is no shard {placement.shard[0]} of {placement.shard[1]}",
            hint="shards are 1/N to N/N",
        )
    fleet = read_fleet_file(file)
    name = release or _today()
    tasks = plan_tasks(fleet, name, dry_run=dry_run)
    mine = tasks if placement.shard is None else share_of(tasks, *placement.shard)
    with ExitStack() as resources:
        records = None
        if not dry_run:
            records = Records(fleet.state / name)
            resources.enter_context(records.locked(placement.shard))
            records.write_plan(fleet.name, name, tasks, mine, placement.shard)
        coordinator = Coordinator(
            mine, records, tries=fleet.tries, force=force, observer=observer or _unobserved
        )
        executor = resources.enter_context(choose(placement).open(placement))
        results = coordinator.run(executor)
    return FleetResult(
        name=fleet.name,
        release=name,
        tasks=results,
        dry_run=dry_run,
        slim_version=__version__,
    )


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()


def _unobserved(progress: FleetProgress) -> None:
    """Tell nobody."""
