"""dyld, the dynamic linker of macOS, without running it.

Follows dyld(1) and dyld's ``Loader::getLoader`` and ``PathOverrides::forEachPathVariant`` for one
process start. The last component of a name is first looked for in ``DYLD_LIBRARY_PATH`` (which the
layer's wrapper sets; libraries inside of frameworks aren't). Then the name counts as a path:
``@loader_path`` is the folder of the asking image, ``@executable_path`` that of the program, and
``@rpath`` stands for each ``LC_RPATH`` of the asking image, of those that loaded it, and of the
program. Last, a loaded image whose install name is the very name answers. Other paths are the
host's. An image for another machine is passed over; which names may be missing (weak) makes no
difference here: what is there is loaded.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from slim.analysis.linkage.loader import (
    AddedFolder,
    Edge,
    FoundBy,
    KnownNames,
    LoadedImage,
    LoaderRules,
    Process,
    load_all,
)
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.binaries.macho.dynamic import MachoDynamic
from slim.model.record import FileKey, FileRecord

_RPATH = "@rpath/"


@dataclass(slots=True)
class _Loaded(LoadedImage[MachoDynamic]):
    def origins(self) -> tuple[str, ...]:
        """Possible meanings of ``@loader_path``.

        dyld takes the path asked for or the resolved one, depending on its age.
        """
        return tuple(
            dict.fromkeys(
                posixpath.dirname(path) for path in (self.path, self.record.deployed_path)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DyldLoader:
    """dyld in one process.

    ``library_path`` is ``DYLD_LIBRARY_PATH`` as deployed folders, ``programs`` the folders that
    ``@executable_path`` may mean, ``program_rpaths`` the folders that the program's own
    ``LC_RPATH`` give.
    """

    tree: VirtualTree
    dynamics: Mapping[FileKey, MachoDynamic]
    library_path: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    program_rpaths: tuple[str, ...] = ()

    def load(self, root: FileRecord, path: str) -> list[Edge]:
        """Load ``root`` and all that it needs; see :class:`.loader.Loader`."""
        first = _Loaded(root, path, self.dynamics[root.key], None)
        programs = first.origins() if first.dynamic.kind == "executable" else self.programs
        return load_all(first, partial(self._need, programs))

    def _need(
        self, programs: tuple[str, ...], item: _Loaded, name: str, loaded: list[_Loaded]
    ) -> tuple[Edge, _Loaded | None]:
        for path, found_by in self._places(item, name, programs):
            target = self.tree.folded(path)
            dynamic = None if target is None else self.dynamics.get(target.key)
            if target is None or dynamic is None or not same_machine(item.dynamic, dynamic):
                continue
            if any(other.record.key == target.key for other in loaded):
                return Edge(item.record, name, target, found_by), None
            return Edge(item.record, name, target, found_by), _Loaded(target, path, dynamic, item)
        for other in loaded:
            if name == other.dynamic.install_name:
                return Edge(item.record, name, other.record, FoundBy.LOADED), None
        return Edge(item.record, name, None, FoundBy.HOST), None

    def _places(
        self, item: _Loaded, name: str, programs: tuple[str, ...]
    ) -> Iterator[tuple[str, FoundBy]]:
        if ".framework/" not in name:
            for folder in self.library_path:
                yield f"{folder}/{posixpath.basename(name)}", FoundBy.LIBRARY_PATH
        if name.startswith(_RPATH):
            for folder in self._run_paths(item, programs):
                yield f"{folder}/{name[len(_RPATH) :]}", FoundBy.RPATH
            return
        for path in expand_path(name, item.origins(), programs):
            yield path, FoundBy.PATH

    def _run_paths(self, item: _Loaded, programs: tuple[str, ...]) -> Iterator[str]:
        for asker in item.chain():
            for entry in asker.dynamic.rpaths:
                yield from expand_path(entry, asker.origins(), programs)
        yield from self.program_rpaths


def same_machine(one: MachoDynamic, other: MachoDynamic) -> bool:
    """True if the two have images that can live in one process."""
    return not set(one.machines).isdisjoint(other.machines)


def expand_path(path: str, origins: tuple[str, ...], programs: tuple[str, ...]) -> tuple[str, ...]:
    """The deployed paths that a path of a load command may mean; none for those of the host."""
    head, _, tail = path.partition("/")
    folders = {"@loader_path": origins, "@executable_path": programs}.get(head, ())
    return tuple(f"{folder}/{tail}".rstrip("/") for folder in folders)


def _start(
    process: Process,
    tree: VirtualTree,
    dynamics: Mapping[FileKey, MachoDynamic],
    _added: tuple[AddedFolder, ...],
) -> DyldLoader:
    return DyldLoader(
        tree=tree,
        dynamics=dynamics,
        library_path=process.library_path,
        programs=process.programs,
        program_rpaths=process.base_rpaths,
    )


def _may_find(dynamic: MachoDynamic, named: KnownNames) -> bool:
    last = (name.rpartition("/")[2].lower() for name in dynamic.needed)
    return any(name in named.folded for name in last) or any(
        name in named.loaded for name in dynamic.needed
    )


def _run_paths(
    dynamic: MachoDynamic, folder: str, programs: tuple[str, ...], _linked: bool
) -> tuple[str, ...]:
    return tuple(
        path for entry in dynamic.rpaths for path in expand_path(entry, (folder,), programs)
    )


RULES: LoaderRules[MachoDynamic] = LoaderRules(
    start=_start, may_find=_may_find, same_machine=same_machine, run_paths=_run_paths
)
"""The rules of dyld."""
