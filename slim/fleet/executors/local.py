"""Tasks on this machine: a thread waits for each child process."""

from __future__ import annotations

import queue
import threading

from slim.fleet.executors.base import Executor, Placement
from slim.fleet.process import TaskProcess, work_on
from slim.fleet.tasks import Task
from slim.system.cpus import available_cpus, total_memory
from slim.system.json_text import Json


class LocalExecutor(Executor):
    """Executor here: as many children as processors and memory allow, also in a container."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._processors = available_cpus()
        self._memory = total_memory()
        self._answers: queue.SimpleQueue[tuple[str, Json]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._processes: dict[str, TaskProcess] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._held: dict[str, int] = {}
        self._closed = False

    def has_room(self, task: Task, running: int) -> bool:
        """See :meth:`Executor.has_room`. One task may always run."""
        if not running:
            return True
        if running >= (self._placement.children or self._processors):
            return False
        held = sum(self._held.values()) + task.settings.memory
        return not self._memory or held <= self._memory

    def jobs(self, task: Task) -> int:
        """See :meth:`Executor.jobs`: the processors, divided among as many children as fit."""
        children = self._placement.children or self._processors
        if self._memory:
            children = min(children, self._memory // task.settings.memory)
        return max(1, self._processors // max(children, 1))

    def submit(self, task: Task, request: Json) -> None:
        """See :meth:`Executor.submit`."""
        self._held[task.key] = task.settings.memory
        thread = threading.Thread(
            target=self._work, args=(task, request), name=f"slim-{task.key}", daemon=True
        )
        self._threads[task.key] = thread
        thread.start()

    def next(self, timeout: float | None = None) -> tuple[str, Json] | None:
        """See :meth:`Executor.next`."""
        try:
            key, answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            return None
        self._held.pop(key, None)
        thread = self._threads.pop(key, None)
        if thread is not None:
            thread.join()
        return key, answer

    def close(self) -> None:
        """End the children that run, and wait until they have tidied up."""
        with self._lock:
            self._closed = True
            processes = list(self._processes.values())
        for process in processes:
            process.ask_to_end()
        try:
            for thread in list(self._threads.values()):
                thread.join()
        except BaseException:  # a second Ctrl-C: no more patience
            for process in processes:
                process.kill()
            raise

    def _work(self, task: Task, request: Json) -> None:
        def started(process: TaskProcess) -> None:
            with self._lock:
                self._processes[task.key] = process
                closed = self._closed
            if closed:
                process.ask_to_end()

        answer = work_on(request, self._placement.scratch_folder, task.settings.scratch, started)
        with self._lock:
            self._processes.pop(task.key, None)
        self._answers.put((task.key, answer))
