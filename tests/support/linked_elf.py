"""Make-believe ELF files for tests of the library graph: what a file says of itself, as text."""

from __future__ import annotations

from dataclasses import replace

from slim.analysis.linkage.graph import Linkage
from slim.binaries.elf.edit import ElfDynamic
from slim.model.record import FileRecord, Inventory
from tests.support.virtual_stacks import Contents, VirtualStack, make_stack

_MAGIC = b"\x7fELF\n"


def elf(text: str = "", *strings: str) -> bytes:
    """A file whose dynamic section is ``text``: ``needed=libx.so.1 runpath=$ORIGIN/a:$ORIGIN/b``.

    Keys are those of :class:`ElfDynamic`; lists are split at colons. ``strings`` lie in the file
    like any constant.
    """
    return (
        _MAGIC + text.encode() + b"\n" + b"\0".join(string.encode() for string in strings) + b"\0"
    )


def read_fake(data: memoryview) -> ElfDynamic | None:
    """Read what :func:`elf` made."""
    raw = bytes(data)
    if not raw.startswith(_MAGIC):
        return None
    words = dict(
        word.split("=", 1) for word in raw[len(_MAGIC) :].partition(b"\n")[0].decode().split()
    )

    def listed(key: str) -> tuple[str, ...]:
        return tuple(part for part in words.get(key, "").split(":") if part)

    return ElfDynamic(
        soname=words.get("soname"),
        needed=listed("needed"),
        rpath=listed("rpath"),
        runpath=listed("runpath"),
        interpreter=words.get("interpreter"),
        machine=words.get("machine", "x86_64"),
        bits=int(words.get("bits", "64")),
        little=True,
        kind=words.get("kind", "shared"),
        python_inits=frozenset(listed("inits")),
    )


def linked_stack(
    layers: dict[str, dict[str, Contents]], *, platform: str = "linux_x86_64"
) -> VirtualStack:
    """A stack whose wrappers look into the ``dynlib`` folders of the layers below."""
    made = make_stack(layers, platform=platform)
    below = tuple(
        replace(layer, dynlib_dirs=tuple(f"{name}/share/venv/dynlib" for name in layer.requires))
        for layer in made.stack
    )
    return VirtualStack(replace(made.stack, layers=below), made.inventory, made.read)


def linkage_of(made: VirtualStack) -> Linkage:
    """The graph of a make-believe stack."""
    return Linkage.build(made.stack, made.inventory, made.read, read_fake)


def record_of(inventory: Inventory, deployed: str) -> FileRecord:
    """A record by its deployed path."""
    return inventory.by_deployed_path[deployed]
