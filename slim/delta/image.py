"""Native files as a delta sees them: regions of content, loaded at addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slim.delta.references import Kind, Layout, Region

_HIGHEST = 1 << 40


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a native file, such as a section.

    ``is_aligned`` is false for addresses only: blanked, they have nothing that could be found
    again.
    """

    name: bytes
    region: Region
    is_aligned: bool = True


@dataclass(frozen=True)
class NativeImage:
    """Native file, or a slice of one: the content of the file, the layout of the image.

    ``aligned`` has the regions by name that moves are found in.
    """

    content: bytes
    layout: Layout
    aligned: Mapping[bytes, Region]


def image_of(content: bytes, parts: Iterable[Part], low: int, high: int) -> NativeImage | None:
    """Return the image that has these parts, or None where they lie over each other."""
    parts = sorted((part for part in parts if part.region.length), key=lambda p: p.region.start)
    end = 0
    for part in parts:
        if part.region.start < end or part.region.end > len(content):
            return None
        if not 0 <= part.region.address < _HIGHEST:
            return None
        end = part.region.end
    if not low < high < _HIGHEST:
        return None
    regions = tuple(part.region for part in parts if part.region.kind is not Kind.PLAIN)
    aligned = {part.name: part.region for part in parts if part.is_aligned}
    return NativeImage(content, Layout(low, high, regions), aligned)
