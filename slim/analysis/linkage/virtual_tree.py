"""Paths of a deployed stack, resolved as the kernel would below the common folder, without a disk.

Every path here is deployed (``framework-mlx/share/venv/dynlib/libx.so``): layers are unpacked side
by side, and links from one layer into its sibling are legal.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from slim.model.record import EntryType, FileKey, FileRecord, Inventory

DYNLIB = "share/venv/dynlib/"
"""Folder of a layer in which venvstacks puts a link to each library of its packages."""

MAX_LINKS = 40
"""Symbolic links that Linux follows in one path before ELOOP (path_resolution(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way that a symbolic link leads.

    ``records`` are the links on it after the first, and the file at its end, if it is one: for a
    hard link also the file that it shares its bytes with. ``folder`` is the deployed path of the
    folder at its end.
    """

    link: FileRecord
    records: tuple[FileRecord, ...]
    folder: str | None


class VirtualTree:
    """The files of a stack by deployed path, without those in ``gone``."""

    def __init__(self, inventory: Inventory, gone: Collection[FileKey] = frozenset()) -> None:
        self._inventory = inventory
        self._gone = frozenset(gone)
        self._by_path = inventory.by_deployed_path
        self._found: dict[str, FileRecord | None] = {}

    def at(self, path: str) -> FileRecord | None:
        """The entry with exactly that path, links not followed."""
        record = self._by_path.get(path)
        return None if record is None or record.key in self._gone else record

    def file(self, path: str) -> FileRecord | None:
        """The regular file that opening ``path`` would open: links are followed in every component.

        None where there is none, for directories, for absolute links, and where the way leads out
        of the common folder. A hard link stands for the file whose bytes it shares, even where that
        file's own name is gone.
        """
        if path not in self._found:
            self._found[path] = self._open(path)
        return self._found[path]

    def folded(self, path: str) -> FileRecord | None:
        """The same on a file system that folds case, as on macOS and Windows."""
        found = self.file(path)
        if found is not None:
            return found
        spelled = self._folded.get(posixpath.normpath(path).lower())
        return None if spelled is None else self.file(spelled)

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {path.lower(): path for path in sorted(self._by_path, reverse=True)}

    def way(self, link: FileRecord) -> Way | None:
        """The way that a symbolic link leads; None where it leads nowhere in the stack."""
        place, passed = self._walk(link.deployed_path)
        if place is None:
            return None
        end = self._by_path.get(place)
        content = self._content_of(end)
        if content is not None and end is not None:
            others = dict.fromkeys((*passed[1:], end, content))
            return Way(link=link, records=tuple(others), folder=None)
        if place not in self.folders:
            return None
        return Way(link=link, records=passed[1:], folder=place)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds something, and those that are entries themselves."""
        found = {
            path for path, record in self._by_path.items() if record.type is EntryType.DIRECTORY
        }
        for path in self._by_path:
            folder = posixpath.dirname(path)
            while folder and folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    def _open(self, path: str) -> FileRecord | None:
        place, _ = self._walk(path)
        return None if place is None else self._content_of(self._by_path.get(place))

    def _walk(self, path: str) -> tuple[str | None, tuple[FileRecord, ...]]:
        """Follow the links in every component.

        Return the place where that ends and the links on the way; None for a way that breaks off.
        """
        pending = [part for part in reversed(path.split("/")) if part not in ("", ".")]
        done: list[str] = []
        passed: list[FileRecord] = []
        while pending:
            part = pending.pop()
            if part == "..":
                if not done:
                    return None, ()
                done.pop()
                continue
            done.append(part)
            record = self._by_path.get("/".join(done))
            if record is None:
                continue
            if record.key in self._gone:
                return None, ()
            if record.type is EntryType.SYMLINK:
                target = record.link_target or ""
                passed.append(record)
                if len(passed) > MAX_LINKS or not target or target.startswith("/"):
                    return None, ()
                done.pop()
                pending.extend(
                    piece for piece in reversed(target.split("/")) if piece not in ("", ".")
                )
        return "/".join(done), tuple(passed)

    def _content_of(self, record: FileRecord | None) -> FileRecord | None:
        if record is not None and record.type is EntryType.HARDLINK:
            record = self._by_path.get(f"{record.layer}/{record.link_target}")
        return record if record is not None and record.type is EntryType.FILE else None

    @cached_property
    def names(self) -> frozenset[str]:
        """The last component of every path: what isn't here, no search can find."""
        return frozenset(path.rpartition("/")[2] for path in self._by_path)

    @cached_property
    def folded_names(self) -> frozenset[str]:
        """The same names in lower case."""
        return frozenset(name.lower() for name in self.names)

    @cached_property
    def capability_dirs(self) -> dict[str, tuple[str, ...]]:
        """Folders by the folder that ``ld.so`` would search them for.

        With ``d`` on a search path, glibc first looks into ``d/glibc-hwcaps/x86-64-v3`` and its
        like, as far as the host's processor goes (ld.so(8), "Hardware capabilities").
        """
        found: dict[str, set[str]] = {}
        for path in self._by_path:
            head, marker, tail = path.partition("/glibc-hwcaps/")
            if marker and "/" in tail:
                found.setdefault(head, set()).add(f"{head}{marker}{tail.partition('/')[0]}")
        return {folder: tuple(sorted(dirs)) for folder, dirs in sorted(found.items())}
