"""Contents of a layer of the sample stack, before it is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from slim.errors import StorageError
from slim.formats.base import BytesContent, Member
from slim.formats.directory import FileContent
from slim.model.record import EntryType

LOCKED_AT = datetime(2026, 1, 1, tzinfo=UTC)
"""Time of every member: the same files give the same archives whenever they were installed."""

_MTIME = int(LOCKED_AT.timestamp())


class LayerContents:
    """Members of one layer, collected file by file.

    Paths are relative to the layer's folder, with ``/``. What is added last under a path wins.
    Modes are reduced to 0755 for what its owner may execute and 0644 for the rest, as umask and
    packager differ from machine to machine.
    """

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._members

    def paths(self) -> list[str]:
        """Return the paths of all files and links, sorted."""
        return sorted(self._members)

    def add_file(self, path: str, source: Path) -> None:
        """Add a file on disk. Links are followed; its bytes are read when the layer is written.

        Raises StorageError where it isn't a regular file that can be looked at.
        """
        try:
            real = source.resolve(strict=True)
            status = real.stat()
        except OSError as error:
            raise StorageError.from_os_error(error, file=source) from error
        if not stat.S_ISREG(status.st_mode):
            raise StorageError("not a regular file", file=source)
        content = FileContent(
            path=str(real),
            size=status.st_size,
            identity=(status.st_dev, status.st_ino, status.st_mtime_ns),
        )
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        self._members[path] = Member(
            path=path,
            type=EntryType.FILE,
            mode=mode,
            mtime=_MTIME,
            size=status.st_size,
            content=content,
        )

    def add_bytes(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Add a file with these bytes."""
        self._members[path] = Member(
            path=path,
            type=EntryType.FILE,
            mode=0o755 if executable else 0o644,
            mtime=_MTIME,
            size=len(data),
            content=BytesContent(data),
        )

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link with the text ``target``."""
        self._members[path] = Member(
            path=path, type=EntryType.SYMLINK, mode=0o755, mtime=_MTIME, link_target=target
        )

    def add_folder(self, path: str) -> None:
        """Add a folder that may stay empty. Those above files come without."""
        self._members[path] = _folder(path)

    def add_tree(
        self, path: str, source: Path, *, skip: Callable[[str], bool] = lambda name: False
    ) -> None:
        """Add the files and folders below a folder on disk, except names that ``skip`` is true of.

        A relative link that stays inside the tree remains a link, one to a file outside becomes
        that file (Debian links parts of its standard library to /etc and to multiarch folders), and
        one to nothing or to a folder outside is left out. Raises StorageError.
        """
        top = source.resolve()
        for folder, folders, files in os.walk(top, onerror=_raise):
            here = Path(folder)
            prefix = PurePosixPath(path, here.relative_to(top).as_posix())
            linked = [name for name in folders if (here / name).is_symlink()]
            folders[:] = sorted(name for name in folders if name not in linked and not skip(name))
            for name in sorted((*files, *linked)):
                if not skip(name):
                    self._add_found(str(prefix / name), here / name, top)

    def _add_found(self, path: str, source: Path, top: Path) -> None:
        if not source.exists():
            return  # a link to nothing, or in a circle
        if source.is_symlink():
            target = os.readlink(source)  # noqa: PTH115 - the text as it is
            if not target.startswith("/") and source.resolve().is_relative_to(top):
                self.add_link(path, target)
                return
        if source.is_file():
            self.add_file(path, source)

    def members(self) -> Iterator[Member]:
        """Yield every member and the folders above it.

        Sorted as venvstacks sorts: a folder right before its files.
        """
        found = dict(self._members)
        for path in self._members:
            for parent in PurePosixPath(path).parents:
                if str(parent) != ".":
                    found.setdefault(str(parent), _folder(str(parent)))
        for path in sorted(found, key=lambda path: [os.fsencode(part) for part in path.split("/")]):
            yield found[path]


def _folder(path: str) -> Member:
    return Member(path=path, type=EntryType.DIRECTORY, mode=0o755, mtime=_MTIME)


def _raise(error: OSError) -> None:
    raise StorageError.from_os_error(error)
