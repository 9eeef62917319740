"""Plain folders: a local export, a build tree, a venv; and writing members to a fresh one."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import Final

from slim.errors import IntegrityError, LimitError, StorageError, UnsafeInputError
from slim.formats.assemble import Assembler, RawMember, Warnings
from slim.formats.base import Content, Format, Member, ReadOptions, Tree, WriteOptions
from slim.formats.files import CHUNK, IN_MEMORY
from slim.formats.names import display
from slim.model.record import EntryType
from slim.system.atomic import write_durably
from slim.system.mapped import map_file

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)
_UNPACK_AGAIN = "nothing else may write to the folder during a run; start again"
_SPACE = "check the free space and the permissions of the folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """A file on disk that is opened when its bytes are wanted.

    Raises IntegrityError where the file isn't any more what it was when the folder was read. Only a
    large file is mapped into memory: where somebody truncates that in place while it is looked at,
    the system ends the process (SIGBUS).
    """

    path: str
    size: int
    identity: tuple[int, int, int]

    def chunks(self) -> Iterator[bytes | memoryview]:
        """The bytes in pieces of 1 MiB."""
        with self._opened() as stream:
            left = self.size
            while left:
                data = stream.read(min(CHUNK, left))
                if not data:
                    raise self._changed()
                left -= len(data)
                yield data
            self._check(os.fstat(stream.fileno()))

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """Open the file, if it is still the same."""
        try:
            handle = os.open(self.path, os.O_RDONLY | _NOFOLLOW | _NONBLOCK | _BINARY)
            with FileIO(handle, "rb") as stream:
                self._check(os.fstat(handle))
                yield stream
        except OSError as error:
            if error.errno in _GONE:
                raise self._changed() from error
            raise StorageError.from_os_error(error, file=self.path) from error

    def view(self) -> memoryview:
        """The whole content: read into memory, or mapped where it is large."""
        if self.size > IN_MEMORY:
            with self._opened() as stream:
                return memoryview(map_file(stream.fileno(), self.size))
        if self.size <= CHUNK:
            return memoryview(b"".join(self.chunks()))
        whole = bytearray(self.size)
        at = 0
        for piece in self.chunks():
            whole[at : at + len(piece)] = piece
            at += len(piece)
        return memoryview(whole).toreadonly()

    def _check(self, now: os.stat_result) -> None:
        if now.st_size != self.size or _identity(now) != self.identity:
            raise self._changed()

    def _changed(self) -> IntegrityError:
        return IntegrityError(
            "the file changed while slim was reading it", file=self.path, hint=_UNPACK_AGAIN
        )


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_dev, status.st_ino, status.st_mtime_ns)


# Reading


def read_directory(source: Path, options: ReadOptions) -> Tree:
    """The tree below a folder, sorted by path.

    Symbolic links are never followed, special files are refused, and files that share an inode are
    separate files: an export's are hard links into the build tree. Where special files are skipped,
    because the tree is only looked at, the second name of an inode is a hard link, as du(1) counts.

    With ``options.siblings``, links may lead into folders beside ``source``. Raises
    UnsafeInputError, LimitError or StorageError.
    """
    try:
        top = source.resolve(strict=True)
        status = top.stat()
    except OSError as error:
        raise StorageError.from_os_error(error, file=source) from error
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeInputError("not a folder", file=source, hint="give slim a folder or an archive")
    assembler = Assembler(source, options, top=top.name)
    assembler.add(
        RawMember(name=".", type=EntryType.DIRECTORY, mode=_mode(status), mtime=_mtime(status))
    )
    total = 0
    for raw in _walk(source, str(top), options, assembler.warnings):
        assembler.add(raw)
        total += raw.size
        if total > options.limits.total:
            raise LimitError(
                f"more than {options.limits.total} bytes of files",
                file=source,
                hint="raise the limit",
            )
    return assembler.finish(format_name=DIRECTORY.name, resources=ExitStack())


def _walk(source: Path, top: str, options: ReadOptions, warnings: Warnings) -> Iterator[RawMember]:
    """Raw members below ``top``: each folder before its members, siblings by their names' bytes."""
    stack = [""]
    shared: dict[tuple[int, int], str] | None = {} if options.skip_special else None
    while stack:
        path = stack.pop()
        if path:
            raw = _entry(source, top, path, shared)
            if raw is None:
                warnings.add("device, FIFO or socket left out", display(path))
                continue
            yield raw
            if raw.type is not EntryType.DIRECTORY:
                continue
        try:
            names = os.listdir(_below(top, path))  # noqa: PTH208 - only the names are wanted
        except OSError as error:
            raise StorageError.from_os_error(error, file=_below(top, path)) from error
        if len(names) > options.limits.members:
            raise LimitError(
                f"more than {options.limits.members} members", file=source, hint="raise the limit"
            )
        names.sort(key=os.fsencode, reverse=True)
        stack.extend(f"{path}/{name}" if path else name for name in names)


def _below(top: str, path: str) -> str:
    """Join two paths as plain text.

    A ``Path`` for each of tens of thousands of files costs as much as everything else here.
    """
    return f"{top}/{path}" if path else top


def _entry(
    source: Path, top: str, path: str, shared: dict[tuple[int, int], str] | None
) -> RawMember | None:
    """One file, link or folder.

    ``shared`` notes the first name of each inode that has several, for a tree that is only looked
    at; in such a tree special files are None.
    """
    file = _below(top, path)
    try:
        status = os.lstat(file)
        link = os.readlink(file) if stat.S_ISLNK(status.st_mode) else None  # noqa: PTH115
    except FileNotFoundError as error:
        raise IntegrityError(
            "was removed while slim was reading the folder", file=file, hint=_UNPACK_AGAIN
        ) from error
    except OSError as error:
        raise StorageError.from_os_error(error, file=file) from error
    mode, mtime = _mode(status), _mtime(status)
    if link is not None:
        return RawMember(name=path, type=EntryType.SYMLINK, mode=mode, mtime=mtime, link=link)
    if stat.S_ISDIR(status.st_mode):
        return RawMember(name=path, type=EntryType.DIRECTORY, mode=mode, mtime=mtime)
    if not stat.S_ISREG(status.st_mode) and shared is not None:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeInputError(
            "a device, FIFO or socket can't be part of a layer",
            file=source,
            place=display(path),
            hint="remove it",
        )
    if status.st_nlink > 1 and shared is not None:
        first = shared.setdefault((status.st_dev, status.st_ino), path)
        if first != path:
            return RawMember(name=path, type=EntryType.HARDLINK, mode=mode, mtime=mtime, link=first)
    content = FileContent(path=file, size=status.st_size, identity=_identity(status))
    return RawMember(
        name=path, type=EntryType.FILE, mode=mode, mtime=mtime, size=status.st_size, content=content
    )


def _mode(status: os.stat_result) -> int:
    return stat.S_IMODE(status.st_mode)


def _mtime(status: os.stat_result) -> int:
    """Whole seconds, not before 1970."""
    return max(int(status.st_mtime_ns // 1_000_000_000), 0)


# Writing


def write_directory(members: Iterable[Member], target: Path) -> None:
    """Create the folder ``target``, which mustn't exist yet, with the members in it.

    Files are created exclusively, modes and times are set whatever the umask, symbolic links stay
    links, hard links become copies (in an export they are hard links into the build tree, which
    must never be written through). The members have to come from a checked tree. A first member
    with an empty path gives the folder's own mode and time. Raises StorageError.
    """
    contents: dict[str, Content | None] = {}
    folders: dict[str, Member] = {}
    try:
        target.mkdir(mode=0o700)
        for member in members:
            _make_folders(target, member, folders)
            if member.type is EntryType.FILE:
                contents[member.path] = member.content
            if member.type is not EntryType.DIRECTORY:
                _write_member(target / member.path, member, contents)
        # Last, and the innermost first: a folder without write permission, and the times that
        # writing into it changes.
        for path in sorted(folders, key=lambda path: path.count("/") + bool(path), reverse=True):
            folder = folders[path]
            (target / path).chmod(folder.mode)
            os.utime(target / path, (folder.mtime, folder.mtime))
    except OSError as error:
        raise StorageError.from_os_error(
            error, file=error.filename or target, hint=_SPACE
        ) from error


def _make_folders(target: Path, member: Member, folders: dict[str, Member]) -> None:
    """Create the member's folder, if it is one, and the folders above it.

    Those get mode 0755 and the member's time unless they are (or become) members themselves.
    """
    wanted = []
    path = member.path if member.type is EntryType.DIRECTORY else member.path.rpartition("/")[0]
    while path not in folders:
        wanted.append(path)
        if not path:
            break
        path = path.rpartition("/")[0]
    for path in reversed(wanted):
        if path:
            (target / path).mkdir(mode=0o700)
        folders[path] = replace(
            member, path=path, type=EntryType.DIRECTORY, mode=0o755, content=None
        )
    if member.type is EntryType.DIRECTORY:
        folders[member.path] = member


def _write_member(file: Path, member: Member, contents: dict[str, Content | None]) -> None:
    if member.type is EntryType.SYMLINK:
        os.symlink(member.link_target or "", file)  # noqa: PTH211 - the text as it is
        if os.utime in os.supports_follow_symlinks:
            os.utime(file, (member.mtime, member.mtime), follow_symlinks=False)
        return
    content = (
        contents[member.link_target or ""] if member.type is EntryType.HARDLINK else member.content
    )
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY, 0o600)
    with os.fdopen(handle, "w+b", buffering=0) as stream:
        write_durably(stream, content.chunks() if content else ())
    file.chmod(member.mode)
    os.utime(file, (member.mtime, member.mtime))


def _write(members: Iterable[Member], root: str, target: Path, options: WriteOptions) -> None:
    del root, options
    write_directory(members, target)


DIRECTORY: Final = Format(
    name="directory", suffixes=(), magic=(), read=read_directory, write=_write
)
"""The row of the table of formats for folders, which are known as such before they are read."""
