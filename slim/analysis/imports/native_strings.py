"""Modules that compiled code names: it imports Python modules too, and says so only in strings.

Cython 3.2 and newer keep their strings in one table without zero bytes between them, compressed by
zlib where that is smaller (``Cython/Utility/StringTools.c``); Rust keeps its literals likewise;
bytecode stores each with its length and type (``Python/marshal.c``). In such *packed* files a name
counts wherever its characters stand.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from slim.analysis import ReadFile
from slim.analysis.imports.candidates import COMMON, Candidates
from slim.analysis.imports.mentions import ModuleMention
from slim.analysis.imports.modules import Module, ModuleIndex, as_bytes, dotted, parents
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileRecord, OwnerKind
from slim.system.mapped import contains, find_all, seen, words_in

_AFTER_DOT = re.compile(rb"\.(?<=\w\.)[^\W\d]\w*+(?:\.\w++)*+")
_BEFORE = re.compile(rb"\w*\Z")
_WHOLE = re.compile(rb"\0([^\W\d]\w{1,199}+)(?=[\0\"'`])")
_RUNS = re.compile(rb"[\w.]{2,}+")
_DELIMITERS = frozenset(b"\0\"'`")
_CYTHON = b"cython_runtime"
_LEVEL = b"PyImport_ImportModuleLevel"
"""The C function of relative imports: Nuitka, mypyc and C code call it with names of one part."""
_PACKED_MARKS = (_CYTHON, _LEVEL, b"nuitka", b"/rustc/", b"rust_panic", b"PyO3", b"pyo3")
_COMPRESSED = re.compile(rb"x[\x01\x5e\x9c\xda]")
_PART = 16 << 20
"""Bytes of a compiled file that are searched at a time."""
_MAX_TABLE = 1 << 23
"""Bytes of a string table that are read after decompression."""
_MAX_TABLES = 16
_TRIED = 256
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Names in a compiled file.

    ``own`` are the top-level names that it belongs to. ``whole`` are modules of which a dotted name
    is a whole string, and the packages around them; ``within`` those that occur in longer strings;
    ``words`` are top-level modules that are a whole string. ``packed`` are texts in which a word
    counts wherever it stands.
    """

    own: frozenset[str]
    whole: frozenset[str]
    within: frozenset[str]
    words: frozenset[str]
    packed: tuple[_Packed, ...]


class _Packed:
    """A text that doesn't tell where a string ends. Remembers what was looked for in it.

    ``text`` may be set to another buffer with the same bytes.
    """

    def __init__(self, text: bytes | memoryview) -> None:
        self.text = text
        self._answers: dict[str, bool] = {}

    def holds(self, name: str) -> bool:
        """Return whether a dotted name (or a word) stands anywhere in the text."""
        if name not in self._answers:
            self._answers[name] = contains(self.text, as_bytes(dotted(name)))
        return self._answers[name]


class CompiledReader:
    """Finds the candidates that compiled files of a stack name; each file is read once.

    Extension modules, the interpreter itself, and bytecode without a source are searched. A dotted
    name of the own package that is a whole string is strong evidence, all else is weak.
    """

    def __init__(self, index: ModuleIndex, read: ReadFile) -> None:
        self._index = index
        self._read = read
        self._compiled: dict[FileKey, _Compiled | None] = {}
        self._opaque: dict[FileKey, _Packed] = {}
        self._known_tops: dict[bytes, tuple[bytes, ...]] = {}

    def mentions(self, record: FileRecord, candidates: Candidates) -> Iterator[ModuleMention]:
        """Every candidate that a compiled file names; nothing for other files."""
        if record.key not in self._compiled:
            self._compiled[record.key] = self._load(record)
        compiled = self._compiled[record.key]
        if compiled is None:
            return
        for name in sorted(name for name in compiled.whole if name in candidates):
            strong = name.partition("/")[0] in compiled.own
            strength = Strength.STRONG if strong else Strength.WEAK
            yield ModuleMention(name, _named(record, dotted(name), strength))
        for name in sorted(compiled.within | (compiled.words & candidates.outermost)):
            if name in candidates:
                yield ModuleMention(name, _named(record, dotted(name), Strength.WEAK))
        modules = self._index.modules.get(record.key, ())
        for packed in compiled.packed:
            yield from _names_in_packed(record, packed, compiled.own, modules, candidates)

    def opaque(self, record: FileRecord, candidates: Candidates) -> Iterator[ModuleMention]:
        """Every candidate of which the words occur in a file that isn't read more closely."""
        packed = self._opaque.setdefault(record.key, _Packed(b""))
        modules = self._index.modules.get(record.key, ())
        own = frozenset(module.name.partition("/")[0] for module in modules)
        # Such files are large: only the answers are kept.
        data = self._read(record)
        packed.text = bytes(data) if len(data) <= _PART else data
        found = list(_names_in_packed(record, packed, own, modules, candidates))
        packed.text = b""
        yield from found

    def _load(self, record: FileRecord) -> _Compiled | None:
        modules = self._index.modules.get(record.key, ())
        bytecode = bool(modules) and record.path.endswith(".pyc")
        runtime = not modules and record.owner.kind is OwnerKind.RUNTIME
        if (
            record.type is not EntryType.FILE
            or not (bytecode or record.native is not None)
            or not (modules or runtime)
        ):
            return None
        data = self._read(record)
        marks = words_in(data, _PACKED_MARKS)
        if not modules:  # the interpreter defines that function
            marks.discard(_LEVEL)
        tables = list(_packed_tables(data)) if not bytecode and _CYTHON in marks else []
        whole: set[str] = set()
        within: set[str] = set()
        words: set[str] = set()
        for table in chain(_parts(data), tables):
            self._dotted_names(table, whole, within)
            found = (word.decode("utf-8", "replace") for word in set(_WHOLE.findall(table)))
            words.update(word for word in found if word in self._index.top_folders)
        packed: tuple[_Packed, ...] = ()
        if bytecode or marks:
            texts = (_parts(data), *([table] for table in tables))
            packed = tuple(_Packed(_text_of(parts)) for parts in texts)
        own = frozenset(module.top for module in modules if module.rooted)
        own = own or self._index.standard
        return _Compiled(
            own=own,
            whole=frozenset(whole),
            within=frozenset(within - whole),
            words=frozenset(words - COMMON - own),  # the interpreter lists the standard library
            packed=packed,
        )

    def _dotted_names(self, data: bytes, whole: set[str], within: set[str]) -> None:
        """Add the modules that dotted names in some data name."""
        seen: set[bytes] = set()
        for match in _AFTER_DOT.finditer(data):
            dot, end = match.span()
            before = _BEFORE.search(data[max(0, dot - _MAX_NAME) : dot])
            head = b"" if before is None else before[0]
            start = dot - len(head)
            delimited = (
                start > 0
                and end < len(data)
                and data[start - 1] in _DELIMITERS
                and data[end] in _DELIMITERS
            )
            run = data[start:end]
            if run in seen and not delimited:
                continue
            seen.add(run)
            for top in self._tops(head):
                name = (top + data[dot:end]).decode("utf-8", "replace").replace(".", "/")
                (whole if delimited else within).update((name, *parents(name)))
        # Only names of modules matter; what else has dots is most of it.
        whole &= self._index.known
        within &= self._index.known

    def _tops(self, head: bytes) -> tuple[bytes, ...]:
        """The top-level modules whose names a word ends with."""
        if head not in self._known_tops:
            endings = (head[start:] for start in range(len(head)))
            self._known_tops[head] = tuple(
                ending
                for ending in endings
                if ending.decode("utf-8", "replace") in self._index.top_folders
            )
        return self._known_tops[head]


def _names_in_packed(
    record: FileRecord,
    packed: _Packed,
    own: frozenset[str],
    modules: tuple[Module, ...],
    candidates: Candidates,
) -> Iterator[ModuleMention]:
    """Candidates whose words occur in data that doesn't tell where a string ends.

    Imports within the own top-level package may be relative: there the last component has to occur,
    and the packages below those that both lie in. Of others all packages around have to. Only the
    outermost are looked for, and then what lies in them.
    """
    for top, heads in candidates.heads_by_top.items():
        if top not in own and not packed.holds(top):
            continue
        for head in heads:
            parent, _, word = head.rpartition("/")
            if top not in own and parent and not packed.holds(parent):
                continue
            if top in own and not _within_reach(parent, modules, packed):
                continue
            for name in candidates.by_head[head] if packed.holds(word) else ():
                inner = name[len(head) :].split("/")
                if all(packed.holds(part) for part in inner if part):
                    last = name.rpartition("/")[2]
                    yield ModuleMention(name, _named(record, last, Strength.WEAK))


def _within_reach(parent: str, modules: tuple[Module, ...], packed: _Packed) -> bool:
    """Return whether a relative import of what lies in a package may stand in a text."""
    for module in modules:
        shared = module.container
        while shared and not f"{parent}/".startswith(f"{shared}/"):
            shared = shared.rpartition("/")[0]
        rest = parent[len(shared) :].strip("/")
        if all(packed.holds(part) for part in rest.split("/") if part):
            return True
    return not modules


def _parts(data: memoryview) -> Iterator[bytes]:
    """The bytes in parts of some megabytes, so that no string is cut.

    Where one part ends and the next one begins is a zero byte, which is in both.
    """
    at = 0
    while at < len(data):
        part = bytes(data[at : at + _PART])
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


def _named(record: FileRecord, text: str, strength: Strength) -> Evidence:
    return Evidence(
        kind="string",
        text=f'"{text}" in compiled code',
        file=record.deployed_path,
        line=None,
        strength=strength,
    )
