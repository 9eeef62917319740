"""Reads the Python code of a stack, and remembers what it has read.

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
from slim.analysis.imports.mentions import ModuleMention, mentions_in, weakened
from slim.analysis.imports.modules import (
    SOURCE_SUFFIXES,
    Module,
    ModuleIndex,
    as_bytes,
    parents,
)
from slim.analysis.imports.scans import Scan
from slim.analysis.imports.text_scan import Hints, text_hints
from slim.model.record import EntryType, FileKey, FileRecord, Inventory

MAX_SCRIPT = 1 << 20
"""A file without a suffix and of more bytes than this is no Python script."""
_SHEBANG = re.compile(rb"#!(?:[^\n]*\n){0,2}[^\n]*python")


@dataclass(slots=True)
class _FileFacts:
    """Facts about one file, as far as they were asked for."""

    hints: Hints
    scan: Scan | None = None
    expressions: bool = False
    stub: FileRecord | None = None
    modules: tuple[Module, ...] = field(default=())


class ImportReader:
    """Finds the candidates that files of a stack import; each file is read once."""

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
                yield from mentions_in(record, module, found, candidates, self._index)
        if (
            known.stub is not None
        ):  # lazy_loader.attach_stub imports what the stub says, when it is used
            stub = scan(bytes(self._read(known.stub)), expressions=False)
            for module in known.modules:
                for mention in mentions_in(known.stub, module, stub, candidates, self._index):
                    yield weakened(mention, "a stub that is loaded lazily")

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
