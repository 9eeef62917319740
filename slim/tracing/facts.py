"""Facts of runs as a trace: files become modules and paths of owners, imports become families."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from slim.analysis.imports.modules import ModuleIndex, dotted
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.inventory.load import LoadedStack
from slim.inventory.owners import source_of
from slim.model.record import FileKey, FileKind, FileRecord, Owner
from slim.model.trace import (
    RunKind,
    Runs,
    Trace,
    TracedRun,
    Uses,
    Witness,
    layer_key,
    traced_path,
)
from slim.tracing.families import COMPUTING, Importer
from slim.tracing.logs import Logged, Origin

_NATIVE = frozenset({FileKind.LIBRARY, FileKind.EXTENSION, FileKind.EXECUTABLE, FileKind.DEBUG})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """One run: what its processes wrote, and which files were read (None: nothing tells)."""

    name: str
    """Name of the run."""
    kind: RunKind
    logged: Logged
    accessed: frozenset[str] | None
    platform: str
    """Key of the platform that it ran on."""


class _Used:
    """Facts of one owner in one layer, while they are collected."""

    def __init__(self) -> None:
        self.modules: dict[str, set[str]] = defaultdict(set)
        self.read: dict[str, set[str]] = defaultdict(set)
        self.folders: dict[str, set[str]] = defaultdict(set)
        self.natives: dict[tuple[str, str], set[str]] = defaultdict(set)

    def uses(self) -> Uses:
        """Return them as a trace holds them."""
        return Uses(
            modules=_frozen(self.modules),
            read=_frozen(self.read),
            folders=_frozen(self.folders),
            natives={key: frozenset(runs) for key, runs in self.natives.items()},
        )


class StackFacts:
    """A stack that runs were recorded of, by the paths that its files have when deployed."""

    def __init__(self, loaded: LoadedStack) -> None:
        self._loaded = loaded
        self._inventory = loaded.inventory
        self._index = ModuleIndex(loaded.stack, loaded.inventory, loaded.read)
        self._tree = VirtualTree(loaded.inventory)
        self._layers = {layer.name: layer for layer in loaded.stack}
        self._importers: dict[FileKey, Importer | None] = {}

    def trace(self, runs: Iterable[RunFacts]) -> Trace:
        """Return the trace of these runs. What lies in no layer is left out."""
        used: dict[tuple[str, Owner], _Used] = {
            (layer_key(self._layers[name]), owner): _Used() for name, owner in self._owners()
        }
        families: dict[str, dict[str, dict[str, set[str]]]] = {}
        traced: dict[str, TracedRun] = {}
        for run in runs:
            witnesses = {Witness.RECORDER}
            if run.accessed is not None:
                witnesses.add(Witness.TIMES)
            platforms = {run.platform: frozenset(witnesses)}
            traced[run.name] = TracedRun(name=run.name, kind=run.kind, witnesses=platforms)
            self._take(run, used)
            self._take_families(run, families)
        return Trace(
            runs=traced,
            uses={key: table.uses() for key, table in used.items()},
            families={
                prefix: {place: _frozen(members) for place, members in places.items()}
                for prefix, places in families.items()
            },
        )

    def _owners(self) -> Iterable[tuple[str, Owner]]:
        for name, distributions in self._inventory.distributions.items():
            yield from ((name, distribution.owner) for distribution in distributions.values())
        yield from dict.fromkeys((record.layer, record.owner) for record in self._inventory)

    def _take(self, run: RunFacts, used: Mapping[tuple[str, Owner], _Used]) -> None:
        logged = run.logged
        seen: set[FileKey] = set()
        for path in logged.modules:
            record = self._file(path)
            if record is not None:
                self._note(run, used, record, imported=True)
                seen.add(record.key)
        for name in logged.names:
            for key in self._by_name.get(name, ()):
                if key not in seen:
                    record = self._inventory.records[key[0]][key[1]]
                    self._note(run, used, record, imported=True)
                    seen.add(key)
        for path in (*logged.read, *logged.natives):
            record = self._file(path)
            if record is not None:
                self._note(run, used, record, imported=False)
                seen.add(record.key)
        for path in (*logged.listed, *logged.read):  # to open a folder is to list it
            folder = self._folder(path)
            if folder is not None:
                self._note_folder(run, folder, used)
        for path in run.accessed or ():
            record = self._file(path)
            if record is not None and record.key not in seen:
                self._note_accessed(run, used, record)

    def _note(
        self,
        run: RunFacts,
        used: Mapping[tuple[str, Owner], _Used],
        record: FileRecord,
        *,
        imported: bool,
    ) -> None:
        """Note a file that Python code imported or read."""
        layer = self._layers[record.layer]
        table = used[layer_key(layer), record.owner]
        path, name = traced_path(layer, record.path), self._name(record.key)
        if record.kind in _NATIVE or record.native:
            table.natives[run.platform, path].add(run.name)
            if name and record.kind is FileKind.EXTENSION:
                table.modules[name].add(run.name)
        elif imported and name:
            table.modules[name].add(run.name)
        else:
            table.read[path].add(run.name)

    def _note_accessed(
        self, run: RunFacts, used: Mapping[tuple[str, Owner], _Used], record: FileRecord
    ) -> None:
        """Note a file that was read, but not by Python code that the recorder saw."""
        if self._name(record.key) is not None and not record.native:
            if run.kind is not RunKind.INSTALL:  # every source is compiled there, and so read
                self._note(run, used, record, imported=True)
        elif record.native:
            self._note(run, used, record, imported=True)
        else:
            layer = self._layers[record.layer]
            place = (run.platform, traced_path(layer, record.path))
            used[layer_key(layer), record.owner].natives[place].add(run.name)

    def _note_folder(
        self, run: RunFacts, folder: FileKey, used: Mapping[tuple[str, Owner], _Used]
    ) -> None:
        """Note a folder that was listed with every owner of files in it."""
        layer = self._layers[folder[0]]
        for owner in self._owners_below.get(folder, ()):
            used[layer_key(layer), owner].folders[traced_path(layer, folder[1])].add(run.name)

    @cached_property
    def _owners_below(self) -> Mapping[FileKey, set[Owner]]:
        """Owners of the files that lie in each folder itself, or in folders below it."""
        found: dict[FileKey, set[Owner]] = defaultdict(set)
        for record in self._inventory:
            folder = record.path.rpartition("/")[0]
            while folder:
                found[record.layer, folder].add(record.owner)
                folder = folder.rpartition("/")[0]
        return found

    @cached_property
    def _by_name(self) -> Mapping[str, list[FileKey]]:
        found: dict[str, list[FileKey]] = defaultdict(list)
        for key, modules in self._index.modules.items():
            for module in modules:
                if module.rooted:
                    found[dotted(module.name)].append(key)
        return found

    def _name(self, key: FileKey) -> str | None:
        """Return the name that a file is imported under; None where it can't be."""
        rooted = (module for module in self._index.modules.get(key, ()) if module.rooted)
        return next((dotted(module.name) for module in rooted), None)

    def _file(self, path: str) -> FileRecord | None:
        """Return the file of a layer that a deployed path leads to; bytecode is its source's."""
        find = self._tree.folded if self._loaded.stack.platform.folds_names else self._tree.file
        found = find(path)
        if found is None or "__pycache__" in path:
            source = source_of(path)
            found = (find(source) if source else None) or found
        return found

    def _folder(self, path: str) -> FileKey | None:
        """Return the folder at a deployed path, unless it is one that Python searches."""
        layer, _, inner = path.partition("/")
        if layer not in self._layers or not inner or path not in self._folders:
            return None
        return None if self._index.is_root((layer, inner)) else (layer, inner)

    @cached_property
    def _folders(self) -> frozenset[str]:
        return self._tree.folders

    # -- families ----------------------------------------------------------------------------------

    def _take_families(
        self, run: RunFacts, families: dict[str, dict[str, dict[str, set[str]]]]
    ) -> None:
        members: list[tuple[str, Origin]] = []
        for path, origins in run.logged.modules.items():
            record = self._file(path)
            name = None if record is None else self._name(record.key)
            if name:
                members += ((name, origin) for origin in origins if origin.how in COMPUTING)
        for table in (run.logged.names, run.logged.computed):
            for name, origins in table.items():
                if name in self._by_name:
                    members += ((name, origin) for origin in origins)
        for name, origin in members:
            record = self._file(origin.importer) if origin.importer else None
            place = None if record is None else self._name(record.key)
            if record is None or place is None:
                continue
            importer = self._importer(record, place)
            prefix = importer.prefix(origin.line, name, origin.how) if importer else None
            if prefix is None or self._is_generic(place, prefix):
                continue
            places = families.setdefault(prefix, {})
            places.setdefault(f"{place}:{origin.line}", {}).setdefault(name, set()).add(run.name)

    def _is_generic(self, place: str, prefix: str) -> bool:
        """Return whether a function of the standard library imports what it is told to."""
        top = place.partition(".")[0]
        return top in self._index.standard and prefix.partition(".")[0] != top

    def _importer(self, record: FileRecord, name: str) -> Importer | None:
        if record.key not in self._importers:
            content = None
            if record.path.endswith(".py"):
                package = name if record.path.endswith("/__init__.py") else name.rpartition(".")[0]
                content = Importer(name, package, bytes(self._loaded.read(record)))
            self._importers[record.key] = content
        return self._importers[record.key]


def _frozen(table: Mapping[str, set[str]]) -> dict[str, Runs]:
    return {name: frozenset(runs) for name, runs in table.items()}
