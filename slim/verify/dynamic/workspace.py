"""Private folders that vanish with their owner: what killed runs left behind, the next one removes."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from slim.errors import StorageError
from slim.locking import try_lock
from slim.verify.dynamic.sandbox import remove_tree

_PREFIX: Final = "slim-verify-"
_LOCK: Final = "lock"
_STALE_SECONDS: Final = 3600.0


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A private folder below ``parent``, removed at the end. Removes first what killed runs left there.

    A workspace belongs to somebody as long as the lock on the file in it is held; the kernel frees it however its
    holder ends. Raises StorageError.
    """
    try:
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)).resolve()
        with (folder / _LOCK).open("wb") as lock:
            try_lock(lock.fileno())
            try:
                yield folder
            finally:
                remove_tree(folder)
    except OSError as error:
        raise StorageError.from_os_error(error, file=error.filename or parent) from error


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            status = folder.lstat()
            if hasattr(os, "getuid") and status.st_uid != os.getuid():
                continue
            lock = folder / _LOCK
            if not lock.is_file():
                if time.time() - status.st_mtime > _STALE_SECONDS:
                    remove_tree(folder)
                continue
            with lock.open("r+b") as file:
                free = try_lock(file.fileno())
            if free:
                remove_tree(folder)
        except OSError:
            continue
