"""Collects what debuggers need of stripped native files, where they look for it.

=====================================  =============================================================
``.build-id/ab/cdef….debug``           ELF with a build ID: a separate debug file
                                       (gdb, lldb, debuginfod, elfutils)
``by-sha256/ab/cdef….debug``           ELF without one: the same, by the stripped file's SHA-256
``uuid/XXXX/…/XXXXXXXXXXXX``           Mach-O: a symbol file by UUID (lldb's ``DBGFileMappedPaths``)
``dsym/UUID/NAME.dSYM/``               whole dSYM bundles that were removed; ``uuid/`` has links to
                                       the files in them
``pdb/NAME.pdb/GUIDAGE/NAME.pd_``      PDBs that were removed, as symbol servers keep them
``index.json``                         the place of each file's symbols
=====================================  =============================================================

Every name but the index's tells the content apart from all others, so that the symbols of many
releases can share a folder: a run only adds.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slim.binaries.elf.debugfile import build_id, debug_file
from slim.binaries.pe.pdb import pdb_key
from slim.binaries.refusal import NotEditable
from slim.errors import StorageError
from slim.formats.base import Content
from slim.formats.files import write_file
from slim.model.backup import SymbolFile
from slim.model.plan import Rewrite
from slim.model.record import FileRecord
from slim.passes.debug_symbols import EDITOR as ELF_EDITOR
from slim.passes.gpu_code import EDITOR as GPU_EDITOR
from slim.passes.macho_symbols import EDITOR as MACHO_EDITOR
from slim.plan.planned import PlannedStack
from slim.symbols.cab import LARGEST, cab_file

_DSYM = ".dSYM/"
_DWARF = "/Contents/Resources/DWARF/"


@dataclass(frozen=True, slots=True)
class _Original:
    """File as it was before the run."""

    record: FileRecord
    content: Content
    platform: str

    def symbols(
        self, kind: str, identity: str, place: str, size: int, stripped: str = ""
    ) -> SymbolFile:
        """Symbols of this file that were put at ``place`` and have ``size`` bytes there."""
        return SymbolFile(
            format=kind,
            platform=self.platform,
            layer=self.record.layer,
            path=self.record.path,
            identity=identity,
            file=place,
            size=size,
            original_size=self.record.size,
            original_sha256=self.record.sha256,
            stripped_sha256=stripped,
        )


class Symbols:
    """Symbols of one run, staged in ``folder``, which is created. Raises StorageError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[SymbolFile] = []
        folder.mkdir()

    def add(self, planned: PlannedStack) -> tuple[SymbolFile, ...]:
        """Take over what a plan strips from native files, and the symbols that it removes whole."""
        platform = planned.loaded.stack.platform.tag
        added: list[SymbolFile] = []
        bundles: dict[tuple[str, str], list[_Original]] = {}
        for change in planned.changes():
            action, content = change.action, change.member.content
            if content is None:
                continue
            original = _Original(action.record, content, platform)
            path = change.member.path
            if isinstance(action, Rewrite):
                if change.edited is not None:
                    stripped = change.edited.digest.hex()
                    if action.edit.options.get("level") != "none":
                        added += self._stripped(original, action.edit.editor, stripped)
            elif _DSYM in f"/{path}":
                root = path[: path.index(_DSYM) + len(_DSYM) - 1]
                bundles.setdefault((action.record.layer, root), []).append(original)
            elif path.lower().endswith(".pdb"):
                added += self._pdb(original)
        for (_, root), originals in sorted(bundles.items(), key=lambda bundle: bundle[0]):
            added += self._bundle(root, originals)
        self.files += added
        return tuple(added)

    def _put(self, place: str, pieces: Iterable[bytes | memoryview]) -> int:
        """Stage a file, unless the name is there, with the same content then. Return its size."""
        target = self.folder / place
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                write_file(target, pieces)
            return target.stat().st_size
        except OSError as error:
            raise StorageError.from_os_error(error, file=target) from None

    def _stripped(self, original: _Original, editor: str, stripped: str) -> Iterator[SymbolFile]:
        """Symbols that an editor takes out of a file, whose SHA-256 is ``stripped`` then."""
        view = original.content.view()
        if editor in (ELF_EDITOR, GPU_EDITOR):
            made = debug_file(view)
            if isinstance(made, NotEditable):
                return  # it wouldn't have been edited either
            identity = build_id(view)
            folder, name = (".build-id", identity) if identity else ("by-sha256", stripped)
            place = f"{folder}/{name[:2]}/{name[2:]}.debug"
            size = self._put(place, made.chunks())
            yield original.symbols("elf", identity or "", place, size, stripped)
        elif editor == MACHO_EDITOR:
            # Not before there is a Mach-O file: it brings macholib.
            from slim.binaries.macho.debugfile import symbol_files, uuid_path

            for one in symbol_files(view):
                place = f"uuid/{uuid_path(one.uuid)}"
                size = self._put(place, [one.data])
                yield original.symbols("mach-o", one.uuid, place, size, stripped)

    def _pdb(self, original: _Original) -> Iterator[SymbolFile]:
        content = original.content
        key = pdb_key(content.view())
        if key is None:
            return  # a protein, or a debugger written in Python
        name = posixpath.basename(original.record.path)
        folder = f"pdb/{name}/{key}"
        if content.size <= LARGEST:
            place = f"{folder}/{name[:-1]}_"
            size = self._put(place, cab_file(content, name))
        else:
            place = f"{folder}/{name}"
            size = self._put(place, content.chunks())
        yield original.symbols("pdb", key, place, size)

    def _bundle(self, root: str, originals: Iterable[_Original]) -> Iterator[SymbolFile]:
        """A dSYM bundle, whole, and links to the files in it by the UUIDs that they are for."""
        from slim.binaries.macho.debugfile import uuid_path, uuids

        by_path = {original.record.path: original for original in originals}
        found = {
            path: uuids(by_path[path].content.view()) for path in sorted(by_path) if _DWARF in path
        }
        identities = [uuid for path in found for uuid in found[path]]
        if not identities:
            return
        folder = f"dsym/{identities[0]}/{posixpath.basename(root)}"
        for path, original in sorted(by_path.items()):
            place = folder + path.removeprefix(root)
            size = self._put(place, original.content.chunks())
            identity = found.get(path, ())
            yield original.symbols("dsym", identity[0] if identity else "", place, size)
            for uuid in identity:
                self._link(f"uuid/{uuid_path(uuid)}", place)

    def _link(self, place: str, target: str) -> None:
        """Make a relative link, as dsymForUUID does, or a copy where links aren't possible.

        A dSYM replaces a symbol file.
        """
        link = self.folder / place
        try:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            try:
                link.symlink_to(posixpath.relpath(target, posixpath.dirname(place)))
            except OSError:
                write_file(link, [(self.folder / target).read_bytes()])
        except OSError as error:
            raise StorageError.from_os_error(error, file=link) from None
