"""Facts that LIEF reads in a native file, as far as its loader looks at them, and what differs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

Facts = Mapping[str, Sequence[object]]
"""Facts by what they are about ("imports"), as rows that can be compared, in the file's order."""

LAYOUT = "layout problems"
"""The facts that should be none: what was wrong before may be as wrong afterwards."""

Images = Mapping[str, Facts]
"""The facts of each image of a file, by its machine; one image without a name in most formats."""

Reader = Callable[[bytes], Images | None]
"""Reads the facts of a file's bytes; None where LIEF can't read the file. May raise anything."""

_LONGEST = 200


def differences(before: Images, after: Images) -> list[str]:
    """Compare an original's facts with the edited file's; return what differs, a sentence each.

    One of several images may be left alone: that is what taking an image out of a universal file
    does.
    """
    found = [f"there is an image for {name}, which is new" for name in after if name not in before]
    if not after or len(after) not in (1, len(before)):
        found.append("images are missing")
    for name, facts in after.items():
        old = before.get(name, facts)
        for about in dict.fromkeys((*old, *facts)):
            was, now = old.get(about, ()), facts.get(about, ())
            if was != now and not (about == LAYOUT and was):
                where = f"the {about} of the image for {name}" if name else f"the {about}"
                found.append(f"{where} differ: {_first(was, now)}")
    return found


def _first(was: Sequence[object], now: Sequence[object]) -> str:
    """Tell of the first row that differs, before and after."""
    for number, (old, new) in enumerate(zip(was, now, strict=False)):
        if old != new:
            return f"number {number} was {old!s:.{_LONGEST}}, is {new!s:.{_LONGEST}}"
    row = (was if len(was) > len(now) else now)[min(len(was), len(now))]
    numbers = f"there were {len(was)}, there are {len(now)}"
    return f"{numbers}; the first of the others is {row!s:.{_LONGEST}}"


def digest(content: memoryview, masked: Iterable[tuple[int, int]] = ()) -> str:
    """SHA-256 of some bytes without the ``masked`` ranges, which may reach beyond them."""
    state = hashlib.sha256()
    at = 0
    for start, end in sorted(masked):
        if end > at:
            state.update(content[at : max(at, start)])
            at = min(max(at, end), len(content))
    state.update(content[at:])
    return state.hexdigest()
