"""Closure of what of Qt is used, from modules that were chosen and from what holds others.

A file of Qt stays where one of these needs it:

- a module that was chosen: its extension module imports others, its libraries link others;
- a module that stays brings its plug-ins along, since Qt lists their folders at run time; a plug-in
  needs the libraries that it links;
- a QML module stays with Qt Quick (or Qt Qml) where it needs nothing but the libraries of that
  family, what makes modules that stay known to QML, and what stays anyway; and where something that
  stays imports it by name;
- anything outside of Qt that imports, links or names one of them.

The first is no refusal: it is what was chosen. The last is one, and so is all that it brings along.

Sources: Qt's documentation ("Deploying Qt Applications", "How to Create Qt Plugins", "QML Module
Definition qmldir Files", "Qt Quick Controls: Styling").
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from slim.analysis.facts import Facts
from slim.analysis.qt.mentions import form_modules, may_mention, qml_imports
from slim.analysis.qt.names import (
    Part,
    module_file,
    needed_module,
    qml_path,
    root_of,
)
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord

_FAMILIES: Final[Mapping[str, re.Pattern[str]]] = {
    "Qml": re.compile(r"Qml\w*\Z"),
    "Quick": re.compile(r"(?:Qml|Labs|Quick(?!3D|Test|Widgets))\w*\Z"),
}
"""Modules whose QML modules a program of Qt Qml or Qt Quick may import, by that module."""

_PYTHON: Final = ".py"

Why = tuple[Evidence, ...]
"""What holds a file; empty where that is what was chosen."""

_Place = tuple[str, str]
"""Layer and folder of a binding."""
_Module = tuple[_Place, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file of Qt that goes unless something needs it.

    ``modules`` are those that it belongs to, one of which is enough: plug-ins, and data. A file
    that belongs to none stays where all of Qt stays that it needs: a program that links it, a
    module of Python that imports it.
    """

    record: FileRecord
    modules: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class _QmlModule:
    """A folder with a ``qmldir``, without the QML modules in it."""

    name: str
    place: _Place
    keys: list[FileKey] = field(default_factory=list)


class QtUse:
    """Finds out what of Qt stays. ``held`` tells whether a file stays whatever is proposed.

    ``weak_counts`` tells for a layer whether an import whose failure is caught holds a module, and
    ``accepted`` whether a file's imports hold nothing.
    """

    def __init__(
        self,
        facts: Facts,
        candidates: Iterable[Candidate],
        *,
        gone: Collection[FileKey],
        held: Callable[[FileRecord], bool],
        weak_counts: Callable[[str], bool],
        accepted: Callable[[FileRecord], bool],
    ) -> None:
        self._facts = facts
        self._gone = gone
        self._held = held
        self._weak_counts = weak_counts
        self._accepted = accepted
        self._candidates = {each.record.key: each for each in candidates}
        self._kept: dict[FileKey, Why] = {}
        self._active: dict[_Module, Why] = {}
        self._waiting: deque[FileKey] = deque()
        self._files: dict[_Module, list[FileKey]] = defaultdict(list)
        self._followers: dict[_Module, list[FileKey]] = defaultdict(list)
        self._programs: list[FileKey] = []
        self._qml: dict[tuple[_Place, str], _QmlModule] = {}
        self._qml_of: dict[FileKey, _QmlModule] = {}
        self._imports: dict[str, list[tuple[FileKey, Evidence]]] = defaultdict(list)
        for key, candidate in sorted(self._candidates.items()):
            self._sort(key, candidate)

    def kept(self) -> Mapping[FileKey, Why]:
        """Return the candidates that stay, each with what holds it."""
        self._read_imports()
        others: list[FileRecord] = []
        for record in self._facts.inventory:
            if record.key in self._gone or record.type is EntryType.DIRECTORY:
                continue
            candidate = record.key in self._candidates
            if candidate and self._held(record):
                self._hold(record.key, ())
            elif not candidate and module_file(record.path) is not None:
                self._chosen(record)
            elif not candidate:
                others.append(record)
        self._settle()
        for record in others:
            self._outside(record)
        for importer, edges in self._imports.items():
            if not self._is_inside(importer):
                for key, evidence in edges:
                    self._hold(key, (evidence,))
        self._settle()
        return self._kept

    def _sort(self, key: FileKey, candidate: Candidate) -> None:
        path = candidate.record.path
        part = module_file(path)
        if part is not None:
            self._files[(key[0], part.root), part.module].append(key)
            return
        place = (key[0], root_of(path) or "")
        below = qml_path(path)
        if below is not None:
            self._sort_qml(key, place, below)
            return
        for module in candidate.modules:
            self._followers[place, module].append(key)
        if not candidate.modules:
            self._programs.append(key)

    def _sort_qml(self, key: FileKey, place: _Place, below: str) -> None:
        records = self._facts.inventory.records[key[0]]
        top = key[1].removesuffix(below)
        folder = posixpath.dirname(below)
        while folder and f"{top}{folder}/qmldir" not in records:
            folder = posixpath.dirname(folder)
        if not folder:
            self._followers[place, "Qml"].append(key)
            return
        name = folder.replace("/", ".")
        module = self._qml.setdefault((place, name), _QmlModule(name=name, place=place))
        module.keys.append(key)
        self._qml_of[key] = module

    def _read_imports(self) -> None:
        """Note who imports which module of Qt's bindings, of what isn't gone."""
        modules = {
            key
            for key in self._candidates
            if key[1].endswith(_PYTHON)
            or ((part := module_file(key[1])) is not None and part.part is Part.EXTENSION)
        }
        imports = self._facts.imports
        records = self._facts.inventory.by_deployed_path
        for key, pieces in imports.importers_of_each(modules, self._gone).items():
            for evidence in pieces:
                importer = records.get(evidence.file or "")
                outside = importer is not None and importer.key not in self._candidates
                if importer is not None and outside and self._accepted(importer):
                    continue
                if evidence.strength is Strength.STRONG or self._weak_counts(key[0]):
                    self._imports[evidence.file or ""].append((key, evidence))

    def _is_inside(self, deployed_path: str) -> bool:
        """Return whether a file is a part of Qt, so that it holds others only where it stays."""
        record = self._facts.inventory.by_deployed_path.get(deployed_path)
        return record is not None and (
            record.key in self._candidates or module_file(record.path) is not None
        )

    def _chosen(self, record: FileRecord) -> None:
        """Note a file of a chosen module: what it needs stays without further reason."""
        part = module_file(record.path)
        assert part is not None
        if part.part is not Part.STUB:
            self._activate(((record.layer, part.root), part.module), ())
        self._follow(record, ())

    def _outside(self, record: FileRecord) -> None:
        """Hold what a file that is no part of Qt links or names."""
        if record.native is not None:
            for resolution in self._facts.libraries.needed(record):
                if resolution.target is not None and resolution.target.key in self._candidates:
                    self._hold(resolution.target.key, (_needed(record, resolution.name),))
        elif record.type is EntryType.FILE and may_mention(record.path):
            if self._accepted(record):
                return
            self._text(record, ())

    def _text(self, record: FileRecord, why: Why) -> None:
        """Hold the QML modules that a file imports, and the modules of a form's widgets."""
        text = bytes(self._facts.read(record))
        for name, line in qml_imports(record.path, text):
            evidence = Evidence(
                kind="qml", text=f"imports {name}", file=record.deployed_path, line=line
            )
            for (_, known), module in self._qml.items():
                if known == name:
                    for key in module.keys:
                        self._hold(key, (evidence, *why[-1:]) if self._tells(record, why) else ())
        for name, line in form_modules(record.path, text):
            evidence = Evidence(
                kind="form", text=f"shows widgets of {name}", file=record.deployed_path, line=line
            )
            for (_, known), keys in list(self._files.items()):
                if known == name:
                    for key in keys:
                        self._hold(key, (evidence,))

    def _tells(self, record: FileRecord, why: Why) -> bool:
        """Return whether a file is a reason to name: a part of Qt that was chosen isn't."""
        return bool(why) or record.key not in self._kept

    def _hold(self, key: FileKey, why: Why) -> None:
        if key in self._candidates and key not in self._kept:
            self._kept[key] = why
            self._waiting.append(key)

    def _activate(self, module: _Module, why: Why) -> None:
        """Have a module's plug-ins and the rest of its library stay."""
        if module in self._active:
            return
        self._active[module] = why
        for key in self._followers[module]:
            self._hold(key, why)

    def _settle(self) -> None:
        """Follow what stays to all that it needs, until nothing more does."""
        while True:
            while self._waiting:
                key = self._waiting.popleft()
                why = self._kept[key]
                record = self._candidates[key].record
                self._module_stays(record, why)
                self._follow(record, why)
                if key in self._qml_of and record.type is EntryType.FILE:
                    for mate in self._qml_of[key].keys:
                        self._hold(mate, why)
                    if may_mention(record.path):
                        self._text(record, why)
            self._usable()
            if not self._waiting:
                return

    def _module_stays(self, record: FileRecord, why: Why) -> None:
        part = module_file(record.path)
        if part is None or part.part is Part.STUB:
            return
        module = ((record.layer, part.root), part.module)
        self._activate(module, why)
        together = (Part.LIBRARY,) if part.part is Part.LIBRARY else (Part.EXTENSION, Part.STUB)
        for key in self._files[module]:
            other = module_file(key[1])
            if other is not None and other.part in together:
                self._hold(key, why)

    def _follow(self, record: FileRecord, why: Why) -> None:
        """Hold what a file of Qt that stays links and imports."""
        for resolution in self._facts.libraries.needed(record):
            if resolution.target is not None:
                evidence = (_needed(record, resolution.name), *why[-1:]) if why else ()
                self._hold(resolution.target.key, evidence)
        for key, imported in self._imports.get(record.deployed_path, ()):
            self._hold(key, (imported, *why[-1:]) if why else ())

    def _usable(self) -> None:
        """Hold the QML modules and programs for which all that they need is there."""
        for module in sorted(self._qml.values(), key=lambda each: (each.place, each.name)):
            if module.keys[0] in self._kept or not self._parent_stays(module):
                continue
            family = self._family(module.place)
            needs = {name for key in module.keys for name in self._needed_modules(key)}
            if family is not None and self._in_reach(module.place, needs, family):
                why = self._active.get((module.place, "Qml"), ())
                for key in module.keys:
                    self._hold(key, why)
        for key in self._programs:
            if key not in self._kept and self._works(key):
                self._hold(key, ())

    def _works(self, key: FileKey) -> bool:
        """Return whether all stays that a program links, or that a Python module imports of Qt."""
        if key[1].endswith(_PYTHON):
            path = self._candidates[key].record.deployed_path
            return all(needed in self._kept for needed, _ in self._imports.get(path, ()))
        place = (key[0], root_of(key[1]) or "")
        needs = set(self._needed_modules(key))
        return bool(needs) and all((place, name) in self._active for name in needs)

    def _parent_stays(self, module: _QmlModule) -> bool:
        name = module.name
        while "." in name:
            name = name.rpartition(".")[0]
            parent = self._qml.get((module.place, name))
            if parent is not None:
                return parent.keys[0] in self._kept
        return True

    def _family(self, place: _Place) -> re.Pattern[str] | None:
        for name in ("Quick", "Qml"):
            if (place, name) in self._active:
                return _FAMILIES[name]
        return None

    def _in_reach(self, place: _Place, names: Iterable[str], family: re.Pattern[str]) -> bool:
        """Return whether libraries need nothing but the family, and what stays anyway."""
        seen: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name in seen or (place, name) in self._active:
                continue
            seen.add(name)
            near = family.match(name) is not None or self._is_for_qml(place, name)
            if not near or not self._libraries(place, name):
                return False
            for key in self._libraries(place, name):
                waiting.extend(self._needed_modules(key))
        return True

    def _is_for_qml(self, place: _Place, name: str) -> bool:
        """Return whether a library makes a module that stays known to QML (``MultimediaQuick``)."""
        return any(
            where == place and module not in _FAMILIES and name.startswith(module)
            for where, module in self._active
        )

    def _libraries(self, place: _Place, module: str) -> list[FileKey]:
        return [
            key
            for key in self._files.get((place, module), ())
            if (part := module_file(key[1])) is not None and part.part is Part.LIBRARY
        ]

    def _needed_modules(self, key: FileKey) -> Iterator[str]:
        dynamic = self._facts.libraries.dynamics.get(key)
        for name in dynamic.needed if dynamic is not None else ():
            module = needed_module(name)
            if module is not None:
                yield module


def _needed(record: FileRecord, name: str) -> Evidence:
    return Evidence(kind="needed", text=f"needs {name} and stays", file=record.deployed_path)
