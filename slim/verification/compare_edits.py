"""Files that differ between two stacks, judged as a run judges its own edits.

What somebody signed after slimming is judged without its signature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slim.formats.base import Content, Tree
from slim.inventory.load import LoadedStack
from slim.model.outcome import Check
from slim.model.plan import Plan, Rewrite
from slim.model.record import FileKey, NativeFormat
from slim.system.mapped import pieces_of
from slim.verification.native.signed import is_signed, unsigned
from slim.verification.oracles import Edit, editor_for, judge, refused_edits, second_opinion

_DIFFERING = "LIEF sees a difference"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedEdits:
    """The checks of files that differ, and the files that were signed after slimming."""

    checks: tuple[Check, ...]
    signed: frozenset[FileKey]


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """A signed file without its signature; its bytes are made when they are asked for."""

    content: Content
    native: NativeFormat | None
    size: int

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes in pieces of a few megabytes."""
        return pieces_of(self.view())

    def view(self) -> memoryview:
        """The whole file, in memory."""
        return memoryview(unsigned(self.content.view(), self.native) or b"")


def judge_edits(before: LoadedStack, trees: Mapping[str, Tree], plan: Plan) -> JudgedEdits:
    """Judge each changed file by the oracle of the editor for its kind, and native ones by LIEF.

    RECORD has a check of its own. Changed files that no editor is for are counted in a remark.
    """
    edits: dict[FileKey, Edit] = {}
    signed: set[FileKey] = set()
    others = 0
    for key, action in plan.actions.items():
        if not isinstance(action, Rewrite) or key[1].endswith(".dist-info/RECORD"):
            continue
        content = trees[key[0]].members[key[1]].content
        if content is None:
            others += 1
            continue
        original = before.content(action.record)
        editor = editor_for(action.record, original, content)
        bare, now = _without_signature(original, content, action.record.native)
        if bare is not None and bare == now:
            signed.add(key)
        elif editor is None:
            others += 1
        else:
            edits[key] = Edit(editor=editor, original=original, edited=content)
    before.context.progress.stage("Judging edits")
    bared = _without_signatures(plan, edits)
    resigned = {key: bared[key] for key in refused_edits({key: edits[key] for key in bared})}
    edits |= resigned
    with second_opinion({edit.editor for edit in edits.values()}) as second:
        judgement = judge(edits, second, differing=_DIFFERING)
    signed |= resigned.keys() - judgement.refused.keys()
    aside = {key: " (its signature left aside)" if key in resigned else "" for key in edits}
    failures = tuple(
        f"{'/'.join(key)}: {why.text}{aside[key]}" for key, why in judgement.refused.items()
    )
    notes = []
    if others:
        notes.append(f"changed files of kinds that slim doesn't edit, not judged: {others}")
    if signed:
        notes.append(
            f"signed after slimming, judged without their signatures: {len(signed)} "
            "(codesign --verify, osslsigncode verify or signtool verify judge those)"
        )
    check = Check(
        name="edits",
        tried=len(edits) + len(signed - edits.keys()),
        failures=failures,
        note="; ".join(notes),
    )
    return JudgedEdits(checks=(check, judgement.check), signed=frozenset(signed))


def _without_signatures(plan: Plan, edits: Mapping[FileKey, Edit]) -> dict[FileKey, Edit]:
    """Return the edits of files that are signed, as if they weren't."""
    found: dict[FileKey, Edit] = {}
    for key, edit in edits.items():
        native = plan.actions[key].record.native
        bare, now = _without_signature(edit.original, edit.edited, native)
        if bare is not None and now is not None:
            found[key] = Edit(
                editor=edit.editor,
                original=_Unsigned(edit.original, native, len(bare)),
                edited=_Unsigned(edit.edited, native, len(now)),
            )
    return found


def _without_signature(
    original: Content, edited: Content, native: NativeFormat | None
) -> tuple[bytes | None, bytes | None]:
    """Return both files without signatures; None where the edited one has none."""
    data = edited.view()
    if not is_signed(data, native):
        return None, None
    return unsigned(original.view(), native), unsigned(data, native)
