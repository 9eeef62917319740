"""Guesses at what becomes of native files, before the analyses have had their say.

Rules alone tell most of it: hardly any native file is held or removed for what other files do. Who
begins to compress such files early can, and has to compare with the plan once that is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from slim.formats.base import Content, Member
from slim.formats.edited import EditedContent
from slim.formats.order import is_native
from slim.inventory.load import LoadedStack
from slim.model.finding import EditSpec, Finding
from slim.model.plan import Plan, Rewrite
from slim.model.record import EntryType, FileKey
from slim.passes import EDITORS
from slim.passes.base import Context
from slim.passes.debug_symbols import SCHEMA, first_look
from slim.plan.scope import Scope
from slim.plan.selection import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Likely:
    """Files that are likely to go, and edits that native files are likely to get."""

    gone: frozenset[FileKey]
    edits: Mapping[FileKey, tuple[EditSpec, int]]
    """Each with the bytes of the edited file."""
    layers: frozenset[str]
    """Names of the layers that may change."""

    def natives(self, loaded: LoadedStack, layer: str) -> dict[str, Member | None]:
        """Return a layer's files with machine code as they are likely to be; None: they go.

        They are valid as long as the stack is open. Reading one raises SlimError where its edit
        fails.
        """
        return {
            path: None if (layer, path) in self.gone else self._edited(loaded, layer, member)
            for path, member in loaded.trees[layer].members.items()
            if member.type is EntryType.FILE and is_native(member)
        }

    def _edited(self, loaded: LoadedStack, layer: str, member: Member) -> Member:
        edit = self.edits.get((layer, member.path))
        if edit is None or member.content is None:
            return member
        spec, size = edit
        content = _LaterEdited(member.content, spec, size, loaded.context.spool_dir)
        return replace(member, content=content, size=size)

    def agrees(self, plan: Plan, layer: str, natives: Mapping[str, Member | None]) -> bool:
        """Return whether a plan leaves the files of :meth:`natives` as they were thought to be."""
        for path, member in natives.items():
            key = (layer, path)
            if plan.removes(key) != (member is None):
                return False
            spec, _ = self.edits.get(key, (None, 0))
            if member is not None and _edit_in(plan, key) != spec:
                return False
        return True


def _edit_in(plan: Plan, key: FileKey) -> EditSpec | None:
    action = plan.actions.get(key)
    return action.edit if isinstance(action, Rewrite) else None


def likely(context: Context, selection: Selection, scope: Scope) -> Likely:
    """Return what is likely with the removals that were proposed. Notes nothing anywhere."""
    edits: dict[FileKey, tuple[EditSpec, int]] = {}
    for record in context.inventory:
        if record.native is None or record.key in context.gone or scope.keeps(record):
            continue
        rule = selection.strongest(SCHEMA.name, record)
        found = None if rule is None else first_look(record, rule, context)
        if isinstance(found, Finding) and found.edit is not None:
            edits[record.key] = (found.edit, found.size_after)
    layers = frozenset(layer.name for layer in context.stack if scope.may_change(layer.name))
    return Likely(gone=context.gone, edits=edits, layers=layers)


@dataclass(frozen=True)
class _LaterEdited:
    """An edited file whose recipe isn't made before it is read."""

    original: Content
    spec: EditSpec
    size: int
    spool_dir: Path

    @cached_property
    def _edited(self) -> EditedContent:
        recipe = EDITORS[self.spec.editor].edit(self.original.view(), self.spec.options)
        return EditedContent(
            original=self.original, recipe=recipe, size=self.size, spool_dir=self.spool_dir
        )

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The edited file in pieces. Raises SlimError where it can't be edited."""
        return self._edited.chunks()

    def view(self) -> memoryview:
        """The whole edited file. Raises SlimError where it can't be edited."""
        return self._edited.view()
