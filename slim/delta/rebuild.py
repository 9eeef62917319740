"""Restores a layer from the one before it and a patch.

The patch is untrusted. So is the old layer, until its digest is the one that the patch was made
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from slim.delta.frames import DICTIONARY, FRAME, joined, part, unpack
from slim.delta.hints import GET_AGAIN
from slim.delta.moves import moved
from slim.delta.moves import parse as parse_moves
from slim.delta.patch import OWN_FRAME
from slim.delta.sides import Side, side_of
from slim.delta.table import Entry, Frame, Table, expand, parse
from slim.errors import IntegrityError, LimitError, StorageError, UnsafeInputError
from slim.formats import DIRECTORY
from slim.formats.assemble import RawMember, assemble
from slim.formats.base import BytesContent, Content, Member, ReadOptions, Tree
from slim.formats.names import display
from slim.formats.spool import SliceContent, Spool
from slim.model.record import EntryType

_LARGEST = FRAME + (FRAME >> 6)
"""Bytes of a packed frame: what can't be compressed grows by less (zstd.h, ZSTD_COMPRESSBOUND)."""
_ANOTHER = "a delta only fits the very layers that it was made from; download the new layer whole"


@dataclass(frozen=True, kw_only=True)
class PatchFile:
    """Patch file whose hash has been checked. Sizes are bytes: of the file, and of its table."""

    path: Path
    size: int
    table_size: int
    table_unpacked: int

    @property
    def name(self) -> str:
        """Name in messages."""
        return self.path.name

    def read(self, at: int, length: int) -> memoryview:
        """Read a part. Raises StorageError, and LimitError for more than a frame may have."""
        if length > _LARGEST:
            raise LimitError(f"a frame that takes {length} bytes", file=self.path, hint=GET_AGAIN)
        try:
            with self.path.open("rb") as file:
                file.seek(at)
                return memoryview(file.read(length))
        except OSError as error:
            raise StorageError.from_os_error(error, file=self.path) from error


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Layer that a patch has to give, and the one that it needs, as the delta's document says.

    ``old_tree`` and ``new_tree`` are tree digests; ``size`` is bytes of all contents. ``root`` is
    the folder in the archive; ``is_folder`` says that the new layer was a folder.
    """

    layer: str
    old_tree: str | None
    new_tree: str
    root: str
    size: int
    is_folder: bool


def read_table(patch: PatchFile, options: ReadOptions) -> Table:
    """Read the table of a patch. Raises UnsafeInputError, LimitError and StorageError."""
    if patch.table_size > patch.size:
        raise UnsafeInputError("shorter than its table", file=patch.name, hint=GET_AGAIN)
    text = joined(unpack(patch.read(0, patch.table_size), patch.table_unpacked, source=patch.name))
    table = parse(text, source=patch.name, limits=options.limits)
    total = patch.table_size + sum(frame.packed for frame in table.frames)
    if total != patch.size:
        raise UnsafeInputError(
            f"has {patch.size} bytes, its table speaks of {total}", file=patch.name, hint=GET_AGAIN
        )
    return table


def check_old(table: Table, tree: Tree, wanted: Wanted, *, folder: bool) -> Side:
    """Return the old layer as the patch knows it.

    In a ``folder``, members that the patch doesn't list are left out (bytecode and settings that
    installing made), permissions aren't compared (not every system keeps them), and files that were
    hard links may be files.

    Raises IntegrityError if it is another layer, UnsafeInputError for a malformed table.
    """
    members: dict[str, Member] = {}
    for entry in table.old:
        member = tree.members.get(entry.path)
        if member is None or not _same_kind(entry, member, folder):
            what = (
                "isn't there"
                if member is None
                else f"is a {member.type.value} instead of a {entry.type.value}"
            )
            raise _not_it(wanted, f"{display(entry.path)} {what}")
        if entry.path in members:
            raise UnsafeInputError(
                "two old members have one name",
                file=wanted.layer,
                place=display(entry.path),
                hint=GET_AGAIN,
            )
        members[entry.path] = (
            replace(member, mode=entry.mode, type=entry.type) if folder else member
        )
    if not folder and len(members) != len(tree.members):
        raise _not_it(wanted, "there are other members than the delta knows of")
    side = side_of(replace(tree, members=members))
    if folder:
        _check_twins(table, tree, side, wanted)
        members = {entry.path: _listed(entry, members[entry.path]) for entry in table.old}
        files = {
            path: digest
            for path, digest in side.digests.items()
            if members[path].type is EntryType.FILE
        }
        side = Side(tree=replace(tree, members=members), digests=files)
    if wanted.old_tree is None or side.tree_digest != wanted.old_tree:
        raise _not_it(wanted, "its content differs")
    return side


def _listed(entry: Entry, member: Member) -> Member:
    """Return the member as the archive had it: a hard link if it was one."""
    if entry.type is not EntryType.HARDLINK:
        return member
    return replace(member, link_target=entry.link, content=None, size=0)


def _same_kind(entry: Entry, member: Member, folder: bool) -> bool:
    return member.type is entry.type or (
        folder and (member.type, entry.type) == (EntryType.FILE, EntryType.HARDLINK)
    )


def _check_twins(table: Table, tree: Tree, side: Side, wanted: Wanted) -> None:
    """Raise IntegrityError unless hard links that became files are equal to their targets."""
    for entry in table.old:
        is_file = (
            entry.type is EntryType.HARDLINK and tree.members[entry.path].type is EntryType.FILE
        )
        if is_file and side.digests.get(entry.path) != side.digests.get(entry.link or ""):
            raise _not_it(wanted, f"{display(entry.path)} differs from {display(entry.link or '')}")


def rebuild_layer(
    patch: PatchFile, table: Table, old: Side | None, wanted: Wanted, options: ReadOptions
) -> tuple[Tree, Mapping[str, str]]:
    """Return the new layer and the SHA-256 of its files by path.

    The tree has to be closed, before that of the old layer. Raises UnsafeInputError and LimitError
    for a malformed patch, IntegrityError if the result isn't the layer that the delta promises.
    """
    if old is None and table.old:
        raise UnsafeInputError(
            "speaks of an old layer where there is none", file=patch.name, hint=GET_AGAIN
        )
    _bound(patch, table, old, wanted, options)
    with ExitStack() as stack:
        spool = stack.enter_context(Spool(options.spool_dir))
        for piece in _payload(patch, table, old):
            spool.write(piece)
        raw = _raw_members(table, old, spool.view(), wanted)
        tree = assemble(
            patch.name,
            raw,
            options,
            format_name=DIRECTORY.name if wanted.is_folder else "tar",
            resources=ExitStack(),
            top=wanted.layer if wanted.is_folder else None,
        )
        if not wanted.is_folder and tree.root != wanted.root:
            wrong = f"gives a root folder {tree.root!r} instead of {wanted.root!r}"
            raise UnsafeInputError(wrong, file=patch.name, hint=GET_AGAIN)
        side = side_of(tree)
        if side.tree_digest != wanted.new_tree:
            raise IntegrityError(
                "doesn't give the layer that the delta promises", file=patch.name, hint=GET_AGAIN
            )
        tree.resources.push(stack.pop_all())
        tree.forget = spool.forget
        return tree, side.digests


def _bound(
    patch: PatchFile, table: Table, old: Side | None, wanted: Wanted, options: ReadOptions
) -> None:
    """Check the size of what a patch gives before any of it is written.

    Slices and copies may name the same bytes again and again. Raises UnsafeInputError and
    LimitError.
    """
    limits = options.limits
    sizes = [] if old is None else [member.size for member in old.tree.members.values()]
    total = 0
    for new in expand(table):
        if new.slice is not None:
            total += new.slice[1]
        elif new.source is not None:
            total += sizes[new.source]
    if total != wanted.size:
        raise UnsafeInputError(
            f"gives {total} bytes instead of {wanted.size}", file=patch.name, hint=GET_AGAIN
        )
    # Every frame may have a dictionary of its own to be read: many would keep a client busy for
    # nothing.
    if len(table.frames) > 1 + table.has_moves + table.unpacked // OWN_FRAME:
        raise LimitError(
            f"{len(table.frames)} frames for {table.unpacked} bytes",
            file=patch.name,
            hint=GET_AGAIN,
        )
    most = max(limits.ratio_floor, limits.ratio * (patch.size + sum(sizes)))
    for amount in (total, table.unpacked):
        if amount > limits.total or amount > most:
            raise LimitError(
                f"gives {amount} bytes", file=patch.name, hint="raise the limit on the total size"
            )


def _payload(patch: PatchFile, table: Table, old: Side | None) -> Iterator[bytes]:
    """Yield what the frames give, in pieces."""
    at = patch.table_size
    forms = bytearray()
    for frame in table.frames:
        dictionary = _dictionary(frame, table, old, patch, bytes(forms))
        packed = patch.read(at, frame.packed)
        for piece in unpack(packed, frame.unpacked, dictionary, source=patch.name):
            if frame is table.frames[0] and table.has_moves:
                forms += piece
            yield piece
        at += frame.packed


def _dictionary(
    frame: Frame, table: Table, old: Side | None, patch: PatchFile, forms: bytes
) -> bytes:
    """Return the dictionary of a frame. ``forms`` has the moves of its pieces."""
    moved_pieces = [piece.length for piece in frame.pieces if piece.moves is not None]
    if sum(piece.length for piece in frame.pieces) > DICTIONARY:
        raise LimitError(
            f"a dictionary of more than {DICTIONARY} bytes", file=patch.name, hint=GET_AGAIN
        )
    if max(moved_pieces, default=0) > FRAME:
        raise LimitError(
            f"moves of a file of more than {FRAME} bytes", file=patch.name, hint=GET_AGAIN
        )
    found = []
    for piece in frame.pieces:
        content = _old_content(table, old, piece.old)
        if piece.offset + piece.length > content.size:
            raise UnsafeInputError(
                "a dictionary that reaches beyond an old file", file=patch.name, hint=GET_AGAIN
            )
        found.append(joined(part(content, piece.offset, piece.length)))
        if piece.moves is not None:
            start, length = piece.moves
            form = forms[start : start + length]
            found[-1] = moved(found[-1], parse_moves(form, piece.length, source=patch.name))
    return b"".join(found)


def _old_content(table: Table, old: Side | None, number: int) -> Content:
    assert old is not None, "a table without an old layer names no old file"
    return old.tree.members[table.old[number].path].content or BytesContent(b"")


def _raw_members(
    table: Table, old: Side | None, payload: memoryview, wanted: Wanted
) -> Iterator[RawMember]:
    prefix = f"{wanted.root}/" if wanted.root and not wanted.is_folder else ""
    if table.root is not None:
        mode, mtime = table.root
        yield RawMember(name=prefix or ".", type=EntryType.DIRECTORY, mode=mode, mtime=mtime)
    for new in expand(table):
        entry = new.entry
        content: Content | None = None
        if new.source is not None:
            content = _old_content(table, old, new.source)
        elif new.slice is not None:
            offset, length = new.slice
            content = SliceContent(payload[offset : offset + length])
        yield RawMember(
            name=prefix + entry.path,
            type=entry.type,
            mode=entry.mode,
            mtime=new.mtime,
            size=content.size if content is not None else 0,
            link=prefix + (entry.link or "") if entry.type is EntryType.HARDLINK else entry.link,
            content=content,
        )


def _not_it(wanted: Wanted, message: str) -> IntegrityError:
    return IntegrityError(
        f"the layer isn't the one that the delta was made from: {message}",
        file=wanted.layer,
        hint=_ANOTHER,
    )
