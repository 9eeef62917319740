"""Losses that nobody minds: what the user drops, what no run used, what a rule allows for."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from slim.model.plan import Plan
from slim.model.record import FileKey, FileRecord
from slim.model.rule import Rule
from slim.model.stack import Stack
from slim.passes.guided import GUIDED_PASS
from slim.passes.packages import DROP_PREFIX
from slim.rules.match import GlobSet

_DROPPED = "the user drops it"
_UNUSED = "no traced run used it"
_ALLOWED = "its rule allows for it"


class Forgiveness:
    """Tells of each loss why it may be.

    ``rules`` are those whose ``despite`` counts; ``dropped`` are distributions that the user drops,
    ``unused`` files that traces let go, where the plan itself doesn't say so.
    """

    def __init__(
        self,
        stack: Stack,
        plan: Plan,
        rules: Iterable[Rule],
        *,
        dropped: Collection[str] = (),
        unused: Collection[FileKey] = (),
    ) -> None:
        self._plan = plan
        self._dropped = dropped
        self._unused = unused
        self._despite = {
            (rule.id, layer.name): GlobSet(rule.despite).for_layer(layer)
            for rule in rules
            if rule.despite
            for layer in stack
        }

    def why(self, gone: FileRecord, importer: FileRecord, rule: str) -> str:
        """Say why a file that ``rule`` took may go though another file imports it.

        Empty where nothing says so.
        """
        if rule.startswith(DROP_PREFIX) or gone.owner.name in self._dropped:
            return _DROPPED
        if self._plan.actions[gone.key].pass_name == GUIDED_PASS or gone.key in self._unused:
            return _UNUSED
        pattern = self._despite.get((rule, importer.layer))
        return _ALLOWED if pattern is not None and pattern.match(importer.path) else ""
