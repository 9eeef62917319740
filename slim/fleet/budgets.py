"""Budgets of a whole fleet: ``[[budget]]`` tables of ``fleet.toml``, and holding results to them.

Sizes are those of the results (after). The verdict is of the type that ``slim check`` has, so every
report of that command can tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from slim.config.budget import parse_limit
from slim.errors import ConfigError, Problem
from slim.model.budget import Budget, BudgetResult, Limit, LimitResult, Status, Verdict
from slim.model.diff import Metric, OwnerChange
from slim.model.fleet import FleetResult, TaskResult
from slim.system.toml_table import Table, show

METRICS: Final = (Metric.ARCHIVE, Metric.UNPACKED, Metric.DEPLOYED, Metric.FILES)
BUDGET_KEYS: Final = ("name", "each", "stack", "platform", *(metric.value for metric in METRICS))
ALL_PLATFORMS: Final = "all"
_LARGEST: Final = 5


class FleetEach(StrEnum):
    """Parts of a fleet that a budget holds for separately, instead of for the sum."""

    STACK = "stack"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetBudget:
    """One ``[[budget]]``: its name, limits and place, and the tasks that it is about.

    ``each`` is ``stack`` where it holds for every stack on every platform by itself.
    """

    budget: Budget
    stacks: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    each: FleetEach | None = None

    def selects(self, task: TaskResult) -> bool:
        """Return whether it is about a task."""
        return _any(task.stack, self.stacks) and _any(task.platform, self.platforms)


def read_budgets(table: Table, text: str) -> tuple[FleetBudget, ...]:
    """Read the ``[[budget]]`` tables of a fleet; ``text`` is the whole file, for line numbers."""
    lines = [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip().replace(" ", "") == "[[budget]]"
    ]
    tables = table.tables("budget")
    known = lines if len(lines) == len(tables) else [None] * len(tables)
    budgets = [
        _budget(inner, index, line)
        for index, (inner, line) in enumerate(zip(tables, known, strict=True))
    ]
    names = [budget.budget.name for budget in budgets]
    for index, name in enumerate(names):
        if name in names[:index]:
            tables[index].note("name", f"{name[:80]!r} is the name of an earlier budget")
    return tuple(budgets)


def _budget(table: Table, index: int, line: int | None) -> FleetBudget:
    table.allow(BUDGET_KEYS)
    each = table.text("each", choices=tuple(item.value for item in FleetEach))
    stacks, platforms = _globs(table, "stack"), _globs(table, "platform")
    limits = tuple(limit for metric in METRICS for limit in _limits(table, metric))
    if not limits and not any(metric.value in table.values for metric in METRICS):
        names = ", ".join(metric.value for metric in METRICS)
        table.problems.add(table.place, "no limit", f"give one of {names}")
    parts = [
        *([f"each {each}"] if each else []),
        *(f"stack {glob}" for glob in stacks),
        *(f"platform {glob}" for glob in platforms),
    ]
    derived = ", ".join(parts) or ("total" if index == 0 else f"total ({index + 1})")
    budget = Budget(
        name=table.text("name") or derived,
        limits=limits,
        origin=table.problems.file,
        place=table.place,
        line=line,
    )
    return FleetBudget(
        budget=budget,
        stacks=stacks,
        platforms=platforms,
        each=FleetEach(each) if each else None,
    )


def _globs(table: Table, key: str) -> tuple[str, ...]:
    if isinstance(table.values.get(key), str):
        text = table.text(key)
        return () if text is None else (text,)
    return table.texts(key)


def _limits(table: Table, metric: Metric) -> Iterator[Limit]:
    value = table.values.get(metric.value)
    if value is None:
        return
    kinds = set()
    for item in value if isinstance(value, list) else [value]:
        text = str(item) if type(item) is int and item >= 0 else item
        if not isinstance(text, str):
            table.note(metric.value, f"expected a limit such as '42 MB' or '+2%', not {show(item)}")
            continue
        try:
            limit = parse_limit(metric, text)
        except ValueError as error:
            table.note(metric.value, str(error))
            continue
        if limit.kind in kinds:
            table.note(metric.value, "a second limit of the same kind")
        kinds.add(limit.kind)
        yield limit


def check_fleet(
    result: FleetResult, budgets: Sequence[FleetBudget], baseline: FleetResult | None = None
) -> Verdict:
    """Hold a fleet's results to its budgets; growth is measured from ``baseline``.

    A sum is only checked where all of its stacks have a result: what is missing would pass for
    small. Raises :class:`ConfigError` where there is no budget, or where one selects nothing.
    """
    if not budgets:
        raise ConfigError(
            "there is no budget", hint="write [[budget]] tables into the fleet's file"
        )
    results, problems = [], []
    for budget in budgets:
        selected = [task for task in result.tasks if budget.selects(task)]
        if not selected:
            known = ", ".join(sorted({task.stack for task in result.tasks})[:12])
            own = budget.budget
            problems.append(
                Problem(
                    file=own.origin,
                    place=own.place,
                    message=f"the budget {own.name!r} matches nothing",
                    hint=f"stacks are {known}" if known else "the fleet has no stacks",
                )
            )
        earlier = None
        if baseline is not None:
            earlier = [task for task in baseline.tasks if budget.selects(task)]
        results += list(_results(budget, selected, earlier))
    if problems:
        raise ConfigError.from_problems(problems)
    return Verdict(
        results=tuple(results),
        measured=(),
        warnings=tuple(_warnings(result, budgets, baseline)),
        slim_version=result.slim_version,
    )


def _results(
    budget: FleetBudget, tasks: Sequence[TaskResult], baseline: Sequence[TaskResult] | None
) -> Iterator[BudgetResult]:
    for subject, platform, members in _subjects(budget, tasks):
        earlier = None
        if baseline is not None:
            earlier = next(
                (
                    found
                    for name, tag, found in _subjects(budget, baseline)
                    if (name, tag) == (subject, platform)
                ),
                [],
            )
        yield BudgetResult(
            budget=budget.budget,
            platform=platform,
            subject=subject,
            limits=tuple(_limit(limit, members, earlier) for limit in budget.budget.limits),
        )


def _subjects(
    budget: FleetBudget, tasks: Sequence[TaskResult]
) -> Iterator[tuple[str, str, list[TaskResult]]]:
    match budget.each:
        case None:
            platforms = {task.platform for task in tasks}
            yield "", platforms.pop() if len(platforms) == 1 else ALL_PLATFORMS, list(tasks)
        case FleetEach.STACK:
            for task in tasks:
                yield task.stack, task.platform, [task]
        case FleetEach.PLATFORM:
            for platform in sorted({task.platform for task in tasks}):
                yield "", platform, [task for task in tasks if task.platform == platform]


def _limit(
    limit: Limit, tasks: Sequence[TaskResult], baseline: Sequence[TaskResult] | None
) -> LimitResult:
    missing = sum(not task.done for task in tasks)
    actual = sum(limit.metric.of(task.after) for task in tasks)
    before = None
    if baseline and all(task.done for task in baseline):
        before = sum(limit.metric.of(task.after) for task in baseline)
    allowed = limit.allowed(before)
    note = ""
    if allowed is None:
        note = "no baseline" if not baseline else "the baseline has stacks without a result"
    elif actual <= allowed and missing:
        note = f"{missing} of {len(tasks)} stacks have no result"
    if note:
        return LimitResult(
            limit=limit,
            status=Status.UNCHECKED,
            actual=None if missing else actual,
            allowed=allowed,
            before=before,
            note=note,
        )
    assert allowed is not None
    if actual <= allowed:
        return LimitResult(
            limit=limit, status=Status.WITHIN, actual=actual, allowed=allowed, before=before
        )
    causes = _grown(tasks, baseline or (), limit.metric)
    return LimitResult(
        limit=limit,
        status=Status.EXCEEDED,
        actual=actual,
        allowed=allowed,
        before=before if causes else None,  # or reports would look for what grew
        causes=causes,
        largest=_largest(tasks, limit.metric),
    )


def _grown(
    tasks: Sequence[TaskResult], baseline: Sequence[TaskResult], metric: Metric
) -> tuple[OwnerChange, ...]:
    """Return the stacks that grew since the baseline, the largest growth first."""
    earlier = {(task.stack, task.platform): task for task in baseline if task.done}
    changes = []
    for task in tasks:
        then = earlier.get((task.stack, task.platform))
        changes.append(
            OwnerChange(
                name=task.title,
                versions_before=(),
                versions_after=(),
                before=None if then is None else then.after,
                after=task.after,
            )
        )
    by = metric.explained
    grown = [change for change in changes if baseline and change.delta(by) > 0]
    return tuple(sorted(grown, key=lambda change: (-change.delta(by), change.name)))


def _largest(tasks: Sequence[TaskResult], metric: Metric) -> tuple[tuple[str, int], ...]:
    amounts = [(task.title, metric.of(task.after)) for task in tasks]
    return tuple(sorted(amounts, key=lambda item: (-item[1], item[0]))[:_LARGEST])


def _warnings(
    result: FleetResult, budgets: Sequence[FleetBudget], baseline: FleetResult | None
) -> Iterator[str]:
    yield from result.warnings
    failed = [task.title for task in result.failed]
    if failed:
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        yield f"no result: {', '.join(failed[:3])}{more}"
    limits = [limit for budget in budgets for limit in budget.budget.limits]
    if baseline is None and any(limit.needs_baseline for limit in limits):
        yield "limits of growth weren't checked: there is no --baseline"


def _any(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
