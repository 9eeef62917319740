"""Modules that can't be imported are cut behind the statement that fails: the rest never runs.

A module whose statements ask, always and at its top level, for a name that no layer has which it is
seen with, is dead code from there on. What goes is only what is behind that statement, so whoever
imports the module, looks for it, or lists it sees what was to be seen before.

What is missing is found by :mod:`slim.analysis.unimportable`. Names that something outside of the
stack brings along are listed under ``provided`` in the configuration, and by rules.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slim.analysis.remembering import Form
from slim.analysis.unimportable.holds import Holds
from slim.analysis.unimportable.search import Failing, Found
from slim.errors import UnsafeInputError
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.record import FileKey, FileRecord
from slim.model.rule import OptionSchema, OptionValue, PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.cut_module import EDITOR, cut

_LEAST = 512
"""Bytes that a cut has to save; less isn't worth an edit."""

SCHEMA = PassSchema(
    name="unimportable",
    summary="the rest of modules that can't be imported, since they import what no layer has",
    verb=Verb.REWRITE,
    options={
        "elsewhere": OptionSchema(
            type=tuple,
            default=(),
            help="names that programs which run Python bring along themselves (gdb, bpy)",
        ),
        "decorators": OptionSchema(
            type=tuple,
            default=(),
            help="decorators that stay, since a registry reads them as text",
        ),
    },
    uses_graph=True,
)


class Unimportable:
    """The pass ``unimportable``."""

    @property
    def schema(self) -> PassSchema:
        """Name, verb and options."""
        return SCHEMA

    def concerns(self, record: FileRecord) -> bool:
        """True for Python sources."""
        return record.path.endswith(".py")

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose to cut each module that fails; refuse those that somebody may read."""
        selected = {record.key: rules[0] for record, rules in context.selected(SCHEMA.name)}
        if not selected:
            return
        found = context.facts.unimportable.find(_provided(context, selected.values()))
        holds = Holds(
            context.stack,
            context.inventory,
            context.facts.unimportable,
            context.read,
            found.failing,
            context.facts.digests,
            context.facts.readings,
        )
        caches = _caches(context)
        for key in sorted(found.failing.keys() & selected.keys() - context.gone):
            record, rule = context.inventory.records[key[0]][key[1]], selected[key]
            if context.held(record):
                continue
            for proposal in _proposals(record, found, rule, holds, context):
                yield proposal
                if isinstance(proposal, Finding):
                    yield from _bytecode(caches.get(key, ()), rule, context)


def _provided(context: Context, rules: Iterable[Rule]) -> Mapping[str, frozenset[str]]:
    """Return the names that something else brings along, by layer."""
    elsewhere = {name for rule in rules for name in _texts(rule, "elsewhere")}
    return {
        layer.name: frozenset(elsewhere.union(context.settings(layer.name).provided))
        for layer in context.stack
    }


def _texts(rule: Rule, option: str) -> tuple[str, ...]:
    value: OptionValue = rule.options.get(option, ())
    return value if isinstance(value, tuple) else ()


def _proposals(
    record: FileRecord, found: Found, rule: Rule, holds: Holds, context: Context
) -> Iterator[Proposal]:
    failing = found.failing[record.key]
    if record.size - failing.head.end < _LEAST:
        return
    unknown = found.unknown.get(record.layer)
    held = unknown or holds.against(record, failing.head.end)
    evidence = _evidence(record, failing)
    if held is not None:
        reason = SkipReason.CONDITION if unknown else SkipReason.REFERENCED
        yield Refusal(key=record.key, rule=rule.id, reason=reason, evidence=(held, evidence))
        return
    decorators = _texts(rule, "decorators")
    size = _size_after(record, failing, decorators, context)
    if isinstance(size, str):
        unsafe = Evidence(kind="outline", text=size)
        yield Refusal(
            key=record.key, rule=rule.id, reason=SkipReason.UNSAFE_TO_EDIT, evidence=(unsafe,)
        )
        return
    if record.size - size < _LEAST:
        return
    options: dict[str, OptionValue] = {
        "end": failing.head.end,
        "missing": failing.missing,
        "decorators": decorators,
    }
    yield Finding(
        key=record.key,
        rule=rule.id,
        evidence=(evidence,),
        edit=EditSpec(editor=EDITOR, options=options),
        size_after=size,
    )


def _size_after(
    record: FileRecord, failing: Failing, decorators: tuple[str, ...], context: Context
) -> int | str:
    """Return the bytes of a module after the cut, or what is against cutting it."""

    def make() -> int | str:
        source = bytes(context.read(record))
        try:
            return len(cut(source, failing.head.end, failing.missing, decorators))
        except UnsafeInputError as error:
            return error.message

    variant = "\0".join((f"{failing.head.end}", failing.missing, *decorators))
    return context.facts.readings.of_record(_SIZE, record, make, variant)


def _stored_size(stored: Any) -> int | str:
    if type(stored) not in (int, str):
        raise TypeError("neither a size nor a reason")
    return stored  # type: ignore[no-any-return]


_SIZE: Form[int | str] = Form("size-after-cut", lambda size: size, _stored_size)


def _evidence(record: FileRecord, failing: Failing) -> Evidence:
    if failing.through is None:
        text = f"{failing.head.text}, which no layer has"
    else:
        path = "/".join(failing.through)
        text = f"{failing.head.text}, but {path} can't be imported: no layer has {failing.missing}"
    return Evidence(
        kind="unimportable", text=text, file=record.deployed_path, line=failing.head.line
    )


def _bytecode(caches: Iterable[FileRecord], rule: Rule, context: Context) -> Iterator[Finding]:
    """Propose to remove what was compiled from a module that is cut."""
    evidence = Evidence(kind="bytecode", text="compiled from a module that is cut")
    for cache in caches:
        if cache.key not in context.gone:
            yield Finding(key=cache.key, rule=rule.id, evidence=(evidence,))


def _caches(context: Context) -> Mapping[FileKey, list[FileRecord]]:
    """Return the files in ``__pycache__`` by the source that they were compiled from (PEP 3147)."""
    found: dict[FileKey, list[FileRecord]] = {}
    for record in context.inventory:
        folder, _, name = record.path.rpartition("/")
        if posixpath.basename(folder) == "__pycache__" and name.endswith(".pyc"):
            source = posixpath.join(posixpath.dirname(folder), f"{name.partition('.')[0]}.py")
            found.setdefault((record.layer, source), []).append(record)
    return found
