"""Files called tests that a path leads to, which code or configuration that stays puts together.

Where a path starts at a file's own place, it leads to that folder or one around it. Where its start
is only known when it runs, every folder of the same distribution that ends like it may be meant. A
path that names another distribution's package leads into that. What runs a package's own tests
(``pkg/testing/``, ``runtests.py``) holds no tests by that, only the data that it opens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property

from slim.analysis import ReadFile
from slim.analysis.imports.modules import ModuleIndex
from slim.analysis.imports.path_scan import TESTS_FOLDER, PathUse, is_test_part
from slim.analysis.python_code import MOST_BYTECODE, is_lone_bytecode, strings_in_bytecode
from slim.model.finding import Evidence, Strength
from slim.model.record import FileKey, FileRecord, Inventory, Owner, OwnerKind

RUNNERS = re.compile(
    r"(?:\A|/)_?(?:testing/.*|(?:runtests?|run_tests?|pytesttester|conftest|setup|noxfile|"
    r"test_?(?:utils|er|runner))\.py)\Z"
)
"""Modules that run the tests of their own package, or build it."""

_PLACES = frozenset(
    {
        *("__file__", "__path__", "files", "as_file", "get_data", "resource_filename", "getfile"),
        *("resource_string", "resource_stream", "open_text", "open_binary", "read_text"),
        *("read_binary", "path", "find_spec"),
    }
)
"""Names by which code finds the folder of a package."""
_MOST_MARKS = 99
_LISTS = frozenset({"listdir", "scandir", "iterdir", "glob", "rglob", "iglob", "walk", "contents"})


class PathIndex:
    """Removals that a generic rule selects by name, arranged so that paths to them are found."""

    def __init__(
        self, index: ModuleIndex, inventory: Inventory, by_name: Collection[FileKey]
    ) -> None:
        self._index = index
        self._inventory = inventory
        self._packages: dict[str, dict[str, list[FileKey]]] = {}
        self._owners: dict[Owner, set[str]] = {}
        self._by_name: dict[
            str, tuple[dict[str, list[str]], dict[str, list[tuple[str, FileKey]]]]
        ] = {}
        self._answers: dict[tuple[str, tuple[str, ...], str | None], tuple[FileKey, ...]] = {}
        for key in sorted(by_name):
            record = inventory.get(key)
            if record is None:
                continue
            path = self._below_root(key)
            folder = path.rpartition("/")[0]
            top = path.partition("/")[0]
            self._packages.setdefault(top, {}).setdefault(folder, []).append(key)
            if record.owner.kind is OwnerKind.DISTRIBUTION:
                self._owners.setdefault(record.owner, set()).add(top)

    def __bool__(self) -> bool:
        return bool(self._packages)

    def reached(
        self,
        record: FileRecord,
        use: PathUse,
        imported: Iterable[str],
        placed: Iterable[str] = (),
    ) -> Iterator[tuple[FileKey, ...]]:
        """The removals that a path in a file may lead to; the same answer is the same object.

        ``imported`` are the top-level packages that the file imports, ``placed`` those at whose
        place it looks.
        """
        place = self._below_root(record.key)
        if _is_test(use) and not use.doubtful and self.runs_tests(record):
            return
        own = {place.partition("/")[0], *self._owners.get(record.owner, ())}
        if use.own:
            folder = place.rpartition("/")[0]
            yield self._find(place.partition("/")[0], use.segments, folder)
            yield from self._from_package(use)
            return
        tops = own & self._packages.keys()
        imports = frozenset(imported)
        anchors = {anchor.partition(".")[0] for anchor in use.anchors}
        tops |= anchors & self._packages.keys()
        if len(use.segments) > 1 and anchors.isdisjoint(self._packages.keys() | imports):
            tops |= imports & self._packages.keys()  # no anchor, or a variable that holds a module
        elif not anchors and not use.doubtful:
            tops |= self._packages.keys() & set(placed)  # DATA = "tests", to be joined elsewhere
        if use.segments[0] in self._packages:
            tops.add(use.segments[0])
        for top in sorted(tops):
            yield self._find(top, use.segments, None)
        yield from self._from_package(use)

    def _from_package(self, use: PathUse) -> Iterator[tuple[FileKey, ...]]:
        """The removals at the end of a path that goes through a package's own folder."""
        for at, segment in enumerate(use.segments[:-1]):
            if segment in self._packages:
                yield self._find(segment, use.segments[at:], "")

    def named_in_bytecode(
        self, record: FileRecord, read: ReadFile
    ) -> Iterator[tuple[FileKey, Evidence]]:
        """Yield the removals that bytecode without a source names, or lists the folder of.

        It doesn't tell which strings make a path together, so all parts have to be among them. A
        file that is too large to be read so closely names whatever there is of its distribution.
        """
        if not is_lone_bytecode(record) or self.runs_tests(record):
            return
        place = self._below_root(record.key)
        own = {place.partition("/")[0], *self._owners.get(record.owner, ())}
        if record.size > MOST_BYTECODE:
            for top in sorted(self._packages.keys() & own):
                for keys in self._packages[top].values():
                    yield from ((key, _evidence(record, top)) for key in keys)
            return
        content = bytes(read(record))
        if not any(map(content.__contains__, self._marks)):
            return
        words = {part for text in strings_in_bytecode(content) for part in text.split("/")}
        if _PLACES.isdisjoint(words):
            return
        lists = not _LISTS.isdisjoint(words)
        for top in sorted(self._packages.keys() & (own | words)):
            for folder, keys in self._packages[top].items():
                inside = folder.split("/")
                tail = inside[inside.index(TESTS_FOLDER) :] if TESTS_FOLDER in inside else []
                if not words.issuperset(tail):
                    continue
                for key in keys:
                    name = key[1].rpartition("/")[2]
                    if name in words or (lists and tail):
                        yield key, _evidence(record, "/".join([top, *tail, name]))

    @cached_property
    def _marks(self) -> tuple[bytes, ...]:
        """Words of which one is in whatever has all parts of a removal's path."""
        folders = (found for places in self._packages.values() for found in places.items())
        bare = (keys for folder, keys in folders if TESTS_FOLDER not in folder.split("/"))
        names = {key[1].rpartition("/")[2] for keys in bare for key in keys}
        marks = {TESTS_FOLDER, *names} if len(names) <= _MOST_MARKS else {""}
        return tuple(sorted(mark.encode() for mark in marks))

    def runs_tests(self, record: FileRecord) -> bool:
        """True for a module that runs the tests of its own package, or builds it."""
        return RUNNERS.search(self._below_root(record.key)) is not None

    def _find(self, top: str, segments: tuple[str, ...], place: str | None) -> tuple[FileKey, ...]:
        """The removals at or below the segments in a package.

        Anywhere, or, with a place, in that folder or one around it.
        """
        question = (top, segments, place)
        if question not in self._answers:
            self._answers[question] = tuple(self._search(top, "/".join(segments), place))
        return self._answers[question]

    def _search(self, top: str, tail: str, place: str | None) -> Iterator[FileKey]:
        if "*" in tail:
            yield from self._search_open(top, tail, place)
            return
        starts = None if place is None else tuple(f"{around}/{tail}" for around in _around(place))
        bare = "." not in tail.rpartition("/")[2] and "/" in tail  # without the suffix
        if place == "":  # from the import root
            starts = (f"/{tail}",)
        last = tail.rpartition("/")[2]
        parts, names = self._named(top)
        for folder in parts.get(last, ()):
            if starts is None:
                inside = f"/{tail}/" in f"/{folder}/"
            else:
                inside = f"/{folder}/".startswith(tuple(f"{start}/" for start in starts))
            yield from self._packages[top][folder] if inside else ()
        for folder, key in names.get(last, ()):
            name = key[1].rpartition("/")[2]
            path = f"/{folder}/{name.partition('.')[0] if bare else name}"
            if path.endswith(f"/{tail}") if starts is None else path in starts:
                yield key

    def _named(self, top: str) -> tuple[dict[str, list[str]], dict[str, list[tuple[str, FileKey]]]]:
        """A package's folders by each of their parts, and its removals by their name and stem."""
        if top not in self._by_name:
            parts: dict[str, list[str]] = {}
            names: dict[str, list[tuple[str, FileKey]]] = {}
            for folder, keys in self._packages.get(top, {}).items():
                for part in dict.fromkeys(folder.split("/")):
                    parts.setdefault(part, []).append(folder)
                for key in keys:
                    name = key[1].rpartition("/")[2]
                    for each in {name, name.partition(".")[0]}:
                        names.setdefault(each, []).append((folder, key))
            self._by_name[top] = (parts, names)
        return self._by_name[top]

    def _search_open(self, top: str, tail: str, place: str | None) -> Iterator[FileKey]:
        """The removals whose path ends like one of which only running tells the last name."""
        starts = ["*", ""]
        if place is not None:
            starts = list(_around(place)) or [""]
        patterns = [f"{start}/{tail}" for start in starts]
        for folder, keys in self._packages.get(top, {}).items():
            for key in keys:
                path = f"/{folder}/{key[1].rpartition('/')[2]}"
                if any(fnmatchcase(path, pattern) for pattern in patterns):
                    yield key

    def _below_root(self, key: FileKey) -> str:
        for root in self._roots.get(key[0], ()):
            if key[1].startswith(root):
                return key[1][len(root) :]
        return key[1]

    @cached_property
    def _roots(self) -> dict[str, tuple[str, ...]]:
        return {
            layer: tuple(f"{root}/" for root in roots if root)
            for layer, roots in self._index.roots.items()
        }


def _evidence(record: FileRecord, path: str) -> Evidence:
    text = f"has all parts of the path {path}"
    return Evidence(kind="path", text=text, file=record.deployed_path, strength=Strength.WEAK)


def _is_test(use: PathUse) -> bool:
    """True for a path to tests as such, not to data among them."""
    return is_test_part(use.segments[-1])


def _around(folder: str) -> Iterator[str]:
    """A folder and those around it, each with a slash before it; not the import root itself."""
    while folder:
        yield f"/{folder}"
        folder = folder.rpartition("/")[0]
