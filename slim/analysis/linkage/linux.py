"""The dynamic linker of Linux, without running it.

Follows ld.so(8) and glibc's ``elf/dl-load.c`` for one process start: breadth first; a name that an
object already loaded was asked for by, or has as its soname, is that object; otherwise ``DT_RPATH``
of the asking object and of those that loaded it (only where the asking object has no
``DT_RUNPATH``), then ``LD_LIBRARY_PATH``, then ``DT_RUNPATH``. A file for another machine is passed
over. Libraries of the host are outside the stack: a name found nowhere in it is left to the host.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
from slim.binaries.elf.dynamic import ElfDynamic
from slim.model.record import FileKey, FileRecord


@dataclass(slots=True)
class _Loaded(LoadedImage[ElfDynamic]):
    names: set[str] = field(default_factory=set)
    searched: tuple[tuple[str, FoundBy], ...] | None = None

    @property
    def origin(self) -> str:
        """``$ORIGIN``: the folder of the path that it was found by, final link not followed."""
        return posixpath.dirname(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfLoader:
    """The dynamic linker of one process.

    ``library_path`` is ``LD_LIBRARY_PATH`` as deployed folders; ``base_rpaths`` the folders that
    the ``DT_RPATH`` of the program itself gives, which every object loaded later inherits.
    """

    tree: VirtualTree
    dynamics: Mapping[FileKey, ElfDynamic]
    library_path: tuple[str, ...] = ()
    base_rpaths: tuple[str, ...] = ()

    def load(self, root: FileRecord, path: str) -> list[Edge]:
        """Load ``root`` and all that it needs; see :class:`.loader.Loader`."""
        first = _Loaded(root, path, self.dynamics[root.key], None, {posixpath.basename(path)})
        return load_all(first, self._need)

    def _need(self, item: _Loaded, name: str, loaded: list[_Loaded]) -> tuple[Edge, _Loaded | None]:
        for other in loaded:
            if name in other.names or name == other.dynamic.soname:
                return Edge(item.record, name, other.record, FoundBy.LOADED), None
        for path, found_by in self._places(item, name):
            target = self.tree.file(path)
            if target is None or not self._fits(item, target):
                continue
            for other in loaded:
                if other.record.key == target.key:
                    other.names.add(name)
                    return Edge(item.record, name, target, found_by), None
            found = _Loaded(target, path, self.dynamics[target.key], item, {name})
            return Edge(item.record, name, target, found_by), found
        return Edge(item.record, name, None, FoundBy.HOST), None

    def _fits(self, item: _Loaded, target: FileRecord) -> bool:
        dynamic = self.dynamics.get(target.key)
        return dynamic is not None and same_machine(item.dynamic, dynamic)

    def _places(self, item: _Loaded, name: str) -> Iterator[tuple[str, FoundBy]]:
        if "/" in name:
            for path in expand(name, item.origin, item.dynamic):
                yield path, FoundBy.PATH
            return
        if name not in self.tree.names:
            return
        if item.searched is None:
            item.searched = tuple(dict.fromkeys(self._folders(item)))
        for folder, found_by in item.searched:
            # Which of the processor-specific folders count depends on the host; any of them may.
            for special in self.tree.capability_dirs.get(posixpath.normpath(folder), ()):
                yield f"{special}/{name}", found_by
            yield f"{folder}/{name}", found_by

    def _folders(self, item: _Loaded) -> Iterator[tuple[str, FoundBy]]:
        if not item.dynamic.runpath:
            for asker in item.chain():
                for folder in rpath_folders(asker.dynamic, asker.origin):
                    yield folder, FoundBy.RPATH
            for folder in self.base_rpaths:
                yield folder, FoundBy.RPATH
        for folder in self.library_path:
            yield folder, FoundBy.LIBRARY_PATH
        for entry in item.dynamic.runpath:
            for folder in expand(entry, item.origin, item.dynamic):
                yield folder, FoundBy.RUNPATH


def same_machine(one: ElfDynamic, other: ElfDynamic) -> bool:
    """True if the two can live in one process."""
    return (one.machine, one.bits) == (other.machine, other.bits)


def rpath_folders(dynamic: ElfDynamic, origin: str) -> tuple[str, ...]:
    """The deployed folders of ``DT_RPATH``.

    ``ld.so`` ignores them in an object that also has ``DT_RUNPATH``.
    """
    if dynamic.runpath:
        return ()
    return tuple(folder for entry in dynamic.rpath for folder in expand(entry, origin, dynamic))


def expand(entry: str, origin: str, dynamic: ElfDynamic) -> tuple[str, ...]:
    """One search folder with its dynamic string tokens replaced.

    ``$LIB`` means ``lib``, ``lib64`` or Debian's ``lib/x86_64-linux-gnu``, depending on the host's
    linker, so it gives all of them. Folders that don't hang on ``$ORIGIN`` are the host's, or
    depend on the working directory: neither lies in the stack, and both give nothing. Source:
    ld.so(8), "Dynamic string tokens".
    """
    entry = (
        entry.replace("${ORIGIN}", "$ORIGIN")
        .replace("${LIB}", "$LIB")
        .replace("${PLATFORM}", "$PLATFORM")
    )
    if not entry.startswith("$ORIGIN"):
        return ()
    entry = entry.replace("$ORIGIN", origin).replace("$PLATFORM", dynamic.machine)
    if "$LIB" not in entry:
        return (entry,)
    words = ("lib64" if dynamic.bits == 64 else "lib", "lib", f"lib/{dynamic.machine}-linux-gnu")
    return tuple(entry.replace("$LIB", word) for word in dict.fromkeys(words))


def _start(
    process: Process,
    tree: VirtualTree,
    dynamics: Mapping[FileKey, ElfDynamic],
    _added: tuple[AddedFolder, ...],
) -> ElfLoader:
    return ElfLoader(
        tree=tree,
        dynamics=dynamics,
        library_path=process.library_path,
        base_rpaths=process.base_rpaths,
    )


def _may_find(dynamic: ElfDynamic, named: KnownNames) -> bool:
    return any(
        "/" in name or name in named.files or name in named.loaded for name in dynamic.needed
    )


def _run_paths(
    dynamic: ElfDynamic, folder: str, _programs: tuple[str, ...], linked: bool
) -> tuple[str, ...]:
    return () if linked else rpath_folders(dynamic, folder)


RULES: LoaderRules[ElfDynamic] = LoaderRules(
    start=_start, may_find=_may_find, same_machine=same_machine, run_paths=_run_paths
)
"""The rules of ld.so."""
