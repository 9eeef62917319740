"""Moves of a native file: how far each of its parts went, as a few numbers.

With them, the references in the old file become those of the new one, and a dictionary that is
made of it has far more in common with the new file. It is a prediction: the frame that is packed
with this dictionary gives the new file whether or not it came true.

The form is a sequence of numbers, 7 bits a byte, the lowest first: layout (low and high address,
number of regions; kind, start, length and address of each), number of moves, where each begins, and
how far it goes. Starts are told from the end of what is before, distances from the distance before.
A universal file has all that for each of its images, in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from slim.delta.fields import value_of, write
from slim.delta.hints import GET_AGAIN
from slim.delta.references import Kind, Layout, Region, references
from slim.errors import UnsafeInputError

_MOST_REGIONS = 1000
MOST_MOVES, MOST_IMAGES = 1 << 20, 8
_LONGEST = 1 << 62
"""Addresses are below it, distances are shorter."""


_FIRST_KINDS = Kind.TABLES
"""Last of the kinds that the first form had."""


@dataclass(frozen=True, slots=True)
class Moves:
    """Moves of addresses: those from ``starts[n]`` on went ``distances[n]`` bytes further."""

    starts: Sequence[int]
    distances: Sequence[int]

    def of(self, address: int) -> int:
        """Return where an address went."""
        number = bisect_right(self.starts, address)
        return address + self.distances[number - 1] if number else address


MovedImages = Sequence[tuple[Layout, Moves]]
"""Layout of each image of a file, and how its parts move; one image for most."""


def moved(content: bytes, images: MovedImages) -> bytes:
    """Return an old file with the references that its parts have after they moved."""
    changed = bytearray(content)
    for layout, moves in images:
        for position, form, base, target in references(content, layout):
            write(changed, position, form, value_of(form, moves.of(base), moves.of(target)))
    return bytes(changed)


def is_first_form(images: MovedImages) -> bool:
    """True for images that a slim knows which only knew ELF files for x86-64."""
    kinds = (region.kind for layout, _ in images for region in layout.regions)
    return len(images) == 1 and all(kind <= _FIRST_KINDS for kind in kinds)


# The form


def render(images: MovedImages) -> bytes:
    """Render layouts and moves as numbers."""
    numbers: list[int] = []
    end = 0
    for layout, moves in images:
        numbers += [layout.low, layout.high, len(layout.regions)]
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


def parse(form: bytes, size: int, *, source: object) -> MovedImages:
    """Read layouts and moves, which are those of a file of ``size`` bytes.

    Raises UnsafeInputError for anything that :func:`render` doesn't write.
    """
    try:
        return _parsed(_numbers(form), size)
    except (ValueError, StopIteration) as error:
        message = f"moves that can't be read: {str(error) or 'they are cut'}"
        raise UnsafeInputError(message, file=source, hint=GET_AGAIN) from None


def _parsed(numbers: Iterator[int], size: int) -> MovedImages:
    images: list[tuple[Layout, Moves]] = []
    end = known = 0
    first: int | None = next(numbers)
    while first is not None:
        layout, end = _layout(numbers, first, end, size)
        moves = next(numbers)
        known += moves
        if known > MOST_MOVES or len(images) == MOST_IMAGES:
            raise ValueError(f"{known} moves, {len(images) + 1} images")
        starts = list(accumulate(islice(numbers, moves)))
        distances = list(accumulate(map(_unfolded, islice(numbers, moves))))
        if len(distances) != moves:
            raise ValueError("another number of moves than it says")
        images.append((layout, Moves(starts, distances)))
        first = next(numbers, None)
    return images


def _layout(numbers: Iterator[int], low: int, end: int, size: int) -> tuple[Layout, int]:
    """Read the layout that begins with ``low``; the last one ended at ``end``, as does this one."""
    high, count = next(numbers), next(numbers)
    if count > _MOST_REGIONS:
        raise ValueError(f"{count} regions")
    regions: list[Region] = []
    for _ in range(count):
        kind, start, length = Kind(next(numbers)), end + next(numbers), next(numbers)
        regions.append(Region(kind, start, length, start + _unfolded(next(numbers))))
        end = start + length
        if end > size or regions[-1].address < 0:
            raise ValueError("a region that isn't there")
    return Layout(low, high, tuple(regions)), end


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
