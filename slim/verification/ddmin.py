"""Delta debugging: the smallest part of a set that still does the trick. Pure: knows nothing of files.

Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2),
2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class BudgetError(Exception):
    """More tries were needed than allowed. Internal: callers go on with what they have."""


class Counted(Generic[T]):
    """A test that remembers what it was asked, counts what it really tried, and stops at a limit."""

    def __init__(self, test: Callable[[tuple[T, ...]], bool], limit: int) -> None:
        self._test = test
        self._known: dict[frozenset[T], bool] = {}
        self._limit = limit
        self.tries = 0

    def __call__(self, items: Sequence[T]) -> bool:
        """Whether these items do it. Raises BudgetError past the limit."""
        key = frozenset(items)
        if key not in self._known:
            if self.tries >= self._limit:
                raise BudgetError
            self.tries += 1
            self._known[key] = self._test(tuple(items))
        return self._known[key]


def first_enough(items: Sequence[T], test: Callable[[Sequence[T]], bool]) -> tuple[T, ...] | None:
    """The shortest of the prefixes of length 1, 2, 4, 8 ... that passes, or None where not even all of them do.

    Put the most likely ones first.
    """
    length = 1
    while length < len(items):
        if test(items[:length]):
            return tuple(items[:length])
        length *= 2
    return tuple(items) if test(items) else None


def ddmin(items: Sequence[T], test: Callable[[Sequence[T]], bool]) -> tuple[T, ...]:
    """A part of ``items`` that passes ``test`` and of which nothing can be left out singly; in the given order.

    ``items`` must pass. Where a larger part always passes when a smaller one does, the result is of
    least size among all parts within it. Takes about log2(n) tries for each item of the result.
    """
    current = list(items)
    parts = 2
    while len(current) >= 2:
        pieces = _split(current, parts)
        smaller = next(
            (piece for piece in pieces if len(piece) < len(current) and test(piece)), None
        )
        if smaller is not None:
            current, parts = smaller, 2
            continue
        rest = None
        if parts > 2:
            rests = (
                [item for piece in pieces if piece is not left for item in piece] for left in pieces
            )
            rest = next((candidate for candidate in rests if test(candidate)), None)
        if rest is not None:
            current, parts = rest, max(parts - 1, 2)
        elif parts < len(current):
            parts = min(2 * parts, len(current))
        else:
            break
    if len(current) == 1 and test([]):
        return ()
    return tuple(current)


def _split(items: list[T], parts: int) -> list[list[T]]:
    size, extra = divmod(len(items), parts)
    found, at = [], 0
    for index in range(parts):
        end = at + size + (index < extra)
        found.append(items[at:end])
        at = end
    return found


def one_minimal(items: Sequence[T], test: Callable[[Sequence[T]], bool]) -> tuple[T, ...]:
    """Leave out singly what isn't needed: quicker than :func:`ddmin` where nearly everything is."""
    current = list(items)
    for item in items:
        rest = [other for other in current if other != item]
        if test(rest):
            current = rest
    return tuple(current)
