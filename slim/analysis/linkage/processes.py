"""Processes that the layers of a stack start, and where each looks for libraries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from slim.analysis.linkage.loader import Process
from slim.analysis.linkage.loaders import LOADERS
from slim.analysis.linkage.virtual_tree import VirtualTree
from slim.binaries.base import Dynamic
from slim.model.record import FileKey, Inventory
from slim.model.stack import Layer, Stack, System


def processes_of(
    stack: Stack, inventory: Inventory, dynamics: Mapping[FileKey, Dynamic], tree: VirtualTree
) -> Iterator[Process]:
    """Every process, in the order of the layers that start them."""
    for layer in stack:
        yield from _starts(_process(stack, layer, inventory, dynamics, tree), layer)


def _starts(process: Process, layer: Layer) -> tuple[Process, ...]:
    """The ways in which a layer's program may be started.

    Signed programs of macOS ignore ``DYLD_LIBRARY_PATH`` unless an entitlement allows it (hardened
    runtime), so libraries have to be found without it, too.
    """
    if layer.platform.system is System.MACOS and process.library_path:
        return process, replace(process, library_path=())
    return (process,)


def _process(
    stack: Stack,
    layer: Layer,
    inventory: Inventory,
    dynamics: Mapping[FileKey, Dynamic],
    tree: VirtualTree,
) -> Process:
    layers = (layer.name, *layer.requires)
    programs: dict[str, None] = {}
    found: list[tuple[Dynamic, str, bool]] = []
    for below in layers:
        for path, record in inventory.records.get(below, {}).items():
            # The interpreter, or the libpython that opens extension modules for it.
            if not path.rpartition("/")[2].startswith(("python", "libpython")):
                continue
            target = tree.file(record.deployed_path)
            dynamic = None if target is None else dynamics.get(target.key)
            if dynamic is None:
                continue
            folder = record.deployed_path.rpartition("/")[0]
            if dynamic.kind == "executable":
                programs[folder] = None
            found.append((dynamic, folder, record is not target))
    run_paths = (
        path
        for dynamic, folder, linked in found
        for path in LOADERS[dynamic.format].run_paths(dynamic, folder, tuple(programs), linked)
    )
    return Process(
        layer=layer.name,
        layers=layers,
        library_path=layer.dynlib_dirs,
        base_rpaths=tuple(dict.fromkeys(run_paths)),
        programs=tuple(programs),
    )
