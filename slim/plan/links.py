"""Links in a draft: one that stays holds what it leads to.

A file has as many names as there are links that lead to it, and goes only where a rule selects it
under each of them. So a symbolic link that no rule selects holds its target: a file, the links on
the way, in whatever layer, and of a folder every file that no rule selects under the link's name.
Three kinds of links follow their target instead, because that is all that they are there for:
venvstacks' links to libraries (``share/venv/dynlib``), the ``lib64`` of a virtual environment
(:pep:`405` and the module venv), and those of a macOS framework ("Anatomy of Framework Bundles").
So do links to files of a distribution that the user drops.

The bytes of a hard link that stays are kept, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from slim.analysis.facts import Facts
from slim.analysis.linkage.virtual_tree import DYNLIB, Way
from slim.model.finding import Evidence
from slim.model.plan import Action, Remove, SkipReason
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.passes.packages import DROP_PREFIX
from slim.plan.draft import Draft
from slim.plan.scope import Scope

Selects = Callable[[str, FileRecord], bool]
"""Returns whether a rule of a pass (by name) selects a file, which may be there by another name."""

_FRAMEWORK = re.compile(r"(?:.*/)?[^/]+\.framework/(?:Versions/Current|[^/]+)\Z")


@dataclass(frozen=True, kw_only=True)
class Links:
    """The symbolic links of a stack, applied to a draft. ``selects`` asks the rules."""

    draft: Draft
    facts: Facts
    scope: Scope
    selects: Selects

    def hold(self) -> bool:
        """Refuse to remove what links that stay lead to. Return whether anything was refused."""
        refused = False
        while self._hold_files() or self._hold_folders():
            refused = True
        return refused

    def follow(self) -> None:
        """Hold once more, and remove the links that follow a target which goes."""
        while True:
            self.hold()
            lost = list(self._following())
            if not lost:
                return
            for link, cause in lost:
                text = f"leads to {cause.record.deployed_path}, which goes"
                self.draft.actions[link.key] = Remove(
                    record=link,
                    pass_name=cause.pass_name,
                    rule=cause.rule,
                    evidence=(Evidence(kind="link", text=text),),
                )

    def _hold_files(self) -> bool:
        gone = self.draft.gone
        refused = False
        for way in self.facts.links:
            if way.link.key in gone:
                continue
            for record in way.records:
                action = self.draft.actions.get(record.key)
                if isinstance(action, Remove) and not self._follows(way.link, action):
                    self._refuse(action, way.link)
                    refused = True
        return refused

    def _hold_folders(self) -> bool:
        refused = False
        for way, action in list(self._below_links()):
            if action.record.key not in self.draft.actions or self._is_alias(way.link):
                continue
            if self._follows(way.link, action):
                continue
            assert way.folder is not None
            rest = action.record.deployed_path.removeprefix(way.folder)
            alias = replace(action.record, layer=way.link.layer, path=way.link.path + rest)
            if not self.selects(action.pass_name, alias):
                self._refuse(action, way.link)
                refused = True
        return refused

    def _below_links(self) -> Iterator[tuple[Way, Remove]]:
        """Yield each file that goes with each link, one that stays, to a folder around it."""
        gone = self.draft.gone
        folders: dict[str, list[Way]] = {}
        for way in self.facts.links:
            if way.folder is not None and way.link.key not in gone:
                folders.setdefault(way.folder, []).append(way)
        if not folders:
            return
        for action in self.draft.actions.values():
            if isinstance(action, Remove):
                for folder in _folders(action.record.deployed_path):
                    for way in folders.get(folder, ()):
                        yield way, action

    def _following(self) -> Iterator[tuple[FileRecord, Remove]]:
        """Yield the links that lead nowhere any more, each with a removal that did it."""
        gone = self.draft.gone
        for way in self.facts.links:
            if way.link.key in gone:
                continue
            for record in way.records:
                action = self.draft.actions.get(record.key)
                if isinstance(action, Remove):
                    yield way.link, action
                    break
        causes = {way.link.key: (way, action) for way, action in self._below_links()}
        wanted = {way.folder for way, _ in causes.values() if way.folder is not None}
        left = _left(self.facts.inventory, wanted, gone) if wanted else Counter[str]()
        for way, action in causes.values():
            if not left[way.folder or ""] and self._may_go(way.link):
                yield way.link, action

    def _follows(self, link: FileRecord, action: Action) -> bool:
        """Return whether a link goes with its target, and may."""
        if not self._may_go(link):
            return False
        return self._is_alias(link) or action.rule.startswith(DROP_PREFIX)

    def _is_alias(self, link: FileRecord) -> bool:
        """Return whether a format says that a link is nothing but another name for its target."""
        folder, _, name = link.path.rpartition("/")
        if name == "lib64":  # of a virtual environment, which may lie in a folder of the layer
            marker = (link.layer, f"{folder}/pyvenv.cfg")
            return not folder or self.facts.inventory.get(marker) is not None
        return link.path.startswith(DYNLIB) or _FRAMEWORK.match(link.path) is not None

    def _may_go(self, link: FileRecord) -> bool:
        return not self.scope.holds(link)

    def _refuse(self, action: Action, link: FileRecord) -> None:
        """Refuse a removal; that of a dropped distribution as a whole."""
        evidence = Evidence(kind="link", text="leads to it and stays", file=link.deployed_path)
        actions = [action]
        if action.rule.startswith(DROP_PREFIX):
            actions = [
                other
                for key, other in self.draft.actions.items()
                if other.rule == action.rule and key[0] == action.record.layer
            ]
        for refused in actions:
            self.draft.refuse(refused, SkipReason.REFERENCED, (evidence,))


def _folders(path: str) -> Iterator[str]:
    """Yield every folder around a path, the innermost first."""
    at = path.rfind("/")
    while at > 0:
        path = path[:at]
        yield path
        at = path.rfind("/")


def _left(
    inventory: Inventory, folders: Collection[str], gone: Collection[FileKey]
) -> Counter[str]:
    """Count what stays below each of some folders."""
    left: Counter[str] = Counter()
    for record in inventory:
        if record.type is not EntryType.DIRECTORY and record.key not in gone:
            left.update(folder for folder in _folders(record.deployed_path) if folder in folders)
    return left


def keep_shared_bytes(draft: Draft, inventory: Inventory) -> bool:
    """Refuse to remove a file that a hard link stands for which stays.

    Removing one of two names of the same bytes saves nothing, and would leave the hard link without
    its target. Return whether anything was refused.
    """
    refused = False
    for record in inventory:
        if record.type is not EntryType.HARDLINK or record.key in draft.actions:
            continue
        action = draft.actions.get((record.layer, record.link_target or ""))
        if isinstance(action, Remove):
            text = f"{record.path} is a hard link to it and stays"
            evidence = Evidence(kind="link", text=text, file=record.deployed_path)
            draft.refuse(action, SkipReason.REFERENCED, (evidence,))
            refused = True
    return refused
