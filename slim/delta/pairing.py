"""Pairs new files with the old ones that they most likely were, by names without versions."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping

_INFO = re.compile(r"-[^/-]+(?=\.(?:dist-info|egg-info|data)(?:/|\Z))")
_HASH = re.compile(r"-[0-9a-f]{6,}(?=[-.])")
"""Hashes that auditwheel and delocate put into the names of libraries that they graft."""
_NUMBERS = re.compile(r"[0-9]+(?:[._][0-9]+)*(?:(?:a|b|rc|post|dev)[0-9]+)*")


def fold(path: str) -> str:
    """Return the path without versions.

    ``foo-1.2.dist-info`` and ``foo-1.3.dist-info``, ``libx-5f890258.so.1.2`` and
    ``libx-9ab00123.so.1.3``, ``lib/python3.12`` and ``lib/python3.13`` become equal.
    """
    return _NUMBERS.sub("0", _HASH.sub("-0", _INFO.sub("-0", path)))


def pair(new: Iterable[str], gone: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    """Return the most likely old path of each new path, and the old paths that stay unpaired.

    ``gone`` has sizes in bytes, by path, of old files whose content is nowhere in the new layer.
    The same path is the best match, then the same folded path, then the same folded name anywhere.
    Every old file is used once at most.
    """
    found: dict[str, str] = {}
    wanted = list(new)
    for path in wanted:
        if path in gone:
            found[path] = path
    free = [path for path in gone if path not in found]
    for key in (fold, lambda path: posixpath.basename(fold(path))):
        places: dict[str, list[str]] = {}
        for path in free:
            places.setdefault(key(path), []).append(path)
        for path in wanted:
            candidates = places.get(key(path)) if path not in found else None
            if candidates:
                found[path] = candidates.pop(0)
        used = set(found.values())
        free = [path for path in free if path not in used]
    return found, free
