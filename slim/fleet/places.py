"""Places that a fleet reads and writes: patterns of paths, and what lies there."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path

from slim.fleet.templates import natural_order
from slim.inventory.manifest import FOLDER
from slim.stores.open import checked_url, open_store
from slim.system.urls import is_url

_WILD = re.compile(r"\*+|\?|\[[^\]]*\]")
_OUTPUT_FOLDERS = ("_artifacts", "_export", "_build", "_slim")


class Buckets:
    """Published stacks in object stores, each prefix listed once."""

    def __init__(self) -> None:
        self._stacks: dict[str, tuple[str, ...]] = {}

    def stacks(self, prefix: str) -> tuple[str, ...]:
        """Return the URLs of the stacks below a URL, sorted. Raises ConfigError, StorageError."""
        url = checked_url(prefix)
        if url not in self._stacks:
            tail = f"/{FOLDER}/"
            found = {
                f"{url}/{blob.name}".rpartition(tail)[0]
                for blob in open_store(url).list()
                if tail in f"/{blob.name}" and blob.name.endswith(".json")
            }
            self._stacks[url] = tuple(sorted(found))
        return self._stacks[url]


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


def matches(pattern: str, buckets: Buckets) -> list[Match]:
    """Return the places of a pattern that are there, sorted; ``**`` goes through folders.

    A URL without wildcards is taken as it is: reading it tells whether something is there. Raises
    ConfigError and StorageError for stores that can't be listed.
    """
    wild = _WILD.search(pattern)
    if is_url(pattern):
        if wild is None:
            return [Match(checked_url(pattern), ())]
        places = buckets.stacks(pattern[: wild.start()].rpartition("/")[0])
    elif wild is None:
        return [Match(pattern, ())] if Path(pattern).exists() else []
    else:
        found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 (it takes no base)
        places = tuple(place.rstrip("/" + os.sep) for place in found)
    split = _splitter(pattern)
    matched = [(place, split.fullmatch(place)) for place in places]
    return [Match(place, groups.groups("")) for place, groups in matched if groups is not None]


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
    """Return whether a published stack lies at a path."""
    return any((Path(place) / FOLDER).glob("*.json"))


def releases(template: str, buckets: Buckets) -> dict[str, str]:
    """Return earlier places of a template with the field ``{release}``, by release, oldest first.

    ``template`` has no other field left. Only places with a published stack count.
    """
    before, *rest = template.split("{release}")
    expression = re.compile(
        re.escape(before)
        + r"(?P<release>[^/\\]+)"
        + "(?P=release)".join(re.escape(part) for part in rest)
    )
    if is_url(template):
        places = buckets.stacks(before.rpartition("/")[0])
    else:
        pattern = "*".join(glob.escape(part) for part in (before, *rest))
        places = tuple(filter(is_published, glob.glob(pattern)))  # noqa: PTH207
    found = {}
    for place in places:
        match = expression.fullmatch(place)
        if match is not None:
            found[match["release"]] = place
    return {name: found[name] for name in sorted(found, key=natural_order)}
