"""Private folders for temporary files. The next run removes what killed runs left."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slim.errors import StorageError
from slim.system.interrupts import defer_signals, deliver_signals
from slim.system.locking import try_lock

_PREFIX: Final = "slim-work-"
_LOCK: Final = "lock"
_STALE_SECONDS: Final = 3600.0


@contextlib.contextmanager
def workspace(parent: Path | None = None) -> Iterator[Path]:
    """Private folder below ``parent`` (by default that for temporary files), removed at the end.

    Workspaces of killed runs are removed first. A workspace is in use as long as a process holds
    the lock on the file in it; the kernel frees the lock however the process ends.

    Raises StorageError.
    """
    parent = parent or Path(tempfile.gettempdir())
    try:
        with defer_signals():
            _sweep(parent)
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)).resolve()
            try:
                with (folder / _LOCK).open("wb") as lock:
                    try_lock(lock.fileno())
                    with deliver_signals():
                        yield folder
            finally:
                remove_tree(folder)
    except OSError as error:
        raise StorageError.from_os_error(error, file=error.filename or parent) from error


def remove_tree(folder: Path) -> None:
    """Remove a folder and everything in it, whatever the permissions of the folders in it are.

    Raises OSError if something stays.
    """
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    if not os.path.lexists(folder):
        return
    # Permissions of folders decide what may be removed from them. Those of files don't, and a file
    # may be a hard link to one elsewhere.
    folder.chmod(0o700)
    for place, names, _ in os.walk(folder):
        for name in names:
            inner = Path(place, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    _remove_by_name(folder)


def _remove_by_name(folder: Path) -> None:
    """Remove a folder and everything in it with one open file at a time, however deep it is.

    ``shutil.rmtree`` holds several, of which there may be none left.
    """
    for place, folders, files in os.walk(folder, topdown=False, onerror=_raise):
        for name in files:
            Path(place, name).unlink()
        for name in folders:
            inner = Path(place, name)
            if inner.is_symlink():
                inner.unlink()
            else:
                inner.rmdir()
    folder.rmdir()


def _raise(error: OSError) -> None:
    raise error


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            if hasattr(os, "getuid") and status.st_uid != os.getuid():
                continue
            if _is_young(folder.name, status.st_mtime):
                continue
            with contextlib.suppress(FileNotFoundError), (folder / _LOCK).open("r+b") as file:
                if not try_lock(file.fileno()):
                    continue
            remove_tree(folder)
        except OSError:
            continue


def _is_young(name: str, changed: float) -> bool:
    """True if the folder may be so new that its process hasn't locked it yet.

    The process whose number is in the name lives; or, where that can't be asked, the folder is less
    than an hour old.
    """
    if time.time() - changed > _STALE_SECONDS:
        return False
    number = name.removeprefix(_PREFIX).partition("-")[0]
    if os.name != "posix" or not number.isdecimal():
        return True
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
