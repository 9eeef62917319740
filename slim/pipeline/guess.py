"""A guess at what a run will write, of which parts are compressed while the plan is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from slim.formats.ahead import Ahead
from slim.formats.base import Member
from slim.inventory.load import LoadedStack
from slim.model.plan import Plan
from slim.plan.likely import Likely
from slim.publish.notes import SLIM_KEY
from slim.publish.publisher import NewLayer, Publisher
from slim.system.closing import Closing

if TYPE_CHECKING:
    from slim.pipeline.prepare import RunRequest


class Guess(Closing):
    """The native files of layers as they are likely to be, and the blocks that they go into.

    Close it (it is a context manager) before the stack that it reads from.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._ahead = Ahead()
        self._likely: Likely | None = None
        self._natives: dict[str, Mapping[str, Member | None]] = {}

    @classmethod
    def of(cls, request: RunRequest, publisher: Publisher | None) -> Guess | None:
        """Return a guess for a run; None where nobody knows before the plan, or needs to.

        A run that has an earlier one's archives may write nothing anew, a canary edits nothing, and
        edits of GPU code take long.
        """
        if publisher is None or request.previous is not None or request.canary:
            return None
        return None if request.config.gpu is not None else cls(publisher)

    def begin(self, loaded: LoadedStack, likely: Likely) -> None:
        """Begin to compress what is likely; layers that a run has slimmed may be carried over."""
        self._likely = likely
        self._natives = {
            layer.name: likely.natives(loaded, layer.name)
            for layer in loaded.stack
            if layer.name in likely.layers
            and SLIM_KEY not in layer.entry
            and self._publisher.format_of(loaded.stack, loaded.trees[layer.name].format).likely
        }
        layers = [
            NewLayer(
                layer=loaded.stack.layer(name),
                members=[member for member in natives.values() if member is not None],
                source=loaded.places[name],
                source_format=loaded.trees[name].format,
                root=loaded.trees[name].root,
            )
            for name, natives in self._natives.items()
        ]
        self._publisher.begin(loaded.stack, layers, loaded.context, self._ahead)

    def settled(self, plan: Plan, layers: Sequence[NewLayer]) -> Ahead:
        """Return what was begun, without what a plan of these layers shows to be wrong."""
        right = [
            new.layer.name
            for new in layers
            if self._likely is not None
            and not new.carry
            and new.layer.name in self._natives
            and self._likely.agrees(plan, new.layer.name, self._natives[new.layer.name])
        ]
        self._ahead.settle(right)
        return self._ahead

    def close(self) -> None:
        """Stop what is still being compressed."""
        self._ahead.close()
