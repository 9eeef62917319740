"""State of a release, while its fleet runs and afterwards: a folder with a file a task.

``plan.json`` (of a shard ``plan-3-of-10.json``) lists the tasks; ``tasks/KEY.json`` is the result
of one, written when it has ended; ``tasks/KEY.begun`` says that a task was begun, so that what lies
at its output is the fleet's own. Every file is replaced in one step, so a fleet that was killed
goes on where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from slim import __version__
from slim.errors import ConfigError, SlimError, StorageError
from slim.fleet.result_file import parse_result, parse_task
from slim.fleet.tasks import Task, plan_digest
from slim.fleet.templates import natural_order
from slim.model.fleet import FleetResult, TaskError, TaskResult, TaskStatus
from slim.model.report import FLEET_TASK
from slim.reports.fleet.task_json import task_document
from slim.system.atomic import replace_file
from slim.system.json_cursor import JsonCursor, JsonSource
from slim.system.json_text import dumps
from slim.system.locking import try_lock
from slim.system.regular import read_input

FLEET_PLAN: Final = "urn:slim:fleet-plan:v1"
PREVIOUS: Final = "previous"
"""Name for the newest earlier release beside a folder of results."""
_LARGEST: Final = 256 << 20
_HINT: Final = "remove the file, and run the fleet again"


class Records:
    """The folder of one release, for the fleet that works on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tasks = folder / "tasks"

    @contextlib.contextmanager
    def locked(self, shard: tuple[int, int] | None) -> Iterator[None]:
        """Keep a second run of the same fleet, or shard, away. Raises ConfigError."""
        path = self.folder / f".lock{_suffix(shard)}"
        try:
            self._tasks.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b")
        except OSError as error:
            raise StorageError.from_os_error(error, file=self.folder) from error
        with file:
            if not try_lock(file.fileno()):
                raise ConfigError(
                    "another run of this fleet works on this release",
                    file=self.folder,
                    hint="wait until it is done, or give another --release",
                )
            yield

    def write_plan(
        self,
        name: str,
        release: str,
        tasks: Sequence[Task],
        mine: Iterable[Task],
        shard: tuple[int, int] | None,
    ) -> None:
        """Write which tasks there are, and which of them are this run's. Raises StorageError."""
        document = {
            "schema": FLEET_PLAN,
            "slim": {"version": __version__},
            "fleet": name,
            "release": release,
            "plan": plan_digest(tasks),
            "shard": None if shard is None else list(shard),
            "tasks": [
                {
                    "key": task.key,
                    "stack": task.stack,
                    "platform": task.platform,
                    "source": task.source,
                    "size": task.size,
                }
                for task in tasks
            ],
            "mine": [task.key for task in mine],
        }
        replace_file(self.folder / f"plan{_suffix(shard)}.json", dumps(document).encode())

    def begin(self, task: Task) -> None:
        """Note that a task is begun. Raises StorageError."""
        replace_file(self._begun(task), f"{task.fingerprint}\n".encode())

    def end(self, task: Task, result: TaskResult) -> None:
        """Keep the result of a task. Raises StorageError."""
        document = {
            "schema": FLEET_TASK,
            "fingerprint": task.fingerprint,
            "task": task_document(result),
        }
        replace_file(self._result(task), dumps(document).encode())

    def finished(self, task: Task) -> TaskResult | None:
        """Return the result of a task that an earlier run has done; None where it is to be done."""
        with contextlib.suppress(SlimError):
            node = _read(self._result(task))
            if node["fingerprint"].text() == task.fingerprint:
                result = parse_task(node["task"])
                if result.done:
                    return replace(result, cost=replace(result.cost, resumed=True))
        return None

    def owns(self, task: Task) -> bool:
        """Return whether what lies at a task's output comes from this very task, done or not."""
        with contextlib.suppress(OSError):
            return self._begun(task).read_text("utf-8") == f"{task.fingerprint}\n"
        return False

    def _begun(self, task: Task) -> Path:
        return self._tasks / f"{task.key}.begun"

    def _result(self, task: Task) -> Path:
        return self._tasks / f"{task.key}.json"


def _suffix(shard: tuple[int, int] | None) -> str:
    return "" if shard is None else f"-{shard[0]}-of-{shard[1]}"


def _read(path: Path) -> JsonCursor:
    raw = read_input(path, _LARGEST, noun="result of a task")
    return JsonSource(file=path, hint=_HINT).parse(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """A task as a plan names it."""

    stack: str
    platform: str
    source: str
    size: int


def read_results(places: Sequence[Path]) -> FleetResult:
    """Read what fleets and shards left, and join it.

    ``places`` are folders of a release, folders with such folders in them, or JSON reports of
    fleets. A task that a plan names and nobody has done is there with the status ``missing``.
    Raises the errors of :mod:`slim.errors`.
    """
    reports: list[FleetResult] = []
    folders: list[Path] = []
    for place in places:
        if place.is_dir():
            found = sorted({plan.parent for plan in place.rglob("plan*.json")})
            if not found:
                raise ConfigError(
                    "no results of a fleet",
                    file=place,
                    hint="give the folder that slim fleet run wrote: STATE/RELEASE",
                )
            folders += found
        else:
            text = read_input(place, _LARGEST, noun="report of a fleet")
            reports.append(parse_result(text, place))
    results = [*reports, *_joined_folders(folders)]
    return _joined(results)


def previous_of(places: Sequence[Path]) -> Path:
    """Return the folder of the newest earlier release beside a folder of results.

    Raises ConfigError where there is none.
    """
    for place in places:
        if place.is_dir():
            here = natural_order(place.resolve().name)
            earlier = [
                path
                for path in place.resolve().parent.iterdir()
                if any(path.glob("plan*.json")) and natural_order(path.name) < here
            ]
            if earlier:
                return max(earlier, key=lambda path: natural_order(path.name))
    raise ConfigError(
        "there is no earlier release beside these results",
        hint="give --baseline the folder or the JSON report of one",
    )


def _joined_folders(folders: Sequence[Path]) -> list[FleetResult]:
    """Return one result a fleet and release."""
    planned: dict[tuple[str, str], dict[str, _Planned]] = {}
    digests: dict[tuple[str, str], set[str]] = {}
    ended: dict[tuple[str, str], dict[str, TaskResult]] = {}
    versions: dict[tuple[str, str], str] = {}
    for folder in folders:
        for path in sorted(folder.glob("plan*.json")):
            node = _read(path)
            key = (node["fleet"].text(), node["release"].text())
            versions[key] = node["slim"]["version"].text()
            digests.setdefault(key, set()).add(node["plan"].text())
            for item in node["tasks"].items():
                planned.setdefault(key, {})[item["key"].text()] = _Planned(
                    stack=item["stack"].text(),
                    platform=item["platform"].text(),
                    source=item["source"].text(),
                    size=item["size"].number(),
                )
            planned.setdefault(key, {})
            known = ended.setdefault(key, {})
            for name in [item["key"].text() for item in node["tasks"].items()]:
                file = folder / "tasks" / f"{name}.json"
                if file.is_file():
                    result = parse_task(_read(file)["task"])
                    if name not in known or result.done:
                        known[name] = result
    return [
        FleetResult(
            name=key[0],
            release=key[1],
            tasks=tuple(
                ended[key].get(name) or _missing(task) for name, task in sorted(tasks.items())
            ),
            slim_version=versions[key],
            warnings=(
                ("shards planned different tasks: their inputs weren't the same",)
                if len(digests[key]) > 1
                else ()
            ),
        )
        for key, tasks in planned.items()
    ]


def _missing(task: _Planned) -> TaskResult:
    return TaskResult(
        stack=task.stack,
        platform=task.platform,
        source=task.source,
        status=TaskStatus.MISSING,
        size=task.size,
        error=TaskError(exit_code=0, label="missing", message="no run of the fleet has done it"),
    )


def _joined(results: Sequence[FleetResult]) -> FleetResult:
    """Return several results as one. Raises ConfigError where they are of different releases."""
    first = results[0]
    for other in results[1:]:
        if (other.name, other.release, other.dry_run) != (first.name, first.release, first.dry_run):
            raise ConfigError(
                f"results of {first.name} {first.release} and of {other.name} {other.release} "
                "don't belong together",
                hint="give those of one fleet and one release",
            )
    tasks: dict[tuple[str, str], TaskResult] = {}
    for result in results:
        for task in result.tasks:
            known = tasks.get((task.stack, task.platform))
            if known is None or (not known.done and task.status is not TaskStatus.MISSING):
                tasks[task.stack, task.platform] = task
    return replace(
        first,
        tasks=tuple(tasks[key] for key in sorted(tasks)),
        warnings=tuple(dict.fromkeys(text for result in results for text in result.warnings)),
    )
