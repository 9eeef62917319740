"""Delta debugging: the smallest part of a set that still passes a test. Knows nothing of files.

Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2),
2002.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class BudgetError(Exception):
    """Raised where more tries are needed than allowed. Callers go on with what they have."""


class Counted(Generic[T]):
    """Test that remembers what it was asked, counts what it tried, and stops at a limit."""

    def __init__(self, test: Callable[[tuple[T, ...]], bool], limit: int) -> None:
        self._test = test
        self._known: dict[frozenset[T], bool] = {}
        self._limit = limit
        self.tries = 0

    def __call__(self, items: Sequence[T]) -> bool:
        """Return whether these items pass. Raises BudgetError past the limit."""
        key = frozenset(items)
        if key not in self._known:
            if self.tries >= self._limit:
                raise BudgetError
            self.tries += 1
            self._known[key] = self._test(tuple(items))
        return self._known[key]


def first_enough(items: Sequence[T], test: Callable[[Sequence[T]], bool]) -> tuple[T, ...] | None:
    """Return the shortest prefix of length 1, 2, 4, 8 ... that passes; None where not even all do.

    Put the most likely items first.
    """
    length = 1
    while length < len(items):
        if test(items[:length]):
            return tuple(items[:length])
        length *= 2
    return tuple(items) if test(items) else None


def ddmin(items: Sequence[T], test: Callable[[Sequence[T]], bool]) -> tuple[T, ...]:
    """Return a part of ``items`` that passes ``test`` and needs each of its items; in their order.

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
    """Leave out, one by one, what isn't needed: quicker than :func:`ddmin` where most is."""
    current = list(items)
    for item in items:
        rest = [other for other in current if other != item]
        if test(rest):
            current = rest
    return tuple(current)
