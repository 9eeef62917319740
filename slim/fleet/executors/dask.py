"""Tasks on a Dask cluster that stands: on its workers, each in a child process of its own.

The client starts no cluster, no dashboard and no server. A task never raises: exceptions of slim
can't all be unpickled, and an interrupt would end a worker. That a worker died is told by Dask as
an error of the task; here it is an answer like any other, so that tries are counted in one place.

Sources: distributed's documentation, "Client", "Worker resilience" (KilledWorker), "Data locality".
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from slim.errors import ConfigError, LimitError, StorageError
from slim.fleet.executors.base import Executor, Placement
from slim.fleet.tasks import Task
from slim.model.fleet import ENDED_BADLY, KILLED, TaskError
from slim.reports.fleet.task_json import error_document
from slim.system.json_text import Json

if TYPE_CHECKING:
    from slim.fleet.process import TaskProcess

_CONNECT: Final = 30.0
"""Seconds to wait for the scheduler."""
_LOOK: Final = 1.0
"""Seconds between two looks whether a task is still wanted, or the workers have changed."""
_INSTALL: Final = "pip install 'venvstacks-slim[fleet]', here and on the workers"


class DaskExecutor(Executor):
    """Executor on the workers of a cluster: as many tasks as they have threads and memory for."""

    def __init__(self, placement: Placement) -> None:
        try:
            import distributed
        except ImportError as error:
            raise ConfigError("--scheduler takes Dask's distributed", hint=_INSTALL) from error
        self._address = str(placement.scheduler)
        self._scratch_folder = placement.scratch_folder
        try:
            self._client = distributed.Client(
                self._address, timeout=_CONNECT, set_as_default=False, name="slim-fleet"
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise StorageError(
                f"no Dask scheduler answers: {error}",
                file=self._address,
                hint="give the address that dask scheduler prints, such as tcp://10.0.0.1:8786",
            ) from error
        self._answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._futures: dict[str, Any] = {}
        self._memory: dict[str, int] = {}
        self._where: dict[str, str] = {}
        self._layers: dict[str, set[str]] = {}
        self._tries = 0
        self._workers: dict[str, Any] = {}
        self._looked = 0.0

    def has_room(self, task: Task, running: int) -> bool:
        """See :meth:`Executor.has_room`. One task may always be there: it waits for a worker."""
        return not running or self._place(task) is not None

    def jobs(self, task: Task) -> int:
        """See :meth:`Executor.jobs`: workers' threads stand for processors."""
        return 1

    def submit(self, task: Task, request: Json) -> None:
        """See :meth:`Executor.submit`. Goes to the worker that has most of the task's layers."""
        self._tries += 1
        worker = self._place(task)
        folder = None if self._scratch_folder is None else str(self._scratch_folder.absolute())
        future = self._client.submit(
            work_on_worker,
            request,
            folder,
            task.settings.scratch,
            key=f"slim-{task.key}-{self._tries}-{id(self)}",
            pure=False,
            retries=0,
            workers=None if worker is None else [worker],
            allow_other_workers=worker is not None,
        )
        if worker is not None:
            self._where[task.key] = worker
            self._layers.setdefault(worker, set()).update(task.layers)
        self._futures[task.key] = future
        self._memory[task.key] = task.settings.memory
        future.add_done_callback(lambda done: self._answers.put((task.key, done)))

    def next(self, timeout: float | None = None) -> tuple[str, Json] | None:
        """See :meth:`Executor.next`. Raises StorageError where the scheduler is gone."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            rest = _LOOK if until is None else min(_LOOK, max(0.0, until - time.monotonic()))
            try:
                key, future = self._answers.get(timeout=rest)
            except queue.Empty:
                self._check_scheduler()
                if until is not None and time.monotonic() >= until:
                    return None
                continue
            if self._futures.get(key) is not future:
                continue
            answer = self._answer(future)
            del self._futures[key]
            del self._memory[key]
            self._where.pop(key, None)
            return key, answer

    def close(self) -> None:
        """Give up the tasks that run, wait until no worker works on one, and leave the cluster."""
        futures = list(self._futures.values())
        self._futures.clear()
        with contextlib.suppress(Exception):
            if futures:
                self._client.cancel(futures, force=True)
                self._wait_for_workers()
        with contextlib.suppress(Exception):
            self._client.close(timeout=5)

    def _wait_for_workers(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            at_work = self._client.run(running_tasks)
            if not any(at_work.values()):
                return
            time.sleep(0.2)

    def _check_scheduler(self) -> None:
        if self._client.status != "running":
            raise StorageError(
                "the Dask scheduler is gone",
                file=self._address,
                hint="start the cluster and the same command again: what is done stays done",
            )

    def _answer(self, future: Any) -> Json:
        """Return what a task answered, or an answer for what Dask says instead."""
        try:
            error = future.exception(timeout=_CONNECT)
            if error is None:
                found: Json = future.result(timeout=_CONNECT)
                return found
        except (
            Exception,
            asyncio.CancelledError,
        ) as raised:  # a cancelled task, or one whose worker took it along
            self._check_scheduler()
            error = raised
        return failure_of(error)

    def _place(self, task: Task) -> str | None:
        """Return the worker with room that has most bytes of a task's layers; None: no room."""
        if time.monotonic() - self._looked > _LOOK:
            info = self._client.scheduler_info(n_workers=-1)
            self._workers = dict(info.get("workers", {}))
            self._looked = time.monotonic()
        best: tuple[int, int, str] | None = None
        for address, worker in self._workers.items():
            mine = [key for key, place in self._where.items() if place == address]
            threads, memory = int(worker.get("nthreads", 1)), worker.get("memory_limit") or 0
            held = sum(self._memory.get(key, 0) for key in mine) + task.settings.memory
            if len(mine) >= threads or (memory and mine and held > memory):
                continue
            here = self._layers.get(address, set())
            known = sum(size for digest, size in task.layers.items() if digest in here)
            offer = (known, -len(mine), address)
            best = offer if best is None else max(best, offer)
        return None if best is None else best[2]


def failure_of(error: BaseException) -> Json:
    """Return the answer for a task of which Dask has nothing but an error."""
    name = type(error).__name__
    if name == "KilledWorker":
        return _failure(
            LimitError.exit_code,
            LimitError.label,
            "its workers died, one after the other, and it isn't tried on more",
            hint="let fewer tasks run on a worker (memory in fleet.toml), or give workers more; "
            "Dask's distributed.scheduler.allowed-failures says how many it tries",
        )
    if name in ("CancelledError", "FutureCancelledError", "FuturesCancelledError", "TimeoutError"):
        return _failure(KILLED, "killed", f"the task got lost with its worker ({name})")
    return _failure(
        ENDED_BADLY,
        "worker",
        f"the worker can't run the task: {name}: {str(error)[:300]}",
        hint=f"the workers need the same slim as this machine: {_INSTALL}",
    )


def _failure(code: int, label: str, message: str, *, hint: str = "") -> Json:
    error = TaskError(exit_code=code, label=label, message=message, hint=hint)
    return {"error": error_document(error)}


# -- the worker's side ---------------------------------------------------------------------------

_RUNNING: dict[str, TaskProcess] = {}
"""Processes of this worker by the key of their task."""


def running_tasks() -> int:
    """Return how many tasks this worker's process has running."""
    return len(_RUNNING)


def work_on_worker(request: Json, scratch_folder: str | None, scratch: int) -> Json:
    """Return the answer to a request, from a child process of this worker. Never raises."""
    try:
        from slim.fleet.process import work_on

        folder = None if scratch_folder is None else Path(scratch_folder)
        with _watched() as started:
            return work_on(request, folder, scratch, started)
    except BaseException as error:  # whatever is raised here would end the worker, or be lost
        return _failure(KILLED, "worker", f"{type(error).__name__}: {error}"[:300])


@contextlib.contextmanager
def _watched() -> Any:
    """Yield what takes the started process, and ends it once nobody wants the task any more."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    over = threading.Event()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing" and worker.status.name != "closed"

    def end_unwanted(process: TaskProcess) -> None:
        while not over.wait(_LOOK):
            if not wanted():
                process.ask_to_end()
                return

    def started(process: TaskProcess) -> None:
        _RUNNING[str(key)] = process
        threading.Thread(target=end_unwanted, args=(process,), daemon=True).start()

    try:
        yield started
    finally:
        over.set()
        _RUNNING.pop(str(key), None)
