"""Modules that compiled code names: it imports Python modules too, and says so only in strings.

Cython 3.2 and newer keep their strings in one table without zero bytes between them, compressed by
zlib where that is smaller (``Cython/Utility/StringTools.c``); Rust keeps its literals likewise;
bytecode stores each with its length and type (``Python/marshal.c``). In such *packed* files a name
counts wherever its characters stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from slim.analysis import ReadFile
from slim.analysis.ahead.crew import Wanted
from slim.analysis.imports.candidates import COMMON, Candidates
from slim.analysis.imports.mentions import ModuleMention
from slim.analysis.imports.modules import Module, ModuleIndex, as_bytes, dotted, parents
from slim.analysis.imports.native_names import (
    NATIVE_NAMES,
    PART,
    PartNames,
    native_file,
    native_names,
    native_variant,
)
from slim.analysis.imports.path_scan import PathUse, uses_of
from slim.analysis.readings import Readings
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, Owner, OwnerKind
from slim.system.mapped import contains

_RUST = ("rustc", "rust_panic")
_FROM_IMPORTS = ("cython_runtime", "PyImport_ImportModuleLevel", "nuitka")
"""Words of code that imports a name from a package by two strings."""
_EMBEDDING = (b"PyImport_", b"Py_Initialize", b"Py_RunMain", b"Py_BytesMain")
"""Functions by which a program embeds Python."""


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Names in a compiled file.

    ``own`` are the top-level names that it belongs to. ``whole`` are modules of which a dotted name
    is a whole string, and the packages around them; ``within`` those that occur in longer strings;
    ``plain`` are those of both that are named for themselves, not by an end or a start of a name;
    ``words`` are top-level modules that are a whole string. ``tails`` are whole strings that the
    last parts of a module's name may be, without what may stand before: ``tests.mod`` of
    ``"%s.tests.mod"``; those in ``near`` had nothing before, so they count from around the file
    only. ``of`` are the top-level names of the file's distribution. ``packed`` are texts in which a
    word counts wherever it stands. ``paths`` are those to files among tests.
    """

    own: frozenset[str]
    whole: frozenset[str]
    within: frozenset[str]
    plain: frozenset[str]
    words: frozenset[str]
    tails: frozenset[str]
    near: frozenset[str]
    of: frozenset[str]
    packed: tuple[_Packed, ...]
    paths: tuple[PathUse, ...]


class _Packed:
    """Texts that don't tell where a string ends. Remembers what was looked for in them.

    ``texts`` may be set to other buffers with the same bytes.
    """

    def __init__(self, *texts: bytes | memoryview) -> None:
        self.texts = texts
        self._answers: dict[str, bool] = {}

    def holds(self, name: str) -> bool:
        """Return whether a dotted name (or a word) stands anywhere in a text."""
        if name not in self._answers:
            needle = as_bytes(dotted(name))
            self._answers[name] = any(contains(text, needle) for text in self.texts)
        return self._answers[name]

    @property
    def rust(self) -> bool:
        """True for a text of Rust code that Cython, Nuitka and the like have no part in."""
        return any(map(self.holds, _RUST)) and not any(map(self.holds, _FROM_IMPORTS))


class CompiledReader:
    """Finds the candidates that compiled files of a stack name; each file is read once.

    Extension modules, the interpreter itself, and bytecode without a source are searched. A dotted
    name of the own package that is a whole string is strong evidence, all else is weak.
    """

    def __init__(
        self,
        index: ModuleIndex,
        inventory: Inventory,
        read: ReadFile,
        readings: Readings | None = None,
    ) -> None:
        self._index = index
        self._inventory = inventory
        self._read = read
        self._readings = readings or Readings()
        self._compiled: dict[FileKey, _Compiled | None] = {}
        self._opaque: dict[FileKey, _Packed] = {}
        self._known_tops: dict[bytes, tuple[bytes, ...]] = {}

    def mentions(self, record: FileRecord, candidates: Candidates) -> Iterator[ModuleMention]:
        """Every candidate that a compiled file names; nothing for other files."""
        compiled = self._names(record)
        if compiled is None:
            return
        for name in sorted(name for name in compiled.whole if name in candidates):
            strong = name.partition("/")[0] in compiled.own
            strength = Strength.STRONG if strong else Strength.WEAK
            evidence = _named(record, dotted(name), strength)
            yield ModuleMention(name, evidence, scattered=name not in compiled.plain)
        words = compiled.words & candidates.outermost
        for name in sorted(compiled.within | words):
            if name in candidates:
                evidence = _named(record, dotted(name), Strength.WEAK)
                scattered = name not in words and name not in compiled.plain
                yield ModuleMention(name, evidence, scattered=scattered)
        modules = self._index.modules.get(record.key, ())
        for name, tail in _ending_like(compiled, modules, candidates):
            if name in candidates:
                yield ModuleMention(name, _named(record, tail, Strength.WEAK))
        for packed in compiled.packed:
            yield from _names_in_packed(record, packed, compiled.own, modules, candidates)
            named = compiled.whole & compiled.plain
            yield from _members_of_common(record, packed, named, candidates)

    def paths(self, record: FileRecord) -> tuple[PathUse, ...]:
        """The paths in a compiled module that lead to files among tests."""
        compiled = self._names(record)
        return compiled.paths if compiled is not None else ()

    def _names(self, record: FileRecord) -> _Compiled | None:
        if record.key not in self._compiled:
            self._compiled[record.key] = self._load(record)
        return self._compiled[record.key]

    def opaque(
        self, record: FileRecord, candidates: Candidates, inside: bytes = b""
    ) -> Iterator[ModuleMention]:
        """Every candidate of which the words occur in a file that isn't read more closely.

        ``inside`` is what was compressed in it.
        """
        packed = self._opaque.setdefault(record.key, _Packed())
        modules = self._index.modules.get(record.key, ())
        own = frozenset(module.name.partition("/")[0] for module in modules)
        # Such files are large: only the answers are kept.
        data = self._read(record)
        packed.texts = (data if len(data) > PART else bytes(data), inside)
        found = list(_names_in_packed(record, packed, own, modules, candidates))
        packed.texts = ()
        yield from found

    def read_ahead(self, records: Iterable[FileRecord]) -> None:
        """Have other processes read the files that are about to be asked for."""
        self._readings.ahead(
            wanted
            for record in records
            if record.key not in self._compiled and (wanted := self._wanted(record)) is not None
        )

    def _wanted(self, record: FileRecord) -> Wanted | None:
        """The reading of a compiled file that may name modules; None for other files."""
        modules = self._index.modules.get(record.key, ())
        bytecode = bool(modules) and record.path.endswith(".pyc")
        runtime = not modules and record.owner.kind is OwnerKind.RUNTIME
        if (
            record.type is not EntryType.FILE
            or not (bytecode or record.native is not None)
            or not (modules or runtime or self._embeds(record))
        ):
            return None
        variant = native_variant(bytecode=bytecode, module=bool(modules))
        return Wanted.of(NATIVE_NAMES.name, variant, record, self._read)

    def _load(self, record: FileRecord) -> _Compiled | None:
        wanted = self._wanted(record)
        if wanted is None:
            return None
        modules = self._index.modules.get(record.key, ())
        names = None
        if self._readings.remembers or self._readings.has_begun(wanted):
            names = self._readings.of_record(
                NATIVE_NAMES,
                record,
                lambda: native_names(self._read(record), wanted.variant),
                wanted.variant,
            )
        if names is None:  # or too many to be remembered
            file = native_file(self._read(record), wanted.variant)
            return self._compiled_of(record, file.parts(), file.packed(), modules)
        return self._compiled_of(record, (names.names,), names.packed, modules)

    def _embeds(self, record: FileRecord) -> bool:
        """True for a program that may start Python by itself, and import what it names."""
        in_bin = record.path.startswith(("bin/", "Scripts/", "libexec/"))
        if not in_bin and record.kind is not FileKind.EXECUTABLE:
            return False
        return any(contains(self._read(record), word) for word in _EMBEDDING)

    def _compiled_of(
        self,
        record: FileRecord,
        parts: Iterable[PartNames],
        packed: tuple[bytes, ...],
        modules: tuple[Module, ...],
    ) -> _Compiled:
        """Those names of a compiled file that modules of the stack have."""
        whole: set[str] = set()
        within: set[str] = set()
        plain: set[str] = set()
        words: set[str] = set()
        code: set[str] = set()
        tails: set[str] = set()
        near: set[str] = set()
        paths: set[bytes] = set()
        own = frozenset(module.top for module in modules if module.rooted)
        of = own | self._tops_by_owner.get((record.layer, record.owner), frozenset())
        known = frozenset(word for top in of for word in self._words_by_top.get(top, ()))
        for part in parts:
            paths |= part.paths
            tails |= _begun_with(known, part.tails)
            near |= _begun_with(known, chain(part.words, part.delimited))
            whole |= self._modules_in(part.delimited)
            within |= self._modules_in(part.loose)
            plain |= self._meant_by(part.delimited, 1) | self._meant_by(part.loose, 2)
            words.update(word.decode() for word in self._top_words & part.words)
            code.update(word.decode() for word in self._top_words & part.imported)
        own = own or self._index.standard
        return _Compiled(
            own=own,
            whole=frozenset(whole),
            within=frozenset(within - whole),
            plain=frozenset(plain),
            # the interpreter lists the standard library
            words=frozenset((words - own).union(code) - COMMON),
            tails=frozenset(tails),
            near=frozenset(near),
            of=of,
            packed=tuple(map(_Packed, packed)),
            paths=tuple(uses_of(paths)) if modules else (),
        )

    @cached_property
    def _tops_by_owner(self) -> dict[tuple[str, Owner], frozenset[str]]:
        """The top-level names of each distribution in a layer."""
        found: dict[tuple[str, Owner], set[str]] = {}
        for key, modules in self._index.modules.items():
            record = self._inventory.get(key)
            if record is not None and record.owner.kind is OwnerKind.DISTRIBUTION:
                tops = found.setdefault((record.layer, record.owner), set())
                tops.update(module.top for module in modules if module.rooted)
        return {owner: frozenset(tops) for owner, tops in found.items()}

    @cached_property
    def _words_by_top(self) -> dict[str, set[bytes]]:
        """Every component of modules below a top-level name."""
        found: dict[str, set[bytes]] = {}
        for name in self._index.known:
            top, _, rest = name.partition("/")
            if rest:
                found.setdefault(top, set()).update(map(as_bytes, rest.split("/")))
        return found

    @cached_property
    def _top_words(self) -> frozenset[bytes]:
        """The top-level modules, as strings of compiled code have them."""
        return frozenset(name.encode() for name in self._index.top_folders if name.isascii())

    def _modules_in(self, runs: Iterable[bytes]) -> set[str]:
        """The modules that dotted names name, and the packages around them."""
        found: set[str] = set()
        for run in runs:
            head, _, rest = run.partition(b".")
            for top in self._tops(head):
                name = b".".join((top, rest)).decode("utf-8", "replace").replace(".", "/")
                found.update((name, *parents(name)))
        return found & self._index.known

    def _meant_by(self, runs: Iterable[bytes], least: int) -> set[str]:
        """The modules that dotted names are, or are of something in, and the packages around.

        Of something in a module with fewer than ``least`` components nothing is meant: ``code.py``.
        """
        found: set[str] = set()
        for run in runs:
            name = run.decode("utf-8", "replace").replace(".", "/")
            around = name.rpartition("/")[0]
            inside = around in self._index.known and around.count("/") + 1 >= least
            if inside or name in self._index.known:
                found.update((name, *parents(name)))
        return found & self._index.known

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


def _begun_with(known: frozenset[bytes], names: Iterable[bytes]) -> set[str]:
    """Those names whose first component is known."""
    return {name.decode("utf-8", "replace") for name in names if name.split(b".", 1)[0] in known}


def _ending_like(
    compiled: _Compiled, modules: tuple[Module, ...], candidates: Candidates
) -> Iterator[tuple[str, str]]:
    """Candidates of the file's distribution whose names end like a whole string in it."""
    around = {each for module in modules for each in (module.container, *parents(module.container))}
    for tail in sorted(compiled.tails | compiled.near):
        name = tail.replace(".", "/")
        for end in (name, *parents(name)):
            starts = {
                found[: -len(end) - 1]
                for found in candidates.by_word.get(end.rpartition("/")[2], ())
                if found.endswith(f"/{end}") and found.partition("/")[0] in compiled.of
            }
            starts = starts if tail in compiled.tails else starts & around
            for start in sorted(starts):
                for part in (end, *parents(end)):
                    yield f"{start}/{part}", tail
            if starts:
                break


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
                    evidence = _named(record, name.rpartition("/")[2], Strength.WEAK)
                    scattered = not _is_imported(name, modules, packed, top in own)
                    yield ModuleMention(name, evidence, scattered=scattered)


def _members_of_common(
    record: FileRecord, packed: _Packed, named: Collection[str], candidates: Candidates
) -> Iterator[ModuleMention]:
    """Candidates in packages that are named whole, as ``from test.support import os_helper`` does.

    Only those below a name that stands in every program, for which nothing else is looked for.
    """
    for package in sorted(named):
        top, _, rest = package.partition("/")
        if not rest or top not in COMMON or packed.rust:
            continue
        for name in candidates.children.get(package, ()):
            word = name.rpartition("/")[2]
            if packed.holds(word):
                yield ModuleMention(name, _named(record, word, Strength.WEAK))


def _is_imported(name: str, modules: tuple[Module, ...], packed: _Packed, own: bool) -> bool:
    """Return whether a text has a module's name as an import of it would.

    That is the whole name; or its package in one string and the name in another, as in ``from
    package import name``. Within the own top-level package (``own``) an import may be relative, and
    has of the package what isn't around the file. Rust imports by whole names.
    """
    parent, _, word = name.rpartition("/")
    if not parent or packed.holds(name):
        return True
    if not packed.holds(word):
        return False
    if packed.holds(parent) and not packed.rust:
        return True
    for module in modules if own else ():
        shared = _shared(parent, module)
        rest = parent[len(shared) :].strip("/")
        if shared and (not rest or packed.holds(rest)):
            return True
    return own and not modules


def _shared(parent: str, module: Module) -> str:
    """Return the innermost package around a module that a package lies in, or is."""
    shared = module.container
    while shared and not f"{parent}/".startswith(f"{shared}/"):
        shared = shared.rpartition("/")[0]
    return shared


def _within_reach(parent: str, modules: tuple[Module, ...], packed: _Packed) -> bool:
    """Return whether a relative import of what lies in a package may stand in a text."""
    for module in modules:
        rest = parent[len(_shared(parent, module)) :].strip("/")
        if all(packed.holds(part) for part in rest.split("/") if part):
            return True
    return not modules


def _named(record: FileRecord, text: str, strength: Strength) -> Evidence:
    return Evidence(
        kind="string",
        text=f'"{text}" in compiled code',
        file=record.deployed_path,
        line=None,
        strength=strength,
    )
