"""Resolution of symbolic links in a virtual tree, without asking the disk.

The walk follows POSIX.1-2017 4.13 (pathname resolution): ``..`` is taken *after* the links before
it were followed, which is what CVE-2025-4517 and its kin rely on being forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from slim.errors import UnsafeInputError
from slim.formats.names import check_text, display, windows_problem
from slim.model.stack import Platform, System

MAX_LINKS = 40
"""Links that Linux follows in one walk before it gives up with ELOOP (path_resolution(7))."""

_HINT = "a link has to stay inside its layer, or point into a sibling layer with a relative path"


class End(Enum):
    """End of a walk."""

    FOUND = "found"
    DANGLING = "dangling"
    SIBLING = "sibling"


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that a walk has come to.

    ``parts`` start at the layer's folder, or, for a sibling, at the common parent; ``links`` counts
    the links that were followed.
    """

    parts: tuple[str, ...]
    end: End
    links: int


class LinkResolver:
    """Resolves the links of one tree.

    ``links`` are the targets by path, ``exists`` tells whether any member or implied folder has a
    path; both take keys made with ``key`` (which folds names where the target system does). ``top``
    is the name of the layer's folder in the common parent; None where there is no parent that a
    link may legally reach.
    """

    def __init__(
        self,
        *,
        source: object,
        links: Mapping[str, str],
        exists: Callable[[str], bool],
        key: Callable[[str], str],
        top: str | None,
        platform: Platform | None,
    ) -> None:
        self._source = source
        self._links = links
        self._exists = exists
        self._key = key
        self._top = top
        self._windows = platform is not None and platform.system is System.WINDOWS
        self._known: dict[str, _Place] = {}

    def resolve(self, path: str) -> End:
        """Check the link at ``path``.

        Raises UnsafeInputError if it leads, or could lead, outside.
        """
        return self._follow(self._key(path), path, 1).end

    def _follow(self, key: str, path: str, depth: int) -> _Place:
        known = self._known.get(key)
        if known is None:
            if depth > MAX_LINKS:
                raise self._refuse(
                    path,
                    f"the link is part of a loop, or of a chain of more than {MAX_LINKS} links",
                )
            target = self._links[key]
            self._check_target(path, target)
            known = self._known[key] = self._walk(tuple(path.split("/")[:-1]), target, path, depth)
        if known.links > MAX_LINKS:
            raise self._refuse(path, f"more than {MAX_LINKS} links have to be followed")
        return known

    def _check_target(self, path: str, target: str) -> None:
        if not target:
            raise self._refuse(path, "the link has an empty target")
        check_text(target, source=self._source, member=path, what="the link's target")
        if target.startswith("/"):
            raise self._refuse(path, f"the link's target {display(target)} is absolute")
        if self._windows:
            for part in target.split("/"):
                problem = None if part in ("", ".", "..") else windows_problem(part)
                if problem:
                    raise self._refuse(path, f"the link's target: {problem} on Windows")

    def _walk(self, start: tuple[str, ...], target: str, path: str, depth: int) -> _Place:
        here = list(start)
        links = 1
        end = End.FOUND
        parts = [part for part in target.split("/") if part not in ("", ".")]
        index = 0
        while index < len(parts):
            part = parts[index]
            index += 1
            if part == ".." and here:
                here.pop()
                continue
            if part == "..":
                if not self._comes_back(path, target, parts[index:]):
                    return _Place(parts=tuple(parts[index:]), end=End.SIBLING, links=links)
                index += 1
                continue
            here.append(part)
            key = self._key("/".join(here))
            if key in self._links:
                followed = self._follow(key, "/".join(here), depth + 1)
                links += followed.links
                if followed.end is End.SIBLING:
                    self._check_inside_sibling(path, target, parts[index:])
                    return _Place(parts=followed.parts, end=End.SIBLING, links=links)
                here = list(followed.parts)
                end = followed.end if followed.end is End.DANGLING else end
            elif not self._exists(key):
                end = End.DANGLING
        return _Place(parts=tuple(here), end=end, links=links)

    def _comes_back(self, path: str, target: str, rest: list[str]) -> bool:
        """True if a walk that has left the layer comes back into it by its own name.

        ``rest`` is left of the walk, which has come to the common parent. Refused if it neither
        comes back nor enters a sibling layer.
        """
        shown = display(target)
        if self._top is None:
            raise self._refuse(path, f"the link's target {shown} leads outside")
        if not rest or rest[0] == "..":
            raise self._refuse(
                path,
                f"the link's target {shown} leaves the folder that the layers are unpacked into",
            )
        if self._key(rest[0]) == self._key(self._top):
            return True
        self._check_inside_sibling(path, target, rest)
        return False

    def _check_inside_sibling(self, path: str, target: str, rest: list[str]) -> None:
        """Refuse ``..`` inside of a sibling, whose own links aren't known here."""
        if ".." in rest:
            raise self._refuse(
                path, f"the link's target {display(target)} goes back up through a sibling layer"
            )

    def _refuse(self, path: str, message: str) -> UnsafeInputError:
        return UnsafeInputError(message, file=self._source, place=display(path), hint=_HINT)
