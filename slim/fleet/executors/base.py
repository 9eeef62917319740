"""Shape of an executor, and of what it is told."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slim.fleet.tasks import Task
from slim.system.closing import Closing
from slim.system.json_text import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Place where tasks run. ``shard``: number of a share (from 1), and of all shares."""

    scheduler: str | None = None
    shard: tuple[int, int] | None = None
    children: int | None = None
    """Most tasks at once on this machine; None: as many as processors and memory allow."""
    scratch_folder: Path | None = None


class Executor(Closing):
    """Runs tasks somewhere, several at once. Closing it ends those that run."""

    @abstractmethod
    def has_room(self, task: Task, running: int) -> bool:
        """Return whether one more task may begin while ``running`` others run."""

    @abstractmethod
    def jobs(self, task: Task) -> int:
        """Return the number of threads that a task should use."""

    @abstractmethod
    def submit(self, task: Task, request: Json) -> None:
        """Begin a try of a task."""

    @abstractmethod
    def next(self, timeout: float | None = None) -> tuple[str, Json] | None:
        """Wait until a try has ended; return the task's key and the answer.

        None where nothing has ended after ``timeout`` seconds.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorKind:
    """One line of the table of executors."""

    name: str
    summary: str
    wanted: Callable[[Placement], bool]
    open: Callable[[Placement], Executor]
