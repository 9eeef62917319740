"""The Windows loader in a Python process, without running it.

Python opens extension modules with ``LOAD_LIBRARY_SEARCH_DEFAULT_DIRS |
LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR``, so imports are looked for in the folder of the file that is
opened, in that of the program, in those that ``os.add_dll_directory`` was called with, and in the
system's. A library whose file name is that of a loaded one is that one. Names differ by more than
case.

A folder that a distribution adds only counts for its own files: nothing says that it is imported
before another one is. Where a name is only found that way,
:class:`slim.analysis.linkage.graph.Linkage` takes every file of that name.

Source: Microsoft, "Dynamic-link library search order"; Python's ``os.add_dll_directory`` and
``Python/dynload_win.c``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.analysis.linkage.loader import (
    AddedFolder,
    Edge,
    FoundBy,
    KnownNames,
    LoaderRules,
    Process,
)
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.binaries.pe.dynamic import PeDynamic
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, Owner

_ADDS_FOLDERS = b"add_dll_directory"
_LITERAL = re.compile(rb"""["']([^"'\n]{1,200})["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class DllLoader:
    """The loader in one process.

    ``programs`` are folders of the program, ``library_path`` those that the layer's own start-up
    adds, ``added`` those that distributions add.
    """

    tree: VirtualTree
    dynamics: Mapping[FileKey, PeDynamic]
    programs: tuple[str, ...] = ()
    library_path: tuple[str, ...] = ()
    added: tuple[AddedFolder, ...] = ()

    def load(self, root: FileRecord, path: str) -> list[Edge]:
        """Load ``root`` and all that it needs; see :class:`.loader.Loader`."""
        loaded = {posixpath.basename(path).lower(): root}
        edges: list[Edge] = []
        pending = [root]
        folders = tuple(self._folders(root, posixpath.dirname(path)))
        for record in pending:
            for name in self.dynamics[record.key].needed:
                edge = self._need(record, name, loaded, folders)
                edges.append(edge)
                if edge.target is not None and file_name(name) not in loaded:
                    loaded[file_name(name)] = edge.target
                    pending.append(edge.target)
        return edges

    def _need(
        self,
        record: FileRecord,
        name: str,
        loaded: Mapping[str, FileRecord],
        folders: tuple[tuple[str, FoundBy], ...],
    ) -> Edge:
        known = loaded.get(file_name(name))
        if known is not None:
            return Edge(record, name, known, FoundBy.LOADED)
        for folder, found_by in folders:
            target = self.tree.folded(f"{folder}/{file_name(name)}")
            dynamic = None if target is None else self.dynamics.get(target.key)
            if dynamic is not None and same_machine(self.dynamics[record.key], dynamic):
                return Edge(record, name, target, found_by)
        return Edge(record, name, None, FoundBy.HOST)

    def _folders(self, root: FileRecord, start: str) -> Iterator[tuple[str, FoundBy]]:
        yield start, FoundBy.SAME_FOLDER
        for folder in self.programs:
            yield folder, FoundBy.PROGRAM_FOLDER
        for folder in self.library_path:
            yield folder, FoundBy.LIBRARY_PATH
        for added in self.added:
            if (added.layer, added.owner) == (root.layer, root.owner):
                yield added.path, FoundBy.DLL_FOLDER


def same_machine(one: PeDynamic, other: PeDynamic) -> bool:
    """True if the two can live in one process."""
    return (one.machine, one.bits) == (other.machine, other.bits)


def file_name(name: str) -> str:
    """The file that an imported name means: names without a suffix are those of ``.dll`` files."""
    name = name.lower()
    return name if "." in name else f"{name}.dll"


def added_folders(
    inventory: Inventory, read: ReadFile, libraries: Collection[FileKey]
) -> tuple[AddedFolder, ...]:
    """Folders of libraries that Python files which call ``os.add_dll_directory`` name, or lie in.

    Which of its strings a file makes the folder's path of isn't worked out: each folder of the
    layer that is called like the last component of any of them counts. Files of tests don't.
    """
    by_name: dict[tuple[str, str], set[str]] = {}
    for layer, path in libraries:
        folder = posixpath.dirname(path)
        by_name.setdefault((layer, posixpath.basename(folder).lower()), set()).add(folder)
    if not by_name:
        return ()
    found: dict[tuple[str, str, Owner], set[FileKey]] = {}
    for record in inventory:
        if record.type is not EntryType.FILE or record.kind is not FileKind.PYTHON:
            continue
        source = bytes(read(record))
        if _ADDS_FOLDERS not in source:
            continue
        for folder in _named(record, source, by_name):
            found.setdefault((record.layer, folder, record.owner), set()).add(record.key)
    return tuple(
        AddedFolder(path=f"{layer}/{folder}", layer=layer, owner=owner, sources=frozenset(sources))
        for (layer, folder, owner), sources in sorted(found.items())
    )


def _named(
    record: FileRecord, source: bytes, by_name: Mapping[tuple[str, str], set[str]]
) -> Iterator[str]:
    own = posixpath.dirname(record.path)
    words = {
        match[1].replace(b"\\", b"/").rpartition(b"/")[2].lower()
        for match in _LITERAL.finditer(source)
    }
    names = {word.decode("utf-8", "replace") for word in words}
    for (layer, name), folders in by_name.items():
        if layer == record.layer:
            yield from (folder for folder in folders if name in names or folder == own)


def _start(
    process: Process,
    tree: VirtualTree,
    dynamics: Mapping[FileKey, PeDynamic],
    added: tuple[AddedFolder, ...],
) -> DllLoader:
    return DllLoader(
        tree=tree,
        dynamics=dynamics,
        programs=process.programs,
        library_path=process.library_path,
        added=added,
    )


def _may_find(dynamic: PeDynamic, named: KnownNames) -> bool:
    return any(file_name(name) in named.folded for name in dynamic.needed)


def _answers_to(path: str, _dynamic: PeDynamic) -> str:
    return file_name(path.rpartition("/")[2])


RULES: LoaderRules[PeDynamic] = LoaderRules(
    start=_start,
    may_find=_may_find,
    same_machine=same_machine,
    answers_to=_answers_to,
    asked=file_name,
    added_folders=added_folders,
)
"""The rules of the Windows loader."""
