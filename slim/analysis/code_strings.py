"""Names that stand in strings of code, and code that reads long descriptions of distributions.

Code is what Python runs, whatever the file is called: modules, scripts that are started by their
name, bytecode without a source, and what lies in zip files.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.analysis.code_paths.scripts import is_script
from slim.analysis.imports.archives import opened_archive
from slim.analysis.python_code import (
    MOST_BYTECODE,
    is_lone_bytecode,
    is_python_script,
    strings_in_bytecode,
)
from slim.analysis.readings import Readings
from slim.analysis.remembering import texts_or_none
from slim.analysis.summary import MAX_SOURCE as SUMMARIZED
from slim.analysis.summary import Described, described_by
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, OwnerKind
from slim.system.literals import without_idle
from slim.system.syntax import parsed, walk

MAX_SOURCE = 1 << 21
"""Bytes of a file that is read closely; a larger one names all whose words occur in it."""
_SOURCES = (".py", ".pyw")
SETTINGS = (".json", ".json5", ".jsonc", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".xml")
_INFO = re.compile(r"([^\W\d][\w.]*)-[^/\\-]*\.dist-info\b")
"""The name of a distribution before its version, in the path of its metadata."""
NEVER_NAMES = frozenset(
    {
        *(FileKind.METADATA, FileKind.LICENCE, FileKind.HEADERS, FileKind.SOURCES),
        *(FileKind.STUBS, FileKind.LINK, FileKind.TESTS),
    }
)
"""Kinds of files that name no other."""
_DESCRIBES = frozenset({"metadata", "get_payload", "METADATA", "PKG-INFO", "Description"})
_METADATA = ("importlib.metadata", "importlib_metadata", "pkg_resources")
"""Names in bytecode that reads metadata."""


def strings_of(source: bytes) -> tuple[str, ...] | None:
    """The strings of Python code that aren't documentation, each once and sorted.

    None where it can't be parsed.
    """
    try:
        tree = parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    nodes = list(walk(tree))
    documents = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in documents
    }
    return tuple(sorted(found))


def text_of(source: bytes) -> str:
    """The text of code that can't be parsed, without comments and documentation."""
    return (without_idle(source) or source).decode("utf-8", "replace")


STRINGS = texts_or_none("strings")


@dataclass(frozen=True, slots=True)
class _Odd:
    """Code that isn't a module's source: what of it is source, and what is bytecode."""

    source: bytes
    bytecode: bytes

    @property
    def strings(self) -> frozenset[str] | None:
        """All strings in it; None where there are too many to be told, or it can't be parsed."""
        if len(self.source) > MAX_SOURCE or len(self.bytecode) > MOST_BYTECODE:
            return None
        found = strings_of(self.source)
        return None if found is None else strings_in_bytecode(self.bytecode).union(found)

    def may_hold(self, word: str) -> bool:
        """Return whether a word stands in it."""
        return word.encode() in self.source or word.encode() in self.bytecode

    @property
    def described(self) -> Described:
        """The distributions of which it may show the long description."""
        if any(map(self._compiled, _METADATA)) and any(map(self._compiled, _DESCRIBES)):
            every = self._compiled("distributions")
            return Described.EVERY if every else Described.NAMED
        return described_by(self.source)

    def _compiled(self, word: str) -> bool:
        return word.encode() in self.bytecode


class CodeStrings:
    """A search in the strings of all code of a stack."""

    def __init__(
        self, inventory: Inventory, read: ReadFile, readings: Readings | None = None
    ) -> None:
        self._inventory = inventory
        self._read = read
        self._readings = readings or Readings()
        self._archives: dict[FileKey, _Odd | None] = {}

    def naming(
        self,
        names: Collection[str],
        counts: Callable[[FileRecord], bool],
        means: Callable[[FileRecord, str], bool] = lambda _record, _name: True,
        *,
        texts: bool = False,
    ) -> Mapping[str, Evidence]:
        """Return the names that strings of code which counts are and mean, with where.

        ``texts`` says that scripts of other languages and settings count as well.
        """
        found: dict[str, Evidence] = {}
        hints = {name: name.encode() for name in names}
        for record in self._inventory if names else ():
            if not may_be_code(record) or not counts(record):
                continue
            if not record.path.endswith(_SOURCES):
                for name in self._in_odd(record, names, texts=texts):
                    if name not in found and means(record, name):
                        found[name] = _evidence(record, name)
                continue
            content = bytes(self._read(record))
            near = [name for name, hint in hints.items() if name not in found and hint in content]
            strings = (
                self._strings_of(record, content) if near and len(content) <= MAX_SOURCE else ()
            )
            for name in near:
                if _stands(name, strings) and means(record, name):
                    found[name] = _evidence(record, name)
        return found

    def description_readers(
        self, counts: Callable[[FileRecord], bool]
    ) -> Iterator[tuple[FileRecord, frozenset[str] | None]]:
        """Yield code that reads long descriptions, and its strings; None where any may be meant."""
        for record in self._inventory:
            if not may_be_code(record) or not counts(record):
                continue
            strings: Collection[str] | None = None
            if record.path.endswith(_SOURCES):
                described = self._described(record)
                if described and record.size <= MAX_SOURCE:
                    strings = self._strings_of(record, bytes(self._read(record)))
            else:
                odd = self._odd(record)
                described = Described.NONE if odd is None else odd.described
                strings = odd.strings if odd is not None and described else None
            if not described:
                continue
            if described is Described.EVERY or strings is None:
                yield record, None
            else:
                folders = (match[1] for text in strings for match in _INFO.finditer(text))
                yield record, frozenset((*strings, *folders))

    def _strings_of(self, record: FileRecord, content: bytes) -> tuple[str, ...] | None:
        return self._readings.of_record(STRINGS, record, lambda: strings_of(content))

    def _described(self, record: FileRecord) -> Described:
        def source() -> bytes:
            return bytes(self._read(record))

        if record.owner.kind is OwnerKind.RUNTIME or record.size > SUMMARIZED:
            return described_by(source())  # no other search reads the standard library
        return self._readings.described(record, source)

    def _odd(self, record: FileRecord) -> _Odd | None:
        """Return the code in a file that isn't a module's source; None where there is none.

        What was found in archives is kept, and which files are none.
        """
        if is_lone_bytecode(record):
            return _Odd(b"", bytes(self._read(record)))
        if is_python_script(record, self._read):
            return _Odd(bytes(self._read(record)), b"")
        if record.key not in self._archives:
            self._archives[record.key] = self._archive(record)
        return self._archives[record.key]

    def _archive(self, record: FileRecord) -> _Odd | None:
        archive = opened_archive(record, self._read(record), MAX_SOURCE)
        if archive is None or not (archive.sources or archive.bytecode):
            return None
        return _Odd(b"\n".join(source for _, source in archive.sources), archive.bytecode)

    def _in_odd(self, record: FileRecord, names: Collection[str], *, texts: bool) -> Iterator[str]:
        """Yield the names that stand in code of another sort, or in a text that counts."""
        odd = self._odd(record)
        if odd is not None:
            near = [name for name in names if odd.may_hold(name)]
            strings = odd.strings if near else ()
            for name in near:
                if _stands(name, strings):
                    yield name
        elif texts and self._may_configure(record):
            content = bytes(self._read(record))
            for name in names:
                word = name.encode()
                if word in content and re.search(_as_word(word), content) is not None:
                    yield name

    def _may_configure(self, record: FileRecord) -> bool:
        """Return whether a file is a script of another language, or holds settings."""
        return record.size <= MAX_SOURCE and (
            record.path.endswith(SETTINGS) or is_script(record, self._read)
        )


def program_of(command: str) -> str:
    """The name of the program that a command line starts, without its folder."""
    return posixpath.basename("".join(command.split(maxsplit=1)[:1]).replace("\\", "/"))


def may_be_code(record: FileRecord) -> bool:
    """Return whether a file may be code, or a text that configures, and no test."""
    return (
        record.type is EntryType.FILE
        and record.native is None
        and record.kind not in NEVER_NAMES
        and record.size > 0
        and "__pycache__" not in record.path
    )


def _stands(name: str, strings: Collection[str] | None) -> bool:
    """Return whether a string is a name, or starts the program of that name; None may be any."""
    return strings is None or name in strings or name in map(program_of, strings)


def _as_word(word: bytes) -> bytes:
    """A pattern of a name that is a whole string, or the end of a path."""
    return rb"[\"'/\\]" + re.escape(word) + rb"(?![\w.-])"


def _evidence(record: FileRecord, name: str) -> Evidence:
    text = f'names "{name}"'
    return Evidence(kind="path", text=text, file=record.deployed_path, strength=Strength.WEAK)
