"""Inputs that have to stay as they are: nothing may be made of two states of one stack."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slim.errors import IntegrityError, SlimError, StorageError
from slim.inventory.located import Located
from slim.inventory.manifest import ENV_METADATA, FOLDER

_HINT = "nothing else may write to the stack during a run; start again"


class UnchangedInput:
    """The archives and metadata of a stack as they are now.

    Folders are left out: each of their files is compared whenever it is read.
    """

    def __init__(self, located: Located) -> None:
        self._seen = {path: _identity(path) for path in _files(located)}

    def check(self) -> None:
        """Raise IntegrityError where a file isn't what it was any more."""
        for path, before in self._seen.items():
            if _identity(path) != before:
                raise IntegrityError("changed while slim was reading it", file=path, hint=_HINT)


@contextmanager
def unchanged(*stacks: Located) -> Iterator[None]:
    """Raise IntegrityError where a stack changed during the block, instead of what came of that."""
    inputs = [UnchangedInput(located) for located in stacks]
    try:
        yield
    except SlimError:
        for before in inputs:
            before.check()
        raise
    for before in inputs:
        before.check()


def _files(located: Located) -> Iterable[Path]:
    yield from (place for place in located.places.values() if place.is_file())
    source, stack = Path(located.stack.source), located.stack
    if stack.manifest_name is not None:
        yield source / FOLDER / stack.manifest_name
        yield from (source / FOLDER / ENV_METADATA / name for name in stack.metadata_names.values())
    elif source.is_dir():
        yield from (
            path for layer in stack if (path := source / f"{layer.name}.last-build.json").is_file()
        )


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        status = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError.from_os_error(error, file=path) from None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
