"""The modules in question: what an import proof looks for, arranged so that looking is quick."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

from slim.analysis.imports.modules import ModuleIndex, as_bytes, dotted, parents
from slim.model.record import FileKey, FileKind

COMMON = frozenset(
    {
        *("test", "tests", "testing", "conftest", "doc", "docs", "example", "examples"),
        *("benchmark", "benchmarks", "scripts"),
    }
)
"""Top-level names that stand in every program, so that finding them says nothing."""
_NEVER_READ = frozenset({FileKind.STUBS, FileKind.HEADERS, FileKind.SOURCES, FileKind.BYTECODE})
"""Kinds of files that no program reads as data of a package."""
ExportsOf = Callable[[str, frozenset[str]], frozenset[str]]
"""Gives those of some names that a package's ``__all__`` lists."""


class Candidates:
    """Importable files among those that are to go, by every name that they can be imported under.

    Names are those of :class:`slim.analysis.imports.modules.Module`. ``exports_of`` gives the
    literal ``__all__`` of a package by name. ``by_name`` are the removals that a generic rule
    selects for being called ``tests`` or the like, ``unnamed`` all that rules for every package
    select.
    """

    def __init__(
        self,
        index: ModuleIndex,
        removals: Collection[FileKey],
        exports_of: ExportsOf,
        by_name: Collection[FileKey] = (),
        unnamed: Collection[FileKey] = (),
    ) -> None:
        self._keys: dict[str, list[FileKey]] = {}
        self._packages: dict[str, list[FileKey]] = {}
        self._exports_of = exports_of
        self._sorted = sorted(removals)
        self._folders = _folders(index, self._sorted)
        self.by_name = frozenset(by_name)
        self._named = sorted(self.by_name)
        self._unnamed = sorted(self.by_name.union(unnamed))
        for key in self._sorted:
            for module in index.modules.get(key, ()):
                self._keys.setdefault(module.name, []).append(key)
                if module.package:
                    self._packages.setdefault(module.name, []).append(key)

    def __bool__(self) -> bool:
        return bool(self._keys or self._unnamed)

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    @property
    def names(self) -> Iterable[str]:
        """Every name, in the order of the keys."""
        return self._keys.keys()

    def keys(self, name: str) -> Collection[FileKey]:
        """The files that a name stands for, in any layer."""
        return self._keys.get(name, ())

    def packages(self, name: str) -> Collection[FileKey]:
        """The ``__init__`` files of a package."""
        return self._packages.get(name, ())

    def is_folder(self, name: str) -> bool:
        """True for a package that goes, and for a folder of which everything goes."""
        return name in self._folders

    def is_named(self, word: bytes) -> bool:
        """True for a dotted name of a candidate, or of a folder that goes whole."""
        name = word.decode("ascii", "replace").strip(".").replace(".", "/")
        return name in self._keys or name in self._folders

    def keys_in(self, name: str) -> Collection[FileKey]:
        """The removals in the folders of that name."""
        found: list[FileKey] = []
        for layer, folder in self._folders.get(name, ()):
            start = bisect_left(self._sorted, (layer, f"{folder}/"))
            found.extend(self._sorted[start : bisect_left(self._sorted, (layer, f"{folder}0"))])
        return found

    def parts_of(self, name: str) -> Iterator[FileKey]:
        """The removals in the folders of that name that a generic rule selects and no tests are."""
        for key in self.keys_in(name):
            stem = posixpath.basename(key[1])
            if key in self.by_name and not stem.startswith("test_") and stem != "conftest.py":
                yield key

    def selected_in(self, folder: FileKey, *, modules: bool) -> Collection[FileKey]:
        """The removals below a folder that rules for every package select; or test modules only."""
        layer, path = folder
        keys = self._named if modules else self._unnamed
        start = bisect_left(keys, (layer, f"{path}/"))
        return keys[start : bisect_left(keys, (layer, f"{path}0"), lo=start)]

    def near(self, name: str) -> bool:
        """True if importing that name can import a candidate: it is one, or lies in one."""
        return name in self._keys or any(parent in self._keys for parent in parents(name))

    @cached_property
    def _heads(self) -> dict[str, str]:
        """For each name the outermost candidate around it, or itself."""
        return {
            name: next((p for p in reversed(list(parents(name))) if p in self._keys), name)
            for name in self._keys
        }

    def head(self, name: str) -> str:
        """The outermost candidate around a candidate.

        Whoever imports it from outside has to name that one too.
        """
        return self._heads[name]

    @cached_property
    def head_words(self) -> frozenset[bytes]:
        """The last component of every outermost candidate."""
        return frozenset(as_bytes(head.rpartition("/")[2]) for head in self._heads.values())

    @cached_property
    def words(self) -> frozenset[bytes]:
        """The last component of every name."""
        return frozenset(as_bytes(name.rpartition("/")[2]) for name in self._keys)

    @cached_property
    def folder_words(self) -> frozenset[bytes]:
        """The last component of every folder that goes whole."""
        return frozenset(as_bytes(name.rpartition("/")[2]) for name in self._folders)

    def words_in(self, top: str) -> frozenset[bytes]:
        """The last component of every name, and of every folder, below a top-level name."""
        return self._words_by_top.get(top, frozenset())

    @cached_property
    def _words_by_top(self) -> dict[str, frozenset[bytes]]:
        found: dict[str, set[bytes]] = {}
        for name in (*self._keys, *self._folders):
            word = as_bytes(name.rpartition("/")[2])
            found.setdefault(name.partition("/")[0], set()).add(word)
        return {top: frozenset(words) for top, words in found.items()}

    @cached_property
    def folders_by_word(self) -> dict[str, tuple[str, ...]]:
        """Folders that go whole by their last component."""
        return _by_word(self._folders)

    @cached_property
    def children(self) -> dict[str, tuple[str, ...]]:
        """The candidates directly in a package, by its name."""
        found: dict[str, list[str]] = {}
        for name in self._keys:
            found.setdefault(name.rpartition("/")[0], []).append(name)
        return {parent: tuple(names) for parent, names in found.items()}

    @cached_property
    def outermost(self) -> frozenset[str]:
        """The candidates that lie in no other."""
        return frozenset(self._heads.values())

    @cached_property
    def heads_by_top(self) -> dict[str, tuple[str, ...]]:
        """The outermost candidates that absolute imports reach, by their first component.

        Without names such as ``tests``, which occur in every program.
        """
        found: dict[str, list[str]] = {}
        for name in sorted(self.outermost):
            if not name.startswith("/") and name not in COMMON:
                found.setdefault(name.partition("/")[0], []).append(name)
        return {top: tuple(names) for top, names in found.items()}

    @cached_property
    def by_head(self) -> dict[str, tuple[str, ...]]:
        """The candidates in each outermost candidate, itself included."""
        found: dict[str, list[str]] = {}
        for name, head in self._heads.items():
            found.setdefault(head, []).append(name)
        return {head: tuple(names) for head, names in found.items()}

    @cached_property
    def spoken(self) -> frozenset[str]:
        """Every name that has a dot, those of folders included."""
        names = (*self._keys, *self._folders)
        return frozenset(name for name in names if "/" in name and not name.startswith("/"))

    @cached_property
    def dotted(self) -> frozenset[bytes]:
        """Every name that has a dot, as Python writes it."""
        return frozenset(
            as_bytes(dotted(name))
            for name in self._keys
            if "/" in name and not name.startswith("/")
        )

    @cached_property
    def below(self) -> dict[str, frozenset[bytes]]:
        """For each package around a candidate: the candidates' names as seen from there."""
        found: dict[str, set[bytes]] = {}
        for name in self._keys:
            for parent in parents(name):
                found.setdefault(parent, set()).add(as_bytes(dotted(name[len(parent) + 1 :])))
        return {parent: frozenset(names) for parent, names in found.items()}

    @cached_property
    def exported(self) -> dict[str, tuple[str, ...]]:
        """Candidates that ``import *`` imports, by the package whose ``__all__`` names them.

        They lie directly in that package.
        """
        children: dict[str, set[str]] = {}
        for name in self._keys:
            parent, _, last = name.rpartition("/")
            if parent:
                children.setdefault(parent, set()).add(last)
        found: dict[str, tuple[str, ...]] = {}
        for parent, names in children.items():
            exported = self._exports_of(parent, frozenset(names))
            if exported:
                found[parent] = tuple(f"{parent}/{name}" for name in sorted(exported))
        return found

    @cached_property
    def exported_words(self) -> frozenset[bytes]:
        """The last component of every package in ``exported``."""
        return frozenset(as_bytes(parent.rpartition("/")[2]) for parent in self.exported)

    @cached_property
    def by_word(self) -> dict[str, tuple[str, ...]]:
        """Names by their last component."""
        return _by_word(self._keys)


def _by_word(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition("/")[2], []).append(name)
    return {word: tuple(listed) for word, listed in found.items()}


def _folders(index: ModuleIndex, removals: list[FileKey]) -> dict[str, list[FileKey]]:
    """The folders of which everything goes, and the packages that go, by module name.

    Folders of nothing but stubs and the like don't count.
    """
    going: Counter[FileKey] = Counter()
    packages: set[FileKey] = set()
    read: set[FileKey] = set()
    for layer, path in removals:
        around = tuple(index.folders_around((layer, path)))
        going.update(around)
        if index.kind((layer, path)) not in _NEVER_READ:
            read.update(around)
        if any(module.package for module in index.modules.get((layer, path), ())):
            packages.add((layer, path.rpartition("/")[0]))
    found: dict[str, list[FileKey]] = {}
    for folder, count in going.items():
        if folder in packages or (folder in read and count == index.folder_sizes[folder]):
            name = index.folder_name(folder)
            if name:
                found.setdefault(name, []).append(folder)
    return found
