"""Requests of a Mach-O file to dyld, and what it offers: library names, run paths, identity.

Source: Apple's ``mach-o/loader.h`` (``dylib_command``, ``rpath_command``, ``symtab_command``); PEP
489 (names of module initialisers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from slim.binaries.base import UNKNOWN_MACHINE, Buffer
from slim.binaries.macho.identify import MACHINES, image_kind
from slim.model.record import NativeFormat

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
    # macholib is loaded with the first Mach-O file, not with the command line.
    from slim.binaries.macho.load_commands import Malformed, read_images

    try:
        images = list(read_images(memoryview(data)))
    except Malformed:
        return None
    if not images:
        return None
    needed = dict.fromkeys(name for image in images for name in image.libraries)
    strong = {name for image in images for name in image.libraries if name not in image.weak}
    return MachoDynamic(
        install_name=next((image.install_name for image in images if image.install_name), None),
        needed=tuple(needed),
        weak=frozenset(name for name in needed if name not in strong),
        rpaths=tuple(dict.fromkeys(path for image in images for path in image.rpaths)),
        machines=tuple(MACHINES.get(image.cpu, UNKNOWN_MACHINE) for image in images),
        kind=image_kind(images[0].filetype),
        python_inits=frozenset().union(*(_python_inits(image.symbol_names) for image in images)),
    )


def _python_inits(symbol_names: memoryview) -> frozenset[str]:
    """Names of module initialisers among the names of symbols, whatever those symbols are.

    To take a library for a module errs on the safe side.
    """
    names = bytes(symbol_names)
    if b"PyInit" not in names:
        return frozenset()
    return frozenset(
        match[1].decode("ascii") for match in _INIT_NAME.finditer(b"\0" + names + b"\0")
    )
