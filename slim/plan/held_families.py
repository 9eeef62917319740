"""Families that code opens which stays for another reason, applied to a draft."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from slim.analysis.facts import Facts
from slim.analysis.families import open_families
from slim.analysis.imports.modules import dotted
from slim.analysis.unused import family_of, known_families
from slim.model.finding import Evidence
from slim.model.record import FileKey
from slim.passes.guided import GUIDED_PASS
from slim.plan.draft import Draft


class HeldFamilies:
    """The modules that go because no run used them, and the families that may mean them.

    A family that only its own members open means nothing: nobody gets to the code that opens it.
    """

    def __init__(self, draft: Draft, facts: Facts) -> None:
        self._draft = draft
        self._facts = facts
        modules = facts.module_index.modules if facts.guidance is not None else {}
        self._names = {
            key: tuple(dotted(module.name) for module in modules.get(key, ()) if module.rooted)
            for key, action in sorted(draft.actions.items())
            if any(each.pass_name == GUIDED_PASS for each in (action, *draft.others.get(key, ())))
        }

    def members(self, staying: Collection[FileKey]) -> Mapping[FileKey, Evidence]:
        """Return those of the modules that an open family may mean, each with the place.

        ``staying`` are removals of the draft that turned out to stay.
        """
        guidance = self._facts.guidance
        if guidance is None or not self._names:
            return {}
        gone = self._draft.gone.difference(staying)
        families = known_families(guidance, open_families(self._facts.families, gone))
        found = {
            key: family_of(names, families, guidance.closed) for key, names in self._names.items()
        }
        return {key: evidence for key, evidence in found.items() if evidence is not None}
