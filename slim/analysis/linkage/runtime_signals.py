"""Signs that a library is opened at run time, by name, by nobody's ``DT_NEEDED``.

What counts, and how much:

======================================================================================  ========
a whole name in Python that uses ctypes, cffi, dlopen and the like                       strong
``foo`` or ``libfoo`` given to ``find_library``, ``CDLL``, ``dlopen`` ...; ``libfoo``     strong
a whole name in another native file, other than what that file needs anyway              strong
part of a name (``'libsndfile_' + machine()``, ``libcudnn_%s.so``)                       weak
a whole name in Python that loads nothing itself, in a script or in a data file          weak
a pattern as wide as ``lib*.so`` in Python of the library's own distribution             weak
Python of its own distribution that lists folders and loads what it finds                weak
a folder that is called after plug-ins                                                   weak
======================================================================================  ========

The package's plain name (``"onnxruntime"`` for ``libonnxruntime.so``) is no sign: everything says
its own name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from slim.analysis import ReadFile
from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.library_names import (
    LIBRARY_SUFFIXES,
    WILDCARD,
    LibraryMention,
    MentionKind,
    PythonMentions,
    scan_binary,
    scan_python,
    scan_text,
)
from slim.model.finding import Evidence, Strength
from slim.model.record import (
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    NativeFormat,
    Owner,
    OwnerKind,
)

MAX_DATA_FILE = 1 << 20
"""Data files above this size (bytes) aren't read."""

_SCANNED = (NativeFormat.ELF, NativeFormat.MACHO, NativeFormat.PE)
_DATA_SUFFIXES = (
    ".json",
    ".conf",
    ".cfg",
    ".ini",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    ".xml",
    ".icd",
    ".list",
    ".pth",
)
_PLUGIN_FOLDERS = frozenset(
    {
        "accelerators", "backends", "codecs", "dri", "drivers", "engines", "engines-3",
        "extensions", "filters", "loaders", "modules", "ossl-modules", "providers", "sasl2",
        "vdpau",
    }
)  # fmt: skip
_VERSION = re.compile(r"\.so(?:\.\w+)*\Z|(?:\.\d+)*\.dylib\Z|\.dll\Z", re.IGNORECASE)
_VARIABLE_RUN = re.compile(r"\A(?:lib)?|\.so[.\d]*|\.dylib|\.dll|[\d.]+\Z", re.IGNORECASE)
_SPECIFIC = 3
"""Letters that a part of a name must have to mean one library.

They count besides ``lib``, the suffix and version numbers.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A sign that ``source`` opens the library ``target``.

    ``native`` says that the source is a native file, which only counts while it is itself in use.
    """

    source: FileKey
    target: FileKey
    native: bool
    evidence: Evidence


@dataclass(frozen=True, kw_only=True)
class Signals:
    """All signals of a stack, in a fixed order. Make it with :meth:`collect`.

    ``folders`` is evidence of the folder that a library lies in, by library.
    """

    found: tuple[Signal, ...] = ()
    folders: Mapping[FileKey, Evidence] = field(default_factory=dict)

    @classmethod
    def collect(
        cls,
        linkage: Linkage,
        candidates: Collection[FileRecord],
        read: ReadFile,
        gone: Collection[FileKey] = (),
    ) -> Signals:
        """Read every file that may speak of one of the candidates, but none in ``gone``."""
        ordered = sorted(candidates, key=lambda record: record.key)
        if not ordered:
            return cls()
        index = NameIndex(linkage, ordered)
        found: list[Signal] = []
        for record in linkage.inventory:
            if record.type is EntryType.FILE and record.key not in gone:
                found.extend(_scan(record, linkage, index, read))
        folders = {
            record.key: evidence
            for record in ordered
            if (evidence := _plugin_folder(record)) is not None
        }
        return cls(found=tuple(found), folders=folders)


@dataclass(frozen=True, slots=True)
class _Alias:
    name: str
    record: FileRecord

    @property
    def stem(self) -> str:
        """``libfoo`` of ``libfoo.so.1``."""
        return _VERSION.sub("", self.name)


class NameIndex:
    """The candidates by every name that opens them.

    Those are their own names, those of links to them, and a soname that no file has (a library
    loaded earlier answers to it).
    """

    def __init__(self, linkage: Linkage, candidates: Iterable[FileRecord]) -> None:
        self._neighbours = _neighbours(linkage)
        self._exact: dict[str, list[FileRecord]] = {}
        self._stems: dict[str, list[FileRecord]] = {}
        self._aliases: list[_Alias] = []
        self._by_owner: dict[tuple[str, Owner], list[_Alias]] = {}
        self._patterns: dict[str, tuple[_Alias, ...]] = {}
        self.candidates = tuple(candidates)
        for record in self.candidates:
            names = {file.path.rpartition("/")[2] for file in (record, *linkage.links_to(record))}
            soname = (linkage.dynamics[record.key].soname or "").rpartition("/")[2]
            if soname and soname not in linkage.tree.names:
                names.add(soname)
            if record.native is NativeFormat.PE:
                names = {name.lower() for name in names}
            for name in sorted(names):
                self._add(_Alias(name, record))

    def _add(self, alias: _Alias) -> None:
        self._exact.setdefault(alias.name, []).append(alias.record)
        self._stems.setdefault(alias.stem, []).append(alias.record)
        self._aliases.append(alias)
        self._by_owner.setdefault((alias.record.layer, alias.record.owner), []).append(alias)

    def owned_by(self, source: FileRecord) -> list[FileRecord]:
        """The candidates of the distribution that a file belongs to."""
        return list(
            {
                a.record.key: a.record for a in self._by_owner.get((source.layer, source.owner), ())
            }.values()
        )

    def match(
        self, source: FileRecord, mention: LibraryMention
    ) -> Iterator[tuple[FileRecord, Strength]]:
        """The candidates that a mention in ``source`` may mean.

        Only layers that can share a process count.
        """
        near = self._neighbours.get(source.layer, frozenset())
        for record, strength in self._folded_match(source, mention):
            if record.layer in near and record.key != source.key:
                yield record, strength

    def _folded_match(
        self, source: FileRecord, mention: LibraryMention
    ) -> Iterator[tuple[FileRecord, Strength]]:
        """Names of DLLs are indexed, and looked for, in lower case."""
        yield from self._match(source, mention)
        lower = mention.text.lower()
        if lower != mention.text:
            for record, strength in self._match(source, replace(mention, text=lower)):
                if record.native is NativeFormat.PE:
                    yield record, strength

    def _match(
        self, source: FileRecord, mention: LibraryMention
    ) -> Iterator[tuple[FileRecord, Strength]]:
        text, kind = mention.text, mention.kind
        exact = Strength.WEAK if kind is MentionKind.TEXT else Strength.STRONG
        yield from ((record, exact) for record in self._exact.get(text, ()))
        if kind is MentionKind.TEXT:
            return
        if WILDCARD in text:
            for alias in self._matching(source, text):
                yield alias.record, Strength.WEAK
            return
        if kind is MentionKind.CALL:
            stems = dict.fromkeys((text, f"lib{text}"))
            yield from ((record, exact) for stem in stems for record in self._stems.get(stem, ()))
        elif kind is MentionKind.LITERAL:
            if text.startswith("lib"):
                yield from ((record, exact) for record in self._stems.get(text, ()))
            yield from ((alias.record, Strength.WEAK) for alias in self._with_part(text))
        else:
            # A string that runs into the one before it (they don't end in zero bytes everywhere).
            tail = text[text.rfind("lib") :] if "lib" in text else text
            yield from ((record, exact) for record in self._exact.get(tail, ()) if tail != text)
            if text.endswith((".dll", ".dylib")) and _is_specific(text):
                # The end of a name whose start is put before it: OpenCV's video library is known as
                # ``500_64.dll``.
                ends = (alias for alias in self._with_part(text) if alias.name.endswith(text))
                yield from ((alias.record, Strength.WEAK) for alias in ends)

    def _with_part(self, text: str) -> tuple[_Alias, ...]:
        """The aliases that begin or end with a literal which is meant to be completed."""
        if not _is_specific(text) or not (text.startswith("lib") or _has_suffix(text)):
            return ()
        if text not in self._patterns:
            self._patterns[text] = tuple(
                alias
                for alias in self._aliases
                if alias.name != text and (alias.name.startswith(text) or alias.name.endswith(text))
            )
        return self._patterns[text]

    def _matching(self, source: FileRecord, text: str) -> tuple[_Alias, ...]:
        """The aliases that a pattern fits.

        A pattern that fits nearly every name stays within its distribution.
        """
        runs = text.split(WILDCARD)
        if not any("lib" in run or _has_suffix(run) for run in runs):
            return ()
        if text not in self._patterns:
            pattern = re.compile(
                ".*".join(re.escape(run) for run in runs) + r"(?:\.\d+)*\Z", re.DOTALL
            )
            self._patterns[text] = tuple(
                alias for alias in self._aliases if pattern.match(alias.name)
            )
        if any(_is_specific(run) for run in runs):
            return self._patterns[text]
        if source.native is not None or source.owner.kind is OwnerKind.RUNTIME:
            # OpenSSL, linked into half of all wheels, has its ``lib%s.so``, and opens none of their
            # libraries. Nor does ctypes open those of the runtime.
            return ()
        group = (source.layer, source.owner)
        return tuple(a for a in self._patterns[text] if (a.record.layer, a.record.owner) == group)


def _has_suffix(text: str) -> bool:
    return any(suffix in text for suffix in LIBRARY_SUFFIXES)


def _is_specific(run: str) -> bool:
    return sum(char.isalnum() or char == "_" for char in _VARIABLE_RUN.sub("", run)) >= _SPECIFIC


def _neighbours(linkage: Linkage) -> dict[str, frozenset[str]]:
    """For each layer the layers that can share a process with it."""
    found: dict[str, set[str]] = {}
    for process in linkage.processes:
        for name in process.layers:
            found.setdefault(name, set()).update(process.layers)
    return {name: frozenset(layers) for name, layers in found.items()}


def _scan(
    record: FileRecord, linkage: Linkage, index: NameIndex, read: ReadFile
) -> Iterator[Signal]:
    native = record.native in _SCANNED
    mentions: Iterable[LibraryMention]
    if record.native is not None and native:
        dynamic = linkage.dynamics.get(record.key)
        known = (*dynamic.needed, dynamic.soname or "") if dynamic is not None else ()
        own = {_own_name(name, record.native) for name in known}
        found = scan_binary(read(record), record.native)
        mentions = [
            mention for mention in found if _own_name(mention.text, record.native) not in own
        ]
    elif record.path.rpartition("/")[2].startswith("_sysconfigdata_"):
        return  # The build's configuration: it names libpython, whether there is one or not.
    elif record.path.endswith((".py", ".pyw")):
        python = scan_python(bytes(read(record)))
        mentions = python.mentions
        yield from _listing_loader(record, python, index)
    elif _is_text(record):
        mentions = scan_text(bytes(read(record)))
    else:
        return
    seen: set[tuple[FileKey, Strength]] = set()
    for mention in mentions:
        for target, strength in index.match(record, mention):
            if (target.key, strength) not in seen:
                seen.add((target.key, strength))
                yield _signal(record, target, mention, strength, native=native)


def _own_name(name: str, native: NativeFormat) -> str:
    """A needed library's name as it is compared with what else the file says."""
    name = name.rpartition("/")[2]
    return name.lower() if native is NativeFormat.PE else name


def _signal(
    source: FileRecord,
    target: FileRecord,
    mention: LibraryMention,
    strength: Strength,
    *,
    native: bool,
) -> Signal:
    verb = "opens" if mention.kind is MentionKind.CALL else "names"
    text = f"{verb} {mention.text.replace(WILDCARD, '*')}"
    if mention.offset is not None:
        text += f" at offset {mention.offset}"
    evidence = Evidence(
        kind="string", text=text, file=source.deployed_path, line=mention.line, strength=strength
    )
    return Signal(source=source.key, target=target.key, native=native, evidence=evidence)


def _listing_loader(
    record: FileRecord, python: PythonMentions, index: NameIndex
) -> Iterator[Signal]:
    """Signals of a file that lists folders and loads what isn't a literal.

    It may load any library of its distribution. Not so the standard library: what :mod:`ctypes`
    loads, others name.
    """
    if python.computed is None or not python.lists or record.owner.kind is OwnerKind.RUNTIME:
        return
    text = f"{record.owner.label} loads libraries that it lists"
    evidence = Evidence(
        kind="listing",
        text=text,
        file=record.deployed_path,
        line=python.computed,
        strength=Strength.WEAK,
    )
    for target in index.owned_by(record):
        yield Signal(source=record.key, target=target.key, native=False, evidence=evidence)


def _is_text(record: FileRecord) -> bool:
    """True if a file may name libraries as data.

    Such are configuration, driver manifests, scripts, sourceless bytecode; not what lists every
    file anyway (metadata of installers), and not what only a build reads.
    """
    if record.native is not None or record.kind in (
        FileKind.METADATA,
        FileKind.LICENCE,
        FileKind.DOCS,
    ):
        return False
    if (
        record.size > MAX_DATA_FILE
        or ".dist-info/" in record.path
        or record.path.startswith("share/venv/metadata/")
    ):
        return False
    if record.path.endswith(".pyc"):
        return "/__pycache__/" not in f"/{record.path}"
    return (
        record.kind is FileKind.EXECUTABLE
        or record.path.endswith(_DATA_SUFFIXES)
        or "/bin/" in f"/{record.path}"
    )


def _plugin_folder(record: FileRecord) -> Evidence | None:
    """Evidence that a library lies in a folder whose name says that all files in it are loaded."""
    folders = record.path.rpartition("site-packages/")[2].split("/")[:-1]
    for folder in folders:
        if "plugin" in folder.lower() or folder.lower() in _PLUGIN_FOLDERS:
            text = f"lies in a folder named {folder}, which may be listed"
            return Evidence(
                kind="folder", text=text, file=record.deployed_path, strength=Strength.WEAK
            )
    return None
