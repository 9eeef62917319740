"""Opens whatever somebody points at, for looking only: what a run has to refuse, an audit tells."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from slim.analysis.facts import Facts
from slim.auditing.owners import refine_owners
from slim.errors import ConfigError, IntegrityError, UnsafeInputError
from slim.formats import detect, is_archive_name
from slim.formats.base import Tree
from slim.inventory.scan import scan
from slim.inventory.stack_reader import (
    Located,
    OpenStack,
    check_archives,
    locate,
    open_stack,
    single,
)
from slim.model.limits import Limits
from slim.model.progress import Progress, Silent
from slim.model.record import FileRecord, Inventory
from slim.model.stack import Layer, LayerKind, Stack, StackKind

_METADATA = ".dist-info/METADATA"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A stack that is open, and its inventory."""

    opened: OpenStack
    inventory: Inventory
    warnings: tuple[str, ...]

    @cached_property
    def facts(self) -> Facts:
        """Its graphs, shared by everything that is asked of it."""
        return Facts(stack=self.stack, inventory=self.inventory, read=self.read)

    @property
    def stack(self) -> Stack:
        """The stack."""
        return self.opened.stack

    def read(self, record: FileRecord) -> memoryview:
        """The bytes of a file; empty for links."""
        content = self.opened.trees[record.layer].members[record.path].content
        return memoryview(b"") if content is None else content.view()


def find(source: Path, *, platforms: Iterable[str] = ()) -> tuple[Located, ...]:
    """What ``source`` is, as for a run, and besides any file that is an archive by its content (a wheel).

    Raises StorageError, ConfigError and UnsafeInputError.
    """
    if source.is_file() and source.suffix != ".json" and not is_archive_name(source.name):
        try:
            detect(source)
        except UnsafeInputError as error:
            raise ConfigError(
                "neither a manifest (.json), nor an archive, nor a folder",
                file=source,
                hint=error.hint,
            ) from None
        return (single(source, StackKind.ARCHIVE),)
    return locate(source, platforms=platforms)


@contextmanager
def look(
    located: Located,
    *,
    spool_dir: Path,
    limits: Limits | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Iterator[Seen]:
    """Open a stack and take its inventory. Archives that differ from their manifest are a warning here.

    Raises UnsafeInputError, LimitError and StorageError for what can't be read at all.
    """
    watch = progress or Silent()
    complaints: list[str] = []
    try:
        check_archives(located, watch)
    except IntegrityError as error:
        complaints.append(f"{error.where}: {error.message}")
    with open_stack(
        located,
        spool_dir=spool_dir,
        limits=limits or Limits(),
        workers=workers,
        progress=watch,
        lenient=True,
    ) as opened:
        layers = tuple(_with_sites(layer, opened.trees[layer.name]) for layer in opened.stack)
        opened.stack = replace(opened.stack, layers=layers)
        inventory = refine_owners(opened, scan(opened, watch, lenient=True, workers=workers))
        yield Seen(
            opened=opened,
            inventory=inventory,
            warnings=(*complaints, *inventory.warnings),
        )


def _with_sites(layer: Layer, tree: Tree) -> Layer:
    """In a tree of unknown origin, every folder with installed metadata is a site folder, whatever it is called:
    a wheel's root, ``app_packages`` of Briefcase, ``_internal`` of PyInstaller, ``lib/python3.13``
    of py2app."""
    if layer.kind is not LayerKind.PLAIN:
        return layer
    found = {
        posixpath.dirname(posixpath.dirname(path))
        for path in tree.members
        if path.endswith(_METADATA) and "/_vendor/" not in f"/{path}"
    }
    return replace(layer, site_dirs=tuple(sorted({*layer.site_dirs, *found})))
