"""Moves of a native file: how far each of its parts went, as a few numbers.

With them, the references in the old file become those of the new one, and a dictionary that is
made of it has far more in common with the new file. It is a prediction: the frame that is packed
with this dictionary gives the new file whether or not it came true.

The form is a sequence of numbers, 7 bits a byte, the lowest first: layout (low and high address,
number of regions; kind, start, length and address of each), number of moves, where each begins, and
how far it goes. Starts are told from the end of what is before, distances from the distance before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from slim.delta.hints import GET_AGAIN
from slim.delta.references import (
    ADDRESS,
    SHORT_ADDRESS,
    Kind,
    Layout,
    Reference,
    Region,
    references,
)
from slim.errors import UnsafeInputError

_MOST_REGIONS = 1000
MOST_MOVES = 1 << 20
_LONGEST = 1 << 62
"""Addresses are below it, distances are shorter."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Moves of addresses: those from ``starts[n]`` on went ``distances[n]`` bytes further."""

    starts: Sequence[int]
    distances: Sequence[int]

    def of(self, address: int) -> int:
        """Return where an address went."""
        number = bisect_right(self.starts, address)
        return address + self.distances[number - 1] if number else address


def moved_value(reference: Reference, moves: Moves) -> tuple[int, int]:
    """Return what the field of a reference becomes: size in bytes, and value."""
    _, base, target = reference
    if base == ADDRESS:
        return 8, moves.of(target)
    if base == SHORT_ADDRESS:
        return 4, moves.of(target)
    return 4, moves.of(target) - moves.of(base)


def moved(content: bytes, layout: Layout, moves: Moves) -> bytes:
    """Return an old file with the references that its parts have after they moved."""
    changed = bytearray(content)
    for reference in references(content, layout):
        size, value = moved_value(reference, moves)
        field = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        changed[reference[0] : reference[0] + size] = field
    return bytes(changed)


# The form


def render(layout: Layout, moves: Moves) -> bytes:
    """Render a layout and moves as numbers."""
    numbers = [layout.low, layout.high, len(layout.regions)]
    end = 0
    for region in layout.regions:
        numbers += [region.kind, region.start - end, region.length]
        numbers.append(_folded(region.address - region.start))
        end = region.end
    numbers.append(len(moves.starts))
    pairs = zip(moves.starts, [0, *moves.starts], strict=False)
    numbers += [start - before for start, before in pairs]
    distances = zip(moves.distances, [0, *moves.distances], strict=False)
    numbers += [_folded(distance - before) for distance, before in distances]
    rendered = bytearray()
    for number in numbers:
        while number > 127:
            rendered.append(number & 127 | 128)
            number >>= 7
        rendered.append(number)
    return bytes(rendered)


def parse(form: bytes, size: int, *, source: object) -> tuple[Layout, Moves]:
    """Read a layout and moves, which are those of a file of ``size`` bytes.

    Raises UnsafeInputError for anything that :func:`render` doesn't write.
    """
    try:
        return _parsed(_numbers(form), size)
    except (ValueError, StopIteration) as error:
        message = f"moves that can't be read: {str(error) or 'they are cut'}"
        raise UnsafeInputError(message, file=source, hint=GET_AGAIN) from None


def _parsed(numbers: Iterator[int], size: int) -> tuple[Layout, Moves]:
    low, high, count = next(numbers), next(numbers), next(numbers)
    if count > _MOST_REGIONS:
        raise ValueError(f"{count} regions")
    regions: list[Region] = []
    end = 0
    for _ in range(count):
        kind, start, length = Kind(next(numbers)), end + next(numbers), next(numbers)
        regions.append(Region(kind, start, length, start + _unfolded(next(numbers))))
        end = start + length
        if end > size or regions[-1].address < 0:
            raise ValueError("a region that isn't there")
    moves = next(numbers)
    if moves > MOST_MOVES:
        raise ValueError(f"{moves} moves")
    starts = list(accumulate(islice(numbers, moves)))
    distances = list(accumulate(map(_unfolded, islice(numbers, moves))))
    if len(distances) != moves or next(numbers, None) is not None:
        raise ValueError("another number of moves than it says")
    return Layout(low, high, tuple(regions)), Moves(starts, distances)


def _numbers(form: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in form:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if value >= _LONGEST or (shift > 7 and not byte):
                raise ValueError("a number that is written otherwise")
            yield value
            value = shift = 0
        elif shift > 63:
            raise ValueError("a number that is too large")
    if shift:
        raise ValueError("the last number is cut")


def _folded(number: int) -> int:
    """Return a number of either sign as one that isn't negative."""
    return number << 1 if number >= 0 else (-number << 1) - 1


def _unfolded(number: int) -> int:
    return -((number + 1) >> 1) if number & 1 else number >> 1
