"""Hands tasks to an executor, the largest first, and tries again what may pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from slim.errors import UnsafeInputError
from slim.fleet.executors.base import Executor
from slim.fleet.records import Records
from slim.fleet.result_file import parse_error, parse_task
from slim.fleet.tasks import Task, taken
from slim.model.fleet import (
    KILLED,
    FleetObserver,
    FleetProgress,
    TaskError,
    TaskResult,
    TaskStatus,
)
from slim.publish.staging import clean_up
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.json_text import Json
from slim.system.urls import is_url

_PAUSE: Final = 1.0
"""Seconds before the second try of a task, where nothing else is to be done; then twice as many."""
_LONGEST_PAUSE: Final = 60.0
_LOOK: Final = 5.0
"""Seconds between two looks whether there is room for another task."""


class Coordinator:
    """Works off the tasks of one run. ``records`` is None for an audit, which keeps nothing."""

    def __init__(
        self,
        tasks: Sequence[Task],
        records: Records | None,
        *,
        tries: int,
        force: bool,
        observer: FleetObserver,
    ) -> None:
        self._records = records
        self._most_tries = tries
        self._force = force
        self._observer = observer
        self._tasks = {task.key: task for task in tasks}
        self._waiting = list(tasks)
        self._not_before: dict[str, float] = {}
        self._running: dict[str, Task] = {}
        self._errors: dict[str, list[TaskError]] = {}
        self._results: dict[str, TaskResult] = {}
        self._tries = 0
        self._tell()

    def run(self, executor: Executor) -> tuple[TaskResult, ...]:
        """Work until every task has ended, and return the results by key."""
        self._settle_without_trying()
        while self._waiting or self._running:
            self._begin(executor)
            ended = executor.next(self._pause())
            if ended is not None:
                self._end(*ended)
        return tuple(self._results[key] for key in sorted(self._results))

    def _settle_without_trying(self) -> None:
        """End tasks that an earlier run has done, and those that can't be begun."""
        for task in list(self._waiting):
            result = None
            if task.error is not None:
                result = task.failed(task.error)
            elif self._records is not None:
                result = self._records.finished(task)
                if result is None and not self._force and not self._records.owns(task):
                    error = taken(task)
                    result = None if error is None else task.failed(error)
            if result is not None:
                self._waiting.remove(task)
                self._settle(task, result)

    def _begin(self, executor: Executor) -> None:
        """Begin tries as long as there is room."""
        now = time.monotonic()
        for task in list(self._waiting):
            if self._not_before.get(task.key, 0.0) > now:
                continue
            if not executor.has_room(task, len(self._running)):
                break  # the largest first: a smaller one doesn't overtake it for ever
            self._waiting.remove(task)
            self._running[task.key] = task
            self._tries += 1
            if self._records is not None:
                self._records.begin(task)
            request = task.request(jobs=executor.jobs(task), dry_run=self._records is None)
            executor.submit(task, request)
            self._tell()

    def _pause(self) -> float:
        """Return seconds to wait for an answer: until the next try is due, or there is room."""
        now = time.monotonic()
        later = [self._not_before.get(task.key, 0.0) - now for task in self._waiting]
        return min([_LOOK, *(pause for pause in later if pause > 0)])

    def _end(self, key: str, answer: Json) -> None:
        task = self._running.pop(key)
        errors = self._errors.setdefault(key, [])
        try:
            ended = _parsed(task, answer)
        except UnsafeInputError as error:
            ended = TaskError(
                exit_code=KILLED, label="killed", message=f"the answer is damaged: {error.message}"
            )
        if isinstance(ended, TaskResult):
            self._settle(task, self._counted(task, ended))
            return
        failure = ended
        errors.append(failure)
        if failure.exit_code == KILLED and task.output and not is_url(task.output):
            clean_up(Path(task.output))
        if failure.may_pass and len(errors) < self._most_tries:
            pause = min(_PAUSE * 2 ** (len(errors) - 1), _LONGEST_PAUSE)
            self._not_before[key] = time.monotonic() + pause
            self._waiting.append(task)
            self._tell()
            return
        self._settle(
            task,
            self._counted(task, task.result(status=TaskStatus.FAILED, error=failure), last=failure),
        )

    def _counted(self, task: Task, result: TaskResult, last: TaskError | None = None) -> TaskResult:
        """Return a result with its tries, and the errors of those before the last."""
        errors = self._errors.get(task.key, [])
        earlier = errors if last is None else errors[:-1]
        cost = replace(result.cost, tries=len(earlier) + 1)
        return replace(result, earlier=tuple(earlier), cost=cost)

    def _settle(self, task: Task, result: TaskResult) -> None:
        self._results[task.key] = result
        if self._records is not None and not result.cost.resumed:
            self._records.end(task, result)
        self._tell(result)

    def _tell(self, last: TaskResult | None = None) -> None:
        self._observer(
            FleetProgress(
                stacks=len(self._tasks),
                stacks_done=len(self._results),
                failed=sum(not result.done for result in self._results.values()),
                size=sum(task.size for task in self._tasks.values()),
                size_done=sum(self._tasks[key].size for key in self._results),
                running=len(self._running),
                tries=self._tries,
                hits=sum(result.cost.cached_layers for result in self._results.values()),
                last=last,
            )
        )


def _parsed(task: Task, answer: Json) -> TaskResult | TaskError:
    """Return the result or the error in an answer. Raises UnsafeInputError for anything else."""
    node = JsonCursor(answer, JsonSource(file=task.source, hint="report it as a mistake in slim"))
    error = node.get("error")
    if error is not None:
        return parse_error(error)
    return replace(
        parse_task(node["result"]),
        stack=task.stack,
        platform=task.platform,
        source=task.source,
        output=task.output,
        size=task.size,
    )
