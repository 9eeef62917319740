"""Names of a layer's guard: what tells which modules slim removed from it."""

from __future__ import annotations

from typing import Final

GUARD_PACKAGE: Final = "slim_guard"
"""The guard's package, in a layer's folder of installed packages."""
GUARD_PTH: Final = "_slim_guard.pth"
"""File that starts it; ``site`` reads the ``.pth`` files of a folder by name, in order."""

REST_FOLDER: Final = "rest"
"""Folder of the rest packs, below a published set."""
GUARD_NEEDS: Final = frozenset({"hashlib", "lzma", "tarfile", "tempfile"})
"""Modules of the standard library that a guard unpacks rest packs with."""


def is_guard(path: str) -> bool:
    """Return whether a file (relative to its layer) belongs to a guard."""
    folder, _, name = path.rpartition("/")
    package = folder.rpartition("/")[2]
    return name == GUARD_PTH or (package == GUARD_PACKAGE and "site-packages" in folder)
