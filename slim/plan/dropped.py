"""Files that link, or open by name, libraries that a dropped distribution takes with it.

A library of the same layer, such as a plug-in, can't be loaded any more, and goes with the drop; so
does what links that in turn. Anything else, an extension module or a program, holds the
distribution, unless the user's ``despite`` names its owner. So does Python code that opens one of
its libraries by name (``ctypes.CDLL("libx.so")``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from slim.analysis.facts import Facts
from slim.analysis.linkage.graph import BrokenLink
from slim.analysis.linkage.verdicts import is_candidate
from slim.model.finding import Evidence
from slim.model.plan import Remove, SkipReason
from slim.model.record import FileKey, FileKind, FileRecord
from slim.passes.packages import DROP_PREFIX
from slim.plan.draft import Draft
from slim.plan.scope import Scope

_SHOWN = 5
"""Files that the refusal of a drop names."""
_OPENS = re.compile(
    rb"\b(?:(?:C|Py|Win|Ole)DLL|LoadLibrary\w*|load_library|dlopen|find_library)\s*\("
)
"""Calls by which Python code opens libraries (ctypes, cffi)."""
_VERSIONED = re.compile(r"(.+\.so)\.[\d.]+\Z")
_LARGEST = 8 << 20
"""Bytes of a source that is searched for names of libraries."""


def settle_dropped(draft: Draft, facts: Facts, scope: Scope) -> bool:
    """Take along what only served what is dropped, or refuse the drop; return whether it did."""
    refused = False
    while True:
        dropped = {
            key: action
            for key, action in draft.actions.items()
            if isinstance(action, Remove) and action.rule.startswith(DROP_PREFIX)
        }
        if not dropped:
            return refused
        if _refuse_opened(dropped, draft, facts, scope):
            refused = True
            continue
        broken: dict[FileKey, BrokenLink] = {}
        for link in facts.libraries.broken_links(draft.gone):
            if link.target.key in dropped:
                broken.setdefault(link.record.key, link)
        if not broken:
            return refused
        held: dict[tuple[str, str], list[Evidence]] = {}
        for link in broken.values():
            cause = dropped[link.target.key]
            evidence = Evidence(
                kind="needed",
                text=f"needs {link.name}, which goes with {cause.rule.removeprefix(DROP_PREFIX)}",
                file=link.record.deployed_path,
            )
            if _may_go(link.record, cause, facts, scope):
                draft.actions[link.record.key] = Remove(
                    record=link.record,
                    pass_name=cause.pass_name,
                    rule=cause.rule,
                    evidence=(evidence,),
                )
            else:
                held.setdefault((cause.record.layer, cause.rule), []).append(evidence)
        refused |= _refuse(held, draft)


def _may_go(record: FileRecord, cause: Remove, facts: Facts, scope: Scope) -> bool:
    """Return whether a file that can't be loaded any more may go with a dropped distribution."""
    if record.layer != cause.record.layer or scope.holds(record):
        return False
    return _is_accepted(record, cause, scope) or is_candidate(
        record, facts.libraries.dynamics.get(record.key)
    )


def _is_accepted(record: FileRecord, cause: Remove, scope: Scope) -> bool:
    """Return whether the user drops a distribution despite what this file does."""
    name = cause.rule.removeprefix(DROP_PREFIX)
    return any(
        spec.name == name and record.owner.name in spec.despite
        for spec in scope.settings[cause.record.layer].drop
    )


def _refuse_opened(
    dropped: Mapping[FileKey, Remove], draft: Draft, facts: Facts, scope: Scope
) -> bool:
    """Refuse each drop whose libraries Python code opens that stays; return whether any was."""
    held: dict[tuple[str, str], list[Evidence]] = {}
    names: dict[bytes, list[Remove]] = {}
    for action in dropped.values():
        for name in _names_of(action.record, facts):
            names.setdefault(name, []).append(action)
    for record in facts.inventory if names else ():
        if not record.path.endswith(".py") or record.size > _LARGEST or record.key in draft.gone:
            continue
        content = bytes(facts.read(record))
        if _OPENS.search(content) is None:
            continue
        for name, actions in names.items():
            if not _in_quotes(name, content):
                continue
            evidence = Evidence(
                kind="opened",
                text=f'opens libraries, and has "{name.decode()}" in a string',
                file=record.deployed_path,
                line=content.count(b"\n", 0, content.find(name)) + 1,
            )
            for action in actions:
                if not _is_accepted(record, action, scope):
                    held.setdefault((action.record.layer, action.rule), []).append(evidence)
    return _refuse(held, draft)


def _refuse(held: Mapping[tuple[str, str], list[Evidence]], draft: Draft) -> bool:
    """Refuse drops, by layer and rule, each with what holds it; return whether any was."""
    refused = False
    for key, action in list(draft.actions.items()):
        if found := held.get((key[0], action.rule)):
            draft.refuse(action, SkipReason.LINKED, tuple(dict.fromkeys(found))[:_SHOWN])
            refused = True
    return refused


def _names_of(record: FileRecord, facts: Facts) -> Iterator[bytes]:
    """Yield the names by which code may open a native file: all but those of extension modules."""
    dynamic = facts.libraries.dynamics.get(record.key)
    if dynamic is None or record.kind is FileKind.EXTENSION:
        return
    base = record.path.rpartition("/")[2]
    versioned = _VERSIONED.match(base)
    names = {base, dynamic.soname or base, base if versioned is None else versioned[1]}
    yield from (name.rpartition("/")[2].encode() for name in sorted(names))


def _in_quotes(name: bytes, content: bytes) -> bool:
    """Return whether a string of code ends in a file name."""
    return name in content and (
        re.search(rb"(?<![\w-])" + re.escape(name) + rb"(?=[\"'])", content) is not None
    )
