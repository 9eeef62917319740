"""What a Mach-O file asks of dyld and offers to it: names of libraries, run paths, identity.

Source: Apple's ``mach-o/loader.h`` (``dylib_command``, ``rpath_command``, ``symtab_command``) and
``mach-o/fat.h``.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from slim.binaries.base import UNKNOWN_MACHINE, Buffer
from slim.binaries.macho.identify import FAT_MAGICS, MACHINES, MAX_SLICES, THIN_MAGICS
from slim.model.record import NativeFormat

_LC_SYMTAB = 0x2
_LC_ID_DYLIB = 0xD
_LC_RPATH = 0x8000_001C
_LC_LOAD_WEAK_DYLIB = 0x8000_0018
_LC_LOADS = frozenset({0xC, _LC_LOAD_WEAK_DYLIB, 0x20, 0x8000_001F, 0x8000_0023})
"""``LC_LOAD_DYLIB`` and its weak, lazy, re-exporting and upward kinds."""

_KINDS = {1: "relocatable", 2: "executable", 6: "shared", 8: "shared"}
_FAT_HEADER = 8
# Bounds on what is read; real files stay far below (the largest programs of Xcode: 200 commands, 20
# kB).
_MAX_COMMANDS = 1 << 16
_MAX_COMMAND_BYTES = 1 << 22
_INIT_NAME = re.compile(rb"\0_(PyInit[A-Za-z0-9_]*)(?=\0)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachoDynamic:
    """The library commands of a Mach-O file; of a universal one, those of all images together.

    ``install_name`` is the name under which a library wants to be known; ``needed`` what is loaded
    with it, in the order of the load commands, ``@rpath`` and its like as they stand; ``weak``
    those of them that may be missing. ``kind`` is ``executable``, ``shared`` (libraries and
    bundles), ``relocatable`` or ``other``. ``python_inits`` are the names in the table of symbol
    names that begin with ``PyInit``: what makes a library an extension module.
    """

    format: ClassVar[NativeFormat] = NativeFormat.MACHO

    install_name: str | None
    needed: tuple[str, ...]
    weak: frozenset[str]
    rpaths: tuple[str, ...]
    machines: tuple[str, ...]
    kind: str
    python_inits: frozenset[str]

    @property
    def soname(self) -> str | None:
        """The name that an image which is loaded already answers to."""
        return self.install_name


def read_macho_dynamic(data: Buffer) -> MachoDynamic | None:
    """Read the library commands of a Mach-O file.

    Returns None for what isn't one, and for one whose headers can't be followed: it raises nothing,
    whatever the bytes are.
    """
    view = memoryview(data)
    try:
        images = [_read_image(image) for image in _images(view)]
    except (struct.error, ValueError, IndexError):
        return None
    if not images:
        return None
    needed = dict.fromkeys(name for image in images for name in image.needed)
    strong = {name for image in images for name in image.needed if name not in image.weak}
    return MachoDynamic(
        install_name=next((image.install_name for image in images if image.install_name), None),
        needed=tuple(needed),
        weak=frozenset(name for name in needed if name not in strong),
        rpaths=tuple(dict.fromkeys(path for image in images for path in image.rpaths)),
        machines=tuple(machine for image in images for machine in image.machines),
        kind=images[0].kind,
        python_inits=frozenset().union(*(image.python_inits for image in images)),
    )


def _images(view: memoryview) -> Iterator[memoryview]:
    magic = bytes(view[:4])
    if magic in THIN_MAGICS:
        yield view
    elif magic in FAT_MAGICS:
        layout = FAT_MAGICS[magic]
        count = int.from_bytes(view[4:8], "big")
        if not 0 < count < MAX_SLICES:
            return
        for number in range(count):
            _, _, offset, size, *_ = layout.unpack_from(view, _FAT_HEADER + number * layout.size)
            image = view[offset : offset + size]
            if bytes(image[:4]) in THIN_MAGICS:
                yield image


def _read_image(view: memoryview) -> MachoDynamic:
    order, bits = THIN_MAGICS[bytes(view[:4])]
    _, cpu, _, file_type, count, size = struct.unpack_from(f"{order}6I", view)
    start = 32 if bits == 64 else 28
    if count > _MAX_COMMANDS or size > _MAX_COMMAND_BYTES or start + size > len(view):
        raise ValueError("the load commands aren't in the file")
    install_name: str | None = None
    needed: dict[str, None] = {}
    weak: set[str] = set()
    rpaths: dict[str, None] = {}
    inits: frozenset[str] = frozenset()
    at = start
    for _ in range(count):
        kind, length = struct.unpack_from(f"{order}2I", view, at)
        command = view[at : at + length]
        if length < 8 or at + length > start + size:
            raise ValueError("a load command isn't in its place")
        if kind in _LC_LOADS:
            name = _string(command, order)
            needed[name] = None
            if kind == _LC_LOAD_WEAK_DYLIB:
                weak.add(name)
        elif kind == _LC_ID_DYLIB:
            install_name = _string(command, order)
        elif kind == _LC_RPATH:
            rpaths[_string(command, order)] = None
        elif kind == _LC_SYMTAB:
            inits = _python_inits(view, *struct.unpack_from(f"{order}2I", command, 16))
        at += length
    return MachoDynamic(
        install_name=install_name,
        needed=tuple(needed),
        weak=frozenset(weak),
        rpaths=tuple(rpaths),
        machines=(MACHINES.get(cpu, UNKNOWN_MACHINE),),
        kind=_KINDS.get(file_type, "other"),
        python_inits=inits,
    )


def _string(command: memoryview, order: str) -> str:
    """The ``lc_str`` of a command: an offset from its start, to a string that ends with a zero byte or with it."""
    (offset,) = struct.unpack_from(f"{order}I", command, 8)
    text = bytes(command[offset:]).partition(b"\0")[0]
    if not text:
        raise ValueError("a library has no name")
    return text.decode("utf-8", "surrogateescape")


def _python_inits(view: memoryview, offset: int, size: int) -> frozenset[str]:
    """Looked for among the names of symbols, whatever those are: to take a library for a module errs on the safe
    side."""
    names = bytes(view[offset : offset + size])
    if b"PyInit" not in names:
        return frozenset()
    return frozenset(
        match[1].decode("ascii") for match in _INIT_NAME.finditer(b"\0" + names + b"\0")
    )
