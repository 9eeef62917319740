"""Takes debugging information and static symbol tables out of programs and libraries.

This module does ELF files and hands Mach-O files on to :mod:`slim.passes.macho_symbols`. PE files
and static archives are left alone: they hold nothing that is worth an edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slim.analysis.linkage.dynamics import DYNAMIC
from slim.analysis.remembering import Form, plain
from slim.analysis.section_readers import SectionReader
from slim.analysis.section_words import SectionsRead
from slim.binaries import read_any_dynamic
from slim.binaries.elf.edit import LEVELS, NotEditable, RefusalKind, plan_edit
from slim.binaries.elf.own_sections import level_for_itself
from slim.errors import IntegrityError
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.recipe import Recipe
from slim.model.record import EntryType, FileRecord, NativeFormat
from slim.model.rule import OptionSchema, OptionValue, PassSchema, Rule, Verb
from slim.passes.base import Context, Proposal, Refusal
from slim.passes.macho_symbols import THIN_OPTION, level_of, propose_macho

EDITOR = "elf-symbols"
"""The name under which plans refer to :func:`elf_symbols`."""

DEFAULT_LEVEL = "unneeded"

_LEVEL_FOR = {SectionsRead.SYMBOLS: "debug", SectionsRead.DEBUGGING: "none"}

SCHEMA = PassSchema(
    name="debug-symbols",
    summary="Takes debugging information, symbol tables and code for other machines out of native "
    "files.",
    verb=Verb.REWRITE,
    options={
        "level": OptionSchema(
            type=str,
            default=DEFAULT_LEVEL,
            help=(
                "what goes: none (the file stays as it is), "
                "debug (what only debuggers read; symbol tables stay), "
                "unneeded (also the static symbol table and the toolchain's remarks; "
                "what is linked against stays)"
            ),
            choices=LEVELS,
        ),
        "thin": THIN_OPTION,
    },
    needs_globs=False,
)


class DebugSymbols:
    """The pass ``debug-symbols``.

    The strongest rule that selects a file decides how much goes out of it.
    """

    @property
    def schema(self) -> PassSchema:
        """Name, verb and options."""
        return SCHEMA

    def concerns(self, record: FileRecord) -> bool:
        """True for native files."""
        return record.native is not None

    def propose(self, context: Context) -> Iterable[Proposal]:
        """Propose to edit each file that gets smaller; refuse each that can't be edited."""
        for record in context.inventory:
            if not _may_be_edited(record) or record.key in context.gone:
                continue
            rules = context.select(SCHEMA.name, record)
            if rules:
                key = (record.key, rules[0].id)
                if key not in context.remembered:
                    found = first_look(record, rules[0], context)
                    context.remembered[key] = unless_stated(found, record, context)
                # Who reads the file's sections depends on what goes, so on the plan.
                proposal = _unless_read(context.remembered[key], record, rules[0], context)
                if proposal is not None:
                    yield proposal


def first_look(record: FileRecord, rule: Rule, context: Context) -> Proposal | None:
    """Return what the pass proposes for a native file if no other file states its digest."""
    if not _may_be_edited(record):
        return None
    key = (record.key, rule.id)
    if key not in context.first_looks:
        context.first_looks[key] = _PROPOSE[record.native](record, rule, context)
    return context.first_looks[key]


def _may_be_edited(record: FileRecord) -> bool:
    return record.native in _PROPOSE and record.type is EntryType.FILE


def level_for(record: FileRecord, context: Context) -> str:
    """Return how much this pass takes out of an ELF file: one of the editor's levels."""
    rules = context.select(SCHEMA.name, record)
    level = level_of(rules[0].options) if rules else "none"
    level = _level_with(_reader_of(record, context), level)
    return _less(level, _level_for_itself(record, context))


def _reader_of(record: FileRecord, context: Context) -> SectionReader | None:
    """Return the code that stays and reads what this pass takes out of a file."""
    return context.facts.section_readers.of(record, context.gone)


def _level_with(reader: SectionReader | None, level: str) -> str:
    """Return what may go of a level where there is code that reads sections."""
    return level if reader is None else _less(level, _LEVEL_FOR[reader.reads])


def _less(level: str, other: str) -> str:
    """Return the level of two that leaves more as it is."""
    return min(level, other, key=LEVELS.index)


def _unless_read(
    proposal: Proposal | None, record: FileRecord, rule: Rule, context: Context
) -> Proposal | None:
    """Return the proposal, or another that leaves what code of the stack reads of the file."""
    if not isinstance(proposal, Finding):
        return proposal
    reader = _reader_of(record, context)
    if reader is None:
        return proposal
    options = {**rule.options, "level": _level_with(reader, level_of(rule.options))}
    found = _PROPOSE[record.native](record, replace(rule, options=options), context)
    if isinstance(found, Finding):
        return replace(found, evidence=(*found.evidence, reader.evidence))
    return found or Refusal(
        key=record.key,
        rule=rule.id,
        reason=SkipReason.REFERENCED,
        evidence=(reader.evidence,),
    )


def _level_for_itself(record: FileRecord, context: Context) -> str:
    """Return how much may go out of a file that may read its own sections."""
    readings = context.facts.readings

    def make() -> str:
        view = context.read(record)
        dynamic = readings.of_record(DYNAMIC, record, lambda: read_any_dynamic(view))
        return level_for_itself(view, () if dynamic is None else dynamic.needed)

    return readings.of_record(_ITSELF, record, make)


def unless_stated(
    proposal: Proposal | None, record: FileRecord, context: Context
) -> Proposal | None:
    """Return the proposal, or a refusal where the digest of the file is stated, or compared."""
    if not isinstance(proposal, Finding):
        return proposal
    facts = context.facts
    evidence = facts.digests.against_change(record) or facts.checked_natives.get(record.key)
    if evidence is None:
        return proposal
    return Refusal(
        key=record.key,
        rule=proposal.rule,
        reason=SkipReason.UNSAFE_TO_EDIT,
        evidence=(evidence,),
    )


@dataclass(frozen=True, slots=True)
class _Planned:
    """An edit of an ELF file, as far as a plan tells it."""

    size_after: int
    dropped: tuple[tuple[str, int], ...]
    holes: int


def _pack(edit: _Planned | NotEditable) -> object:
    if isinstance(edit, NotEditable):
        return [edit.kind.value, edit.reason]
    return [edit.size_after, edit.dropped, edit.holes]


def _unpack(stored: Any) -> _Planned | NotEditable:
    if len(stored) == 2:
        return NotEditable(RefusalKind(stored[0]), stored[1])
    size, dropped, holes = stored
    return _Planned(size, tuple((name, bytes_) for name, bytes_ in dropped), holes)


_EDIT: Form[_Planned | NotEditable] = Form("elf-edit", _pack, _unpack)
_ITSELF = plain("level-for-itself", str)


def _planned(record: FileRecord, level: str, context: Context) -> _Planned | NotEditable:
    def make() -> _Planned | NotEditable:
        edit = plan_edit(context.read(record), level)
        if isinstance(edit, NotEditable):
            return edit
        return _Planned(edit.size_after, edit.dropped, edit.holes)

    return context.facts.readings.of_record(_EDIT, record, make, level)


def _propose_elf(record: FileRecord, rule: Rule, context: Context) -> Proposal | None:
    level = level_of(rule.options)
    if level == "none":
        return None
    edit = _planned(record, level, context)
    if isinstance(edit, _Planned) and _less(level, _level_for_itself(record, context)) != level:
        level = _level_for_itself(record, context)
        edit = _planned(record, level, context)
    if isinstance(edit, _Planned):
        return Finding(
            key=record.key,
            rule=rule.id,
            evidence=_dropped(record, edit),
            edit=EditSpec(editor=EDITOR, options={"level": level}),
            size_after=edit.size_after,
        )
    if edit.kind is RefusalKind.NOTHING_GAINED:
        return None
    evidence = Evidence(kind=edit.kind.value, text=edit.reason, file=record.deployed_path)
    return Refusal(
        key=record.key, rule=rule.id, reason=SkipReason.UNSAFE_TO_EDIT, evidence=(evidence,)
    )


_PROPOSE: Mapping[NativeFormat | None, Callable[[FileRecord, Rule, Context], Proposal | None]] = {
    NativeFormat.ELF: _propose_elf,
    NativeFormat.MACHO: propose_macho,
}


def _dropped(record: FileRecord, edit: _Planned) -> tuple[Evidence, ...]:
    """Return what goes, section by section.

    Bytes amid the loaded image become zeros, and aren't won back.
    """
    sections = ", ".join(f"{name} {size}" for name, size in edit.dropped)
    found = [
        Evidence(
            kind="sections",
            text=f"sections that are never loaded (bytes): {sections}",
            file=record.deployed_path,
        )
    ]
    if edit.holes:
        text = f"{edit.holes} of these bytes lie amid the loaded image and become zeros"
        found.append(Evidence(kind="holes", text=text, file=record.deployed_path))
    return tuple(found)


def elf_symbols(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit of this pass: return the recipe of the new content.

    Raises :class:`slim.errors.IntegrityError` for a file that can't be edited: none is proposed
    that can't, so these aren't the bytes that were looked at.
    """
    edit = plan_edit(view, level_of(options))
    if isinstance(edit, NotEditable):
        raise IntegrityError(
            f"the file can't be edited any more: {edit.reason}",
            hint="it has changed since it was planned; run again",
        )
    return edit.recipe
