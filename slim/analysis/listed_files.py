"""Files below folders that code lists, walks or copies whole.

Code that takes all files of a folder beside it (``Path(__file__).parent.rglob("*")``, ``copytree``)
may read any of them, whatever they are called: an application that packs itself, a server of files.
Code that wants modules only (``"*.py"``) is after plug-ins, not after tests: of those it takes what
lies in that very folder, and in none called ``tests``.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property, partial

from slim.analysis import ReadFile
from slim.analysis.ahead.crew import Wanted
from slim.analysis.code_paths.listing import Listing
from slim.analysis.code_paths.module import ELSEWHERE, OWN, PACKAGE
from slim.analysis.code_paths.places import lists, place_of, resolved
from slim.analysis.code_paths.reading import LISTINGS, listings_in, listings_variant, place_in
from slim.analysis.code_paths.scripts import MAX_SCRIPT, is_script, script_listings
from slim.analysis.code_strings import MAX_SOURCE
from slim.analysis.imports.path_evidence import RUNNERS
from slim.analysis.list_words import OTHER_PLACE, MayList
from slim.analysis.python_code import is_python_script
from slim.analysis.readings import Readings
from slim.model.finding import Evidence, Strength
from slim.model.record import (
    UNOWNED,
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    Inventory,
    OwnerKind,
)
from slim.model.stack import Stack

_SOURCES = (".py", ".pyw")
_MOST_STEPS = 5
_NAMES_ONLY = re.compile(r"(?:listdir|scandir|contents)\(")
"""Listings that give names, which a module that is cut still has."""


class ListedFiles:
    """A search for listings that take some files. Remembers what it has read.

    With ``sources`` it is about modules that are read as files: what lists modules counts too, and
    so does a path to one of which only running tells the name; only code of the files' own
    distributions and code of none is looked at.
    """

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        read: ReadFile,
        readings: Readings | None = None,
        *,
        sources: bool = False,
    ) -> None:
        self._sources = sources
        self._readings = readings or Readings()
        self._stack = stack
        self._inventory = inventory
        self._read = read
        self._known: dict[FileKey, tuple[Listing, ...]] = {}
        self._places: dict[tuple[FileKey, str], str] = {}
        self._may_list: dict[FileKey, MayList] = {}

    def foresee(self, records: Iterable[FileRecord]) -> None:
        """Have other processes begin what is first read of files that are likely to stay."""
        self._readings.foresee_summaries(filter(_is_code, records), self._read)

    def among(
        self,
        candidates: Iterable[FileRecord],
        gone: Collection[FileKey],
        counts: Callable[[FileRecord], bool] = lambda _record: True,
    ) -> Mapping[FileKey, Evidence]:
        """Return the candidates that a listing in code which stays takes, each with its place.

        ``counts`` tells whether a file's listings count; it is asked of those that have some.
        """
        places: dict[str, list[tuple[str, FileKey]]] = {}
        keys: list[FileKey] = []
        for record in candidates:
            keys.append(record.key)
            places.setdefault(record.layer, []).append((place_of(record.path), record.key))
        for listed in places.values():
            listed.sort()
        tops = {place.partition("/")[0] for listed in places.values() for place, _ in listed}
        owners = {self._inventory.records[key[0]][key[1]].owner for key in keys}
        stay = [
            record
            for record in (self._inventory if places else ())
            if record.key not in gone
            and not (self._sources and record.owner not in owners | {UNOWNED})
        ]
        self._readings.summaries_ahead(filter(_is_code, stay), self._read)
        asked = [record for record in stay if self._may_have(record, tops)]
        code = (record for record in asked if self._is_python(record))
        self._readings.ahead(map(self._wanted, code))
        found: dict[FileKey, Evidence] = {}
        for record in asked:
            known = self._listings(record, tops)
            if not known or not counts(record):
                continue
            listings = (self._resolved(record, listing) for listing in known)
            for listing in map(self._of_package, filter(None, listings)):
                if self._sources and _NAMES_ONLY.search(listing.text):
                    continue
                for layer, near in places.items():
                    if not self._reaches(listing, record.layer, layer):
                        continue
                    for key in _taken(listing, place_of(record.path), near, self._sources):
                        if key != record.key:
                            found.setdefault(key, _evidence(record, listing))
        return found

    def _resolved(self, record: FileRecord, listing: Listing) -> Listing | None:
        """Return a listing at a place that another module tells, if it does, as of that place."""
        for _ in range(_MOST_STEPS):
            if ELSEWHERE not in listing.folder:
                return listing
            _, name, rest = listing.folder.split(PACKAGE, 2)
            found = self._place_elsewhere(place_of(record.path), name.rstrip(ELSEWHERE))
            if found is None:
                return None
            record, text = found
            listing = replace(listing, folder=text + rest)
            if text.startswith(OWN):
                folder = resolved(text, place_of(record.path))
                if not folder:
                    return None
                folder = folder.replace("/", ".")
                return replace(listing, folder=f"{PACKAGE}{folder}{PACKAGE}{rest}")
        return None

    def _place_elsewhere(self, here: str, name: str) -> tuple[FileRecord, str] | None:
        """Return the place that a name of another module stands for there, and that module."""
        around = name[: len(name) - len(name.lstrip("."))]
        parts = here.split("/")[: -len(around)] if around else []
        parts += [part for part in name.split(".") if part]
        for end in range(len(parts) - 1, 0, -1):
            path = "/".join(parts[:end])
            record = self._code.get(f"{path}.py") or self._code.get(f"{path}/__init__.py")
            if record is not None:
                text = self._place_in(record, parts[-1])
                return (record, text) if text else None
        return None

    def _place_in(self, record: FileRecord, name: str) -> str:
        """Return the place that a variable or function of a module tells; empty for none."""
        if (record.key, name) not in self._places:
            platform = self._stack.layer(record.layer).platform
            self._places[record.key, name] = place_in(self._content(record), name, platform)
        return self._places[record.key, name]

    @cached_property
    def _code(self) -> Mapping[str, FileRecord]:
        """The modules of the stack by their places."""
        return {place_of(one.path): one for one in self._inventory if _is_code(one)}

    def _of_package(self, listing: Listing) -> Listing:
        """Return a listing at a module's place, or that of something in it, as of its package."""
        if not listing.folder.startswith(PACKAGE):
            return listing
        _, name, rest = listing.folder.split(PACKAGE, 2)
        while "." in name and name.replace(".", "/") not in self._folders:
            name = name.rpartition(".")[0]
        return replace(listing, folder=f"{PACKAGE}{name}{PACKAGE}{rest}")

    @cached_property
    def _folders(self) -> frozenset[str]:
        """The places of all folders that hold files."""
        return frozenset(place_of(record.path).rpartition("/")[0] for record in self._inventory)

    def _reaches(self, listing: Listing, layer: str, other: str) -> bool:
        """Return whether a listing in one layer may be of a folder in another: of a package."""
        if layer == other:
            return True
        return listing.folder.startswith(PACKAGE) and self._stack.share_process(layer, other)

    def _may_have(self, record: FileRecord, tops: Collection[str]) -> bool:
        """Return whether a file may have listings, by its text; found out once."""
        if record.key not in self._may_list:
            self._may_list[record.key] = self._listed_by_words(record)
        lists = self._may_list[record.key]
        own = lists is MayList.OWN and place_of(record.path).partition("/")[0] in tops
        return lists is MayList.ANY or own

    def _listed_by_words(self, record: FileRecord) -> MayList:
        if not _is_code(record) and not is_python_script(record, self._read):
            return MayList.ANY if self._is_script(record) else MayList.NONE
        return self._readings.lists(record, partial(self._content, record))

    def _is_python(self, record: FileRecord) -> bool:
        return record.path.endswith(_SOURCES) or is_python_script(record, self._read)

    def _is_script(self, record: FileRecord) -> bool:
        """Return whether a file is a script that isn't Python, and that something may start."""
        return (
            record.type is EntryType.FILE
            and 0 < record.size <= MAX_SCRIPT
            and record.native is None
            and not record.path.endswith(_SOURCES)
            and record.kind is not FileKind.TESTS
            and record.owner.kind is not OwnerKind.RUNTIME
            and is_script(record, self._read)
        )

    def _listings(self, record: FileRecord, tops: Collection[str]) -> tuple[Listing, ...]:
        if record.key not in self._known and not self._is_python(record):
            self._known[record.key] = script_listings(record.path, self._content(record))
        if record.key not in self._known:
            wanted = self._wanted(record)
            listings = self._readings.of_record(
                LISTINGS, record, lambda: listings_in(wanted.read(), wanted.variant), wanted.variant
            )
            if listings is None:
                listings = tuple(_any_listing(record, self._content(record), tops))
            self._known[record.key] = listings
        return self._known[record.key]

    def _wanted(self, record: FileRecord) -> Wanted:
        variant = listings_variant(self._stack.layer(record.layer).platform, sources=self._sources)
        return Wanted.of(LISTINGS.name, variant, record, self._read)

    def _content(self, record: FileRecord) -> bytes:
        return bytes(self._read(record))


def _is_code(record: FileRecord) -> bool:
    """Return whether a file is Python code whose listings count."""
    return (
        record.path.endswith(_SOURCES)
        and record.type is EntryType.FILE
        and record.size <= MAX_SOURCE
        and record.owner.kind is not OwnerKind.RUNTIME
        and RUNNERS.search(place_of(record.path)) is None
    )


def _any_listing(record: FileRecord, content: bytes, tops: Collection[str]) -> Iterator[Listing]:
    """The listings that code which can't be parsed may have: all of its package, or of others.

    What no import finds by its name, such as ``x.tmpl.py``, is a template for another place, and
    what is beside it goes with it.
    """
    here = place_of(record.path)
    is_template = "." in posixpath.basename(here).rpartition(".")[0]
    folders = [OWN + "/.." * (1 if is_template else here.count("/"))]
    if OTHER_PLACE.search(content):
        folders += [f"{PACKAGE}{top}{PACKAGE}" for top in sorted(tops) if top.encode() in content]
    for folder in folders:
        yield Listing(folder, ("*",), True, 1, "code that can't be parsed, and has words for it,")


def _taken(
    listing: Listing, here: str, places: list[tuple[str, FileKey]], sources: bool
) -> Iterator[FileKey]:
    """The files that a listing in one file takes; with ``sources`` modules as well."""
    folder = resolved(listing.folder, here)
    if not folder:
        return
    plain = re.split(r"[*?\[]", folder)[0].rpartition("/")[0] if "*" in folder else folder
    start = bisect_left(places, (f"{plain}/",))
    end = bisect_left(places, (f"{plain}0",))
    plugins = not sources and any(
        fnmatchcase("x.py", pattern) for pattern in listing.wanted if pattern != "*"
    )
    for place, key in places[start:end]:
        inside = place.count("/") > folder.count("/") + 1 or "tests" in place.split("/")
        suite = plugins and place.endswith(_SOURCES) and inside
        if folder.endswith("/*") and place.startswith(f"{plain}/tests/"):
            continue  # of several folders, the one with the tests isn't meant
        if not suite and lists(listing, here, place):
            yield key


def _evidence(record: FileRecord, listing: Listing) -> Evidence:
    return Evidence(
        kind="path",
        text=f"{listing.text} takes files of its folder",
        file=record.deployed_path,
        line=listing.line,
        strength=Strength.WEAK,
    )
