"""Outputs of a run beside its result: the backup of originals and the folder of symbols.

Each is staged beside its own target, like the result. They appear before the result does, symbols
first: where a result is, its originals are. A kill between the two renames leaves a backup without
its result, which the next run replaces. Symbols that were added before a run failed stay:
their names tell what they belong to.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from slim.backup.writer import FORMAT, BackupWriter
from slim.errors import ConfigError, StorageError
from slim.formats.base import WriteOptions
from slim.formats.files import write_file
from slim.formats.spool import Spool
from slim.model.backup import BackupSummary, SymbolFile, SymbolsSummary
from slim.model.outcome import LayerOutcome, RunResult
from slim.model.progress import Progress
from slim.model.settings import Effort, Level
from slim.pipeline.prepare import RunRequest
from slim.plan.planned import PlannedStack
from slim.publish.staging import check_target, publish, staging, sync
from slim.symbols.collect import Symbols
from slim.symbols.index import NAME as INDEX
from slim.symbols.index import read_rows, render
from slim.system.interrupts import defer_signals


class SideOutputs:
    """The backup and the symbols of a run; does nothing where neither is wanted."""

    def __init__(
        self,
        request: RunRequest,
        folder: Path | None,
        originals: BackupWriter | None,
        symbols: Symbols | None,
    ) -> None:
        self._request = request
        self._folder = folder
        self._originals = originals
        self._symbols = symbols
        self._symbol_files: list[tuple[SymbolFile, ...]] = []
        self._staged: Path | None = None

    def add(self, planned: PlannedStack, layers: Sequence[LayerOutcome]) -> None:
        """Take over what a stack's final plan removes and rewrites. Raises StorageError."""
        if self._symbols is not None:
            self._symbol_files.append(self._symbols.add(planned))
        if self._originals is not None:
            self._originals.add(planned, layers)

    def write(self, results: Sequence[RunResult], progress: Progress) -> tuple[RunResult, ...]:
        """Stage the backup, complete and on the disk; return the results with summaries of both.

        Raises StorageError.
        """
        if self._request.symbols is not None:
            folder = str(self._request.symbols)
            collected = zip(results, self._symbol_files, strict=True)
            results = [
                replace(result, symbols=_summary(folder, files)) for result, files in collected
            ]
        if self._originals is None or self._folder is None or self._request.keep_removed is None:
            return tuple(results)
        progress.stage("Keeping originals", total=None)
        target = self._request.keep_removed
        self._staged = self._folder / target.name
        # Nobody downloads it, so it isn't worth the time that the last tenth of its size would
        # cost.
        summaries = self._originals.write(
            self._staged, WriteOptions(effort=Effort(level=Level.FAST))
        )
        return tuple(
            replace(result, backup=_named(summary, target))
            for result, summary in zip(results, summaries, strict=True)
        )

    @contextmanager
    def published(self, result: Path) -> Iterator[None]:
        """Put both in their places for the block, in which ``result`` is published.

        If that fails, everything is as it was before. Signals wait until all is done. Raises
        StorageError.
        """
        with defer_signals():
            self._publish_symbols()
            target = self._request.keep_removed
            if self._staged is None or self._folder is None or target is None:
                yield
                return
            old = self._folder / "old"
            new, made = self._staged.stat(), result.stat()
            _save(target, old)
            try:
                publish(self._staged, target, force=self._request.force)
                yield
            except BaseException:
                output = self._request.output
                if output is not None and _is_same(output, made):
                    raise  # after the rename: the result is there, so its originals have to be
                if _is_same(target, new) and old.exists():
                    old.replace(target)
                elif _is_same(target, new):
                    target.unlink()
                raise

    def _publish_symbols(self) -> None:
        """Add the staged files to the folder of symbols, and write its index anew.

        Raises StorageError, and UnsafeInputError for an index that isn't one.
        """
        target = self._request.symbols
        if self._symbols is None or target is None:
            return
        staged = self._symbols.folder
        text = render(read_rows(target), self._symbols.files)
        write_file(staged / INDEX, [text.encode("ascii")])
        try:
            places = sorted(
                path.relative_to(staged) for path in staged.rglob("*") if not _is_folder(path)
            )
            for place in sorted(places, key=lambda place: (place.name == INDEX, place)):
                (target / place).parent.mkdir(parents=True, exist_ok=True)
                (staged / place).replace(target / place)
                sync((target / place).parent)
        except OSError as error:
            raise StorageError.from_os_error(error, file=error.filename or target) from None


def _is_same(path: Path, status: os.stat_result) -> bool:
    return path.exists() and os.path.samestat(path.stat(), status)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _summary(folder: str, files: Sequence[SymbolFile]) -> SymbolsSummary:
    sizes = {symbol.file: symbol.size for symbol in files}
    return SymbolsSummary(folder=folder, files=len(sizes), size=sum(sizes.values()))


def _named(summary: BackupSummary, target: Path) -> BackupSummary:
    return replace(summary, file=str(target))


def _save(target: Path, copy: Path) -> None:
    """Give what is going to be replaced a second name, or copy it. Raises StorageError."""
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
def side_outputs(request: RunRequest) -> Iterator[SideOutputs]:
    """Check the targets and stage beside them during the block.

    Raises ConfigError and StorageError.
    """
    backup, folder = request.keep_removed, request.symbols
    if backup is not None:
        _check(request, backup)
    if folder is not None:
        _check_symbols(request, folder)
    with ExitStack() as resources:
        private, originals, symbols = None, None, None
        if backup is not None:
            private = resources.enter_context(staging(backup))
            originals = BackupWriter(resources.enter_context(Spool(private)))
        if folder is not None:
            symbols = Symbols(resources.enter_context(staging(folder)) / "symbols")
        yield SideOutputs(request, private, originals, symbols)


def _check(request: RunRequest, target: Path) -> None:
    if not target.name.endswith(FORMAT.suffixes):
        raise ConfigError(
            f"originals are kept as {FORMAT.name}",
            file=target,
            hint=f"give a name that ends with {FORMAT.suffixes[0]}",
        )
    if target.is_dir():
        raise ConfigError("the file for originals is a folder", file=target)
    output = request.output.resolve() if request.output else None
    if output is not None and (target.resolve() == output or output in target.resolve().parents):
        raise ConfigError(
            "the file for originals would lie in the output, which holds what is published",
            file=target,
        )
    check_target(target, request.source, force=request.force)


def _check_symbols(request: RunRequest, target: Path) -> None:
    """Check the folder of symbols, which may exist: symbols are added to it."""
    if target.exists() and not target.is_dir():
        raise ConfigError("the place for symbols isn't a folder", file=target)
    own = target.resolve()
    for other, what in (
        (request.output, "the output, which holds what is published"),
        (request.source, "the input"),
    ):
        place = other.resolve() if other is not None else None
        if place is not None and (own == place or place in own.parents):
            raise ConfigError(f"the folder for symbols would lie in {what}", file=target)
    if request.keep_removed is not None and own == request.keep_removed.resolve():
        raise ConfigError("originals and symbols can't go to the same place", file=target)
    read_rows(target)
