"""Signs that a library is opened at run time, by its name, although no file needs it.

Signs, and their strength as evidence:

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

The package's plain name (``"onnxruntime"`` for ``libonnxruntime.so``) is no sign: every package
mentions its own name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from slim.analysis import ReadFile
from slim.analysis.code_paths.scripts import SHELL_SUFFIXES
from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.library_names import (
    WILDCARD,
    LibraryMention,
    MentionKind,
    PythonMentions,
    scan_binary,
    scan_python,
    scan_text,
)
from slim.analysis.linkage.loaders import LOADERS
from slim.analysis.linkage.name_index import NameIndex
from slim.model.finding import Evidence, Strength
from slim.model.record import (
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    NativeFormat,
    OwnerKind,
)

MAX_DATA_FILE = 1 << 20
"""Data files above this size (bytes) aren't read."""

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
_START = 256
"""Bytes in which the name of a script's interpreter is looked for."""
_PLUGIN_FOLDERS = frozenset(
    {
        "accelerators", "backends", "codecs", "dri", "drivers", "engines", "engines-3",
        "extensions", "filters", "loaders", "modules", "ossl-modules", "providers", "sasl2",
        "vdpau",
    }
)  # fmt: skip


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


def _scan(
    record: FileRecord, linkage: Linkage, index: NameIndex, read: ReadFile
) -> Iterator[Signal]:
    native = record.native in LOADERS
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
        data = bytes(read(record))
        start = data[:_START].partition(b"\n")[0]
        if start.startswith(b"#!") and b"python" in start:
            mentions = scan_python(data).mentions
        elif start.startswith(b"#!") or record.path.endswith(SHELL_SUFFIXES):
            # What a launcher names, it preloads or opens, whoever's program it starts.
            mentions = scan_text(data, MentionKind.SCRIPT)
        else:
            mentions = scan_text(data)
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
        or record.path.endswith((*_DATA_SUFFIXES, *SHELL_SUFFIXES))
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
