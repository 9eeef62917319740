"""Search for the smallest set of actions to take back, by delta debugging.

Knows no deployments: what can put files back and tell what is broken (:class:`Checks`) is enough.
"""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from slim.formats.base import Member
from slim.model.plan import Plan
from slim.model.progress import Progress
from slim.model.record import FileKey
from slim.model.verify import Broken, Repair
from slim.plan.apply import RECORD_PASS
from slim.plan.planned import PlannedStack
from slim.verification.ddmin import BudgetError, Counted, ddmin, first_enough, one_minimal

MAX_TRIES: Final = 500
"""Sets that one search may try."""

_MODULE: Final = re.compile(r"No module named '([\w.]+)'")
_NAME: Final = re.compile(
    r"cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'"
)
_TOO_COMMON: Final = frozenset({"__init__.py", "__main__.py"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Actions of one rule on one distribution in one layer."""

    layer: str
    rule: str
    owner: str
    files: tuple[FileKey, ...]


def group_actions(plan: Plan) -> list[Group]:
    """Group the actions of a plan by rule and distribution, in order.

    RECORDs follow the rest and aren't searched.
    """
    found: dict[tuple[str, str, str], list[FileKey]] = {}
    for key, action in plan.actions.items():
        if action.pass_name != RECORD_PASS:
            found.setdefault((key[0], action.rule, action.record.owner.label), []).append(key)
    return [
        Group(layer=layer, rule=rule, owner=owner, files=tuple(keys))
        for (layer, rule, owner), keys in sorted(found.items())
    ]


class Changeable(Protocol):
    """Deployment in which single files can be put back and taken away again."""

    def put(self, member: Member, layer: str) -> None:
        """Make a file what it was."""
        ...

    def take_back(self, key: FileKey) -> None:
        """Undo that."""
        ...


class Checks(Protocol):
    """Suite that tells whether something is still broken after files were changed in ``after``."""

    @property
    def after(self) -> Changeable:
        """Slimmed deployment."""
        ...

    def still_broken(self, broken: Sequence[Broken]) -> list[Broken]:
        """List those of ``broken`` that fail now."""
        ...


def search(
    suite: Checks, planned: PlannedStack, broken: Sequence[Broken], progress: Progress
) -> tuple[list[Repair], Broken | None]:
    """Find the smallest sets of actions to take back so that nothing of ``broken`` is broken.

    Returns these, and the first failure for which not even taking back everything helps. The
    deployment is left as it was.
    """
    bench = _Bench(suite=suite, planned=planned, progress=progress)
    progress.stage("Searching for the culprits", unit="tries")
    groups = group_actions(planned.plan)
    repairs: list[Repair] = []
    left = list(broken)
    try:
        while left:
            step = _step(bench, groups, left)
            if step is None:
                return repairs, left[0]
            repairs.append(step)
            bench.settled.update(step.files)
            bench.restore(())
            left = suite.still_broken(left)
        if len(repairs) > 1:
            repairs = _needed(bench, repairs, broken)
    finally:
        bench.settled.clear()
        bench.restore(())
    return repairs, None


def _step(bench: _Bench, groups: Sequence[Group], left: Sequence[Broken]) -> Repair | None:
    """Search once: first for the groups that are to blame, then for their files."""
    first = left[0]
    ordered = sorted(
        groups, key=lambda group: (-_likely(group, first), group.layer, group.rule, group.owner)
    )
    by_group: Counted[Group] = Counted(
        lambda chosen: bench.helps(_files(chosen), [first]), MAX_TRIES
    )
    enough = first_enough(ordered, by_group)
    if enough is None:
        return None
    chosen = enough
    with contextlib.suppress(BudgetError):
        chosen = ddmin(enough, by_group)
    candidates = _files(chosen)
    bench.restore(candidates)
    still = {one.subject for one in bench.suite.still_broken(left)}
    fixed = [one for one in left if one.subject not in still]
    by_file: Counted[FileKey] = Counted(lambda files: bench.helps(files, fixed), MAX_TRIES)
    files = tuple(candidates)
    with contextlib.suppress(BudgetError):
        hinted = _grow(bench, candidates, fixed)
        if hinted is not None:
            files = hinted
            files = one_minimal(hinted, by_file) if len(hinted) <= 40 else ddmin(hinted, by_file)
        else:
            ordered_files = sorted(candidates, key=lambda key: (-_hinted(key, first), key))
            files = first_enough(ordered_files, by_file) or files
            files = ddmin(files, by_file)
    actions = bench.planned.plan.actions
    files = tuple(with_packages(files, bench.planned.plan))
    return Repair(
        broken=tuple(fixed),
        files=tuple(sorted(files)),
        rules=tuple(sorted({actions[key].rule for key in files})),
        tries=by_group.tries + by_file.tries,
    )


def with_packages(files: Iterable[FileKey], plan: Plan) -> set[FileKey]:
    """Return the files, and the ``__init__.py`` of every package that they lie in.

    A folder without one would do to import what is in it, but it wouldn't be the package that its
    authors wrote.
    """
    found = set(files)
    for layer, path in tuple(found):
        folder = posixpath.dirname(path)
        while folder:
            key = (layer, f"{folder}/__init__.py")
            if plan.removes(key):
                found.add(key)
            folder = posixpath.dirname(folder)
    return found


def _files(groups: Iterable[Group]) -> list[FileKey]:
    return [key for group in groups for key in group.files]


def _needed(bench: _Bench, repairs: list[Repair], broken: Sequence[Broken]) -> list[Repair]:
    """Leave out the sets that a later one made unnecessary."""
    bench.settled.clear()
    numbers = range(len(repairs))
    kept = one_minimal(
        tuple(numbers),
        lambda chosen: bench.helps(
            [key for index in chosen for key in repairs[index].files], broken
        ),
    )
    return [repairs[index] for index in kept]


def _grow(
    bench: _Bench, candidates: Sequence[FileKey], fixed: Sequence[Broken]
) -> tuple[FileKey, ...] | None:
    """Take back what the error messages name until nothing is broken; None where that fails."""
    current: list[FileKey] = []
    while True:
        bench.restore(current)
        left = bench.suite.still_broken(fixed)
        bench.progress.advance()
        if not left:
            return tuple(current)
        more = [
            key
            for key in candidates
            if key not in current and any(_hinted(key, one) for one in left)
        ]
        if not more:
            return None
        current += more


@dataclass(kw_only=True)
class _Bench:
    """Slimmed deployment with some actions taken back; ``settled`` stay so during a search."""

    suite: Checks
    planned: PlannedStack
    progress: Progress
    settled: set[FileKey] = field(default_factory=set)
    _restored: set[FileKey] = field(default_factory=set)

    def restore(self, files: Iterable[FileKey]) -> None:
        """Put back exactly these files (and the settled ones)."""
        wanted = with_packages(self.settled.union(files), self.planned.plan)
        for key in sorted(self._restored - wanted, reverse=True):
            self.suite.after.take_back(key)
        for key in sorted(wanted - self._restored):
            self.suite.after.put(self.planned.loaded.trees[key[0]].members[key[1]], key[0])
        self._restored = wanted

    def helps(self, files: Iterable[FileKey], broken: Sequence[Broken]) -> bool:
        """Return whether nothing of ``broken`` is broken with these taken back."""
        self.restore(files)
        self.progress.advance()
        if len(broken) > 1 and self.suite.still_broken(broken[:1]):
            return False
        return not self.suite.still_broken(broken if len(broken) == 1 else broken[1:])


def _likely(group: Group, broken: Broken) -> int:
    """Rank a group by how likely it is to blame: an order to try things in, never a verdict."""
    subject = broken.subject
    if any(_hinted(key, broken) for key in group.files):
        return 3
    top = subject.name.partition(".")[0].lower()
    if top and top in {part.lower() for part in re.split(r"[ /]", group.owner)}:
        return 2
    return int(group.layer == subject.layer)


def _hinted(key: FileKey, broken: Broken) -> bool:
    """Return whether a message names a file: by its path, its own name, or as a module."""
    path = key[1]
    if (broken.subject.layer, broken.subject.name) == key:
        return True
    name = posixpath.basename(path)
    text = broken.after
    if name not in _TOO_COMMON and len(name) >= 4 and name in text:
        return True
    stem = path.rpartition(".py")[0] or re.split(r"\.(?:cpython|abi3|so|pyd)", path)[0]
    stem = stem.removesuffix("/__init__")
    wanted = [match.group(1) for match in _MODULE.finditer(text)]
    wanted += [f"{match.group(2)}.{match.group(1)}" for match in _NAME.finditer(text)]
    if broken.subject.check in ("imports", "unimportable"):
        wanted.append(broken.subject.name)
    return any(f"/{stem}".endswith("/" + module.replace(".", "/")) for module in wanted)
