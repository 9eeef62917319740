"""Native files that link what a dropped distribution takes with it.

A library of the same layer, such as a plug-in, can't be loaded any more, and goes with the drop; so
does what links that in turn. Anything else, an extension module or a program, holds the
distribution, unless the user's ``despite`` names its owner.
"""

from __future__ import annotations

from slim.analysis.facts import Facts
from slim.analysis.linkage.graph import BrokenLink
from slim.analysis.linkage.verdicts import is_candidate
from slim.model.finding import Evidence
from slim.model.plan import Remove, SkipReason
from slim.model.record import FileKey, FileRecord
from slim.passes.packages import DROP_PREFIX
from slim.plan.draft import Draft
from slim.plan.scope import Scope

_SHOWN = 5
"""Files that the refusal of a drop names."""


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
        for key, action in list(draft.actions.items()):
            evidence_of_drop = held.get((key[0], action.rule))
            if evidence_of_drop is not None:
                draft.refuse(action, SkipReason.LINKED, tuple(evidence_of_drop[:_SHOWN]))
                refused = True


def _may_go(record: FileRecord, cause: Remove, facts: Facts, scope: Scope) -> bool:
    """Return whether a file that can't be loaded any more may go with a dropped distribution."""
    if record.layer != cause.record.layer or scope.holds(record):
        return False
    name = cause.rule.removeprefix(DROP_PREFIX)
    accepted = any(
        spec.name == name and record.owner.name in spec.despite
        for spec in scope.settings[cause.record.layer].drop
    )
    return accepted or is_candidate(record, facts.libraries.dynamics.get(record.key))
