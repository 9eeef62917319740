"""Trees, members, and the row of the table of formats.

An archive or folder that was read is a virtual tree whose payloads are streamed. Nothing of an
input archive is ever unpacked under its own names. A reader parses the structure strictly, puts the
uncompressed bytes into one private spool file, and hands out members whose content is a slice of
it; so no name in an archive can ever touch the file system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from slim.model.limits import Limits
from slim.model.record import EntryType
from slim.model.settings import Effort
from slim.model.stack import Platform
from slim.system.closing import Closing


class Content(Protocol):
    """Bytes of one member. Cheap to hold, read on demand; valid until the tree is closed."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The content in pieces, for streaming."""
        ...

    def view(self) -> memoryview:
        """The whole content, not copied where it can be memory-mapped. Read-only."""
        ...


@dataclass(frozen=True, slots=True)
class BytesContent:
    """Content that is in memory: a rewritten file."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The one piece there is."""
        yield self.data

    def view(self) -> memoryview:
        """The bytes."""
        return memoryview(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a layer.

    ``path`` is relative to the layer's folder (surrogate escapes for bytes that aren't UTF-8).
    ``mode`` holds the nine permission bits, ``mtime`` whole seconds since the epoch.
    ``link_target`` is the text of a symbolic link, or the path (relative to the layer's folder, of
    an earlier regular file) of a hard link. ``content`` is there for regular files only; ``size``
    (bytes) is 0 for everything else.
    """

    path: str
    type: EntryType
    mode: int
    mtime: int
    size: int = 0
    link_target: str | None = None
    content: Content | None = None


@dataclass(kw_only=True)
class Tree(Closing):
    """A layer as it was read: members by path in the order of the source, directories included.

    ``root`` is the folder that every member of an archive lies under (``""`` for a directory, and
    for archives without a common folder). ``format`` is the name of a row in
    :data:`slim.formats.FORMATS`, or that of :data:`slim.formats.DIRECTORY`. ``warnings`` tell what
    was masked or dropped. Close the tree (it is a context manager) to free the spool file and the
    memory maps.

    ``root_member`` is the root folder itself (its ``path`` is ``""``) where the source says
    something about it. It is not among ``members``; hand it to a writer as the first member to
    carry its mode and time over. ``forget`` gives the memory back that contents were mapped into;
    they stay valid and are mapped again when they are wanted.
    """

    root: str
    format: str
    members: Mapping[str, Member]
    root_member: Member | None = None
    warnings: list[str] = field(default_factory=list)
    resources: ExitStack = field(default_factory=ExitStack)
    forget: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Free what the contents are read from."""
        self.resources.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """Options of readers.

    ``spool_dir`` is a private folder for spool files; ``platform`` decides which names would
    collide on the target. ``siblings`` says that links to a sibling of the root folder are legal (a
    layer of a stack). ``anywhere`` says that links may lead anywhere: a folder of the user's own,
    such as a venv, whose links are kept and never followed. ``skip_special`` leaves devices, FIFOs
    and sockets out, with a warning, instead of refusing them; only for trees that are looked at and
    never written again.
    """

    spool_dir: Path
    limits: Limits = field(default_factory=Limits)
    platform: Platform | None = None
    siblings: bool = True
    anywhere: bool = False
    skip_special: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """Options of writers.

    ``executor`` runs the compression jobs (shared by all layers of a run), ``workers`` at a time; a
    compressor that can't be split into jobs may start ``threads`` of its own. Neither may influence
    a single byte. ``machine`` chooses the branch filter (``x86_64``: the x86 BCJ filter);
    ``effort`` says how hard to compress, with how much memory. ``blocks`` are those that were
    compressed before, ``begun`` those that somebody compresses at this moment; both have the bytes
    that would be made.
    """

    executor: Executor | None = None
    workers: int = 1
    threads: int = 1
    machine: str = ""
    effort: Effort = field(default_factory=Effort)
    blocks: KnownBlocks | None = None
    begun: BegunBlocks | None = None


class KnownBlocks(Protocol):
    """Compressed blocks of archives that were written before; for several threads at a time.

    A key tells content and settings apart; whoever takes a block checks that it is one.
    """

    def take(self, key: str) -> bytes | None:
        """Return a block; None where none is known."""
        ...

    def refuse(self, key: str, why: str) -> None:
        """Forget a block that isn't what its key says."""
        ...

    def made(self, key: str, at: int, length: int) -> None:
        """Note that a block lies at that offset of what is being written; bytes."""
        ...


class BegunBlocks(Protocol):
    """Blocks whose compression was begun before anybody knew that they would be written."""

    def take(self, key: str) -> Future[Any] | None:
        """Return what becomes of a block, once; None where it wasn't begun."""
        ...


class LikelyBlock(Protocol):
    """A block that an archive is likely to have."""

    @property
    def key(self) -> str:
        """Text that tells its content and settings apart."""
        ...

    def compress(self, is_stopped: Callable[[], bool]) -> Sized:
        """Return what the writer takes for it. Raises CancelledError once it is stopped.

        Its length is that of the compressed bytes.
        """
        ...


class Reader(Protocol):
    """Reads one kind of archive."""

    def __call__(self, source: Path, options: ReadOptions) -> Tree:
        """Parse ``source``.

        Raises UnsafeInputError, LimitError or StorageError, and no other error.
        """
        ...


class Writer(Protocol):
    """Writes one kind of archive."""

    def __call__(
        self, members: Iterator[Member], root: str, target: Path, options: WriteOptions
    ) -> None:
        """Write the members (already in order) below ``root``. Raises StorageError.

        The first member may be the root folder itself (``path`` is ``""``); without one, a root
        folder with mode 0755 and the time of the first member is written, unless ``root`` is
        ``""``.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One row of the table of formats: all that other code may ask of a format.

    ``suffixes`` are file name endings, the usual one first; ``magic`` are (offset, bytes) pairs of
    which one has to be found in the file, whatever it is called. A folder has neither.

    ``holds_times`` says that a member's time is read as it was written, to the second.
    ``compressor`` gives the library, and its version, that the bytes depend on; None: on none.
    ``encoder_memory`` gives the bytes that each thread takes to compress at an effort; None: so few
    that they needn't be counted. ``likely`` gives the blocks with machine code that an archive has
    if its members with machine code are these; None where it isn't made of such blocks.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...]
    read: Reader
    write: Writer
    holds_times: bool = True
    compressor: Callable[[], str] | None = None
    encoder_memory: Callable[[Effort], int] | None = None
    likely: Callable[[Iterable[Member], str, WriteOptions], Iterator[LikelyBlock]] | None = None
