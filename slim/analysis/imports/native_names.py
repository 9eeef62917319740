"""Names in a compiled file that may be those of modules, whatever the stack holds.

Sources: CPython's ``Python/marshal.c``, Cython's ``Utility/StringTools.c``, and zlib (RFC 1950).
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from slim.analysis.imports.path_scan import test_paths
from slim.analysis.remembering import Form
from slim.system.mapped import find_all, seen, words_in

_AFTER_DOT = re.compile(rb"\.(?<=\w\.)[^\W\d]\w*+(?:\.\w++)*+")
_BEFORE = re.compile(rb"\w*\Z")
_WHOLE = re.compile(rb"\0([^\W\d]\w{1,199}+)(?=[\0\"'`])")
_TAIL = re.compile(rb"\0(?:\.|%[sUSVRA]\.|\{\}\.)([^\W\d]\w{1,199}+(?:\.\w++)*+)(?=[\0\"'`])")
"""A name that is a whole string, behind a dot or a placeholder with a dot."""
_STATEMENT = re.compile(
    rb"import[ \t]++(?:\([\s\\]*+)?([^\W\d][\w.]{0,199}+"
    rb"(?:[ \t]*+,[ \t]*+[^\W\d][\w.]{0,199}+){0,32}+)"
)
_FROM = re.compile(rb"\bfrom[ \t]++([^\W\d][\w.]{0,199}+)[ \t]++\Z")
"""Python code in a string, as ``PyRun_SimpleString`` runs it."""
_RUNS = re.compile(rb"[\w.]{2,}+")
_DELIMITERS = frozenset(b"\0\"'`")
_CYTHON = b"cython_runtime"
_LEVEL = b"PyImport_ImportModuleLevel"
"""The C function of relative imports: Nuitka, mypyc and C code call it with names of one part."""
_PACKED_MARKS = (_CYTHON, _LEVEL, b"nuitka", b"/rustc/", b"rust_panic", b"PyO3", b"pyo3")
_COMPRESSED = re.compile(rb"x[\x01\x5e\x9c\xda]")
PART = 16 << 20
"""Bytes of a compiled file that are searched at a time."""
_MAX_TABLE = 1 << 23
"""Bytes of a string table that are read after decompression."""
_MAX_TABLES = 16
_TRIED = 256
_MAX_NAME = 200
MOST = 16 << 20
"""Bytes of a file's names that are remembered; a file with more is read each time."""


@dataclass(frozen=True, slots=True)
class PartNames:
    """Names in a part of a compiled file.

    ``delimited`` are dotted names that are a whole string, ``loose`` those within longer ones;
    ``words`` are whole strings without a dot; ``tails`` names behind a dot or a placeholder, as in
    ``"%s.tests.mod"``, without what stands before. ``paths`` are those to files among tests.
    """

    delimited: frozenset[bytes]
    loose: frozenset[bytes]
    words: frozenset[bytes]
    tails: frozenset[bytes]
    paths: frozenset[bytes]
    imported: frozenset[bytes] = frozenset()
    """Names without a dot that a statement in a string imports."""


@dataclass(frozen=True, slots=True)
class NativeNames:
    """Names in a compiled file, and the texts in which a word counts wherever it stands."""

    names: PartNames
    packed: tuple[bytes, ...]


class NativeFile:
    """A compiled file. ``bytecode`` says that it is a ``.pyc``, ``module`` that it can be imported.

    What is no module is the interpreter or one of its libraries, which may define what others call.
    """

    def __init__(self, data: memoryview, *, bytecode: bool, module: bool) -> None:
        self._data = data
        self._bytecode = bytecode
        self._marks = words_in(data, _PACKED_MARKS)
        if not module:  # the interpreter defines that function
            self._marks.discard(_LEVEL)
        cython = not bytecode and _CYTHON in self._marks
        self._tables = list(_packed_tables(data)) if cython else []

    def parts(self) -> Iterator[PartNames]:
        """Read the names, some megabytes of the file at a time."""
        for table in chain(_parts(self._data), self._tables):
            delimited, loose = _dotted_names(table)
            words, tails = (frozenset(found.findall(table)) for found in (_WHOLE, _TAIL))
            paths = frozenset(test_paths(table))
            code = frozenset(_imported(table))
            loose |= {name for name in code if b"." in name}
            yield PartNames(delimited, loose, words, tails, paths, code - loose)

    def packed(self) -> tuple[bytes, ...]:
        """Read the texts in which a word counts wherever it stands."""
        if not self._bytecode and not self._marks:
            return ()
        texts = (_parts(self._data), *([table] for table in self._tables))
        return tuple(_text_of(parts) for parts in texts)

    def names(self) -> NativeNames | None:
        """Read all; None where it is more than is worth remembering."""
        found: tuple[set[bytes], ...] = tuple(set() for _ in range(6))
        for part in self.parts():
            for names, fresh in zip(found, _sets(part), strict=True):
                names |= fresh
            if sum(map(len, chain.from_iterable(found))) > MOST:
                return None
        packed = self.packed()
        if sum(map(len, packed)) > MOST:
            return None
        return NativeNames(PartNames(*map(frozenset, found)), packed)


def _sets(part: PartNames) -> tuple[frozenset[bytes], ...]:
    named = (part.delimited, part.loose, part.words)
    return (*named, part.tails, part.paths, part.imported)


def native_variant(*, bytecode: bool, module: bool) -> str:
    """Return what names depend on besides the file."""
    return f"{bytecode:d}{module:d}"


def native_names(data: bytes | memoryview, variant: str) -> NativeNames | None:
    """Read the names in a compiled file; None where they are more than is worth remembering."""
    return native_file(data, variant).names()


def native_file(data: bytes | memoryview, variant: str) -> NativeFile:
    """Open a compiled file as a variant says."""
    bytecode, module = (flag == "1" for flag in variant)
    return NativeFile(memoryview(data), bytecode=bytecode, module=module)


def _dotted_names(data: bytes) -> tuple[frozenset[bytes], frozenset[bytes]]:
    """The dotted names in some data: those that are whole strings, and the others."""
    delimited: set[bytes] = set()
    loose: set[bytes] = set()
    for match in _AFTER_DOT.finditer(data):
        dot, end = match.span()
        before = _BEFORE.search(data[max(0, dot - _MAX_NAME) : dot])
        start = dot - (0 if before is None else len(before[0]))
        whole = (
            start > 0
            and end < len(data)
            and data[start - 1] in _DELIMITERS
            and data[end] in _DELIMITERS
        )
        (delimited if whole else loose).add(data[start:end])
    return frozenset(delimited), frozenset(loose)


def _imported(data: bytes) -> Iterator[bytes]:
    """Yield the names that import statements in some data bring in, with their packages."""
    for match in _STATEMENT.finditer(data):
        start = match.start()
        package = _FROM.search(data, max(0, start - 2 * _MAX_NAME), start)
        for name in match[1].split(b","):
            yield name.strip() if package is None else b"%b.%b" % (package[1], name.strip())


def _parts(data: memoryview) -> Iterator[bytes]:
    """The bytes in parts of some megabytes, so that no string is cut.

    Where one part ends and the next one begins is a zero byte, which is in both.
    """
    at = 0
    while at < len(data):
        part = bytes(data[at : at + PART])
        at += len(part)
        end = part.rfind(b"\0")
        if at < len(data) and end > 0:
            at -= len(part) - end
            part = part[: end + 1]
        seen(data, len(part))
        yield part


def _text_of(parts: Iterable[bytes]) -> bytes:
    """The parts of data that names can be in, each once."""
    runs: set[bytes] = set()
    for part in parts:
        runs.update(_RUNS.findall(part))
    return b"\n".join(sorted(runs))


def _packed_tables(data: memoryview) -> Iterator[bytes]:
    """The tables of strings that a Cython module holds in compressed form."""
    found = 0
    for match in find_all(_COMPRESSED, data):
        start = match.start()
        try:
            zlib.decompressobj().decompress(data[start : start + _TRIED])
            table = zlib.decompressobj().decompress(data[start : start + _MAX_TABLE], _MAX_TABLE)
        except zlib.error:
            continue
        yield table
        found += 1
        if found == _MAX_TABLES:
            return


def _squeezed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text, 1)).decode("ascii")


def _text(stored: str) -> bytes:
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(base64.b64decode(stored), 2 * MOST)
    except zlib.error as error:
        raise ValueError("it can't be decompressed") from error
    if not stream.eof:
        raise ValueError("it is cut short")
    return text


def _set(stored: str) -> frozenset[bytes]:
    return frozenset(filter(None, _text(stored).split(b"\n")))


def _pack(names: NativeNames | None) -> object:
    if names is None:
        return None
    joined = (b"\n".join(sorted(words)) for words in _sets(names.names))
    return [list(map(_squeezed, joined)), list(map(_squeezed, names.packed))]


def _unpack(stored: Any) -> NativeNames | None:
    if stored is None:
        return None
    sets, packed = stored
    delimited, loose, words, tails, paths, imported = map(_set, sets)
    names = PartNames(delimited, loose, words, tails, paths, imported)
    return NativeNames(names, tuple(map(_text, packed)))


NATIVE_NAMES: Final = Form("native-names", _pack, _unpack)
