"""What a run writes beside its result: the store of originals and the folder of symbols.

Each is staged beside its own target, like the result. What is kept appears before the result does: where a result is,
its originals are. A kill between the two renames leaves a store without its result, which the next run replaces.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from slim.errors import ConfigError, StorageError
from slim.formats.base import WriteOptions
from slim.keeping.originals import FORMAT, Originals
from slim.model.kept import Kept
from slim.model.outcome import LayerOutcome, RunResult
from slim.model.progress import Progress
from slim.prepared import Prepared, RunRequest
from slim.write.staging import check_target, publish, staging

_SUFFIXES = (".tar.zst", ".tzst")


class Beside:
    """The store of a run; does nothing where none is wanted."""

    def __init__(self, request: RunRequest, folder: Path | None, originals: Originals | None) -> None:
        self._request = request
        self._folder = folder
        self._originals = originals
        self._staged: Path | None = None

    def add(self, ready: Prepared, layers: Sequence[LayerOutcome]) -> None:
        """Take over what a stack's final plan removes and rewrites. Raises StorageError."""
        if self._originals is not None:
            self._originals.add(ready.opened, ready.inventory, ready.plan, ready.edited, layers)

    def write(self, results: Sequence[RunResult], progress: Progress) -> tuple[RunResult, ...]:
        """Stage what was kept, complete and on the disk; the results say so. Raises StorageError."""
        if self._originals is None or self._folder is None or self._request.keep_removed is None:
            return tuple(results)
        progress.stage("Keeping originals", total=None)
        target = self._request.keep_removed
        self._staged = self._folder / target.name
        # Nobody downloads it, so it isn't worth the time that the last tenth of its size would cost.
        kept = self._originals.write(self._staged, WriteOptions(level="fast"))
        return tuple(replace(result, kept=_named(one, target)) for result, one in zip(results, kept, strict=True))

    @contextmanager
    def published(self, result: Path) -> Iterator[None]:
        """What was kept is in its place during the block, in which ``result`` is published. If that fails, everything
        is as it was before.

        Raises StorageError.
        """
        target = self._request.keep_removed
        if self._staged is None or self._folder is None or target is None:
            yield
            return
        old = self._folder / "old"
        identity = result.stat()
        _save(target, old)
        publish(self._staged, target, force=self._request.force)
        try:
            yield
        except BaseException:
            output = self._request.output
            if output is not None and output.exists() and os.path.samestat(output.stat(), identity):
                raise  # it failed after the rename: the result is there, and so have its originals to be
            if old.exists():
                old.replace(target)
            else:
                target.unlink()
            raise


def _named(kept: Kept, target: Path) -> Kept:
    return replace(kept, file=str(target))


def _save(target: Path, copy: Path) -> None:
    """A second name, or a copy, for what is going to be replaced."""
    if not target.exists():
        return
    try:
        os.link(target, copy)
    except OSError:
        try:
            shutil.copy2(target, copy)
        except OSError as error:
            raise StorageError.from_os_error(error, file=target) from None


@contextmanager
def beside(request: RunRequest) -> Iterator[Beside]:
    """Check the targets and stage beside them. Raises ConfigError and StorageError."""
    target = request.keep_removed
    if target is None:
        yield Beside(request, None, None)
        return
    _check(request, target)
    with staging(target) as folder, Originals(folder) as originals:
        yield Beside(request, folder, originals)


def _check(request: RunRequest, target: Path) -> None:
    if not target.name.endswith(_SUFFIXES):
        raise ConfigError(f"originals are kept as {FORMAT}", file=target, hint="give a name that ends with .tar.zst")
    if target.is_dir():
        raise ConfigError("the file for originals is a folder", file=target)
    output = request.output.resolve() if request.output else None
    if output is not None and (target.resolve() == output or output in target.resolve().parents):
        raise ConfigError("the file for originals would lie in the output, which holds what is published", file=target)
    check_target(target, request.source, force=request.force)
