"""The Mach-O part of the debug-symbols pass.

It takes out symbols that nothing binds to, and images for other machines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from slim.binaries.refusal import NotEditable, RefusalKind
from slim.errors import IntegrityError
from slim.model.finding import EditSpec, Evidence, Finding
from slim.model.plan import SkipReason
from slim.model.recipe import Recipe
from slim.model.record import FileRecord
from slim.model.rule import OptionSchema, OptionValue, Rule
from slim.model.stack import Platform, System
from slim.passes.base import Context, Proposal, Refusal

if TYPE_CHECKING:
    from slim.binaries.macho.edit import MachoEdit

EDITOR = "macho-symbols"
"""The name under which plans refer to :func:`macho_symbols`."""

DEFAULT_LEVEL = "unneeded"

THIN_OPTION = OptionSchema(
    type=bool,
    default=True,
    help="take only the image for the layer's own machine out of a universal Mach-O file",
)
"""The option ``thin`` of the pass."""

_THINNED_TO = frozenset({"x86_64", "aarch64"})


def propose_macho(record: FileRecord, rule: Rule, context: Context) -> Proposal | None:
    """Return a proposal for a Mach-O file that gets smaller, None where nothing is gained.

    A refusal for a file that can't be edited.
    """
    level = level_of(rule.options)
    machine = _machine(rule.options, context.stack.layer(record.layer).platform)
    if level == "none" and machine is None:
        return None
    edit = _plan(context.read(record), level, machine)
    if isinstance(edit, NotEditable):
        if edit.kind is RefusalKind.NOTHING_GAINED:
            return None
        evidence = Evidence(kind=edit.kind.value, text=edit.reason, file=record.deployed_path)
        reason = SkipReason.SIGNED if edit.kind is RefusalKind.SIGNED else SkipReason.UNSAFE_TO_EDIT
        return Refusal(key=record.key, rule=rule.id, reason=reason, evidence=(evidence,))
    options: dict[str, OptionValue] = {"level": level}
    if machine is not None:
        options["machine"] = machine
    return Finding(
        key=record.key,
        rule=rule.id,
        evidence=_evidence(record, edit),
        edit=EditSpec(editor=EDITOR, options=options),
        size_after=edit.size_after,
    )


def _plan(view: memoryview, level: str, machine: str | None) -> MachoEdit | NotEditable:
    # Not before there is a Mach-O file: it brings macholib.
    from slim.binaries.macho.edit import plan_macho_edit

    return plan_macho_edit(view, level, machine)


def level_of(options: Mapping[str, OptionValue]) -> str:
    """Return how much goes: the option ``level``, a key of the editors' levels."""
    return str(options.get("level", DEFAULT_LEVEL))


def _machine(options: Mapping[str, OptionValue], platform: Platform) -> str | None:
    """Return the machine whose image alone is to stay, None where all of them do."""
    wanted = options.get("thin", THIN_OPTION.default)
    known = platform.system is System.MACOS and platform.machine in _THINNED_TO
    return platform.machine if wanted and known else None


def _evidence(record: FileRecord, edit: MachoEdit) -> tuple[Evidence, ...]:
    dropped = ", ".join(f"{what} {size}" for what, size in edit.dropped)
    found = [
        Evidence(
            kind="symbols",
            text=f"what no program binds to or runs (bytes): {dropped}",
            file=record.deployed_path,
        )
    ]
    if edit.resigned:
        text = (
            "its ad-hoc signature is written again, with all that it said but the hashes of pages"
        )
        found.append(Evidence(kind="signed-again", text=text, file=record.deployed_path))
    found += [
        Evidence(
            kind="kept-as-it-is",
            text=f"the image itself isn't edited: {note}",
            file=record.deployed_path,
        )
        for note in edit.notes
    ]
    return tuple(found)


def macho_symbols(view: memoryview, options: Mapping[str, OptionValue]) -> Recipe:
    """Carry out an edit of this pass: return the recipe of the new content.

    Raises :class:`slim.errors.IntegrityError` for a file that can't be edited: none is proposed
    that can't, so these aren't the bytes that were looked at.
    """
    level = level_of(options)
    machine = options.get("machine")
    edit = _plan(view, level, None if machine is None else str(machine))
    if isinstance(edit, NotEditable):
        raise IntegrityError(
            f"the file can't be edited any more: {edit.reason}",
            hint="it has changed since it was planned; run again",
        )
    return edit.recipe
