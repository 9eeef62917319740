"""Files that a run adds to layers which lose modules: the guard, its ``.pth``, and the table."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from itertools import count
from typing import Final

from slim.analysis.imports.modules import ModuleIndex
from slim.formats.base import BytesContent, Member, Tree
from slim.guard.table import RemovedModules, render_table
from slim.model.guard import GUARD_PACKAGE
from slim.model.record import EntryType
from slim.model.stack import Layer
from slim.plan.planned import Addition, PlannedStack

MODULES: Final = ("__init__.py", "_bring.py", "_misses.py", "_tables.py")
_START: Final = b"import slim_guard\n"
_FILE_MODE: Final = 0o644
_FOLDER_MODE: Final = 0o755


@dataclass(frozen=True, kw_only=True)
class GuardFiles:
    """Guards for all layers of a stack that lose modules. ``packs`` are ``SHA-256 size`` by layer.

    A layer that an earlier run gave a guard keeps it, and gets another table.
    """

    index: ModuleIndex
    packs: Mapping[str, str] = field(default_factory=dict)

    def files(self, planned: PlannedStack) -> Mapping[str, Addition]:
        """Return what is added, by layer."""
        if not planned.plan.actions:
            return {}
        removed = RemovedModules(self.index, planned.loaded.inventory, planned.plan)
        found = {layer.name: self._of(planned, layer, removed) for layer in planned.loaded.stack}
        return {name: addition for name, addition in found.items() if addition is not None}

    def _of(self, planned: PlannedStack, layer: Layer, removed: RemovedModules) -> Addition | None:
        site, rows = site_folder(layer), removed.rows(layer.name)
        if site is None or not rows:
            return None
        pack = self.packs.get(layer.name)
        more = {} if pack is None else {"pack": pack}
        table = render_table(layer.name, site, self.index.roots[layer.name], rows, more)
        tree = planned.loaded.trees[layer.name]
        hollow = (posixpath.relpath(folder, site) for folder in removed.hollow(layer.name))
        members = tuple(guard_members(tree, site, table, _START, "\n".join(hollow)))
        return Addition(members=members, modules=len(rows))


def guard_members(
    tree: Tree, site: str, table: bytes, start: bytes, hollow: str
) -> Iterator[Member]:
    """Yield what a layer needs to have a guard with this table; ``start`` is its ``.pth``.

    ``hollow`` are lines with the hollow folders, relative to the site folder.
    """
    lists = {"removed": table, "hollow": hollow.encode("utf-8", "surrogateescape")}
    tables = {
        _unused_name(tree, f"{site}/{GUARD_PACKAGE}", stem): data
        for stem, data in lists.items()
        if data
    }
    return payload_members(tree, site, GUARD_PACKAGE, MODULES, start, tables)


def _unused_name(tree: Tree, folder: str, stem: str) -> str:
    """Return ``slim_guard/STEM-1.txt``, or the first number that no earlier run took."""
    names = (f"{stem}-{number}.txt" for number in count(1))
    name = next(name for name in names if f"{folder}/{name}" not in tree.members)
    return f"{GUARD_PACKAGE}/{name}"


def payload_members(
    tree: Tree,
    site: str,
    package: str,
    modules: Iterable[str],
    start: bytes,
    tables: Mapping[str, bytes],
) -> Iterator[Member]:
    """Yield a package of the payload, its ``.pth`` and ``tables``, as far as a layer lacks them.

    ``tables`` are contents by path below the site folder. Folders come before what is in them.
    """
    time = max((member.mtime for member in tree.members.values()), default=0)
    for path in (*_folders(site), f"{site}/{package}"):
        if path not in tree.members:
            yield Member(path=path, type=EntryType.DIRECTORY, mode=_FOLDER_MODE, mtime=time)
    contents = {
        f"{package}/{name}": resources.files("slim.guard")
        .joinpath("payload", package, name)
        .read_bytes()
        for name in modules
    }
    contents |= {f"_{package}.pth": start, **tables}
    for name, data in sorted(contents.items()):
        if f"{site}/{name}" not in tree.members:
            yield Member(
                path=f"{site}/{name}",
                type=EntryType.FILE,
                mode=_FILE_MODE,
                mtime=time,
                size=len(data),
                content=BytesContent(data),
            )


def _folders(site: str) -> Iterator[str]:
    parts = site.split("/")
    for depth in range(1, len(parts) + 1):
        yield "/".join(parts[:depth])


def site_folder(layer: Layer) -> str | None:
    """Return the folder of a layer in which ``site`` finds ``.pth`` files; None without one."""
    return layer.site_dirs[0].strip("/") if layer.site_dirs else None
