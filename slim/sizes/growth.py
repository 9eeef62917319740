"""Explains growth of an owner: rules that stopped matching, test files that came in, debug builds.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from slim.model.diff import OwnerChange, Remark, RemarkKind, Snapshot
from slim.model.record import FileKey, FileKind, Owner, OwnerKind
from slim.model.rule import Rule
from slim.model.size import format_size
from slim.rules.match import owner_matches

_NATIVE = frozenset({FileKind.LIBRARY.value, FileKind.EXTENSION.value, FileKind.EXECUTABLE.value})
_DEBUG_SHARE = 4
"""A file of whose growth at least one part in so many is debugging information is a debug build."""


def remarks_about(
    change: OwnerChange, before: Snapshot, after: Snapshot, rules: Sequence[Rule]
) -> tuple[Remark, ...]:
    """Remarks that explain why ``change`` happened, the most bytes first; none of what shrank."""
    remarks = [
        *_stopped(change, before, after),
        *_out_of_range(change, rules),
        *_tests(change),
        *_debug(change, before, after),
    ]
    return tuple(
        sorted(
            remarks,
            key=lambda remark: (-remark.size, remark.kind.value, remark.rule or "", remark.text),
        )
    )


def _stopped(change: OwnerChange, before: Snapshot, after: Snapshot) -> Iterator[Remark]:
    """Rules that removed files of this owner then, and leave them now."""
    if change.after is None:
        return
    removed: dict[str, list[tuple[FileKey, int]]] = {}
    for key, item in before.removed.items():
        if item.owner == change.name:
            removed.setdefault(item.rule, []).append((key, item.size))
    still = {item.rule for item in after.removed.values() if item.owner == change.name}
    for rule, files in sorted(removed.items()):
        if after.records is not None:
            back = [(key, after.records[key].size) for key, _ in files if key in after.records]
        else:
            back = files if after.rules is not None and rule not in still else []
        if not back:
            continue
        size = sum(size for _, size in back)
        words = f"{len(back)} {'file' if len(back) == 1 else 'files'}, {format_size(size)}"
        if after.records is not None:
            text = f"the rule {rule} removed them in the baseline, and they are there now: {words}"
        else:
            text = f"the rule {rule} removed {words} in the baseline, and nothing now"
        yield Remark(kind=RemarkKind.RULE_STOPPED, text=text, rule=rule, size=size, files=len(back))


def _out_of_range(change: OwnerChange, rules: Iterable[Rule]) -> Iterator[Remark]:
    """Rules for versions of a distribution that the new one isn't among."""
    if (
        not change.versions_before
        or not change.versions_after
        or change.versions_before == change.versions_after
    ):
        return

    def covered(rule: Rule, versions: Iterable[str]) -> bool:
        owners = (
            Owner(kind=OwnerKind.DISTRIBUTION, name=change.name, version=version)
            for version in versions
        )
        return any(owner_matches(rule.package, owner) for owner in owners)

    for rule in rules:
        if rule.package is None or not rule.package.specifier:
            continue
        if covered(rule, change.versions_before) and not covered(rule, change.versions_after):
            versions = ", ".join(change.versions_after)
            text = f"the rule {rule.id} is for {rule.package}, which {change.name} {versions} isn't"
            yield Remark(kind=RemarkKind.RULE_RANGE, text=text, rule=rule.id)


def _tests(change: OwnerChange) -> Iterator[Remark]:
    for item in change.categories:
        if item.label != FileKind.TESTS.value or item.after is None:
            continue
        was = item.before.unpacked if item.before else 0
        files = item.after.files - (item.before.files if item.before else 0)
        size = item.after.unpacked - was
        if size > 0 and files > 0:
            words = f"{files} {'file' if files == 1 else 'files'} of tests, {format_size(size)}"
            yield Remark(kind=RemarkKind.TESTS, text=f"{words}, came in", size=size, files=files)


def _debug(change: OwnerChange, before: Snapshot, after: Snapshot) -> Iterator[Remark]:
    """Native files that have debugging information now, and had less of it."""
    if after.records is None or not any(_grew_natively(change)):
        return
    for key, size in sorted(after.debug.items()):
        record = after.records.get(key)
        if record is None or record.owner.name != change.name:
            continue
        earlier = before.records.get(key) if before.records is not None else None
        more = size - before.debug.get(key, 0)
        grown = record.size - (earlier.size if earlier else 0)
        if more > 0 and grown > 0 and more * _DEBUG_SHARE >= grown:
            text = f"{format_size(size)} of debugging information, a debug build?"
            yield Remark(
                kind=RemarkKind.DEBUG, text=text, place=record.deployed_path, size=more, files=1
            )


def _grew_natively(change: OwnerChange) -> Iterator[bool]:
    for item in change.categories:
        after, before = item.after, item.before
        if item.label in _NATIVE and after is not None:
            yield after.unpacked > (before.unpacked if before else 0)
