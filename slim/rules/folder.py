"""The folder of the built-in packs: cheap to ask for, without what reads them."""

from __future__ import annotations

from pathlib import Path

from slim.errors import StorageError


def packs_folder() -> Path:
    """Folder of the built-in packs.

    That is ``slim/_rules`` in an installed wheel, ``rules/`` of the checkout otherwise. Raises
    :class:`StorageError` where neither exists.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_rules", package.parent / "rules"):
        if folder.is_dir():
            return folder
    raise StorageError(
        "the built-in rule packs are missing", file=package / "_rules", hint="install slim again"
    )
