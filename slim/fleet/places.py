"""Places that a fleet reads and writes: patterns of paths, and what lies there."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path

from slim.fleet.templates import natural_order
from slim.inventory.manifest import FOLDER

_WILD = re.compile(r"\*+|\?|\[[^\]]*\]")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_OUTPUT_FOLDERS = ("_artifacts", "_export", "_build", "_slim")


def is_url(place: str) -> bool:
    """Return whether a place is a URL."""
    return _URL.match(place) is not None


@dataclass(frozen=True, slots=True)
class Match:
    """Place that a pattern selects: ``parts`` are what its wildcards stand for there."""

    place: str
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of a stack there: what the wildcards stand for, or else the last folder's name."""
        if self.parts:
            return "-".join(part.replace("/", "-") for part in self.parts if part)
        names = [name for name in self.place.replace("\\", "/").split("/") if name]
        while len(names) > 1 and names[-1] in _OUTPUT_FOLDERS:
            names.pop()
        return names[-1] if names else self.place


def joined(base: Path, place: str) -> str:
    """Return a path of a file in the folder ``base`` as one that leads there from here."""
    return place if is_url(place) else os.path.normpath(base / place)


def absolute(place: str | None) -> str | None:
    """Return a place as another process finds it, whose current folder may be another one."""
    return place if not place or is_url(place) else os.path.abspath(place)  # noqa: PTH100


def portable(base: Path, place: str | None) -> str | None:
    """Return a place as the fleet's file in ``base`` could name it, wherever that folder lies."""
    if place is None or is_url(place):
        return place
    try:
        return Path(os.path.relpath(place, base)).as_posix()
    except ValueError:  # another drive of Windows
        return Path(place).as_posix()


def matches(pattern: str) -> list[Match]:
    """Return the places of a pattern that are there, sorted; ``**`` goes through folders."""
    if not _WILD.search(pattern):
        return [Match(pattern, ())] if Path(pattern).exists() else []
    split = _splitter(pattern)
    found = []
    for place in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207 (it takes no base)
        groups = split.fullmatch(place.rstrip("/" + os.sep))
        if groups is not None:
            found.append(Match(place.rstrip("/" + os.sep), groups.groups("")))
    return found


def _splitter(pattern: str) -> re.Pattern[str]:
    """Return an expression with a group for each wildcard of a pattern."""
    expression, last = "", 0
    pattern = pattern.rstrip("/" + os.sep)
    for wild in _WILD.finditer(pattern):
        expression += re.escape(pattern[last : wild.start()])
        text, last = wild[0], wild.end()
        if text == "**":
            expression += "(.*?)"
            if pattern[last : last + 1] in ("/", os.sep):  # ** also stands for no folder at all
                expression += "[/\\\\]?"
                last += 1
        elif text.startswith("*"):
            expression += r"([^/\\]*)"
        elif text == "?":
            expression += r"([^/\\])"
        else:
            inner = text[1:-1].replace("\\", r"\\")
            expression += f"([{'^' + inner[1:] if inner.startswith('!') else inner}])"
    return re.compile(expression + re.escape(pattern[last:]), re.DOTALL)


def exists(place: str) -> bool:
    """Return whether something lies at a place."""
    return os.path.lexists(place)


def is_published(place: str) -> bool:
    """Return whether a published stack lies at a place."""
    return any((Path(place) / FOLDER).glob("*.json"))


def releases(template: str) -> dict[str, str]:
    """Return earlier places of a template with the field ``{release}``, by release, oldest first.

    ``template`` has no other field left. Only places with a published stack count.
    """
    before, _, after = template.partition("{release}")
    pattern = f"{glob.escape(before)}*{glob.escape(after.partition('{release}')[0])}"
    expression = re.compile(
        re.escape(before)
        + r"(?P<release>[^/\\]+)"
        + re.escape(after).replace(re.escape("{release}"), "(?P=release)")
    )
    if "{release}" in after:
        pattern = glob.escape(before) + "*" + "*".join(map(glob.escape, after.split("{release}")))
    found = {}
    for place in glob.glob(pattern):  # noqa: PTH207
        match = expression.fullmatch(place)
        if match is not None and is_published(place):
            found[match["release"]] = place
    return {name: found[name] for name in sorted(found, key=natural_order)}
