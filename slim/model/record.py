"""Every file of a stack, with its owner and its category."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import ClassVar


class EntryType(StrEnum):
    """Types of a layer's members. Any other (devices, FIFOs) is refused when reading."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"


class FileKind(StrEnum):
    """The category a file's bytes are counted under."""

    PYTHON = "python source"
    BYTECODE = "bytecode"
    TESTS = "tests"
    LIBRARY = "native library"
    EXTENSION = "extension module"
    EXECUTABLE = "executable"
    DEBUG = "debug information"
    HEADERS = "headers"
    STUBS = "type stubs"
    STATIC = "static libraries"
    SOURCES = "native sources"
    DOCS = "documentation"
    LOCALE = "locale data"
    METADATA = "metadata"
    LICENCE = "licences"
    DATA = "other data"
    LINK = "links"


class NativeFormat(str):
    """Name of a native format. Formats are told by magic and never by the names of files.

    These are the formats that other rooms have rows about. A format that none has is named in its
    own folder.
    """

    __slots__ = ()

    ELF: ClassVar[NativeFormat]
    MACHO: ClassVar[NativeFormat]
    PE: ClassVar[NativeFormat]
    ARCHIVE: ClassVar[NativeFormat]


NativeFormat.ELF = NativeFormat("elf")
NativeFormat.MACHO = NativeFormat("mach-o")
NativeFormat.PE = NativeFormat("pe")
NativeFormat.ARCHIVE = NativeFormat("ar")


class OwnerKind(StrEnum):
    """Kinds of owners of files."""

    DISTRIBUTION = "distribution"
    RUNTIME = "runtime"
    UNOWNED = "unowned"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Owner:
    """The distribution that installed a file (by its RECORD), the runtime, or nobody.

    ``name`` is the normalised project name (PEP 503); ``version`` as the distribution states it.
    """

    kind: OwnerKind
    """Kind of owner."""
    name: str
    version: str = ""

    @property
    def label(self) -> str:
        """Name and version for people: ``numpy 2.5.5``."""
        return f"{self.name} {self.version}".strip()


UNOWNED = Owner(kind=OwnerKind.UNOWNED, name="(unowned)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One member of a layer.

    ``path`` is relative to the layer's folder, with ``/``, without a leading one; bytes that aren't
    UTF-8 are kept as surrogate escapes. ``size`` is bytes of content: 0 for directories, links, and
    for a hard link, whose bytes are counted with its target. ``sha256`` is hexadecimal and empty
    for what has no content. ``bytecode_size`` is the bytes of ``.pyc`` that an installer's
    post-install step will write for this source. ``compiled_from`` is the source (relative to the
    layer) of a ``.pyc`` that the post-install step would write again if it went.
    """

    layer: str
    """Name of the layer."""
    path: str
    type: EntryType
    """Type of the member."""
    kind: FileKind
    """Category that the file's bytes are counted under."""
    owner: Owner
    """Owner of the file."""
    size: int
    mode: int
    """The nine permission bits."""
    sha256: str = ""
    link_target: str | None = None
    """Target of a symbolic link as written, or of a hard link relative to the layer; else None."""
    native: NativeFormat | None = None
    """Native format of the content, if it has one."""
    bytecode_size: int = 0
    compiled_from: str = ""

    key: FileKey = field(init=False, repr=False, compare=False)
    """The key of the file in the whole stack. One object: most tables of a run hold it."""

    def __post_init__(self) -> None:
        """Make the key."""
        object.__setattr__(self, "key", (self.layer, self.path))

    @property
    def deployed_path(self) -> str:
        """The path below the folder that all layers are unpacked into."""
        return f"{self.layer}/{self.path}"


FileKey = tuple[str, str]
"""(layer name, path in the layer)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """One line of ``entry_points.txt``. ``value`` is ``module:attribute``."""

    group: str
    """Its group, such as ``console_scripts``."""
    name: str
    """Its name in the group."""
    value: str

    @property
    def module(self) -> str:
        """The module part of the value."""
        return self.value.partition(":")[0].partition("[")[0].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """An installed distribution.

    ``info_dir`` is its ``.dist-info`` folder relative to the layer; ``files`` are the paths
    (relative to the layer) that its RECORD names and that exist; ``licences`` what its METADATA and
    the naming conventions call licence files. ``requires`` are its ``Requires-Dist`` lines.

    Source: PyPA "Recording installed projects" and "Core metadata".
    """

    layer: str
    """Name of the layer that it is installed in."""
    name: str
    """Normalised name (PEP 503)."""
    version: str
    """Version as the distribution states it."""
    info_dir: str
    files: frozenset[str]
    licences: frozenset[str] = frozenset()
    requires: tuple[str, ...] = ()
    differing: frozenset[str] = frozenset()
    """Those of its files whose row in RECORD isn't true, or has a form of hash that can't be
    compared."""
    entry_points: tuple[EntryPoint, ...] = ()
    """The lines of its ``entry_points.txt``."""

    @property
    def owner(self) -> Owner:
        """The distribution as the owner of its files."""
        return Owner(kind=OwnerKind.DISTRIBUTION, name=self.name, version=self.version)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """Every file and every distribution of a stack."""

    records: Mapping[str, Mapping[str, FileRecord]]
    """The files of each layer by path, sorted, by the name of the layer."""
    distributions: Mapping[str, Mapping[str, Distribution]] = field(default_factory=dict)
    """The distributions of each layer by name, by the name of the layer."""
    warnings: tuple[str, ...] = ()
    """Sentences for people."""

    def __iter__(self) -> Iterator[FileRecord]:
        for files in self.records.values():
            yield from files.values()

    def get(self, key: FileKey) -> FileRecord | None:
        """Return the record for a key, or None."""
        return self.records.get(key[0], {}).get(key[1])

    @cached_property
    def by_deployed_path(self) -> Mapping[str, FileRecord]:
        """Every record by its path below the folder that all layers are unpacked into."""
        return {record.deployed_path: record for record in self}

    @cached_property
    def by_owner(self) -> Mapping[tuple[str, Owner], Sequence[FileRecord]]:
        """The records of each owner in each layer, by the layer's name and the owner."""
        found: dict[tuple[str, Owner], list[FileRecord]] = {}
        for record in self:
            found.setdefault((record.layer, record.owner), []).append(record)
        return found
