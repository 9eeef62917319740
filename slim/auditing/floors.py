"""The oldest systems that a stack runs on, and the files that ask for them."""

from __future__ import annotations

import posixpath
from collections import defaultdict

from slim.analysis import ReadFile
from slim.auditing.natives import natives
from slim.binaries import read_floors
from slim.binaries.base import UNKNOWN_MACHINE
from slim.model.floor import FloorAsked, PlatformFloor, Runtime, StackFloor
from slim.model.record import FileRecord, Inventory
from slim.model.stack import Platform, Stack, System

_ANY_MACHINE = (UNKNOWN_MACHINE, "universal2")


def floors(stack: Stack, inventory: Inventory, read: ReadFile) -> tuple[StackFloor, ...]:
    """The newest version of each runtime that a file of the stack asks for, by machine.

    Files that the platform of their layer can't run anyway don't count, nor does what the stack
    brings itself (a libstdc++ of its own).
    """
    platforms = {layer.name: layer.platform for layer in stack}
    brought = {posixpath.basename(record.path) for record in inventory}
    asked: dict[tuple[Runtime, str], list[tuple[PlatformFloor, FileRecord]]] = defaultdict(list)
    for record in natives(inventory):
        for floor in read_floors(read(record)):
            if _counts(floor, platforms[record.layer]) and floor.library not in brought:
                asked[floor.runtime, floor.machine].append((floor, record))
    return tuple(
        _highest(runtime, machine, asked[runtime, machine])
        for runtime in Runtime
        for machine in sorted({machine for which, machine in asked if which is runtime})
    )


def _counts(floor: PlatformFloor, platform: Platform) -> bool:
    if platform.system is System.UNKNOWN:
        return True
    if floor.runtime.system is not platform.system:
        return False
    return platform.machine in _ANY_MACHINE or floor.machine in (platform.machine, UNKNOWN_MACHINE)


def _highest(
    runtime: Runtime, machine: str, asked: list[tuple[PlatformFloor, FileRecord]]
) -> StackFloor:
    version = max(floor.version for floor, _ in asked)
    by_place = sorted(asked, key=lambda row: row[1].key)
    return StackFloor(
        runtime=runtime,
        machine=machine,
        version=version,
        asked_by=tuple(
            FloorAsked(record=record, needs=floor.needs, symbols=floor.symbols)
            for floor, record in by_place
            if floor.version == version
        ),
        files=len({record.key for _, record in asked}),
    )
