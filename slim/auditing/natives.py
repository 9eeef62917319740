"""Native code that the target platform can't run, and parts that only debuggers read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slim.analysis import ReadFile
from slim.binaries import TITLES, describe
from slim.binaries.base import UNKNOWN_MACHINE, NativeInfo
from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.binaries.gpu.read import read_gpu_code
from slim.binaries.macho.fat import is_fat, read_fat
from slim.binaries.refusal import Refused
from slim.model.audit import ForeignCode, Unstripped
from slim.model.gpu_audit import architecture_order
from slim.model.record import EntryType, FileRecord, Inventory, NativeFormat
from slim.model.stack import Layer, Stack, System

_LEVEL = "unneeded"


def natives(inventory: Inventory) -> Iterator[FileRecord]:
    """Native files."""
    return (
        record
        for record in inventory
        if record.native is not None and record.type is EntryType.FILE
    )


def headers_text(view: memoryview) -> str:
    """Summary of a native file's headers: ``PE for windows on x86_64, signed, .NET``.

    A file with GPU code also tells the architectures that it is for.
    """
    info = describe(view)
    if info is None or info.format not in TITLES:
        return ""
    machines = ", ".join(info.machines or (info.machine,))
    facts = [f"{TITLES[info.format]} for {info.system.value} on {machines}"]
    facts += ["signed"] * info.signed + [".NET"] * info.clr
    return ", ".join([*facts, *_gpu_text(view)])


def _gpu_text(view: memoryview) -> list[str]:
    """Summary of a file's GPU code: ``GPU code for sm_90 (cubin), sm_90 (ptx)``."""
    code = read_gpu_code(view)
    if code is None:
        return []
    found = {(entry.kind, entry.architecture) for entry in code.entries}
    found |= {(block.kind, "") for block in code.blocks}
    names = [
        f"{architecture} ({kind.value})" if architecture else kind.value
        for kind, architecture in sorted(found, key=lambda one: architecture_order(*one))
    ]
    return [f"GPU code for {', '.join(names)}"] if names else []


def foreign(stack: Stack, inventory: Inventory, read: ReadFile) -> tuple[ForeignCode, ...]:
    """Native code for another system or machine than its layer's platform, the largest first."""
    layers = {layer.name: layer for layer in stack}
    rows = [
        code
        for record in natives(inventory)
        for code in _foreign(layers[record.layer], record, read(record))
    ]
    return tuple(sorted(rows, key=lambda code: (-code.size, code.record.key, code.what)))


def _foreign(layer: Layer, record: FileRecord, view: memoryview) -> Iterable[ForeignCode]:
    platform = layer.platform
    info = describe(view)
    if info is None or platform.system is System.UNKNOWN or info.system is System.UNKNOWN:
        return
    if info.clr:
        return  # .NET runs it on any platform
    if info.system is platform.system and platform.machine == "universal2":
        return
    if info.system is platform.system and len(info.machines) > 1:
        yield from _slices(record, view, platform.machine)
        return
    if info.system is not platform.system or _other_machine(info, platform.machine):
        what = f"{info.system.value} {'+'.join(info.machines) or info.machine}"
        yield ForeignCode(record=record, what=what, size=record.size, whole=True)


def _other_machine(info: NativeInfo, machine: str) -> bool:
    return UNKNOWN_MACHINE not in (info.machine, machine) and info.machine != machine


def _slices(record: FileRecord, view: memoryview, machine: str) -> Iterable[ForeignCode]:
    try:
        slices = read_fat(view) if is_fat(view) else ()
    except Refused:
        return
    others = [other for other in slices if not other.runs_on(machine)]
    for other in others:
        yield ForeignCode(
            record=record,
            what=f"macos {other.machine}",
            size=other.size,
            whole=len(others) == len(slices) == 1,
        )


def unstripped(inventory: Inventory, read: ReadFile) -> tuple[Unstripped, ...]:
    """Native files that stripping makes smaller, the largest gain first.

    Files that can't be edited safely are left out: what they hold isn't known well enough.
    """
    rows = []
    for record in natives(inventory):
        saved = _strippable(record, read)
        if saved > 0:
            rows.append(Unstripped(record=record, saved=saved))
    return tuple(sorted(rows, key=lambda row: (-row.saved, row.record.key)))


def _strippable(record: FileRecord, read: ReadFile) -> int:
    if record.native is NativeFormat.ELF:
        elf = plan_edit(read(record), _LEVEL)
        return record.size - elf.size_after if isinstance(elf, ElfEdit) else 0
    if record.native is NativeFormat.MACHO:
        # Not before there is a Mach-O file: it brings macholib.
        from slim.binaries.macho.edit import MachoEdit, plan_macho_edit

        macho = plan_macho_edit(read(record), _LEVEL)
        return record.size - macho.size_after if isinstance(macho, MachoEdit) else 0
    return 0
