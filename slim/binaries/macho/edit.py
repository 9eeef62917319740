"""Edits of Mach-O files: drop symbols, thin universal files, sign again what was signed ad hoc.

Symbols, the indirect symbol table and names lie at the end of an image, in ``__LINKEDIT``, with
only the code signature after them. They get smaller and move up; nothing before them changes but
the load commands that say where they are. So every mapped byte outside of ``__LINKEDIT``, and all
that the loader binds, rebases and exports by, stays.

A ``__DWARF`` segment lies in the file just before ``__LINKEDIT``. Without its content
``__LINKEDIT`` moves up in the file, with all that it holds; in memory everything stays where it was
(:mod:`slim.binaries.macho.dwarf`).

Source: Apple's ``mach-o/loader.h``; strip(1), codesign_allocate(1), lipo(1).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from macholib import mach_o

from slim.binaries.base import Buffer
from slim.binaries.macho.codesign import (
    Signature,
    check_pages,
    read_signature,
    sign,
    sign_again,
    signed_size,
)
from slim.binaries.macho.dwarf import debug_segment, empty_command
from slim.binaries.macho.fat import Slice, choose, is_fat, read_fat, write_fat
from slim.binaries.macho.layout import MachoImage, Segment, read_image
from slim.binaries.macho.linkedit import DATA_COMMANDS, DYLD_INFO_COMMANDS, Part, Span
from slim.binaries.macho.structs import DYLD_INFO, HEADER, MAGIC_64, SEGMENT, SYMBOL_SIZE
from slim.binaries.macho.symbols import LEVELS, SymbolTables, drop_symbols
from slim.binaries.refusal import NotEditable, RefusalKind, Refused
from slim.model.recipe import Kept, Piece, Recipe, Zeros

__all__ = ["LEVELS", "MachoEdit", "plan_macho_edit", "resign", "thin"]

_TABLE_ALIGN = 8
_SIGNATURE_ALIGN = 16
_LIMIT = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class MachoEdit:
    """An edit that has been planned: a recipe over the bytes of ``original``.

    ``dropped`` says what goes, with its bytes. ``notes`` has half a sentence for each image that
    stays as it is. ``resigned`` says whether an ad-hoc signature was written again.
    """

    size_before: int
    size_after: int
    dropped: tuple[tuple[str, int], ...]
    resigned: bool
    notes: tuple[str, ...] = ()
    recipe: Recipe = field(repr=False)
    original: memoryview = field(repr=False)

    def data(self) -> bytes:
        """The whole edited file, in memory."""
        return self.recipe.whole(self.original)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EditedImage:
    """One image after the edit; its recipe is over the image's own bytes."""

    recipe: Recipe
    dropped: tuple[tuple[str, int], ...] = ()
    resigned: bool = False
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.recipe.size


def plan_macho_edit(
    view: Buffer, level: str, machine: str | None = None
) -> MachoEdit | NotEditable:
    """Plan the removal of symbols by one of :data:`LEVELS`.

    With ``machine``, all images but the one for it go, too. An image that can't be edited is still
    taken out of a universal file, as it is. Raises ValueError for an unknown level, and nothing
    whatever the bytes are.
    """
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}, expected one of {', '.join(LEVELS)}")
    return _plan(memoryview(view), machine, lambda image: _strip(image, level))


def thin(view: Buffer, machine: str) -> MachoEdit | NotEditable:
    """Plan to take the image for ``machine`` (``x86_64``, ``aarch64``) out of a universal file.

    A file without such an image gives ``ABSENT_SLICE``, one that is for this machine alone
    ``NOTHING_GAINED``.
    """
    return plan_macho_edit(view, "none", machine)


def resign(view: Buffer) -> bytes | NotEditable:
    """The file with every ad-hoc signature computed again, whether its hashes were right or not.

    Where they were, the result is the same file to the byte. It is always of the same size: a file
    whose signature isn't as long as its load command says is refused.
    """
    found = _plan(memoryview(view), None, _resign, smaller=False)
    if isinstance(found, NotEditable):
        return found
    if found.size_after != len(view):
        return NotEditable(RefusalKind.MALFORMED, "the signature isn't as long as the file says")
    return found.data()


def _plan(
    view: memoryview,
    machine: str | None,
    edit: Callable[[memoryview], _EditedImage],
    *,
    smaller: bool = True,
) -> MachoEdit | NotEditable:
    try:
        if is_fat(view):
            slices = read_fat(view)
            edited = (
                _edit_fat(view, slices, edit)
                if machine is None
                else _thin(view, slices, machine, edit)
            )
        else:
            if machine is not None:
                choose([_only_slice(view)], machine)
            edited = edit(view)
    except Refused as refused:
        return refused.refusal
    if smaller and edited.size >= len(view):
        return NotEditable(RefusalKind.NOTHING_GAINED, "the file wouldn't get smaller")
    return MachoEdit(
        size_before=len(view),
        size_after=edited.size,
        dropped=edited.dropped,
        resigned=edited.resigned,
        notes=edited.notes,
        recipe=edited.recipe,
        original=view,
    )


def _only_slice(view: memoryview) -> Slice:
    """A thin file, seen as the only slice."""
    if len(view) < HEADER.size or bytes(view[:4]) != MAGIC_64:
        raise Refused.unsupported(
            "not a 64-bit little-endian Mach-O image, or its header is cut short"
        )
    _, cpu, subtype, *_ = HEADER.unpack_from(view)
    return Slice(cpu=cpu, subtype=subtype, offset=0, size=len(view), align=0)


def _thin(
    view: memoryview,
    slices: Sequence[Slice],
    machine: str,
    edit: Callable[[memoryview], _EditedImage],
) -> _EditedImage:
    chosen = choose(slices, machine)
    content = view[chosen.offset : chosen.offset + chosen.size]
    try:
        edited = edit(content)
    except Refused as refused:
        nothing = refused.refusal.kind is RefusalKind.NOTHING_GAINED
        edited = _EditedImage(
            recipe=_unchanged(content), notes=() if nothing else (refused.refusal.reason,)
        )
    gone = tuple((f"slice {one.machine}", one.size) for one in slices if one is not chosen)
    return _EditedImage(
        recipe=edited.recipe.within(chosen.offset),
        dropped=(*gone, *edited.dropped),
        resigned=edited.resigned,
        notes=edited.notes,
    )


def _edit_fat(
    view: memoryview, slices: Sequence[Slice], edit: Callable[[memoryview], _EditedImage]
) -> _EditedImage:
    """Edit every image; one that can't be edited keeps the whole file as it is."""
    images = []
    for one in slices:
        content = view[one.offset : one.offset + one.size]
        try:
            images.append(edit(content))
        except Refused as refused:
            if refused.refusal.kind is not RefusalKind.NOTHING_GAINED:
                reason = f"in the slice for {one.machine}: {refused.refusal.reason}"
                raise Refused(NotEditable(refused.refusal.kind, reason)) from None
            images.append(_EditedImage(recipe=_unchanged(content)))
    if not any(image.dropped or image.resigned for image in images):
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "there is nothing to drop"))
    header, placed = write_fat(bytes(view[:4]), slices, [image.size for image in images])
    parts: list[Piece] = [header]
    at = len(header)
    for old, one, image in zip(slices, placed, images, strict=True):
        parts += [Zeros(one.offset - at), *image.recipe.within(old.offset).parts]
        at = one.offset + one.size
    return _EditedImage(
        recipe=Recipe(tuple(parts)),
        dropped=tuple(
            (f"{what} ({one.machine})", size)
            for one, image in zip(slices, images, strict=True)
            for what, size in image.dropped
        ),
        resigned=any(image.resigned for image in images),
    )


def _unchanged(view: memoryview) -> Recipe:
    return Recipe((Kept(0, len(view)),))


def _image(view: memoryview) -> MachoImage:
    image = read_image(view)
    if isinstance(image, NotEditable):
        raise Refused(image)
    return image


def _signature(image: MachoImage) -> Signature | None:
    span = image.parts.get(Part.SIGNATURE)
    return None if span is None else read_signature(image.view, span)


def _strip(view: memoryview, level: str) -> _EditedImage:
    if level == "none":
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "nothing is to be dropped"))
    image = _image(view)
    signature = _signature(image)
    debug = debug_segment(image)
    tables = drop_symbols(image, level, at_least_one=debug is None)
    edited = _Layout(image, tables, signature, debug).write()
    if edited.size >= len(view):
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "the image wouldn't get smaller"))
    if signature is not None:
        # A file whose bytes aren't what was signed is damaged, or was changed by somebody who
        # should have signed it: a new signature would hide that. The last of all checks, because it
        # reads the whole image.
        check_pages(view, signature)
    return edited


def _resign(view: memoryview) -> _EditedImage:
    image = _image(view)
    signature = _signature(image)
    if signature is None:
        raise Refused(NotEditable(RefusalKind.NOTHING_GAINED, "there is no signature"))
    kept = Kept(0, signature.span.offset)
    return _EditedImage(recipe=Recipe((kept, sign_again(signature, view))), resigned=True)


class _Layout:
    """Lays out the end of an image anew: symbols, indirect symbols, strings, signature.

    ``debug`` is the segment whose content goes; all of ``__LINKEDIT`` moves up to where that was.
    """

    def __init__(
        self,
        image: MachoImage,
        tables: SymbolTables,
        signature: Signature | None,
        debug: Segment | None,
    ) -> None:
        self._image = image
        self._tables = tables
        self._signature = signature
        self._debug = debug
        self._linkedit = image.linkedit.offset if debug is None else debug.offset
        self._shift = image.linkedit.offset - self._linkedit
        self._head = bytearray(image.view[: image.commands_end])
        symbols = image.parts[Part.SYMBOLS].offset - self._shift
        self._symbols = Span(symbols, len(tables.symbols))
        self._indirect = Span(_round_up(self._symbols.end, _TABLE_ALIGN), len(tables.indirect))
        self._strings = Span(_round_up(self._indirect.end, _TABLE_ALIGN), len(tables.strings))
        self._end = self._strings.end
        if signature is not None:
            self._end = _round_up(self._end, _SIGNATURE_ALIGN)

    def write(self) -> _EditedImage:
        """The image's new bytes."""
        image, tables = self._image, self._tables
        size = self._end + (
            0 if self._signature is None else signed_size(self._signature, self._end)
        )
        self._patch(size)
        tail = b"".join(
            (
                tables.symbols,
                bytes(self._indirect.offset - self._symbols.end),
                tables.indirect,
                bytes(self._strings.offset - self._indirect.end),
                tables.strings,
                bytes(self._end - self._strings.end),
            )
        )
        symbols = self._symbols.offset + self._shift
        recipe = Recipe(
            (
                bytes(self._head),
                Kept(image.commands_end, self._linkedit - image.commands_end),
                Kept(image.linkedit.offset, symbols - image.linkedit.offset),
                tail,
            )
        )
        dropped = (
            tables.dropped
            if self._debug is None
            else (("debugging information", self._shift), *tables.dropped)
        )
        if self._signature is None:
            return _EditedImage(recipe=recipe, dropped=dropped)
        unchanged = (image.commands_end, self._linkedit if self._shift else self._symbols.offset)
        signature = sign(
            self._signature,
            self._end,
            lambda start, end: recipe.read(image.view, start, end),
            unchanged,
        )
        less = self._signature.span.size - len(signature)
        if less > 0:
            dropped = (*dropped, ("code signature", less))
        signed = Recipe((*recipe.parts, signature))
        return _EditedImage(recipe=signed, dropped=dropped, resigned=True)

    def _patch(self, size: int) -> None:
        """Say in the load commands where everything is."""
        image, tables = self._image, self._tables
        if self._debug is not None:
            empty_command(self._head, self._debug)
            self._move()
        count = len(tables.symbols) // SYMBOL_SIZE
        self._put(
            mach_o.LC_SYMTAB,
            8,
            "4I",
            self._symbols.offset,
            count,
            self._strings.offset,
            self._strings.size,
        )
        self._put(mach_o.LC_DYSYMTAB, 8, "6I", *self._partition())
        if Part.INDIRECT in image.parts:
            self._put(mach_o.LC_DYSYMTAB, 56, "I", self._indirect.offset)
        if self._signature is not None:
            self._put(mach_o.LC_CODE_SIGNATURE, 8, "2I", self._end, size - self._end)
        linkedit = image.linkedit
        row = list(SEGMENT.unpack_from(self._head, linkedit.command))
        row[5] = self._linkedit
        row[6] = size - self._linkedit
        row[4] = min(row[4], _round_up(row[6], image.page))
        SEGMENT.pack_into(self._head, linkedit.command, *row)

    def _move(self) -> None:
        """Offsets of the parts of ``__LINKEDIT`` that stay as they are, empty ones too."""
        commands = self._image.commands
        places = [commands[kind] + 8 for kind in DATA_COMMANDS if kind in commands]
        for kind in DYLD_INFO_COMMANDS:
            if kind in commands:
                places += range(commands[kind] + 8, commands[kind] + DYLD_INFO.size, 8)
        for at in places:
            offset, length = struct.unpack_from("<2I", self._head, at)
            if offset or length:
                struct.pack_into("<I", self._head, at, offset - self._shift)

    def _partition(self) -> tuple[int, ...]:
        local, defined = self._tables.local, self._image.defined
        return 0, local, local, defined, local + defined, self._image.undefined

    def _put(self, command: int, at: int, layout: str, *values: int) -> None:
        if max(values) >= _LIMIT:
            raise Refused.unsupported("the image is larger than 4 GB")
        struct.pack_into(f"<{layout}", self._head, self._image.commands[command] + at, *values)


def _round_up(size: int, align: int) -> int:
    return -(-size // align) * align
