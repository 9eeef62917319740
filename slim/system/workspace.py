"""Private folders that vanish with their owner: what killed runs left behind, the next one removes."""

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
from slim.system.interrupts import held, let_through
from slim.system.locking import try_lock

_PREFIX: Final = "slim-work-"
_LOCK: Final = "lock"
_STALE_SECONDS: Final = 3600.0


@contextlib.contextmanager
def workspace(parent: Path | None = None) -> Iterator[Path]:
    """A private folder below ``parent`` (by default the folder for temporary files), removed at the end. Removes first
    what killed runs left there.

    A workspace belongs to somebody as long as the lock on the file in it is held; the kernel frees
    it however its holder ends. Raises StorageError.
    """
    parent = parent or Path(tempfile.gettempdir())
    try:
        with held():
            _sweep(parent)
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent)).resolve()
            try:
                with (folder / _LOCK).open("wb") as lock:
                    try_lock(lock.fileno())
                    with let_through():
                        yield folder
            finally:
                remove_tree(folder)
    except OSError as error:
        raise StorageError.from_os_error(error, file=error.filename or parent) from error


def remove_tree(folder: Path) -> None:
    """Remove a folder with everything in it, whatever the permissions of the folders in it are. Raises OSError where
    something stays."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    if not os.path.lexists(folder):
        return
    # Only folders, for they decide what may be removed from them; a file may have a second name
    # somewhere else.
    folder.chmod(0o700)
    for place, names, _ in os.walk(folder):
        for name in names:
            inner = Path(place, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(folder)


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
    """Whether it may have been made just now, by somebody who hasn't come to locking it: the process that its name
    says lives, or (where nobody can tell) it is less than an hour old."""
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
