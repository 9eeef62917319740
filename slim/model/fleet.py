"""Results of a fleet: many stacks, slimmed or audited together. All sizes are bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from slim.model.footprint import Footprint

KILLED = -1
"""Stands for the exit code of a task whose process was killed, or that got lost with a worker."""

ENDED_BADLY = 70
"""Exit code of a task that ended with a mistake in slim (EX_SOFTWARE of sysexits(3))."""

_PASSING = frozenset({5, 6, KILLED})


class TaskStatus(StrEnum):
    """End of a task. The values are stable."""

    DONE = "done"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    """Error that ended a try of a task, as a command line would tell it."""

    exit_code: int
    """The exit code; :data:`KILLED` where the process gave no answer."""
    label: str
    """Kind of the error, in words."""
    message: str
    """What is wrong."""
    where: str = ""
    """File and place."""
    hint: str = ""
    """What to do about it."""

    @property
    def may_pass(self) -> bool:
        """True if another try may do without it."""
        return self.exit_code in _PASSING

    @property
    def text(self) -> str:
        """The error on one line."""
        where = f"{self.where}: " if self.where else ""
        return f"{self.label}: {where}{self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLayer:
    """One layer of one stack, before and after."""

    name: str
    """Install target."""
    kind: str
    """Kind of the layer."""
    before: Footprint
    """Its sizes before."""
    after: Footprint
    """Its sizes after."""
    sha256_before: str = ""
    """SHA-256 of its archive before; empty where there is none."""
    sha256_after: str = ""
    """SHA-256 of its archive after; empty where none was written."""
    since: str = ""
    """Change since it was last published; empty where nothing was compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSum:
    """Bytes of content that a rule saved, and files that it removed or rewrote."""

    rule: str
    """Id of the rule."""
    saved: int
    """Bytes of content."""
    files: int
    """Files that it removed or rewrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalSum:
    """Files that a rule wanted and didn't get, for one reason."""

    rule: str
    """Id of the rule."""
    reason: str
    """Reason of the refusals."""
    held: int
    """Bytes of content that stay."""
    files: int
    """Files that stay."""
    example: str = ""
    """Evidence of the largest of these files, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDelta:
    """Update package from an earlier release."""

    since: str
    """Name of the earlier release."""
    download: int
    """Bytes that a client of it downloads."""
    full: int
    """Bytes of all archives of the new stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCost:
    """Means that a task took. They differ from run to run."""

    elapsed: float = 0.0
    """Seconds of its last try."""
    cpu_seconds: float = 0.0
    """Processor time of its last try, with that of its children."""
    peak_memory: int = 0
    """Largest resident memory of its process, in bytes; 0 where nothing tells."""
    tries: int = 0
    """Number of tries."""
    resumed: bool = False
    """True if an earlier, interrupted run of the fleet had done it."""
    cached_layers: int = 0
    """Number of archives that came from a cache of results."""
    cached_run: bool = False
    """True if its whole result came from a cache of results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    """Result of one task: one stack on one platform."""

    stack: str
    """Name of the stack in the fleet."""
    platform: str
    """Tag of its platform."""
    source: str
    """Path or URL that it was read from."""
    output: str = ""
    """Path or URL that it was published to; empty after an audit."""
    status: TaskStatus = TaskStatus.DONE
    """End of the task."""
    error: TaskError | None = None
    """Error of the last try, where it failed."""
    earlier: tuple[TaskError, ...] = ()
    """Errors of earlier tries."""
    size: int = 0
    """Bytes of the input, as they were known when the task was planned."""
    layers: tuple[FleetLayer, ...] = ()
    """Its layers."""
    rules: tuple[RuleSum, ...] = ()
    """Savings by rule."""
    refusals: tuple[RefusalSum, ...] = ()
    """Refusals by rule and reason."""
    deltas: tuple[FleetDelta, ...] = ()
    """Update packages that were made."""
    warnings: tuple[str, ...] = ()
    """Sentences for people."""
    cost: TaskCost = TaskCost()
    """Means that it took."""

    @property
    def title(self) -> str:
        """Stack and platform in one text."""
        return self.stack if self.platform == "unknown" else f"{self.stack} ({self.platform})"

    @property
    def done(self) -> bool:
        """True if it succeeded."""
        return self.status is TaskStatus.DONE

    @property
    def before(self) -> Footprint:
        """Sizes of the stack before."""
        return sum((layer.before for layer in self.layers), Footprint())

    @property
    def after(self) -> Footprint:
        """Sizes of the stack after."""
        return sum((layer.after for layer in self.layers), Footprint())


@dataclass(frozen=True, kw_only=True)
class FleetResult:
    """Result of a whole fleet, of some of its shards, or of an audit."""

    name: str
    """Name of the fleet."""
    release: str
    """Name of the release."""
    tasks: tuple[TaskResult, ...]
    """Results by task, sorted by stack and platform."""
    dry_run: bool = False
    """True after an audit: nothing was written, and archives weren't measured."""
    slim_version: str = ""
    """Version of slim that ran."""
    warnings: tuple[str, ...] = ()
    """Sentences for people."""

    @property
    def done(self) -> tuple[TaskResult, ...]:
        """Tasks that succeeded."""
        return tuple(task for task in self.tasks if task.done)

    @property
    def failed(self) -> tuple[TaskResult, ...]:
        """Tasks that failed, or that no shard has done."""
        return tuple(task for task in self.tasks if not task.done)

    @property
    def before(self) -> Footprint:
        """Sizes before of all stacks that are done."""
        return sum((task.before for task in self.done), Footprint())

    @property
    def after(self) -> Footprint:
        """Sizes after of all stacks that are done."""
        return sum((task.after for task in self.done), Footprint())


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetProgress:
    """Progress of a fleet at one moment."""

    stacks: int
    """Tasks of this run."""
    stacks_done: int
    """Tasks that have ended, well or not."""
    failed: int
    """Tasks that have failed for good."""
    size: int
    """Bytes of the inputs of all tasks."""
    size_done: int
    """Bytes of the inputs of those that have ended."""
    running: int
    """Tasks that are being worked on."""
    tries: int
    """Tries that were started."""
    hits: int = 0
    """Archives that came from the cache of results."""
    last: TaskResult | None = None
    """The task that has just ended."""


FleetObserver = Callable[[FleetProgress], None]
"""Function that is told how far a fleet is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLayer:
    """Archive that several stacks have."""

    name: str
    """Install target of the first that has it."""
    sha256: str
    """SHA-256 of the archive before."""
    before: int
    """Bytes of the archive before."""
    after: tuple[int, ...]
    """Bytes of each different archive that became of it, the most frequent first."""
    stacks: tuple[str, ...]
    """Titles of the stacks that have it."""


def shared_layers(tasks: Iterable[TaskResult]) -> tuple[SharedLayer, ...]:
    """Return every archive that two or more stacks have, what is shared most first."""
    found: dict[str, list[tuple[TaskResult, FleetLayer]]] = {}
    for task in tasks:
        for layer in task.layers:
            if layer.sha256_before:
                found.setdefault(layer.sha256_before, []).append((task, layer))
    shared = []
    for digest, uses in found.items():
        if len(uses) < 2:
            continue
        results: dict[str, list[int]] = {}
        for _, layer in uses:
            if layer.sha256_after:
                results.setdefault(layer.sha256_after, []).append(layer.after.archive)
        ordered = sorted(results.items(), key=lambda item: (-len(item[1]), item[0]))
        shared.append(
            SharedLayer(
                name=uses[0][1].name,
                sha256=digest,
                before=uses[0][1].before.archive,
                after=tuple(sizes[0] for _, sizes in ordered),
                stacks=tuple(task.title for task, _ in uses),
            )
        )
    return tuple(
        sorted(shared, key=lambda layer: (-len(layer.stacks), -layer.before, layer.sha256))
    )


def distinct_archives(tasks: Iterable[TaskResult]) -> tuple[Footprint, Footprint]:
    """Return what a store holds that keeps equal archives once: before and after.

    ``archive`` are the bytes, ``files`` the number of different archives.
    """
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for task in tasks:
        for layer in task.layers:
            if layer.sha256_before:
                before[layer.sha256_before] = layer.before.archive
            if layer.sha256_after:
                after[layer.sha256_after] = layer.after.archive
    return (
        Footprint(archive=sum(before.values()), files=len(before)),
        Footprint(archive=sum(after.values()), files=len(after)),
    )


def rule_sums(tasks: Iterable[TaskResult]) -> tuple[tuple[RuleSum, int], ...]:
    """Return what each rule saved over all tasks, with the number of stacks; the most first."""
    found: dict[str, list[RuleSum]] = {}
    for task in tasks:
        for row in task.rules:
            found.setdefault(row.rule, []).append(row)
    sums = [
        (
            RuleSum(
                rule=rule,
                saved=sum(row.saved for row in rows),
                files=sum(row.files for row in rows),
            ),
            len(rows),
        )
        for rule, rows in found.items()
    ]
    return tuple(sorted(sums, key=lambda item: (-item[0].saved, -item[0].files, item[0].rule)))


def refusal_sums(tasks: Iterable[TaskResult]) -> tuple[tuple[RefusalSum, int], ...]:
    """Return what each rule was refused over all tasks, with the number of stacks.

    The refusals that hold most bytes come first.
    """
    found: dict[tuple[str, str], list[RefusalSum]] = {}
    for task in tasks:
        for row in task.refusals:
            found.setdefault((row.rule, row.reason), []).append(row)
    sums = []
    for (rule, reason), rows in found.items():
        largest = max(rows, key=lambda row: (row.held, row.example))
        total = RefusalSum(
            rule=rule,
            reason=reason,
            held=sum(row.held for row in rows),
            files=sum(row.files for row in rows),
            example=largest.example,
        )
        sums.append((total, len(rows)))
    return tuple(
        sorted(sums, key=lambda item: (-item[0].held, -item[0].files, item[0].rule, item[0].reason))
    )


def worst(tasks: Iterable[TaskResult], *, most: int = 10) -> tuple[TaskResult, ...]:
    """Return the tasks that are done and that lost the smallest share of their unpacked bytes."""

    def share(task: TaskResult) -> tuple[float, int, str]:
        before, after = task.before.unpacked, task.after.unpacked
        return (-after / before if before else 0.0, -after, task.title)

    return tuple(sorted((task for task in tasks if task.done), key=share)[:most])
