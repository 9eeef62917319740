"""Collects what debuggers need of stripped native files, where they look for it.

=====================================  ===============================================================================
``.build-id/ab/cdef….debug``           ELF with a build ID: a separate debug file (gdb, lldb, debuginfod, elfutils)
``by-sha256/ab/cdef….debug``           ELF without one: the same, by the SHA-256 of the stripped file
``uuid/XXXX/…/XXXXXXXXXXXX``           Mach-O: a symbol file by UUID (lldb's ``DBGFileMappedPaths``)
``dsym/UUID/NAME.dSYM/``               whole dSYM bundles that were removed; ``uuid/`` has links to what is in them
``pdb/NAME.pdb/GUIDAGE/NAME.pd_``      PDBs that were removed, as symbol servers keep them
``index.json``                         which file of which layer is where
=====================================  ===============================================================================

Every name but the index's tells the content apart from all others, so that the symbols of many
releases can share a folder: a run only adds.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from slim.binaries.elf.debugfile import build_id, debug_file
from slim.binaries.pe.pdb import pdb_key
from slim.binaries.refusal import NotEditable
from slim.errors import StorageError
from slim.formats.base import BytesContent, Content
from slim.formats.output import write_file
from slim.model.backup import SymbolFile
from slim.model.plan import Remove, Rewrite
from slim.model.record import FileRecord
from slim.passes.debug_symbols import EDITOR as ELF_EDITOR
from slim.passes.macho_symbols import EDITOR as MACHO_EDITOR
from slim.plan.apply import Edited
from slim.plan.planned import PlannedStack
from slim.symbols.cab import MOST, cabinet

_DSYM = ".dSYM/"
_DWARF = "/Contents/Resources/DWARF/"


class Symbols:
    """Stages the symbols of one run in a private ``folder``, which is created. Raises StorageError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: list[SymbolFile] = []
        folder.mkdir()

    def add(self, planned: PlannedStack) -> tuple[SymbolFile, ...]:
        """Take over what a plan takes out of native files, and the symbols that it removes whole."""
        loaded, edited = planned.loaded, planned.edited
        platform = loaded.stack.platform.tag
        found: list[SymbolFile] = []
        bundles: dict[tuple[str, str], list[FileRecord]] = {}
        for key, action in planned.plan.actions.items():
            content = loaded.trees[key[0]].members[key[1]].content
            if content is None:
                continue
            if isinstance(action, Rewrite) and key in edited:
                found += self._stripped(action, content, edited[key], platform)
            elif isinstance(action, Remove) and _DSYM in f"/{key[1]}":
                root = key[1][: key[1].index(_DSYM) + len(_DSYM) - 1]
                bundles.setdefault((key[0], root), []).append(action.record)
            elif isinstance(action, Remove) and key[1].lower().endswith(".pdb"):
                found += self._pdb(action.record, content, platform)
        for (layer, root), records in sorted(bundles.items()):
            contents = {
                record.path: loaded.trees[layer].members[record.path].content for record in records
            }
            found += self._bundle(root, records, contents, platform)
        self.files += found
        return tuple(found)

    def _put(self, place: str, pieces: Iterable[bytes | memoryview]) -> int:
        """Stage a file, unless there is one of the name, which has the same content then. Returns its size."""
        target = self.folder / place
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                write_file(target, pieces)
            return target.stat().st_size
        except OSError as error:
            raise StorageError.from_os_error(error, file=target) from None

    def _stripped(
        self, action: Rewrite, content: Content, new: Edited, platform: str
    ) -> Iterator[SymbolFile]:
        record = action.record
        if action.edit.editor == ELF_EDITOR:
            view = content.view()
            made = debug_file(view)
            if isinstance(made, NotEditable):
                return  # it wouldn't have been edited either
            identity = build_id(view)
            sha256 = new.digest.hex()
            folder, name = (".build-id", identity) if identity else ("by-sha256", sha256)
            place = f"{folder}/{name[:2]}/{name[2:]}.debug"
            size = self._put(place, made.chunks())
            yield _symbol("elf", record, platform, identity or "", place, size, sha256)
        elif action.edit.editor == MACHO_EDITOR:
            # Not before there is a Mach-O file: it brings macholib.
            from slim.binaries.macho.debugfile import symbol_files, uuid_path

            for one in symbol_files(content.view()):
                place = f"uuid/{uuid_path(one.uuid)}"
                size = self._put(place, [one.data])
                yield _symbol("mach-o", record, platform, one.uuid, place, size, new.digest.hex())

    def _pdb(self, record: FileRecord, content: Content, platform: str) -> Iterator[SymbolFile]:
        key = pdb_key(content.view())
        if key is None:
            return  # a protein, or a debugger written in Python
        name = posixpath.basename(record.path)
        folder = f"pdb/{name}/{key}"
        if content.size <= MOST:
            place = f"{folder}/{name[:-1]}_"
            size = self._put(place, cabinet(content, name))
        else:
            place = f"{folder}/{name}"
            size = self._put(place, content.chunks())
        yield _symbol("pdb", record, platform, key, place, size, "")

    def _bundle(
        self,
        root: str,
        records: Iterable[FileRecord],
        contents: Mapping[str, Content | None],
        platform: str,
    ) -> Iterator[SymbolFile]:
        """A dSYM bundle, whole, and links to the files in it by the UUIDs that they are for."""
        from slim.binaries.macho.debugfile import uuid_path, uuids

        inside = {record.path: record for record in records if contents[record.path] is not None}
        found = {
            path: uuids((contents[path] or BytesContent(b"")).view())
            for path in sorted(inside)
            if _DWARF in path
        }
        identities = [uuid for path in found for uuid in found[path]]
        if not identities:
            return
        folder = f"dsym/{identities[0]}/{posixpath.basename(root)}"
        for path, record in sorted(inside.items()):
            place = folder + path.removeprefix(root)
            size = self._put(place, (contents[path] or BytesContent(b"")).chunks())
            identity = found.get(path, ())
            yield _symbol(
                "dsym", record, platform, identity[0] if identity else "", place, size, ""
            )
            for uuid in identity:
                self._link(f"uuid/{uuid_path(uuid)}", place)

    def _link(self, place: str, target: str) -> None:
        """A relative link, as dsymForUUID makes them; a copy where there can't be one. A dSYM beats a symbol file."""
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


def _symbol(
    kind: str,
    record: FileRecord,
    platform: str,
    identity: str,
    place: str,
    size: int,
    stripped: str,
) -> SymbolFile:
    return SymbolFile(
        format=kind,
        platform=platform,
        layer=record.layer,
        path=record.path,
        identity=identity,
        file=place,
        size=size,
        original_size=record.size,
        original_sha256=record.sha256,
        stripped_sha256=stripped,
    )
