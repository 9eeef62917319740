"""Access times as a witness: set before a run, read after it.

They tell of every file that any process read, mapped or ran, native code included, and cost
nothing. File systems may not keep them (``noatime``, network folders, Windows by default), which is
found out with one file.

Sources: stat(2), utimensat(2), mount(8) (``relatime``: a time is kept up to date while it is older
than the file's last change).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_LONG_AGO: Final = 1_000_000_000 * 1_000_000_000
"""Nanoseconds: a time in 2001, older than any change that is made today, so that relatime notes."""
_PROBE: Final = "slim-probe"


def keeps_times(folder: Path, read: Callable[[Path], object]) -> bool:
    """Return whether the file system of a folder keeps access times: it is tried with one file.

    ``read`` reads it as the programs of a run will.
    """
    file = folder / _PROBE
    try:
        file.write_bytes(b"x" * 16)
        os.utime(file, ns=(_LONG_AGO, time.time_ns()))
        read(file)
        return file.stat().st_atime_ns != _LONG_AGO
    except OSError:
        return False
    finally:
        file.unlink(missing_ok=True)


def set_times(root: Path) -> None:
    """Set the access time of every file below a folder; times of change stay as they are.

    Raises OSError.
    """
    for entry in _files(root):
        status = entry.stat(follow_symlinks=False)
        os.utime(entry.path, ns=(_LONG_AGO, status.st_mtime_ns))


def accessed(root: Path) -> Iterator[str]:
    """Yield each file below a folder that was read since :func:`set_times`, relative to it.

    Files that were made since then count, too. Raises OSError.
    """
    for entry in _files(root):
        if entry.stat(follow_symlinks=False).st_atime_ns != _LONG_AGO:
            yield Path(entry.path).relative_to(root).as_posix()


def _files(root: Path) -> Iterator[os.DirEntry[str]]:
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry
