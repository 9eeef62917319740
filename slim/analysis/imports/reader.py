"""Reads the Python code of a stack, and remembers what it has read.

Reading thousands of files for a handful of names must be quick:
:func:`slim.analysis.imports.text_scan.text_hints` tells, once for each file, which words its
imports are made of; only files whose words can be about a candidate are parsed, once.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from slim.analysis import ReadFile
from slim.analysis.ahead.crew import Wanted, slices
from slim.analysis.ahead.makers import hints_variant, scan_variant
from slim.analysis.forms import HINTS, SCAN
from slim.analysis.imports.archives import Archives, module_of
from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.file_facts import NO_NAMES, FileFacts, SharedWords
from slim.analysis.imports.mentions import (
    ModuleMention,
    mentions_in,
    own_members,
    text_mentions,
    weakened,
)
from slim.analysis.imports.modules import (
    SOURCE_SUFFIXES,
    Module,
    ModuleIndex,
    as_bytes,
    parents,
)
from slim.analysis.imports.package_places import places_of_packages
from slim.analysis.imports.path_scan import TESTS_FOLDER, PathUse
from slim.analysis.imports.scans import Scan, UnresolvedCall
from slim.analysis.imports.text_files import (
    TextNames,
    links_in_text,
    may_be_text,
    may_link,
    names_in_data,
    names_in_text,
)
from slim.analysis.imports.text_paths import may_hold_paths
from slim.analysis.readings import Code, Readings
from slim.model.record import EntryType, FileKey, FileRecord, Inventory

MAX_PARSED = 1 << 21
"""Bytes of the largest file that is read as a whole; a larger one counts as mentioning every name
of which its bytes hold the words."""
MAX_REPEATS = 20
"""How often a file's evidence for one name is kept."""
_BY_NAME = re.compile(
    rb"import_module|__import__|find_spec|\bfiles\s*\(|resource|get_data|as_file|distribution"
)
_QUOTED = re.compile(rb"[\"'](\w+)[\"']", re.ASCII)
_ESCAPED = b"nrt"
"""The ends of escape sequences, which seem to belong to what follows."""
_TESTS = as_bytes(TESTS_FOLDER)
_SHEBANG = re.compile(rb"#!(?:[^\n]*\n){0,2}[^\n]*python")


class ImportReader:
    """Finds the candidates that files of a stack import; each file is read once."""

    def __init__(
        self,
        inventory: Inventory,
        index: ModuleIndex,
        read: ReadFile,
        readings: Readings,
        *,
        thorough: bool,
    ) -> None:
        self._readings = readings
        self._inventory = inventory
        self._index = index
        self._read = read
        self._thorough = thorough
        self._loaded: dict[FileKey, FileFacts | None] = {}
        self._words = SharedWords()
        self.archives = Archives(read, MAX_PARSED)
        self._inner: dict[FileKey, list[tuple[FileFacts, bytes]]] = {}
        self._texts: dict[FileKey, TextNames | None] = {}
        self._packages: dict[str, list[FileRecord]] | None = None

    def mentions(self, record: FileRecord, candidates: Candidates) -> Iterator[ModuleMention]:
        """Every candidate that a file imports or names; nothing for a file that isn't Python."""
        known = self._facts(record)
        if not record.path.endswith(SOURCE_SUFFIXES):
            text = self._text(record)
            if text is not None:
                yield from text_mentions(record, text, candidates, self._index)
            for known_inner, source in self._members(record):
                yield from self._mentions_of(record, known_inner, candidates, source)
        if known is not None:
            yield from self._mentions_of(record, known, candidates)

    def foresee(self, records: Iterable[FileRecord]) -> None:
        """Have other processes begin what is first read of Python files that are likely to stay."""
        sources = [record for record in records if record.path.endswith(SOURCE_SUFFIXES)]
        self._readings.foresee(sources, self._hints_wanted)

    def read_ahead(
        self, records: Iterable[FileRecord], candidates: Candidates, *, paths: bool
    ) -> Iterator[FileRecord]:
        """The records in their order; what each is asked about, other processes begin to read.

        ``paths`` says that :meth:`paths` will be asked, too.
        """
        before: list[FileRecord] = []
        for some in slices(records):
            self._readings.ahead(filter(None, map(self._hints_wanted, some)))
            self._readings.ahead(
                wanted
                for record in some
                for variant in self._scans_of(record, candidates, paths=paths)
                if (wanted := self._wanted(record, SCAN.name, variant)) is not None
            )
            yield from before  # while others read what comes next
            before = some
        yield from before

    def _hints_wanted(self, record: FileRecord) -> Wanted | None:
        if record.key in self._loaded:
            return None
        variant = hints_variant(undotted=_is_package(self._modules_of(record)))
        return self._wanted(record, HINTS.name, variant)

    def _wanted(self, record: FileRecord, form: str, variant: str) -> Wanted | None:
        code = self._code(record)
        if not isinstance(code, Code):
            return None
        return Wanted(form, variant, code.sha256, code.size, code.read)

    def _scans_of(
        self, record: FileRecord, candidates: Candidates, *, paths: bool
    ) -> Iterator[str]:
        """Yield the variants in which a file will be scanned, one after the other."""
        known = self._facts(record)
        if known is None:
            return
        may_build = self._may_build_paths(record, known)
        depth = self._depth(record, known, candidates)
        asked = [(depth > 1, depth > 1 and may_build)] if depth else []
        if (paths and may_build) or self._may_list(record, known, candidates):
            asked.append((True, may_build))
        have = None if known.scan is None else (known.expressions, known.paths)
        for variant in asked:
            if have is None or variant > have:
                yield scan_variant(expressions=variant[0], paths=variant[1])
                have = variant

    def _mentions_of(
        self,
        record: FileRecord,
        known: FileFacts,
        candidates: Candidates,
        source: bytes | None = None,
    ) -> Iterator[ModuleMention]:
        """Mentions in Python code; ``source`` is given where it isn't the file's own."""
        depth = self._depth(record, known, candidates)
        if depth:
            found = self._scan(record, known, expressions=depth > 1, source=source)
            for module in known.modules:
                for mention in mentions_in(record, module, found, candidates, self._index):
                    opened = mention.name.rpartition("/")[2] in found.opened or found.problem
                    whole = known.hints.listing and opened and candidates.is_folder(mention.name)
                    yield replace(mention, whole=True) if whole else mention
        if known.hints.lists_itself:
            yield from own_members(record, known.modules, candidates)
        if (
            known.stub is not None
        ):  # lazy_loader.attach_stub imports what the stub says, when it is used
            stub = self._readings.scan(self._code_of(known.stub), expressions=False, paths=True)
            for module in known.modules:
                for mention in mentions_in(known.stub, module, stub, candidates, self._index):
                    yield weakened(mention, "a stub that is loaded lazily")

    def paths(
        self, record: FileRecord, candidates: Candidates
    ) -> tuple[tuple[PathUse, ...], frozenset[str], frozenset[str]]:
        """The paths in a file that may lead to tests, and the top-level packages it imports.

        Those that it names count where it finds packages by name. Last come those packages at
        whose place it looks.
        """
        known = self._facts(record)
        text = None if record.path.endswith(SOURCE_SUFFIXES) else self._text(record)
        written = text.paths if text else ()  # a script may be of a shell that starts Python
        if known is None or not self._may_build_paths(record, known):
            return self._paths_inside(record, written)
        found = self._scan(record, known, expressions=True)
        tops = _imported_by(found)
        source = bytes(self._read(record)) if found.paths else b""
        if _BY_NAME.search(source):  # def data(package): return files(package) / "tests" / "data"
            quoted = {name.decode() for name in _QUOTED.findall(source)}
            tops |= quoted & candidates.heads_by_top.keys()
        return (*written, *found.paths), tops, places_of_packages(source, tops)

    def _paths_inside(
        self, record: FileRecord, written: tuple[PathUse, ...]
    ) -> tuple[tuple[PathUse, ...], frozenset[str], frozenset[str]]:
        """The paths in the members of an archive, which lie in no folder of the stack."""
        tops: set[str] = set()
        for known, source in self._inner.get(record.key, ()):
            if self._may_build_paths(record, known):
                found = self._scan(record, known, expressions=True, source=source)
                written += tuple(use for use in found.paths if not use.own)
                tops |= _imported_by(found)
        return written, frozenset(tops), frozenset()

    def unresolved(
        self, record: FileRecord, candidates: Candidates
    ) -> tuple[FileKey, tuple[UnresolvedCall, ...]] | None:
        """The package that a file lies in, and its calls which may name anything in that package.

        None where there are none, and for a file that lies in no package.
        """
        known = self._facts(record)
        if known is None or not self._may_list(record, known, candidates):
            return None
        folder = (record.layer, record.path.rpartition("/")[0])
        return folder, self._scan(record, known, expressions=True).unresolved

    def _may_list(self, record: FileRecord, known: FileFacts, candidates: Candidates) -> bool:
        """Return whether a file may mean anything in its package, and a candidate is there."""
        if not (known.hints.dynamic or known.hints.listing):
            return False
        folder = (record.layer, record.path.rpartition("/")[0])
        return not self._index.is_root(folder) and bool(
            candidates.selected_in(folder, modules=False)
        )

    def stub_of(self, record: FileRecord) -> FileRecord | None:
        """The stub that a file loads lazily, if it does."""
        known = self._facts(record)
        return None if known is None else known.stub

    def is_opaque(self, record: FileRecord) -> bool:
        """True for code and text too large to be read as a whole, and for unreadable archives."""
        archive = self.archives.of(record)
        if archive is not None:
            return not archive.whole
        if record.size <= MAX_PARSED or record.type is not EntryType.FILE:
            return False
        name = record.path.rpartition("/")[2]
        return name.endswith(SOURCE_SUFFIXES) or may_be_text(record, self._read(record))

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

    def _facts(self, record: FileRecord) -> FileFacts | None:
        if record.key not in self._loaded:
            self._loaded[record.key] = self._load_hints(record)
        return self._loaded[record.key]

    def _load_hints(self, record: FileRecord) -> FileFacts | None:
        code = self._code(record)
        if code is None:
            return None
        known = self._facts_of(code, self._modules_of(record))
        if known.hints.attaches_stub:
            known.stub = self._inventory.get(
                (record.layer, record.path.rpartition(".")[0] + ".pyi")
            )
        return known

    def _modules_of(self, record: FileRecord) -> tuple[Module, ...]:
        return self._index.modules.get(record.key) or (Module("/" + record.deployed_path, False),)

    def _facts_of(self, code: bytes | Code, modules: tuple[Module, ...]) -> FileFacts:
        hints = self._readings.hints(code, undotted=_is_package(modules))
        dotted = frozenset(
            name
            for word in hints.dotted
            for run in ((word, word[1:]) if word[:1] in _ESCAPED else (word,))
            if run.partition(b".")[0] in self._top_words
            for name in self._index.known_prefixes(run.decode())
        )
        return FileFacts(self._words.hints(hints), dotted=dotted or NO_NAMES, modules=modules)

    @cached_property
    def _top_words(self) -> frozenset[bytes]:
        """The first components of all known names, as hints have them."""
        return frozenset(map(as_bytes, self._index.top_folders))

    def _members(self, record: FileRecord) -> list[tuple[FileFacts, bytes]]:
        """The Python sources in a file that is an archive, with what is known of each."""
        if record.key not in self._inner:
            archive = self.archives.of(record)
            self._inner[record.key] = [
                (self._facts_of(source, (module_of(path),)), source)
                for path, source in (archive.sources if archive else ())
            ]
        return self._inner[record.key]

    def _text(self, record: FileRecord) -> TextNames | None:
        """Names in a text that is no Python; None for other files."""
        if record.key not in self._texts:
            text = None
            if record.type is EntryType.FILE and 0 < record.size <= MAX_PARSED:
                data = self._read(record)
                if may_be_text(record, data):
                    text = names_in_text(record.path, data, self._index)
                elif may_link(record):
                    text = links_in_text(data)
                elif may_hold_paths(record, data):
                    text = names_in_data(data, self._index)
            self._texts[record.key] = text
        return self._texts[record.key]

    def _code(self, record: FileRecord) -> bytes | Code | None:
        """The Python code in a file; None where there is none, or too much of it."""
        if record.type is EntryType.DIRECTORY or record.size > MAX_PARSED:
            return None
        name = record.path.rpartition("/")[2]
        if name.endswith(SOURCE_SUFFIXES):
            followed = self._followed(record)
            return self._code_of(followed) if followed.size <= MAX_PARSED else None
        if name.endswith(".pth") and self._index.is_root(
            (record.layer, record.path.rpartition("/")[0])
        ):
            return _code_of_pth(bytes(self._read(record)))
        if record.native is not None or record.type is not EntryType.FILE or not record.size:
            return None
        data = self._read(record)
        if bytes(data[:2]) != b"#!" or _SHEBANG.match(data) is None:
            return None
        return self._code_of(record) if b"\0" not in bytes(data[:4096]) else None

    def _code_of(self, record: FileRecord) -> Code:
        return Code(lambda: bytes(self._read(record)), record.sha256, record.size)

    def _followed(self, record: FileRecord) -> FileRecord:
        """The file that a link leads to, as far as it lies in the stack."""
        if record.link_target is None:
            return record
        if record.type is EntryType.HARDLINK:
            return self._inventory.get((record.layer, record.link_target)) or record
        folder = posixpath.dirname(record.deployed_path)
        target = posixpath.normpath(posixpath.join(folder, record.link_target))
        return self._inventory.by_deployed_path.get(target, record)

    def _scan(
        self,
        record: FileRecord,
        known: FileFacts,
        *,
        expressions: bool,
        source: bytes | None = None,
    ) -> Scan:
        paths = expressions and self._may_build_paths(record, known)
        if known.scan is None or (expressions, paths) > (known.expressions, known.paths):
            code = self._code(record) if source is None else source
            known.scan = self._readings.scan(code or b"", expressions=expressions, paths=paths)
            known.expressions, known.paths = expressions, paths
        return known.scan

    def _may_build_paths(self, record: FileRecord, known: FileFacts) -> bool:
        inside = "/tests/" in record.path
        return known.hints.paths or inside or self._thorough

    def _depth(self, record: FileRecord, known: FileFacts, candidates: Candidates) -> int:
        """Depth to which a file has to be read.

        0: not at all; 1: its statements; 2: its expressions too.
        """
        hints = known.hints
        if self._thorough or hints.opaque or hints.dynamic or hints.quoted & candidates.dotted:
            return 2
        if known.dotted & candidates.spoken:
            return 2
        inside = any(
            package in candidates
            for module in known.modules
            for package in (module.name, module.container, *parents(module.container))
        )
        # A relative name, whatever it is, names the packages around the file too; one of tests may
        # be of any package.
        if hints.tails and (
            inside
            or _TESTS in hints.tails
            or any(hints.tails & candidates.words_in(each.top) for each in known.modules)
        ):
            return 2
        if hints.started and any(map(candidates.is_named, hints.started)):
            return 2
        if hints.listing and hints.words & candidates.folder_words:
            return 2
        if candidates.by_name and self._may_build_paths(record, known):
            return 2
        for module in known.modules:
            if module.package and hints.quoted & candidates.below.get(module.name, frozenset()):
                return 2
        if hints.words & candidates.head_words:
            return 1
        if inside and (hints.relative or hints.words & candidates.words):
            return 1
        if (
            hints.star
            and candidates.exported
            and (hints.relative or hints.words & candidates.exported_words)
        ):
            return 1
        return 0


def _imported_by(found: Scan) -> frozenset[str]:
    """Return the top-level packages that a scan's absolute imports name."""
    return frozenset(item.module.partition(".")[0] for item in found.imports if not item.level)


def _is_package(modules: tuple[Module, ...]) -> bool:
    """Return whether a file is a package's own, which may name its members without a dot."""
    return any(module.package for module in modules)


def _code_of_pth(source: bytes) -> bytes:
    """The lines of a ``.pth`` file that ``site`` executes, each on its own line.

    The others are empty.
    """
    return b"\n".join(
        line if line.startswith((b"import ", b"import\t")) else b"" for line in source.splitlines()
    )
