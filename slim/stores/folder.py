"""A folder of this machine as a store of blobs: each blob is a file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slim.errors import StorageError
from slim.stores.base import Blob, checked
from slim.system.atomic import write_durably
from slim.system.regular import open_regular, read_input

_STAGED = ".slim-new-"
_CHUNK = 1 << 20


class FolderStore:
    """Blobs as files below ``folder``, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        """The folder."""
        return str(self._folder)

    @property
    def is_remote(self) -> bool:
        """False: it is on this machine, or mounted here."""
        return False

    def path(self, name: str) -> Path:
        """Return the file of a blob, which needn't exist."""
        return self._folder.joinpath(*checked(name).split("/"))

    def get(self, name: str, limit: int) -> bytes | None:
        """Return a blob's bytes; None where there is none. LimitError for more than ``limit``."""
        place = self.path(name)
        return read_input(place, limit, noun="blob") if place.is_file() else None

    def read(self, name: str, offset: int = 0) -> Iterator[bytes] | None:
        """Return a blob's bytes from ``offset`` on, in pieces; None where there is none."""
        place = self.path(name)
        return _pieces(place, offset) if place.is_file() else None

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None where there is none."""
        try:
            return self.path(name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError.from_os_error(error, file=self.path(name)) from None

    def create(self, name: str, data: bytes) -> bool:
        """Write a blob that mustn't exist yet. False where it exists, which then stays as it is."""
        place = self.path(name)
        with _staged(place, data) as staged:
            try:
                os.link(staged, place)  # fails where the name is taken, unlike rename(2)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
                    raise
                return _create_without_links(place, data)
        return True

    def put(self, name: str, data: bytes | Path) -> None:
        """Write a blob, or replace it."""
        place = self.path(name)
        with _staged(place, data) as staged:
            staged.replace(place)

    def list(self, prefix: str = "") -> Iterator[Blob]:
        """Every blob below a folder of the store, by name."""
        top = self.path(prefix) if prefix else self._folder
        for place, folders, files in os.walk(top):
            folders.sort()
            for file in sorted(files):
                path = Path(place, file)
                if file.startswith(_STAGED):
                    continue
                with suppress(FileNotFoundError):  # somebody removed it meanwhile
                    status = path.stat()
                    name = path.relative_to(self._folder).as_posix()
                    yield Blob(name=name, size=status.st_size, changed=status.st_mtime)

    def delete(self, name: str) -> None:
        """Remove a blob. It needn't exist."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError.from_os_error(error, file=self.path(name)) from None


def _pieces(place: Path, offset: int) -> Iterator[bytes]:
    try:
        with open_regular(place) as stream:
            stream.seek(offset)
            while data := stream.read(_CHUNK):
                yield data
    except OSError as error:
        raise StorageError.from_os_error(error, file=place) from error


@contextmanager
def _staged(place: Path, data: bytes | Path) -> Iterator[Path]:
    """Yield a file beside ``place`` with the bytes, complete and on the disk."""
    staged: Path | None = None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=_STAGED)
        staged = Path(name)
        with os.fdopen(descriptor, "w+b", buffering=0) as stream:
            write_durably(stream, [data] if isinstance(data, bytes) else _pieces(data, 0))
        yield staged
    except OSError as error:
        raise StorageError.from_os_error(error, file=error.filename or place) from error
    finally:
        if staged is not None:
            with suppress(OSError):
                staged.unlink()


def _create_without_links(place: Path, data: bytes) -> bool:
    """Create a file where the file system has no hard links. Readers may see half of it."""
    try:
        with place.open("x+b", buffering=0) as stream:
            write_durably(stream, [data])
    except FileExistsError:
        return False
    return True
