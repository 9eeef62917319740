"""Check ``lost-imports``: nothing that stays imports, at any depth, a module that went."""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.model.finding import Evidence
from slim.model.outcome import Check
from slim.model.plan import Plan
from slim.model.record import EntryType, FileKey, FileRecord, Inventory
from slim.model.stack import Layer, Stack, System
from slim.verification.lost_imports.names import Gone, Places
from slim.verification.lost_imports.packages import Package, package_of
from slim.verification.lost_imports.statements import (
    Imported,
    Platform,
    imports_by_words,
    imports_of,
)

NAME = "lost-imports"
_LARGEST = 1 << 24
"""Bytes of the largest source that is read."""
_QUOTED = re.compile(rb"[\"']([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+)(?::[A-Za-z_][\w.]*)?[\"']")
_PYTHON = re.compile(rb"#!.*python")

RuleOf = Callable[[FileRecord], str]
"""Tells the id of the rule that took a file; empty where that isn't known."""
Forgives = Callable[[FileRecord, FileRecord, str], str]
"""Tells why one file may go though another (second) imports it, given the rule that took it.

The answer is empty where nothing says so.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The check, and the files whose absence failed it, with an import of each as evidence."""

    check: Check
    gone: Mapping[FileKey, Evidence]


@dataclass(frozen=True, kw_only=True)
class _Loss:
    """An import that lost its module. ``weak`` says why that may not matter."""

    importer: FileRecord
    line: int
    name: str
    gone: FileRecord
    weak: str

    @property
    def evidence(self) -> Evidence:
        """The import as evidence for the module that it needs."""
        return Evidence(
            kind="import",
            text=f"an import of {self.name}",
            file=self.importer.deployed_path,
            line=self.line,
        )

    def sentence(self, rule: str, why: str = "") -> str:
        """Tell it, with the rule that took the module, and with why it may be."""
        words = ", ".join(part for part in (f"taken by {rule}" if rule else "", why) if part)
        where = f"{self.importer.deployed_path}:{self.line}"
        return f"{where}: {self.name} is gone ({self.gone.deployed_path}{words and ', ' + words})"


def find_losses(
    stack: Stack,
    inventory: Inventory,
    plan: Plan,
    read: ReadFile,
    *,
    original: ReadFile,
    rule_of: RuleOf,
    forgives: Forgives,
) -> Losses:
    """Check that no Python file of a result imports a module that only the original has.

    ``read`` reads files of the result, ``original`` those of the stack as it was. An import whose
    failure is caught, that never runs on the layer's platform, or that ``forgives`` explains is
    told in a remark. So is the name of such a module alone in a string.
    """
    places = Places(stack, inventory, original)
    taken = [record for record in inventory if plan.removes(record.key)]
    search = _Search(stack, inventory, plan, places, Gone(stack, inventory, places, taken), read)
    failures: list[str] = []
    lost: dict[FileKey, Evidence] = {}
    counts: Counter[str] = Counter()
    shown: list[str] = []
    for loss in search.losses():
        rule = rule_of(loss.gone)
        why = loss.weak or forgives(loss.gone, loss.importer, rule)
        if not why:
            failures.append(loss.sentence(rule))
            lost.setdefault(loss.gone.key, loss.evidence)
        elif not counts[why]:
            shown.append(loss.sentence(rule, why))
        counts[why] += 1
    del counts[""]
    remarks = (f"{count:,}: {why}" for why, count in sorted(counts.items()))
    note = f"not counted: {'; '.join(remarks)}. {'; '.join(shown)}" if counts else ""
    check = Check(name=NAME, tried=search.read_files, failures=tuple(failures), note=note)
    return Losses(check=check, gone=lost)


class _Search:
    """One search through the Python files that stay."""

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        plan: Plan,
        places: Places,
        gone: Gone,
        read: ReadFile,
    ) -> None:
        self._inventory = inventory
        self._plan = plan
        self._places = places
        self._gone = gone
        self._read = read
        self._platforms = {layer.name: _platform(layer) for layer in stack}
        self._seen = {layer.name: (layer.name, *layer.requires) for layer in stack}
        self._packages: dict[tuple[str, str], Package | None] = {}
        self.read_files = 0

    def losses(self) -> Iterator[_Loss]:
        """Yield every import of a file that stays which lost its module."""
        for record in self._inventory if self._gone.words else ():
            if self._plan.removes(record.key) or not self._is_python(record):
                continue
            self.read_files += 1
            source = bytes(self._read(record))
            if any(self._lost(record, found) for found in imports_by_words(source)):
                for imported in imports_of(source, self._platforms[record.layer]):
                    yield from self._losses(record, imported)
            yield from self._named(record, source)

    def _is_python(self, record: FileRecord) -> bool:
        if record.type is not EntryType.FILE or not 0 < record.size <= _LARGEST:
            return False
        if record.path.endswith((".py", ".pyw", ".pth")):
            return True
        return (
            record.native is None
            and bool(record.mode & 0o100)
            and _PYTHON.match(bytes(self._read(record)[:256])) is not None
        )

    def _losses(self, record: FileRecord, imported: Imported) -> Iterator[_Loss]:
        lost: dict[FileKey, tuple[str, str]] = {}
        for name, key, why in self._lost(record, imported):
            lost.setdefault(key, (name, imported.weak or why))
        for key, (name, why) in lost.items():
            gone = self._inventory.records[key[0]][key[1]]
            yield _Loss(importer=record, line=imported.line, name=name, gone=gone, weak=why)

    def _lost(self, record: FileRecord, imported: Imported) -> list[tuple[str, FileKey, str]]:
        """List what an import lost: names, the files that went, and why that may not matter."""
        words = {*imported.module.split("."), *imported.names}
        star = "*" in imported.names
        if not star and words.isdisjoint(self._gone.words):
            return []
        base = self._base(record, imported)
        if base is None:
            return []
        parts = base.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            key = self._gone.find(name, record.layer)
            if key is not None:
                return [(name, key, "")]
        if star and base in self._gone.parents:
            return list(self._star(base, record.layer))
        members = [(name, f"{base}.{name}") for name in imported.names if base]
        found = [
            (whole, key, self._attribute(base, name, record.layer))
            for name, whole in members
            if name in self._gone.words
            and (key := self._gone.find(whole, record.layer)) is not None
        ]
        return [one for one in found if one[2] != _BOUND]

    def _base(self, record: FileRecord, imported: Imported) -> str | None:
        """Return the full name of the module that an import names."""
        if not imported.level:
            return imported.module
        folder = record.path.rpartition("/")[0]
        for _ in range(imported.level - 1):
            if not folder:
                return None
            folder = posixpath.dirname(folder)
        base = self._places.name_of(record.layer, folder)
        return ".".join(part for part in (base, imported.module) if part)

    def _star(self, package: str, layer: str) -> Iterator[tuple[str, FileKey, str]]:
        """Yield what a star import of a package asks for by its ``__all__``."""
        known = self._package(package, layer)
        for name in self._gone.members(package, layer) if known else ():
            whole = f"{package}.{name}"
            key = self._gone.find(whole, layer)
            if known and key and name in known.exported and name not in known.bound:
                yield whole, key, "" if known.certain else _PERHAPS

    def _attribute(self, package: str, name: str, layer: str) -> str:
        """Return whether a name may be a package's own: for certain, perhaps, or not at all."""
        known = self._package(package, layer)
        if known is None:
            return ""
        if name in known.bound:
            return _BOUND
        return "" if known.certain else _PERHAPS

    def _package(self, name: str, layer: str) -> Package | None:
        asked = (layer, name)
        if asked not in self._packages:
            self._packages[asked] = None
            inner = name.replace(".", "/")
            for one in self._seen[layer]:
                records = self._inventory.records[one]
                for path in self._places.sources(one, inner):
                    if path in records and not self._plan.removes((one, path)):
                        source = bytes(self._read(records[path]))
                        self._packages[asked] = package_of(name, source)
                        return self._packages[asked]
        return self._packages[asked]

    def _named(self, record: FileRecord, source: bytes) -> Iterator[_Loss]:
        known: set[str] = set()
        for match in _QUOTED.finditer(source):
            name = match[1].decode("utf-8", "replace")
            if name not in known and name.rpartition(".")[2] in self._gone.words:
                known.add(name)
                key = self._gone.find(name, record.layer)
                if key is not None:
                    gone = self._inventory.records[key[0]][key[1]]
                    line = source.count(b"\n", 0, match.start()) + 1
                    yield _Loss(
                        importer=record, line=line, name=name, gone=gone, weak="a string names it"
                    )


_BOUND = "the package has an attribute of that name"
_PERHAPS = "the package may have an attribute of that name"


_SYSTEMS: Mapping[System, tuple[str, str]] = {
    System.LINUX: ("linux", "posix"),
    System.MACOS: ("darwin", "posix"),
    System.WINDOWS: ("win32", "nt"),
}


def _platform(layer: Layer) -> Platform:
    system, name = _SYSTEMS.get(layer.platform.system, (None, None))
    version = layer.python_version or ""
    parts = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    return Platform(system, name, parts or None)
