"""Byte-identical files of one layer: all but one become relative symbolic links to it.

Wheels can't hold symbolic links, so a library that has three names where it was built comes as
three copies. Windows layers are left alone: links take a privilege there.

Native files are only joined within a folder, because loaders look for libraries relative to a
file's own folder, and only if their names differ by the version (``libx.so``, ``libx.so.1.2``) and
at most one of them is opened: two names of one file are one library in memory, two copies are two.
What opens a library is asked of the library graph and its signals. Programs, scripts and what
speaks of ``/proc/self/exe`` stay: a program may ask for its own path or name. Of other files nobody
can tell whether code compares their paths or writes to them, so which of them may go is up to bold
rules.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.loaders import LOADERS
from slim.analysis.linkage.verdicts import LibraryJudge, LibraryStatus, LibraryVerdict
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.plan import LINK_EDITOR, SkipReason
from slim.model.record import EntryType, FileKey, FileRecord
from slim.model.rule import OptionSchema, PassSchema, Rule, Verb
from slim.model.stack import System
from slim.passes.base import Context, Proposal, Refusal
from slim.system.mapped import find_all

_NAME = "duplicates"
_SMALLEST = 4096
_VERSION = re.compile(r"\.so(?:\.\d+)*\Z|(?:\.\d+)*\.dylib\Z")
_OWN_PATH = re.compile(rb"/proc/self/exe|/proc/curproc/file|_NSGetExecutablePath")
_WITH_LINKS = (System.LINUX, System.MACOS)

_Group = tuple[FileRecord, ...]


class Duplicates:
    """The pass ``duplicates``."""

    schema: ClassVar[PassSchema] = PassSchema(
        name=_NAME,
        summary="Byte-identical files of a layer: all but one become relative symbolic links",
        verb=Verb.REWRITE,
        options={
            "natives": OptionSchema(
                type=bool,
                default=True,
                help="whether the rule is about native files (else: about all others)",
            ),
            "smallest": OptionSchema(
                type=int, default=_SMALLEST, help="bytes that a file must have at least"
            ),
        },
        needs_globs=False,
        uses_graph=True,
    )

    def concerns(self, record: FileRecord) -> bool:
        """True for files that have bytes."""
        return record.type is EntryType.FILE

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose a link for each copy that may become one; refuse each that has to stay."""
        if not any(rule.pass_name == _NAME for rule in context.rules):
            return
        groups = [
            (group, rules) for group in _groups(context) if (rules := _eligible(context, group))
        ]
        opened = _opened(context, [group for group, _ in groups if group[0].native is not None])
        for group, rules in groups:
            used = [record for record in group if record.key in opened]
            original = (
                used[0] if used else next((one for one in group if one.key not in rules), group[0])
            )
            if len(used) > 1:
                yield from _refusals(group, rules, used)
                continue
            for record in group:
                if record is not original and record.key in rules:
                    yield _link(record, original, rules[record.key])


def _groups(context: Context) -> Iterator[_Group]:
    """Yield files with the same bytes and permissions, shortest paths first.

    Native files also have to lie in the same folder, under names of one library.
    """
    for layer in context.stack:
        if layer.platform.system not in _WITH_LINKS:
            continue
        records = context.inventory.records[layer.name].values()
        shared = {record.link_target for record in records if record.type is EntryType.HARDLINK}
        found: dict[tuple[object, ...], list[FileRecord]] = {}
        for record in records:
            if record.type is not EntryType.FILE or not record.size or record.key in context.gone:
                continue
            if record.path in shared:
                continue
            place = _VERSION.sub("", record.path) if record.native is not None else None
            found.setdefault((record.sha256, record.size, record.mode, place), []).append(record)
        for group in found.values():
            if len(group) > 1:
                yield tuple(sorted(group, key=lambda record: (len(record.path), record.path)))


def _eligible(context: Context, group: _Group) -> dict[FileKey, Rule]:
    """Return the members that a rule lets become links, each with that rule."""
    found: dict[FileKey, Rule] = {}
    for record in group:
        if context.held(record):
            continue
        if _may_be_run(context, record):
            continue
        for rule in context.select(_NAME, record):
            native = bool(rule.options.get("natives", True))
            smallest = rule.options.get("smallest", _SMALLEST)
            if (
                native == (record.native is not None)
                and isinstance(smallest, int)
                and record.size >= smallest
            ):
                found[record.key] = rule
                break
    return found


def _may_be_run(context: Context, record: FileRecord) -> bool:
    """Return whether a file is a program or a script, or knows of the program it is part of."""
    if record.native is None:
        return bool(record.mode & 0o111)
    if record.native in LOADERS:
        dynamic = context.facts.libraries.dynamics.get(record.key)
        if dynamic is None or dynamic.kind == "executable":
            return True
    return next(find_all(_OWN_PATH, context.read(record)), None) is not None


def _opened(context: Context, groups: list[_Group]) -> frozenset[FileKey]:
    """Return the native files in question that some process may load."""
    if not groups:
        return frozenset()
    linkage = context.facts.libraries
    judge = LibraryJudge.build(linkage, context.read, gone=context.gone)
    verdicts = judge.verdicts(context.gone)
    return frozenset(key for group in groups for key in _used(group, linkage, verdicts))


def _used(
    group: _Group, linkage: Linkage, verdicts: Mapping[FileKey, LibraryVerdict]
) -> Iterator[FileKey]:
    for record in group:
        dynamic = linkage.dynamics.get(record.key)
        if dynamic is None or dynamic.kind == "executable":
            continue
        verdict = verdicts.get(record.key)
        if verdict is None or verdict.status is not LibraryStatus.NONE:
            yield record.key


def _refusals(
    group: _Group, rules: Mapping[FileKey, Rule], used: list[FileRecord]
) -> Iterator[Refusal]:
    for record in group:
        if record.key in rules:
            other = next(one for one in used if one is not record)
            text = "has the same bytes, and both are opened"
            evidence = Evidence(kind="duplicate", text=text, file=other.deployed_path)
            yield Refusal(
                key=record.key,
                rule=rules[record.key].id,
                reason=SkipReason.REFERENCED,
                evidence=(evidence,),
            )


def _link(record: FileRecord, original: FileRecord, rule: Rule) -> Finding:
    target = posixpath.relpath(original.path, posixpath.dirname(record.path) or ".")
    evidence = Evidence(kind="duplicate", text="has the same bytes", file=original.deployed_path)
    return Finding(
        key=record.key,
        rule=rule.id,
        evidence=(evidence,),
        edit=EditSpec(editor=LINK_EDITOR, options={"target": target}),
        size_after=0,
    )
