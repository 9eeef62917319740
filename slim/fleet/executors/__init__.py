"""Executors: where the tasks of a fleet run. A new one is a module and a line here."""

from __future__ import annotations

from typing import Final

from slim.fleet.executors.base import Executor, ExecutorKind, Placement
from slim.fleet.executors.local import LocalExecutor

__all__ = ["EXECUTORS", "Executor", "ExecutorKind", "Placement", "choose"]


def _dask(placement: Placement) -> Executor:
    from slim.fleet.executors.dask import DaskExecutor  # late: it needs distributed

    return DaskExecutor(placement)


EXECUTORS: Final = (
    ExecutorKind(
        name="dask",
        summary="a Dask cluster that stands, at --scheduler ADDRESS",
        wanted=lambda placement: placement.scheduler is not None,
        open=_dask,
    ),
    ExecutorKind(
        name="shard",
        summary="this machine, and of the tasks the share that --shard I/N names; no coordinator",
        wanted=lambda placement: placement.shard is not None,
        open=LocalExecutor,
    ),
    ExecutorKind(
        name="local",
        summary="this machine: as many children as its processors and its memory allow",
        wanted=lambda placement: True,
        open=LocalExecutor,
    ),
)
"""Every executor; the first that is wanted runs the tasks."""


def choose(placement: Placement) -> ExecutorKind:
    """Return the executor that a placement asks for."""
    return next(kind for kind in EXECUTORS if kind.wanted(placement))
