"""Blobs of which size and SHA-256 are known, kept on this machine under their hash.

A blob is downloaded once, whoever wants it, and checked while it comes. A download that was broken
off goes on where it stopped. Blobs that nobody wanted for 30 days go.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from slim.errors import IntegrityError, StorageError
from slim.model.progress import Progress
from slim.stores.base import BlobStore, TornError
from slim.system.locking import try_lock

_LOG = logging.getLogger(__name__)

UNUSED_DAYS = 30
"""Days after which a blob that nobody wanted goes."""
_DAY = 86_400
_CHUNK = 1 << 20
_TRIES = 6
"""Attempts in a row that may bring nothing."""
_LONGEST_WAIT = 5.0
"""Seconds between two attempts, at most."""
_TICK = 0.05
"""Seconds between looks whether another process is done with a blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A blob that a manifest names: name in the store, bytes, and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


class Downloads:
    """Blobs by SHA-256 below ``folder``, as ``ab/abcdef...``, each with a lock file beside it.

    The lock file is held while a blob is downloaded, tells when it was last used, and holds the
    state of the file that was checked, so that it needn't be hashed at each use. The blob itself
    isn't touched any more once it is there: slim takes a new ctime for a change of its input.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, store: BlobStore, wanted: Wanted, progress: Progress) -> Path:
        """Return the file of a blob, downloaded unless it is there.

        Raises IntegrityError where the store has other bytes, StorageError where it has none or
        fails.
        """
        place = self._folder / wanted.sha256[:2] / wanted.sha256
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(place.with_name(f"{place.name}.lock")) as lock:
                if _is_whole(place, lock, wanted):
                    progress.advance(wanted.size)
                    os.utime(lock.fileno() if os.utime in os.supports_fd else lock.name)
                    return place
                _download(store, wanted, place, progress)
                _note(place, lock)
        except OSError as error:
            raise StorageError.from_os_error(error, file=error.filename or place) from None
        return place

    def prune(self, days: int = UNUSED_DAYS) -> None:
        """Remove blobs that nobody wanted for so many days. What can't be removed stays."""
        oldest = time.time() - days * _DAY
        for lock in self._folder.glob("*/*.lock"):
            with suppress(OSError):
                if lock.stat().st_mtime > oldest:
                    continue
                with lock.open("r+b") as stream:
                    if not try_lock(stream.fileno()):
                        continue
                    place = lock.with_suffix("")
                    place.unlink(missing_ok=True)
                    _part(place).unlink(missing_ok=True)
                    if os.name == "posix":  # Windows removes no open file; it is empty soon
                        lock.unlink()


def download(store: BlobStore, name: str, size: int, target: Path, progress: Progress) -> None:
    """Write a blob that has ``size`` bytes to a new file, in one go or in several.

    Raises IntegrityError where it has another size by now, StorageError where the store fails.
    """
    try:
        with target.open("x+b") as stream:
            _receive(store, Wanted(name=name, size=size, sha256=""), stream, progress)
    except OSError as error:
        raise StorageError.from_os_error(error, file=target) from None


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    """Hold the lock of a blob during the block: one process at a time fetches it."""
    while True:
        with path.open("a+b") as lock:
            lock.seek(0)  # Windows locks the byte at the position
            while not try_lock(lock.fileno()):
                time.sleep(_TICK)
            if _is_same(lock, path):
                yield lock
                return


def _is_same(lock: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except FileNotFoundError:  # removed as unused between open and lock
        return False


def _state(place: Path) -> list[int]:
    status = place.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _is_whole(place: Path, lock: BinaryIO, wanted: Wanted) -> bool:
    """True where the blob is there with the right bytes: as it was checked, or checked now."""
    if not place.is_file() or place.stat().st_size != wanted.size:
        return False
    lock.seek(0)
    with suppress(ValueError):
        if json.loads(lock.read() or b"null") == _state(place):
            return True
    with place.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() == wanted.sha256:
            _note(place, lock)
            return True
    _LOG.warning("%s has other bytes than its name says, and is downloaded anew", place)
    return False


def _note(place: Path, lock: BinaryIO) -> None:
    lock.truncate(0)
    lock.write(json.dumps(_state(place)).encode())
    lock.flush()


def _part(place: Path) -> Path:
    return place.with_name(f"{place.name}.part")


def _download(store: BlobStore, wanted: Wanted, place: Path, progress: Progress) -> None:
    """Download a blob beside ``place``, check it, and rename it."""
    part = _part(place)
    for last in (False, True):
        with part.open("a+b") as stream:
            digest = _receive(store, wanted, stream, progress)
            stream.flush()
            os.fsync(stream.fileno())
        if digest == wanted.sha256:
            part.replace(place)
            return
        part.unlink()
        progress.advance(-wanted.size)
        if not last:
            _LOG.warning("%s/%s came with other bytes; once more", store.url, wanted.name)
    raise IntegrityError(
        f"has SHA-256 {digest}, but the manifest says {wanted.sha256}",
        file=f"{store.url}/{wanted.name}",
        hint="the blob was changed after it was published; publish it again elsewhere",
    )


def _receive(store: BlobStore, wanted: Wanted, stream: BinaryIO, progress: Progress) -> str:
    """Append what is missing of a blob to a file, and return the SHA-256 of the whole.

    Goes on where a connection broke. Raises IntegrityError for another size.
    """
    state, done = hashlib.sha256(), 0
    stream.seek(0)
    while piece := stream.read(_CHUNK):
        state.update(piece)
        done += len(piece)
    if done > wanted.size:  # can't be a beginning of it
        stream.truncate(0)
        state, done = hashlib.sha256(), 0
    progress.advance(done)
    fruitless = 0
    while done < wanted.size:
        before = done
        try:
            _check_size(store, wanted)
            pieces = store.read(wanted.name, done)
            for piece in missing(store, wanted) if pieces is None else pieces:
                if done + len(piece) > wanted.size:
                    raise _wrong_size(store, wanted, f"more than {wanted.size}")
                stream.write(piece)
                state.update(piece)
                done += len(piece)
                progress.advance(len(piece))
            if done < wanted.size:
                raise TornError(
                    f"ended after {done} of {wanted.size} bytes", file=f"{store.url}/{wanted.name}"
                )
        except (TornError, IntegrityError) as error:
            fruitless = 0 if done > before else fruitless + 1
            if fruitless >= (2 if isinstance(error, IntegrityError) else _TRIES):
                raise
            _LOG.warning("%s; once more from byte %d", error, done)
            time.sleep(min(_LONGEST_WAIT, 0.1 * 2**fruitless))
    return state.hexdigest()


def _check_size(store: BlobStore, wanted: Wanted) -> None:
    size = store.size(wanted.name)
    if size is None:
        missing(store, wanted)
    if size != wanted.size:
        raise _wrong_size(store, wanted, str(size))


def missing(store: BlobStore, wanted: Wanted) -> NoReturn:
    """Raise StorageError for a blob that isn't in the store."""
    raise StorageError(
        "isn't in the store, but the manifest names it",
        file=f"{store.url}/{wanted.name}",
        hint="publish the stack again",
    )


def _wrong_size(store: BlobStore, wanted: Wanted, size: str) -> IntegrityError:
    return IntegrityError(
        f"has {size} bytes, but the manifest says {wanted.size}",
        file=f"{store.url}/{wanted.name}",
        hint="the blob was changed or cut after it was published; publish it again elsewhere",
    )
