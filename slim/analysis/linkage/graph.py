"""The library graph of the whole stack: which native file needs which, and how it is found.

A process is started by one layer's ``bin/python`` wrapper, which puts the ``dynlib`` folders of the
layers below on ``LD_LIBRARY_PATH`` (or ``DYLD_LIBRARY_PATH``). A library of a lower layer is
therefore found differently by each application above it. Every native file is resolved once for
each layer that can load it, as its loader would (see
:data:`slim.analysis.linkage.loaders.LOADERS`), and the answers are united: a library counts as
needed if it is needed in any process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from slim.analysis import ReadFile
from slim.analysis.linkage.dynamics import DYNAMIC
from slim.analysis.linkage.loader import (
    AddedFolder,
    Edge,
    FoundBy,
    KnownNames,
    Loader,
    LoaderRules,
    Process,
)
from slim.analysis.linkage.loaders import LOADERS
from slim.analysis.linkage.processes import processes_of
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.analysis.remembering import Remembering
from slim.binaries import read_any_dynamic
from slim.binaries.base import Dynamic
from slim.model.record import EntryType, FileKey, FileRecord, Inventory, NativeFormat
from slim.model.stack import Stack

ReadDynamic = Callable[[memoryview], Dynamic | None]
"""Reads what a native file needs; None where it says nothing of the kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A needed name and the file that answers to it.

    ``target`` is None (``found_by`` is ``host``) where no file of the stack does. ``context`` is
    the layer whose process was looked at. Where processes differ, one name has several resolutions.
    """

    name: str
    target: FileRecord | None
    found_by: FoundBy
    context: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLink:
    """A needed library that a process finds no more.

    In a process of layer ``context``, ``record`` used to get ``target`` for ``name``.
    """

    context: str
    record: FileRecord
    name: str
    target: FileRecord

    def __str__(self) -> str:
        return (
            f"{self.record.deployed_path} needs {self.name}, which was {self.target.deployed_path} "
            f"(in a process of {self.context})"
        )


@dataclass(frozen=True, kw_only=True)
class _Graph:
    """Every needed name that something in the stack answers, and the same the other way round."""

    resolutions: Mapping[tuple[FileKey, str], tuple[Resolution, ...]]

    @cached_property
    def users(self) -> Mapping[FileKey, tuple[FileKey, ...]]:
        """The files that need a file, by that file."""
        found: dict[FileKey, dict[FileKey, None]] = {}
        for (key, _), resolutions in sorted(self.resolutions.items()):
            for resolution in resolutions:
                if resolution.target is not None:
                    found.setdefault(resolution.target.key, {})[key] = None
        return {key: tuple(users) for key, users in found.items()}


@dataclass(frozen=True, kw_only=True)
class Linkage:
    """The graph. Make it with :meth:`build`."""

    stack: Stack
    inventory: Inventory
    dynamics: Mapping[FileKey, Dynamic]
    processes: tuple[Process, ...]
    tree: VirtualTree = field(repr=False)
    added_folders: tuple[AddedFolder, ...] = ()

    @classmethod
    def build(
        cls,
        stack: Stack,
        inventory: Inventory,
        read: ReadFile,
        read_dynamic: ReadDynamic = read_any_dynamic,
        readings: Remembering | None = None,
    ) -> Linkage:
        """Read what every native file in the stack needs, each once.

        ``readings`` remember what :func:`slim.binaries.read_any_dynamic` read, and no other reader.
        """
        dynamics: dict[FileKey, Dynamic] = {}
        known = readings if readings and read_dynamic is read_any_dynamic else Remembering()
        for record in inventory:
            if record.native in LOADERS and record.type is EntryType.FILE:
                dynamic = known.of_record(
                    DYNAMIC,
                    record,
                    lambda record=record: read_dynamic(read(record)),  # type: ignore[misc]
                )
                if dynamic is not None:
                    dynamics[record.key] = dynamic
        tree = VirtualTree(inventory)
        processes = tuple(processes_of(stack, inventory, dynamics, tree))
        added = (
            rules.added_folders(inventory, read, sorted(_of(dynamics, native)))
            for native, rules in LOADERS.items()
        )
        return cls(
            stack=stack,
            inventory=inventory,
            dynamics=dynamics,
            processes=processes,
            tree=tree,
            added_folders=tuple(folder for folders in added for folder in folders),
        )

    def needed(
        self, record: FileRecord, gone: Collection[FileKey] = frozenset()
    ) -> tuple[Resolution, ...]:
        """Libraries that a native file needs, in the order of its headers; none for any other file.

        With ``gone``, what answers once those files are gone: perhaps another copy.
        """
        dynamic = self.dynamics.get(record.key)
        if dynamic is None:
            return ()
        resolutions = self._after(gone).resolutions
        found: list[Resolution] = []
        for name in dict.fromkeys(dynamic.needed):
            nothing = Resolution(
                name=name, target=None, found_by=FoundBy.HOST, context=record.layer
            )
            found.extend(resolutions.get((record.key, name), (nothing,)))
        return tuple(found)

    def dependents(
        self, record: FileRecord, gone: Collection[FileKey] = frozenset()
    ) -> tuple[FileRecord, ...]:
        """The native files that get ``record`` for something they need, in any process.

        None of them is in ``gone``.
        """
        return tuple(self._record(key) for key in self._after(gone).users.get(record.key, ()))

    def links_to(self, record: FileRecord) -> tuple[FileRecord, ...]:
        """The symbolic and hard links, in any layer, that opening would lead to ``record``."""
        return self._links.get(record.key, ())

    def loader(
        self, native: NativeFormat, process: Process, gone: Collection[FileKey] = frozenset()
    ) -> Loader:
        """Make the loader of a native format in one process, once ``gone`` is gone.

        A folder that Python files add to the search counts as long as one of them is left.
        """
        removed = frozenset(gone)
        return LOADERS[native].start(
            process,
            self._tree(gone),
            _of(self.dynamics, native),
            tuple(folder for folder in self.added_folders if not folder.sources <= removed),
        )

    def _tree(self, gone: Collection[FileKey]) -> VirtualTree:
        return self.tree if not gone else VirtualTree(self.inventory, gone)

    def unresolved(self) -> tuple[tuple[FileRecord, str], ...]:
        """Every needed name that no file of the stack answers.

        Those are libraries of the host, or missing ones.
        """
        return tuple(
            (self._record(key), name)
            for key in sorted(self.dynamics)
            for name in dict.fromkeys(self.dynamics[key].needed)
            if (key, name) not in self._graph.resolutions
        )

    def resolved_links(
        self, gone: Collection[FileKey] = frozenset()
    ) -> Mapping[tuple[FileKey, str], FileKey]:
        """The file that answers each need of each native file once ``gone`` is gone.

        Where processes differ, the first layer's answer stands for all; :meth:`broken_links` looks
        at each.
        """
        answers = (
            (link, found[0].target) for link, found in sorted(self._after(gone).resolutions.items())
        )
        return {link: target.key for link, target in answers if target is not None}

    def broken_links(self, gone: Collection[FileKey]) -> tuple[BrokenLink, ...]:
        """Every needed library that some process finds now, and wouldn't once ``gone`` is gone."""
        removed = frozenset(gone)
        broken: dict[tuple[str, FileKey, str], BrokenLink] = {}
        for process in self.processes:
            after = {
                (root, edge.importer.key, edge.name): edge.target
                for root, edges in self._loads(process, removed)
                for edge in edges
            }
            for root, edges in self._loads(process, frozenset()):
                for edge in edges:
                    if root in removed or edge.importer.key in removed or edge.target is None:
                        continue
                    # An importer that isn't loaded any more is told by the link that led to it.
                    if after.get((root, edge.importer.key, edge.name), edge.target) is None:
                        broken.setdefault(
                            (process.layer, edge.importer.key, edge.name),
                            BrokenLink(
                                context=process.layer,
                                record=edge.importer,
                                name=edge.name,
                                target=edge.target,
                            ),
                        )
        return tuple(broken[key] for key in sorted(broken))

    def _after(self, gone: Collection[FileKey]) -> _Graph:
        """The graph without the files that are gone.

        Only native files, links and what adds folders make a difference.
        """
        removed = frozenset(gone)
        if removed not in self._later:
            relevant = frozenset(
                key for key in removed if key in self.dynamics or key in self._matter
            )
            self._later.clear()
            self._later[removed] = (
                _Graph(resolutions=self._resolve(relevant)) if relevant else self._graph
            )
        return self._later[removed]

    @cached_property
    def _graph(self) -> _Graph:
        return _Graph(resolutions=self._resolve(frozenset()))

    @cached_property
    def _later(self) -> dict[frozenset[FileKey], _Graph]:
        """The graph for the latest set of removals: it is asked for one file after the other."""
        return {}

    @cached_property
    def _links(self) -> Mapping[FileKey, tuple[FileRecord, ...]]:
        found: dict[FileKey, list[FileRecord]] = {}
        for record in self.inventory:
            if record.type in (EntryType.SYMLINK, EntryType.HARDLINK):
                target = self.tree.file(record.deployed_path)
                if target is not None:
                    found.setdefault(target.key, []).append(record)
        return {key: tuple(links) for key, links in found.items()}

    @cached_property
    def _matter(self) -> frozenset[FileKey]:
        links = (EntryType.SYMLINK, EntryType.HARDLINK)
        adding = frozenset(source for folder in self.added_folders for source in folder.sources)
        return adding | {record.key for record in self.inventory if record.type in links}

    def _rules(self, key: FileKey) -> LoaderRules[Any]:
        return LOADERS[self.dynamics[key].format]

    def _record(self, key: FileKey) -> FileRecord:
        return self.inventory.records[key[0]][key[1]]

    @cached_property
    def _sonames(self) -> Mapping[str, tuple[FileKey, ...]]:
        """Every native file by the name that it answers to once it is loaded, whoever loaded it."""
        found: dict[str, list[FileKey]] = {}
        for key in sorted(self.dynamics):
            name = self._rules(key).answers_to(key[1], self.dynamics[key])
            if name:
                found.setdefault(name, []).append(key)
        return {name: tuple(keys) for name, keys in found.items()}

    def _resolve(
        self, gone: frozenset[FileKey]
    ) -> Mapping[tuple[FileKey, str], tuple[Resolution, ...]]:
        edges = [
            (process, edge)
            for process in self.processes
            for _, loaded in self._loads(process, gone)
            for edge in loaded
        ]
        # What some process finds comes before what only a soname would answer.
        answers = [
            (process, edge, edge.target, edge.found_by)
            for process, edge in edges
            if edge.target is not None
        ]
        for process, edge in edges:
            if edge.target is None:
                named = self._by_soname(edge, process, gone)
                answers.extend((process, edge, target, FoundBy.SONAME) for target in named)
        found: dict[tuple[FileKey, str], dict[FileKey, Resolution]] = {}
        for process, edge, target, found_by in answers:
            item = Resolution(
                name=edge.name, target=target, found_by=found_by, context=process.layer
            )
            found.setdefault((edge.importer.key, edge.name), {}).setdefault(target.key, item)
        return {link: tuple(by_target.values()) for link, by_target in found.items()}

    def _by_soname(
        self, edge: Edge, process: Process, gone: frozenset[FileKey]
    ) -> list[FileRecord]:
        """Libraries with the soname that the search missed: one loaded earlier answers.

        (torch preloads its own.)
        """
        importer = self.dynamics[edge.importer.key]
        rules = LOADERS[importer.format]
        return [
            self._record(key)
            for key in self._sonames.get(rules.asked(edge.name), ())
            if key not in gone
            and key[0] in process.layers
            and key != edge.importer.key
            and self.dynamics[key].format is importer.format
            and rules.same_machine(self.dynamics[key], importer)
        ]

    def _loads(
        self, process: Process, gone: frozenset[FileKey]
    ) -> list[tuple[FileKey, list[Edge]]]:
        """Each native file that the process may load, loaded alone."""
        loaders = {native: self.loader(native, process, gone) for native in LOADERS}
        loads = []
        for key in sorted(self.dynamics):
            dynamic = self.dynamics[key]
            if key in gone or key[0] not in process.layers:
                continue
            if self._rules(key).may_find(dynamic, self._named):
                record = self._record(key)
                loads.append((key, loaders[dynamic.format].load(record, record.deployed_path)))
        return loads

    @cached_property
    def _named(self) -> KnownNames:
        return KnownNames(
            files=self.tree.names, folded=self.tree.folded_names, loaded=self._sonames
        )


def _of(dynamics: Mapping[FileKey, Dynamic], native: NativeFormat) -> Mapping[FileKey, Dynamic]:
    return {key: dynamic for key, dynamic in dynamics.items() if dynamic.format is native}
