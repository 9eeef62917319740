"""Files that are on the disk when the call returns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from slim.errors import StorageError


def write_file(target: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Create ``target``, which mustn't exist yet, write everything, and flush it to the disk.

    Raises StorageError. What was written by then is left to the caller, who owns the staging folder.
    """
    try:
        with target.open("xb") as stream:
            for piece in pieces:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise StorageError.from_os_error(error, file=target) from error
