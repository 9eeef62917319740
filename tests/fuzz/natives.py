"""ELF, Mach-O and PE files: no exception, and an edit that the oracle accepts or none at all."""

from __future__ import annotations

from slim.binaries import describe, identify, read_any_dynamic
from slim.binaries.elf.edit import LEVELS, ElfEdit, plan_edit, read_dynamic
from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.binaries.gpu.read import read_gpu_code
from slim.binaries.macho.edit import LEVELS as MACHO_LEVELS
from slim.binaries.macho.edit import MachoEdit, plan_macho_edit, resign, thin
from slim.binaries.refusal import NotEditable
from slim.model.gpu import GpuForm
from slim.model.gpu_target import parse_target
from slim.model.record import NativeFormat
from slim.verification.native.elf import check as check_elf
from slim.verification.native.gpu import check as check_gpu
from slim.verification.native.macho import check as check_macho
from slim.verification.native.macho import check_layout


def hold_elf(data: bytes) -> ElfEdit | None:
    """The invariant; gives the last edit that was possible."""
    info, found = describe(data), identify(data)
    assert found is (None if info is None else info.format)
    read_dynamic(data)
    result = None
    for level in LEVELS:
        planned = plan_edit(data, level)
        if isinstance(planned, ElfEdit):
            edited = planned.data()
            assert len(edited) == planned.size_after
            assert check_elf(data, edited) == []
            result = planned
        else:
            assert planned.reason
    assert isinstance(check_elf(data, data), list)
    return result


def hold_macho(data: bytes) -> bool:
    """The invariant; gives whether anything was edited."""
    edited = False
    planned = [
        plan_macho_edit(data, level, machine)
        for level in MACHO_LEVELS
        for machine in (None, "aarch64")
    ]
    for plan in [*planned, thin(data, "x86_64")]:
        if isinstance(plan, MachoEdit):
            result = plan.data()
            assert len(result) == plan.size_after < len(data)
            # Images that are only taken out may be broken, as they were.
            problems = check_macho(data, result)
            assert problems == []
            edited = edited or not plan.notes
        else:
            assert plan.reason
    again = resign(data)
    assert isinstance(again, NotEditable) or len(again) == len(data)
    assert isinstance(check_layout(data), list)
    assert isinstance(check_macho(data, data), list)
    return edited


def elf(data: bytes) -> None:
    """The target."""
    hold_elf(data)
    read_any_dynamic(data)


def macho(data: bytes) -> None:
    """The target: the first byte says whether the page hashes are made right first."""
    body = data[1:]
    if data[:1] > b"\x40":
        again = resign(body)
        body = again if isinstance(again, bytes) else body
    hold_macho(body)
    read_any_dynamic(body)


def pe(data: bytes) -> None:
    """The target. PE files are never edited, only described."""
    info = describe(data)
    assert data[:2] != b"MZ" or info is None or info.format is NativeFormat.PE
    found = read_any_dynamic(data)
    if found is not None and found.needed:
        assert all(isinstance(name, str) and name for name in found.needed)


def gpu(data: bytes) -> None:
    """The target: containers and entries lie in the file, in order, and don't overlap."""
    code = read_gpu_code(data)
    if code is None:
        return
    assert all(damage.reason for damage in code.damage)
    assert all(0 <= block.offset <= len(data) - block.size for block in code.blocks)
    for container in code.containers:
        assert 0 <= container.offset < container.end <= len(data)
        at = container.offset
        for entry in container.entries if container.form is GpuForm.FATBIN else ():
            assert entry.offset >= at
            assert entry.stored_size <= entry.padded_size
            at = entry.offset + entry.bytes_in_file
        assert at <= container.end
    for section in code.sections:
        inside = [one for one in code.containers if one.section == section.name]
        assert section.offset + section.size <= len(data)
        for start, size in section.gaps:
            assert section.offset <= start < start + size <= section.offset + section.size
        assert len(inside) <= len(data)


def gpu_edit(data: bytes) -> None:
    """The target: an edit that the oracle accepts, or none at all."""
    for level, again in (("none", False), ("unneeded", True)):
        planned = plan_gpu_edit(data, [parse_target("sm_90")], level, recompress=again)
        if isinstance(planned, GpuEdit):
            edited = planned.recipe.whole(data)
            assert len(edited) == planned.size_after < len(data)
            assert check_gpu(data, edited) == []
        else:
            assert planned.reason
    assert isinstance(check_gpu(data, data), list)
