"""Links in a draft: those that would dangle go, and the bytes of those that stay are kept."""

from __future__ import annotations

from slim.analysis.facts import Facts
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.model.finding import Evidence
from slim.model.plan import Remove, SkipReason
from slim.model.record import EntryType, Inventory
from slim.plan.draft import Draft
from slim.plan.scope import Scope


def follow_links(draft: Draft, facts: Facts, scope: Scope) -> None:
    """Remove the symbolic links that led to a removed file: a dangling link is worse than none."""
    before = facts.tree
    while True:
        after = VirtualTree(facts.inventory, draft.gone)
        dangling = [
            (record, target)
            for record in facts.inventory
            if record.type is EntryType.SYMLINK
            and record.key not in draft.actions
            and scope.may_change(record.layer)
            and (target := before.file(record.deployed_path)) is not None
            and target.key in draft.gone
            and after.file(record.deployed_path) is None
        ]
        if not dangling:
            return
        for record, target in dangling:
            cause = draft.actions[target.key]
            evidence = Evidence(kind="link", text=f"points at {target.deployed_path}, which goes")
            draft.actions[record.key] = Remove(
                record=record, pass_name=cause.pass_name, rule=cause.rule, evidence=(evidence,)
            )


def keep_shared_bytes(draft: Draft, inventory: Inventory) -> None:
    """Refuse to remove a file that a hard link stands for which stays.

    Removing one of two names of the same bytes saves nothing, and would leave the hard link without
    its target.
    """
    for record in inventory:
        if record.type is not EntryType.HARDLINK or record.key in draft.actions:
            continue
        action = draft.actions.get((record.layer, record.link_target or ""))
        if isinstance(action, Remove):
            text = f"{record.path} is a hard link to it and stays"
            evidence = Evidence(kind="link", text=text, file=record.deployed_path)
            draft.refuse(action, SkipReason.REFERENCED, (evidence,))
