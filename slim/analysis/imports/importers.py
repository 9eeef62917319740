"""Candidates that one file imports.

Reading thousands of files for a handful of names must be quick:
:func:`slim.analysis.imports.text_scan.text_hints` tells, once for each file, which words its
imports are made of; only files whose words can be about a candidate are parsed, once.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from slim.analysis import ReadFile
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.modules import (
    SOURCE_SUFFIXES,
    Module,
    ModuleIndex,
    as_bytes,
    parents,
)
from slim.analysis.imports.scans import Import, Scan
from slim.analysis.imports.text_scan import Hints, text_hints
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord, Inventory

MAX_SCRIPT = 1 << 20
"""A file without a suffix and of more bytes than this is no Python script."""
_SHEBANG = re.compile(rb"#!(?:[^\n]*\n){0,2}[^\n]*python")


@dataclass(frozen=True, slots=True)
class ModuleMention:
    """A module that a file names, and the evidence of it."""

    name: str
    evidence: Evidence


@dataclass(slots=True)
class _FileFacts:
    """Facts about one file, as far as they were asked for."""

    hints: Hints
    scan: Scan | None = None
    expressions: bool = False
    stub: FileRecord | None = None
    modules: tuple[Module, ...] = field(default=())


class ImportReader:
    """Reads the Python code of a stack and remembers what it has read."""

    def __init__(
        self, inventory: Inventory, index: ModuleIndex, read: ReadFile, *, thorough: bool
    ) -> None:
        self._inventory = inventory
        self._index = index
        self._read = read
        self._thorough = thorough
        self._loaded: dict[FileKey, _FileFacts | None] = {}
        self._packages: dict[str, list[FileRecord]] | None = None

    def mentions(self, record: FileRecord, candidates: Candidates) -> Iterator[ModuleMention]:
        """Every candidate that a file imports or names; none for a file that isn't Python."""
        known = self._facts(record)
        if known is None:
            return
        depth = self._depth(known, candidates)
        if depth:
            found = self._scan(record, known, expressions=depth > 1)
            for module in known.modules:
                yield from _mentions(record, module, found, candidates, self._index)
        if (
            known.stub is not None
        ):  # lazy_loader.attach_stub imports what the stub says, when it is used
            stub = scan(bytes(self._read(known.stub)), expressions=False)
            for module in known.modules:
                for mention in _mentions(known.stub, module, stub, candidates, self._index):
                    yield _weaker(mention, "a stub that is loaded lazily")

    def exports_of(self, package: str, names: frozenset[str]) -> frozenset[str]:
        """Those names that a package's literal ``__all__`` lists.

        Names that its ``__init__`` binds itself are left out.
        """
        if self._packages is None:
            self._packages = {}
            for record in self._inventory:
                for module in self._index.modules.get(record.key, ()):
                    if module.package:
                        self._packages.setdefault(module.name, []).append(record)
        exported: set[str] = set()
        for record in self._packages.get(package, ()):
            known = self._facts(record)
            if known is None or not (
                known.hints.opaque or known.hints.quoted & set(map(as_bytes, names))
            ):
                continue
            found = self._scan(record, known, expressions=False)
            exported |= (names & found.exported) - found.bound
        return frozenset(exported)

    def line_of(self, record: FileRecord, option: str) -> int | None:
        """The line (from 1) on which a file sets an option, as in ``option = value``."""
        source = bytes(self._read(record))
        match = re.search(
            rb"^[ \t]*" + re.escape(as_bytes(option)) + rb"[ \t]*=",
            source,
            re.M,
        )
        return source.count(b"\n", 0, match.start()) + 1 if match else None

    def _facts(self, record: FileRecord) -> _FileFacts | None:
        if record.key not in self._loaded:
            self._loaded[record.key] = self._load_hints(record)
        return self._loaded[record.key]

    def _load_hints(self, record: FileRecord) -> _FileFacts | None:
        source = self._source(record)
        if source is None:
            return None
        modules = self._index.modules.get(record.key) or (
            Module("/" + record.deployed_path, False),
        )
        known = _FileFacts(
            hints=text_hints(source, undotted=any(module.package for module in modules)),
            modules=modules,
        )
        if b"attach_stub" in source:
            known.stub = self._inventory.get(
                (record.layer, record.path.rpartition(".")[0] + ".pyi")
            )
        return known

    def _source(self, record: FileRecord) -> bytes | None:
        """The Python code in a file; None where there is none."""
        if record.type is EntryType.DIRECTORY:
            return None
        name = record.path.rpartition("/")[2]
        if name.endswith(SOURCE_SUFFIXES):
            return bytes(self._read(self._followed(record)))
        if name.endswith(".pth") and self._index.is_root(
            (record.layer, record.path.rpartition("/")[0])
        ):
            return _code_of_pth(bytes(self._read(record)))
        if (
            "." in name
            or record.native is not None
            or not record.mode & 0o111
            or record.size > MAX_SCRIPT
        ):
            return None
        source = bytes(self._read(record))
        return source if _SHEBANG.match(source) else None

    def _followed(self, record: FileRecord) -> FileRecord:
        """The file that a link leads to, as far as it lies in the stack."""
        if record.link_target is None:
            return record
        if record.type is EntryType.HARDLINK:
            return self._inventory.get((record.layer, record.link_target)) or record
        folder = posixpath.dirname(record.deployed_path)
        target = posixpath.normpath(posixpath.join(folder, record.link_target))
        return self._inventory.by_deployed_path.get(target, record)

    def _scan(self, record: FileRecord, known: _FileFacts, *, expressions: bool) -> Scan:
        if known.scan is None or (expressions and not known.expressions):
            known.scan = scan(self._source(record) or b"", expressions=expressions)
            known.expressions = expressions
        return known.scan

    def _depth(self, known: _FileFacts, candidates: Candidates) -> int:
        """Depth to which a file has to be read.

        0: not at all; 1: its statements; 2: its expressions too.
        """
        hints = known.hints
        if self._thorough or hints.opaque or hints.dynamic or hints.quoted & candidates.dotted:
            return 2
        for module in known.modules:
            if module.package and hints.quoted & candidates.below.get(module.name, frozenset()):
                return 2
        if hints.words & candidates.head_words:
            return 1
        inside = any(
            package in candidates
            for module in known.modules
            for package in (module.name, module.container, *parents(module.container))
        )
        if inside and (hints.relative or hints.words & candidates.words):
            return 1
        if (
            hints.star
            and candidates.exported
            and (hints.relative or hints.words & candidates.exported_words)
        ):
            return 1
        return 0


def _code_of_pth(source: bytes) -> bytes:
    """The lines of a ``.pth`` file that ``site`` executes, each on its own line.

    The others are empty.
    """
    return b"\n".join(
        line if line.startswith((b"import ", b"import\t")) else b"" for line in source.splitlines()
    )


def _mentions(
    record: FileRecord, module: Module, found: Scan, candidates: Candidates, index: ModuleIndex
) -> Iterator[ModuleMention]:
    """Candidates that a file names, under one of its own names."""
    for item in found.imports:
        for name, text, strength in _imported(item, module, candidates, index):
            if name in candidates:
                note = f"{text}; {item.note}" if item.note else text
                yield ModuleMention(name, _evidence(record, item.line, note, strength, item.kind))
    for text, line in found.strings:
        name = text.replace(".", "/")
        if name in candidates:
            yield ModuleMention(
                name, _evidence(record, line, f'"{text}" in a string', Strength.WEAK, "string")
            )
    if module.package and module.name in candidates.below:
        for text, line in found.listed:
            name = f"{module.name}/{text.replace('.', '/')}"
            if name in candidates and text.partition(".")[0] not in found.bound:
                yield ModuleMention(
                    name, _evidence(record, line, f'"{text}" in a list', Strength.WEAK, "string")
                )


def _evidence(record: FileRecord, line: int, text: str, strength: Strength, kind: str) -> Evidence:
    return Evidence(kind=kind, text=text, file=record.deployed_path, line=line, strength=strength)


def _weaker(mention: ModuleMention, note: str) -> ModuleMention:
    old = mention.evidence
    text = f"{old.text}; {note}"
    return ModuleMention(
        mention.name,
        Evidence(kind=old.kind, text=text, file=old.file, line=old.line, strength=Strength.WEAK),
    )


def _imported(
    item: Import, module: Module, candidates: Candidates, index: ModuleIndex
) -> Iterator[tuple[str, str, Strength]]:
    """Every name that an import brings in.

    That is the module, the packages around it, and the names that may be its submodules.
    """
    target = _target(item, module)
    if target is None:
        return
    text = (
        item.text
        if not item.names
        else f"{item.text} {item.names[0]}{', ...' if len(item.names) > 1 else ''}"
    )
    statement = item.text.endswith(" import")
    named = [
        (f"{target}/{name}", f"{item.text} {name}" if statement else item.text)
        for name in item.names
    ]
    full = [(target, text if statement else item.text), *named]
    full.extend((parent, full[0][1]) for parent in parents(target))
    if item.runs:
        full.append((f"{target}/__main__", item.text))
    for name, shown in full:
        yield name, shown, item.strength
    if "*" in item.names:
        for name in candidates.exported.get(target, ()):
            yield name, f"{item.text} *, and __all__ names it", item.strength
    if not item.level and target.partition("/")[0] not in index.top_level:
        for name, shown in full:
            yield from _elsewhere(name, shown, item.strength, module, candidates)


def _target(item: Import, module: Module) -> str | None:
    """The absolute name of the module that an import names.

    None where a relative one leads out of its package.
    """
    name = item.module.replace(".", "/")
    if not item.level:
        return name or None
    base = {None: module.container, "__name__": module.name}.get(item.anchor)
    if base is None:
        base = (item.anchor or "").replace(".", "/")
    for _ in range(item.level - 1):
        base = base.rpartition("/")[0]
    if not base:
        return None
    return f"{base}/{name}" if name else base


def _elsewhere(
    name: str, text: str, strength: Strength, module: Module, candidates: Candidates
) -> Iterator[tuple[str, str, Strength]]:
    """Candidates that the importer reaches by changing ``sys.path``.

    For names that no search path provides. Such a candidate is a vendored package (its full dotted
    name ends a candidate's path and reaches into what is to go), or a module in the importer's own
    folder, which Python searches first where a file is run as a program.
    """
    if "/" in name:
        for candidate in candidates.by_word.get(name.rpartition("/")[2], ()):
            prefix = candidate[: -len(name)]
            if candidate.endswith("/" + name) and len(candidates.head(candidate)) > len(prefix):
                inside = module.name.startswith(prefix)
                yield candidate, f"{text}; by its path", strength if inside else Strength.WEAK
        return
    folder = module.name.rpartition("/")[0] if not module.package else module.name
    yield (
        f"{folder}/{name}",
        f"{text}; from its own folder",
        Strength.WEAK if module.rooted else strength,
    )
