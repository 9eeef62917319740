"""The modules in question: what an import proof looks for, arranged so that looking is quick."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import cached_property

from slim.analysis.imports.modules import ModuleIndex, as_bytes, dotted, parents
from slim.model.record import FileKey

ExportsOf = Callable[[str, frozenset[str]], frozenset[str]]
"""Gives those of some names that a package's ``__all__`` lists."""


class Candidates:
    """Importable files among those that are to go, by every name that they can be imported under.

    Names are those of :class:`slim.analysis.imports.modules.Module`. ``exports_of`` gives the
    literal ``__all__`` of a package by name.
    """

    def __init__(
        self, index: ModuleIndex, removals: Collection[FileKey], exports_of: ExportsOf
    ) -> None:
        self._keys: dict[str, list[FileKey]] = {}
        self._packages: dict[str, list[FileKey]] = {}
        self._exports_of = exports_of
        for key in sorted(removals):
            for module in index.modules.get(key, ()):
                self._keys.setdefault(module.name, []).append(key)
                if module.package:
                    self._packages.setdefault(module.name, []).append(key)

    def __bool__(self) -> bool:
        return bool(self._keys)

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
        found: dict[str, list[str]] = {}
        for name in self._keys:
            found.setdefault(name.rpartition("/")[2], []).append(name)
        return {word: tuple(names) for word, names in found.items()}
