"""Holds measured stacks to their budgets. Pure.

Every stack (every platform) is checked by itself: nobody downloads two of them. A budget without
``each`` holds for the sum of what it selects.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from slim.errors import ConfigError, Problem
from slim.model.budget import Budget, BudgetResult, Each, Limit, LimitResult, Status, Verdict
from slim.model.delta import Delta
from slim.model.diff import Cell, Comparison, MeasuredLayer, Metric, OwnerChange, Snapshot
from slim.model.footprint import Footprint
from slim.model.rule import Rule
from slim.sizes.diff import compare
from slim.sizes.updates import with_updates

_LARGEST = 5


def check(
    measured: Sequence[Snapshot],
    budgets: Sequence[Budget],
    *,
    baseline: Sequence[Snapshot] | None = None,
    rules: Sequence[Rule] = (),
    delta: Delta | None = None,
    slim_version: str = "",
) -> Verdict:
    """Check every budget on every stack.

    Limits of growth and of updates need a ``baseline``; without one for the stack's platform they
    stay unchecked, visibly. ``delta`` is what clients of the baseline download. Raises
    :class:`ConfigError` where a budget selects nothing, there is nothing to check, or the delta
    isn't one between the two.
    """
    if not budgets:
        raise ConfigError(
            "there is no budget",
            hint="write [[budget]] tables into slim.toml, or use --update-budget",
        )
    results: list[BudgetResult] = []
    matched: set[int] = set()
    comparisons: list[Comparison] = []
    pairs = [(snapshot, _counterpart(snapshot, measured, baseline)) for snapshot in measured]
    pairs = [(now if then is None else with_updates(now, then, delta), then) for now, then in pairs]
    measured = [now for now, _ in pairs]
    for snapshot, earlier in pairs:
        if earlier is not None:
            comparisons.append(compare(earlier, snapshot, rules))
        for index, budget in enumerate(budgets):
            if not _matches(snapshot.platform, budget.platforms):
                continue
            outcomes = tuple(_budget(budget, snapshot, earlier, rules))
            matched.update([index] if outcomes else [])
            results.extend(outcomes)
    _refuse_idle(measured, budgets, matched)
    elsewhere = tuple(
        budget
        for budget in budgets
        if not any(_matches(snapshot.platform, budget.platforms) for snapshot in measured)
    )
    order = {id(budget): index for index, budget in enumerate(budgets)}
    return Verdict(
        results=tuple(sorted(results, key=lambda result: order[id(result.budget)])),
        measured=tuple(measured),
        comparisons=tuple(comparisons),
        elsewhere=elsewhere,
        warnings=tuple(_warnings(measured, baseline, results)),
        slim_version=slim_version,
    )


def selected(
    snapshot: Snapshot, budget: Budget, subject: str = "", *, files: bool = True
) -> Snapshot | None:
    """The part of a stack that a budget is about, or None where it has no such part.

    ``subject`` limits it to one layer, owner or category, as the budget's ``each`` says. Without
    ``files`` only sums are right, which is all that a limit takes and much faster.
    """
    layers = budget.layers or ("*",)
    names = {layer.layer_name for layer in snapshot.layers if _layer_matches(layer, layers)}
    if subject and budget.each is Each.LAYER:
        names &= {subject}
    cells = tuple(
        cell
        for cell in snapshot.cells
        if cell.layer in names and _cell_matches(cell, budget, subject)
    )
    known = any(
        cell.layer in names and _matches(cell.owner, budget.owners) for cell in snapshot.cells
    )
    if not names or (budget.owners and not known):
        # A category without files is a size of 0, no mistake: categories can't be misspelt.
        return None
    records = snapshot.records
    if files and records is not None:
        wanted = {(cell.layer, cell.owner, cell.category) for cell in cells}
        records = {
            key: record
            for key, record in records.items()
            if (key[0], record.owner.name, record.kind.value) in wanted
        }
    sums = {name: Footprint() for name in names}
    for cell in cells:
        sums[cell.layer] += cell.footprint
    return replace(
        snapshot,
        layers=tuple(
            layer if not budget.splits_layers else replace(layer, footprint=sums[layer.layer_name])
            for layer in snapshot.layers
            if layer.layer_name in names
        ),
        cells=cells,
        records=records,
        removed={key: item for key, item in snapshot.removed.items() if key[0] in names},
    )


def _budget(
    budget: Budget, snapshot: Snapshot, baseline: Snapshot | None, rules: Sequence[Rule]
) -> Iterator[BudgetResult]:
    for subject in _subjects(budget, snapshot):
        now = selected(snapshot, budget, subject, files=False)
        if now is None:
            continue
        then = None if baseline is None else _earlier(baseline, budget, subject, files=False)
        limits = tuple(_limit(limit, now, then) for limit in budget.limits)
        if any(item.status is Status.EXCEEDED for item in limits):
            limits = _explained(limits, budget, subject, snapshot, baseline, rules)
        yield BudgetResult(
            budget=budget, platform=snapshot.platform, subject=subject, limits=limits
        )


def _earlier(baseline: Snapshot, budget: Budget, subject: str, *, files: bool) -> Snapshot:
    """The same part of the baseline; an empty one where it has no such part."""
    part = selected(baseline, budget, subject, files=files)
    return part or replace(
        baseline, layers=(), cells=(), records=None if baseline.records is None else {}
    )


def _explained(
    limits: tuple[LimitResult, ...],
    budget: Budget,
    subject: str,
    snapshot: Snapshot,
    baseline: Snapshot | None,
    rules: Sequence[Rule],
) -> tuple[LimitResult, ...]:
    """Add what grew, or what is large, to the limits that are exceeded."""
    now = selected(snapshot, budget, subject) or snapshot
    change = None
    if baseline is not None:
        then = _earlier(baseline, budget, subject, files=True)
        change = compare(then, now, rules, whole=(baseline, snapshot))
    return tuple(
        item
        if item.status is not Status.EXCEEDED
        else replace(
            item,
            causes=_causes(change, item.limit.metric),
            largest=_largest(now, item.limit.metric),
        )
        for item in limits
    )


def _subjects(budget: Budget, snapshot: Snapshot) -> list[str]:
    """Names of what is checked separately; an empty one for everything together."""
    if budget.each is None:
        return [""]
    whole = selected(snapshot, budget, files=False)
    if whole is None:
        return []
    match budget.each:
        case Each.LAYER:
            return [layer.layer_name for layer in whole.layers]
        case Each.OWNER:
            return sorted({cell.owner for cell in whole.cells}) or [""]
        case Each.CATEGORY:
            return sorted({cell.category for cell in whole.cells}) or [""]


def _limit(limit: Limit, now: Snapshot, then: Snapshot | None) -> LimitResult:
    actual, before = (
        _amount(now, limit.metric),
        None if then is None else _amount(then, limit.metric),
    )
    known = then is not None or not limit.needs_baseline
    allowed = limit.allowed(before)
    if limit.metric is Metric.UPDATE and actual is None:
        note = "no baseline" if then is None else "it isn't known which archives the baseline has"
    elif actual is None:
        note = "archives are measured once they are written, and this is the report of a dry run"
    elif allowed is None or not known:
        note = "no baseline" if then is None else "the baseline's archives weren't measured"
    else:
        over = actual > allowed
        return LimitResult(
            limit=limit,
            status=Status.EXCEEDED if over else Status.WITHIN,
            actual=actual,
            allowed=allowed,
            before=before,
        )
    return LimitResult(
        limit=limit,
        status=Status.UNCHECKED,
        actual=actual,
        allowed=allowed,
        before=before,
        note=note,
    )


def _amount(snapshot: Snapshot, metric: Metric) -> int | None:
    if metric in (Metric.ARCHIVE, Metric.UPDATE) and not snapshot.archive_known:
        return None
    if metric is Metric.UPDATE:
        return snapshot.update
    return metric.of(snapshot.total)


def _causes(change: Comparison | None, metric: Metric) -> tuple[OwnerChange, ...]:
    if change is None or metric is Metric.UPDATE:
        return ()
    by = metric.explained
    grown = [owner for owner in change.owners if owner.delta(by) > 0]
    return tuple(sorted(grown, key=lambda owner: (-owner.delta(by), owner.name)))


def _largest(snapshot: Snapshot, metric: Metric) -> tuple[tuple[str, int], ...]:
    if metric is Metric.UPDATE:
        layers = [(layer.layer_name, layer.update) for layer in snapshot.layers if layer.update]
        return tuple(sorted(layers, key=lambda item: (-item[1], item[0]))[:_LARGEST])
    by = metric.explained
    sums: dict[str, int] = {}
    for cell in snapshot.cells:
        label = f"{cell.owner} {cell.version}".strip()
        sums[label] = sums.get(label, 0) + by.of(cell.footprint)
    return tuple(sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:_LARGEST])


def _counterpart(
    snapshot: Snapshot, measured: Sequence[Snapshot], baseline: Sequence[Snapshot] | None
) -> Snapshot | None:
    """The baseline of a stack's platform; a lone baseline for a lone stack of unknown platform."""
    same_platform = next(
        (candidate for candidate in baseline or () if candidate.platform == snapshot.platform), None
    )
    lone = len(baseline or ()) == len(measured) == 1
    if (
        same_platform is None
        and baseline
        and lone
        and "unknown" in (baseline[0].platform, snapshot.platform)
    ):
        return baseline[0]
    return same_platform


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _layer_matches(layer: MeasuredLayer, patterns: Sequence[str]) -> bool:
    return _matches(layer.layer_name, patterns) or _matches(layer.name, patterns)


def _cell_matches(cell: Cell, budget: Budget, subject: str) -> bool:
    if subject and budget.each is Each.OWNER and cell.owner != subject:
        return False
    if subject and budget.each is Each.CATEGORY and cell.category != subject:
        return False
    return _matches(cell.owner, budget.owners) and (
        not budget.categories or cell.category in budget.categories
    )


def _refuse_idle(
    measured: Sequence[Snapshot], budgets: Sequence[Budget], matched: set[int]
) -> None:
    """Raise ConfigError for budgets that select nothing: they check nothing, which goes unnoticed.

    One for another platform is fine, as long as any budget is for this one.
    """
    problems = []
    for index, budget in enumerate(budgets):
        own = [snapshot for snapshot in measured if _matches(snapshot.platform, budget.platforms)]
        if index in matched or (not own and matched):
            continue
        if not own:
            platforms = ", ".join(sorted({snapshot.platform for snapshot in measured}))
            message, hint = (
                f"the budget {budget.name!r} is for another platform",
                f"there is: {platforms}",
            )
        else:
            message, hint = f"the budget {budget.name!r} matches nothing", _hint(budget, own)
        problems.append(Problem(file=budget.origin, place=budget.place, message=message, hint=hint))
    if problems:
        raise ConfigError.from_problems(problems)


def _hint(budget: Budget, measured: Iterable[Snapshot]) -> str:
    """A hint with the names that a selector could have meant."""
    layers, owners = set(), set()
    for snapshot in measured:
        layers |= {layer.layer_name for layer in snapshot.layers}
        owners |= {cell.owner for cell in snapshot.cells}
    for patterns, known, noun in (
        (budget.layers, layers, "layers"),
        (budget.owners, owners, "owners"),
    ):
        if not patterns or any(
            fnmatchcase(name, pattern) for name in known for pattern in patterns
        ):
            continue
        close = difflib.get_close_matches(patterns[0][:80], sorted(known), n=1)
        return (
            f"did you mean {close[0]!r}?"
            if close
            else f"{noun} are {', '.join(sorted(known)[:12])}"
        )
    return "the owner has nothing in these layers"


def _warnings(
    measured: Sequence[Snapshot],
    baseline: Sequence[Snapshot] | None,
    results: Iterable[BudgetResult],
) -> Iterator[str]:
    waiting = sum(item.status is Status.UNCHECKED for result in results for item in result.limits)
    if baseline is None:
        if waiting:
            unchecked = "1 limit wasn't" if waiting == 1 else f"{waiting} limits weren't"
            yield f"{unchecked} checked: there is no --baseline"
        return
    for snapshot in measured:
        if _counterpart(snapshot, measured, baseline) is None:
            platforms = ", ".join(sorted({one.platform for one in baseline}))
            yield f"the baseline has no stack for {snapshot.platform}, only for {platforms}"
