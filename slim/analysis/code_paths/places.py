"""Places of files below their site-packages, and the paths of code that lead there."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase

from slim.analysis.code_paths.listing import Listing
from slim.analysis.code_paths.module import OWN, PACKAGE

_ROOT = re.compile(r"(?:\A|.*/)(?:site|dist)-packages/")


def place_of(path: str) -> str:
    """The path of a file below the site-packages that it lies in."""
    return _ROOT.sub("", path, count=1)


def lists(listing: Listing, here: str, place: str) -> bool:
    """Return whether a listing in one file takes another; both by path below site-packages."""
    folder = resolved(listing.folder, here)
    if folder is None:
        return False
    if not any(fnmatchcase(posixpath.basename(place), pattern) for pattern in listing.wanted):
        return False
    pieces = folder.split("/") if folder else []
    parts = place.split("/")
    deep = listing.recursive and len(parts) > len(pieces)
    if not deep and len(parts) != len(pieces) + 1:
        return False
    return bool(pieces) and all(map(fnmatchcase, parts, pieces))


def resolved(text: str, here: str) -> str | None:
    """A path that begins at a file or a package, below site-packages; None where it leads out."""
    if text.startswith(OWN):
        parts, rest = here.split("/"), text[len(OWN) :].split("/")
    else:
        _, package, tail = text.split(PACKAGE, 2)
        parts, rest = package.split("."), tail.split("/")
    for part in rest:
        if part == "..":
            if not parts:
                return None
            parts = parts[:-1]
        elif part not in ("", "."):
            parts = [*parts, part]
    return "/".join(parts)
