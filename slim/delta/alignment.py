"""Finds what moved between two versions of a native file.

References are blanked, so that code that only moved is equal. Sections of one name are cut into
short chunks where their content says so; a chunk that both have begins a match, which is extended.
What references in equal places lead to tells more: it went from the one target to the other.
"""

from __future__ import annotations

import re
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Final

from slim.delta.fields import write
from slim.delta.image import NativeImage
from slim.delta.moves import Moves
from slim.delta.references import Region, references

_ENDS: Final = bytes(byte for byte in range(256) if (byte * 167 + 13) % 256 < 16)
"""Bytes that end a chunk."""
_CHUNK: Final = re.compile(b".{8,64}?(?:[" + re.escape(_ENDS) + rb"]|\Z)|.{1,72}", re.DOTALL)
_SHORTEST: Final = 16
"""Bytes that a match has at least."""
_SURE: Final = 32
"""Bytes of a match from which on it needs no comparison with what the last one goes on with."""
_NEAREST: Final = 8
"""Places of a chunk that are tried, at most."""
_WEIGHT: Final = 2
"""References that a move has to correct, at least: it takes about three bytes itself."""


@dataclass(frozen=True, slots=True)
class Match:
    """Match of ``length`` bytes, references left out, from ``new`` and ``old`` on."""

    new: int
    old: int
    length: int


@dataclass(frozen=True)
class _Blanked:
    """File without references; positions and targets of these, sorted by position."""

    content: bytes
    positions: array[int]
    targets: array[int]


def find_moves(old: NativeImage, new: NativeImage) -> Moves:
    """Find what moved from ``old`` to ``new``."""
    before, after = _blanked(old), _blanked(new)
    points: list[tuple[int, int]] = []
    if old.layout.low != new.layout.low:  # the address of an image that offsets count from
        points += [(old.layout.low, new.layout.low - old.layout.low)] * _WEIGHT
    for name, region in new.aligned.items():
        if name in old.aligned:
            source = old.aligned[name]
            for match in _matches(before.content, source, after.content, region):
                points += _observed(match, before, after, source, region)
    return _joined(points)


def _blanked(image: NativeImage) -> _Blanked:
    content = bytearray(image.content)
    flat = array("q", chain.from_iterable(references(image.content, image.layout)))
    for position, form in zip(flat[::4], flat[1::4], strict=True):
        write(content, position, form, 0)
    order = sorted(range(0, len(flat), 4), key=flat.__getitem__)
    return _Blanked(
        content=bytes(content),
        positions=array("q", (flat[number] for number in order)),
        targets=array("q", (flat[number + 3] for number in order)),
    )


# Matches


def _matches(old: bytes, source: Region, new: bytes, target: Region) -> Iterator[Match]:
    """Yield matches of one region with another, in the order of the new one."""
    places = _places(old, source)
    distance, matched = None, target.start
    for chunk in _CHUNK.finditer(new, target.start, target.end):
        start = chunk.start()
        if start < matched:
            continue
        match, here = None, start + (distance or 0)
        if (
            distance is not None
            and source.start <= here <= source.end - len(chunk[0])
            and old[here : here + len(chunk[0])] == chunk[0]
        ):
            match = _extended(old, source, new, target, start, here)
        if match is None:
            known = places.get(zlib.crc32(chunk[0]))
            if known is None:
                continue
            wanted = start + (distance or source.start - target.start)
            candidates = _near(known, wanted)
            tried = [_extended(old, source, new, target, start, at) for at in candidates]
            match = max(tried, key=lambda one: (one.length, -abs(one.old - wanted)))
            if match.length < _SHORTEST or _goes_on(old, new, distance, match):
                continue
        distance, matched = match.old - match.new, match.new + match.length
        yield match


def _places(content: bytes, region: Region) -> dict[int, int | list[int]]:
    """Return where chunks of a region are, by their checksum."""
    places: dict[int, int | list[int]] = {}
    for chunk in _CHUNK.finditer(content, region.start, region.end):
        key, start = zlib.crc32(chunk[0]), chunk.start()
        known = places.setdefault(key, start)
        if isinstance(known, list):
            known.append(start)
        elif known != start:
            places[key] = [known, start]
    return places


def _near(known: int | list[int], wanted: int) -> list[int]:
    """Return the places next to the one where it would be expected."""
    if isinstance(known, int):
        return [known]
    middle = bisect_right(known, wanted)
    return known[max(0, middle - _NEAREST // 2) : middle + _NEAREST // 2]


def _extended(old: bytes, source: Region, new: bytes, target: Region, start: int, at: int) -> Match:
    """Return the match from two places on: as many equal bytes as there are."""
    most = min(target.end - start, source.end - at)
    length, step = 0, 64
    while length < most:
        step = min(step, most - length)
        left, right = start + length, at + length
        if new[left : left + step] == old[right : right + step]:
            length += step
            step *= 2
        elif step == 1:
            break
        else:
            step //= 2
    return Match(start, at, length)


def _goes_on(old: bytes, new: bytes, distance: int | None, match: Match) -> bool:
    """True if the last match, gone on with, has almost as many equal bytes as a short new one."""
    if distance is None or match.length >= _SURE:
        return False
    end = match.new + match.length + _SHORTEST
    start = match.new + distance
    pairs = zip(new[match.new : end], old[max(start, 0) : end + distance], strict=False)
    return sum(left == right for left, right in pairs) >= match.length - 4


# Moves


def _observed(
    match: Match, before: _Blanked, after: _Blanked, source: Region, target: Region
) -> Iterator[tuple[int, int]]:
    """Yield old addresses, and how far they went."""
    address = match.old - source.start + source.address
    distance = match.new - target.start + target.address - address
    if match.length >= _SURE:
        yield address, distance
    yield address, distance
    first = bisect_left(after.positions, match.new)
    last = bisect_left(after.positions, match.new + match.length)
    number = bisect_left(before.positions, match.old)
    for other in range(first, last):
        position = after.positions[other] - match.new + match.old
        while number < len(before.positions) and before.positions[number] < position:
            number += 1
        if number < len(before.positions) and before.positions[number] == position:
            yield address + position - match.old, distance
            goal = before.targets[number]
            yield goal, after.targets[other] - goal


def _joined(points: list[tuple[int, int]]) -> Moves:
    """Return moves that most of the observations agree with."""
    points.sort()
    runs: list[tuple[int, int, int]] = []
    for address, group in groupby(points, key=lambda point: point[0]):
        counts: dict[int, int] = {}
        for _, distance in group:
            counts[distance] = counts.get(distance, 0) + 1
        distance = max(counts, key=lambda one: (counts[one], -abs(one), one))
        runs.append((address, distance, counts[distance]))
    for weight in range(1, _WEIGHT + 1):
        runs = list(_merged(run for run in runs if run[2] >= weight))
    return Moves([run[0] for run in runs], [run[1] for run in runs])


def _merged(runs: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    for distance, group in groupby(runs, key=lambda run: run[1]):
        first, *others = group
        yield first[0], distance, first[2] + sum(run[2] for run in others)
