"""Tasks of a fleet: one stack on one platform each, found and described before any begins."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from slim import __version__, api
from slim.errors import ConfigError, Problem, SlimError
from slim.fleet.fleet_file import LATEST, NO_PREVIOUS, FleetFile, FleetSource, TaskSettings
from slim.fleet.inputs import StackInput, digest, published_digest, read_inputs, sha256
from slim.fleet.known import known_settings
from slim.fleet.places import Buckets, Match, absolute, exists, matches, portable, releases
from slim.fleet.task_errors import error_of
from slim.fleet.templates import filled, name_problem, natural_order
from slim.model.fleet import TaskError, TaskResult, TaskStatus
from slim.model.stack import UNKNOWN_PLATFORM
from slim.rules.digest import rules_digest
from slim.system.json_text import Json
from slim.system.urls import is_url

UNKNOWN = UNKNOWN_PLATFORM.tag


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaTask:
    """Update package to make: from the release ``since``, which lies at ``old``."""

    since: str
    old: str
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One stack on one platform, and all that is needed to work on it."""

    stack: str
    """Name of the stack in the fleet."""
    platform: str
    """Tag of its platform."""
    source: str
    """Path or URL that it is read from."""
    output: str
    """Path or URL that it is published to; empty for an audit."""
    settings: TaskSettings
    """What it may do and take."""
    lone: bool = True
    """True if the source has no other platform."""
    size: int = 0
    """Bytes of its archives, or of its files."""
    layers: Mapping[str, int] = field(default_factory=dict)
    """Bytes of its archives by SHA-256."""
    previous: str | None = None
    """Path or URL of what was published before."""
    cache: str | None = None
    """Path or URL of the cache of results."""
    deltas: tuple[DeltaTask, ...] = ()
    """Update packages to make."""
    known: Json | None = None
    """What its process needs of the configuration to know the run in the cache again."""
    fingerprint: str = ""
    """SHA-256 of all that its result depends on; empty where it has an ``error``."""
    error: TaskError | None = None
    """Error that was met while it was planned."""

    @property
    def key(self) -> str:
        """Name of the task, which no other task of the fleet has; also a file name."""
        return f"{self.stack}--{self.platform}"

    def request(self, *, jobs: int, dry_run: bool) -> Json:
        """Return what its child process is told, as JSON.

        What lies at an output when a task begins is this fleet's own (of an earlier try, whose
        answer got lost), so paths are replaced; in a store the same bytes may lie there already.
        """
        return {
            "key": self.key,
            "slim": __version__,
            "source": absolute(self.source),
            "output": absolute(self.output or None),
            "platforms": [] if self.lone else [self.platform],
            "config": absolute(self.settings.config),
            "settings": {
                "jobs": jobs,
                **({"profile": self.settings.profile} if self.settings.profile else {}),
            },
            "verify": self.settings.verify,
            "unverified": self.settings.unverified,
            "previous": absolute(self.previous),
            "cache": absolute(self.cache),
            "known": self.known,
            "dry_run": dry_run,
            "force": bool(self.output) and not is_url(self.output),
            "deltas": [
                {
                    "since": delta.since,
                    "old": absolute(delta.old),
                    "output": absolute(delta.output),
                }
                for delta in self.deltas
            ],
        }

    def result(self, **known: Any) -> TaskResult:
        """Return a result of this task; ``known`` are its further fields."""
        return TaskResult(
            stack=self.stack,
            platform=self.platform,
            source=self.source,
            output=self.output,
            size=self.size,
            **known,
        )

    def failed(self, error: TaskError) -> TaskResult:
        """Return the result of a task that ended with an error before its first try."""
        return self.result(status=TaskStatus.FAILED, error=error)


def plan_tasks(fleet: FleetFile, release: str, *, dry_run: bool = False) -> tuple[Task, ...]:
    """Find the stacks of a fleet, and return its tasks, the largest first.

    What is wrong with one stack is its task's error. Raises :class:`ConfigError` with everything
    that is wrong with the fleet: a pattern that matches nothing, a configuration that can't be
    read, two tasks with one name or one output.
    """
    problems: list[Problem] = []
    wrong = name_problem(release)
    if wrong is not None:
        raise ConfigError(f"the release {wrong}", hint="give another name with --release")
    planner = _Planner(fleet, release, dry_run, problems)
    tasks = [task for source in fleet.sources for task in planner.tasks(source)]
    planner.check_overrides(tasks)
    problems += _collisions(fleet, tasks)
    if problems:
        raise ConfigError.from_problems(problems)
    return tuple(sorted(tasks, key=lambda task: (-task.size, task.key)))


class _Planner:
    """Plans the tasks of one fleet; what is wrong with the fleet goes to ``problems``."""

    def __init__(
        self, fleet: FleetFile, release: str, dry_run: bool, problems: list[Problem]
    ) -> None:
        self._fleet = fleet
        self._release = release
        self._dry_run = dry_run
        self._problems = problems
        self._configs: dict[tuple[str | None, str | None], tuple[str, Json | None]] = {}
        self._seen: list[tuple[str, str]] = []
        self._buckets = Buckets()

    def tasks(self, source: FleetSource) -> Iterator[Task]:
        """Yield the tasks of one ``[[source]]``."""
        try:
            places = matches(source.pattern, self._buckets)
        except SlimError as error:
            self._note(source.place, f"{error.where}: {error.message}", error.hint)
            return
        found = [
            match
            for match in places
            if not any(fnmatchcase(match.place, glob) for glob in source.exclude)
        ]
        if not found:
            hint = "patterns are relative to the fleet's file"
            self._note(source.place, f"nothing matches {source.pattern}", hint)
        for match in found:
            name = self._name(source, match)
            if name is not None:
                yield from self._of_place(source, match.place, name)

    def check_overrides(self, tasks: Sequence[Task]) -> None:
        """Note every ``[[match]]`` that selects no task: it would go unnoticed."""
        for override in self._fleet.overrides:
            if not any(override.selects(*names) for names in self._seen):
                known = ", ".join(sorted({task.stack for task in tasks})[:12])
                self._note(override.place, "selects no stack", f"stacks are {known}")

    def _note(self, place: str, message: str, hint: str | None = None) -> None:
        problem = Problem(file=str(self._fleet.file), place=place, message=message, hint=hint)
        self._problems.append(problem)

    def _name(self, source: FleetSource, match: Match) -> str | None:
        name = match.name
        if source.name is not None:
            parts = {str(number): part for number, part in enumerate(match.parts, start=1)}
            name = filled(source.name, parts)
        wrong = name_problem(name)
        if wrong is not None:
            self._note(source.place, f"{match.place}: the stack's name {wrong}", "give it a name")
            return None
        return name

    def _of_place(self, source: FleetSource, place: str, name: str) -> Iterator[Task]:
        try:
            inputs = read_inputs(place)
        except SlimError as error:
            broken = StackInput(platform=UNKNOWN, size=0, digest="")
            yield from self._task(name, place, broken, lone=True, error=error_of(error))
            return
        for one in inputs:
            globs = source.platforms or self._fleet.platforms
            if not globs or any(fnmatchcase(one.platform, glob) for glob in globs):
                yield from self._task(name, place, one, lone=len(inputs) == 1)

    def _task(
        self,
        name: str,
        place: str,
        read: StackInput,
        *,
        lone: bool,
        error: TaskError | None = None,
    ) -> Iterator[Task]:
        tag = read.platform
        self._seen.append((name, tag))
        settings = self._fleet.settings
        for override in self._fleet.overrides:
            if override.selects(name, tag):
                if override.skip:
                    return
                settings = override.on(settings)
        fields = {"stack": name, "platform": tag}
        output = filled(self._fleet.output, {**fields, "release": self._release})
        task = Task(
            stack=name,
            platform=tag,
            source=place,
            output="" if self._dry_run else output,
            cache=None if self._dry_run else self._fleet.cache,
            settings=settings,
            lone=lone,
            size=read.size,
            layers=read.layers,
            error=error,
        )
        config, known = self._config(settings)
        if error is not None:
            yield task
            return
        if not self._dry_run:
            task = self._with_earlier(task, fields)
        base = self._fleet.file.parent
        fingerprint = _fingerprint(task, read.digest, config, base)
        yield replace(task, fingerprint=fingerprint, known=None if task.cache is None else known)

    def _with_earlier(self, task: Task, fields: Mapping[str, str]) -> Task:
        """Return a task with what was published before, and the update packages to make."""
        fleet, previous, deltas = self._fleet, None, []
        earlier: list[tuple[str, str]] = []
        if fleet.previous == LATEST or fleet.deltas is not None:
            found = releases(filled(fleet.output, fields), self._buckets)
            mine = natural_order(self._release)
            earlier = [(name, place) for name, place in found.items() if natural_order(name) < mine]
        if fleet.previous == LATEST and earlier:
            previous = earlier[-1][1]
        elif fleet.previous not in (LATEST, NO_PREVIOUS):
            place = filled(fleet.previous, fields)
            previous = place if published_digest(place) is not None else None
        if fleet.deltas is not None:
            values = {**fields, "release": self._release}
            for since, old in reversed(earlier[-fleet.deltas.releases :]):
                output = filled(fleet.deltas.output, {**values, "since": since})
                deltas.append(DeltaTask(since=since, old=old, output=output))
        return replace(task, previous=previous, deltas=tuple(deltas))

    def _config(self, settings: TaskSettings) -> tuple[str, Json | None]:
        """Return a digest of the configuration of a task, and what a known run is found by.

        What is wrong with the configuration is noted, once.
        """
        key = (settings.config, settings.profile)
        if key not in self._configs:
            self._configs[key] = ("", None)
            stated = {} if settings.profile is None else {"profile": settings.profile}
            try:
                config = api.load_config(settings.config, **stated)
            except ConfigError as error:
                found = error.problems or (
                    Problem(file=error.where, place="", message=error.message, hint=error.hint),
                )
                self._problems.extend(found)
            except SlimError as error:
                self._note("config", f"{error.where}: {error.message}", error.hint)
            else:
                texts = [Path(file).read_bytes() for file in config.files]
                self._configs[key] = (
                    digest([rules_digest(config.rules), *(sha256(text) for text in texts)]),
                    known_settings(config),
                )
        return self._configs[key]


def _collisions(fleet: FleetFile, tasks: Sequence[Task]) -> Iterator[Problem]:
    keys: dict[str, Task] = {}
    outputs: dict[str, Task] = {}
    for task in tasks:
        other = keys.setdefault(task.key.casefold(), task)
        if other is not task:
            yield Problem(
                file=str(fleet.file),
                place="source",
                message=f"{other.source} and {task.source} are both called {task.stack!r} "
                f"({task.platform})",
                hint='give their [[source]] a name, such as name = "{1}-{2}"',
            )
        elif task.output:
            same = outputs.setdefault(os.path.normcase(task.output), task)
            if same is not task:
                yield Problem(
                    file=str(fleet.file),
                    place="output",
                    message=f"{same.key} and {task.key} would both go to {task.output}",
                    hint="use the fields {stack} and {platform}",
                )


def taken(task: Task) -> TaskError | None:
    """Return the error for an output that is there already, or None."""
    if not task.output or is_url(task.output) or not exists(task.output):
        return None
    return TaskError(
        exit_code=ConfigError.exit_code,
        label=ConfigError.label,
        message="exists already, and this fleet hasn't made it of this input",
        where=task.output,
        hint="give another --release; --force replaces it, once the new result is verified",
    )


def share_of(tasks: Sequence[Task], number: int, of: int) -> tuple[Task, ...]:
    """Return the tasks of shard ``number`` (from 1) of ``of``.

    The largest goes to the shard that has least so far, which every shard computes alike.
    """
    loads = [0] * of
    mine = []
    for task in sorted(tasks, key=lambda task: (-task.size, task.key)):
        least = min(range(of), key=lambda index: (loads[index], index))
        loads[least] += max(task.size, 1)
        if least == number - 1:
            mine.append(task)
    return tuple(mine)


def plan_digest(tasks: Iterable[Task]) -> str:
    """Return the SHA-256 of a plan, which shards of one run have in common."""
    return digest(sorted([task.key, str(task.size)] for task in tasks))


def _fingerprint(task: Task, source: str, config: str, base: Path) -> str:
    """Return the digest of all that a task's result depends on, wherever the fleet's file lies."""
    previous = None if task.previous is None else published_digest(task.previous)
    return digest(
        {
            "slim": __version__,
            "manifest": source,
            "config": config,
            "previous": [portable(base, task.previous), previous],
            "source": portable(base, task.source),
            "output": portable(base, task.output or None),
            "profile": task.settings.profile,
            "verify": [task.settings.verify, task.settings.unverified],
            "deltas": [
                [delta.since, portable(base, delta.old), portable(base, delta.output)]
                for delta in task.deltas
            ],
        }
    )
