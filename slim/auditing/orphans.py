"""Distributions that are left over, and import packages that are there twice.

Neither is ever taken by a rule: a person reads what is told here, and drops it or not.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from slim.analysis import ReadFile
from slim.auditing.mentions import is_code, size_by_owner, top_level
from slim.binaries import read_any_dynamic
from slim.model.audit import Orphan, ShadowedPackage, UnusedDistribution
from slim.model.record import Distribution, EntryType, Inventory, OwnerKind
from slim.model.stack import Layer, LayerKind, Stack
from slim.passes.packages import Requirements

_Key = tuple[str, str]
"""Layer and distribution."""


def orphans(
    stack: Stack, inventory: Inventory, read: ReadFile, unused: Iterable[UnusedDistribution]
) -> tuple[Orphan, ...]:
    """Return the distributions that nothing of the stack requires, imports, links or starts.

    The largest come first. Without an application nobody knows what is wanted: then there are none.
    """
    if all(layer.kind is not LayerKind.APPLICATION for layer in stack):
        return ()
    found = {
        (known.layer, known.name): known
        for installed in inventory.distributions.values()
        for known in installed.values()
        if not known.entry_points
    }
    lonely = {(row.layer, row.owner.name) for row in unused}
    sharing = Counter(name for known in found.values() for name in set(top_level(known)))
    launched = {layer.launch_module.partition(".")[0] for layer in stack if layer.launch_module}
    candidates: dict[_Key, tuple[str, ...]] = {}
    for key, known in found.items():
        names = set(top_level(known))
        if key in lonely:
            candidates[key] = ()
        elif names.isdisjoint(launched) and all(sharing[name] > 1 for name in names):
            candidates[key] = tuple(_parts_of_shared(known, names))
    candidates = _unmentioned(candidates, inventory, read)
    going = _unrequired(set(candidates), found, Requirements(stack, inventory))
    going -= _linked(going, found, inventory, read)
    going = _unrequired(going, found, Requirements(stack, inventory))
    sizes = size_by_owner(inventory)
    rows = []
    for layer, name in going:
        owner = found[layer, name].owner
        size, files = sizes.get((layer, owner), (0, 0))
        rows.append(Orphan(layer=layer, owner=owner, size=size, files=files))
    return tuple(sorted(rows, key=lambda row: (-row.size, row.layer, row.owner)))


def shadowed(stack: Stack, inventory: Inventory) -> tuple[ShadowedPackage, ...]:
    """Return import packages of a layer that every application finds in a layer above it first."""
    layers = {layer.name: layer for layer in stack}
    packages = {name: dict(_packages(layer, inventory)) for name, layer in layers.items()}
    chains = [
        (layer.name, *layer.requires) for layer in stack if layer.kind is LayerKind.APPLICATION
    ]
    sizes: dict[_Key, tuple[int, int]] = {}
    for name, mine in packages.items():
        for path, record in inventory.records.get(name, {}).items():
            for package, folder in mine.items():
                if path.startswith(folder):
                    size, files = sizes.get((name, package), (0, 0))
                    sizes[name, package] = (size + record.size, files + 1)
    rows = []
    for lower, mine in packages.items():
        seen_by = [chain[: chain.index(lower)] for chain in chains if lower in chain]
        for package in mine:
            above = [
                next((name for name in upper if package in packages.get(name, {})), None)
                for upper in seen_by
            ]
            if above and all(above):
                size, files = sizes.get((lower, package), (0, 0))
                rows.append(
                    ShadowedPackage(
                        package=package,
                        layer=lower,
                        above=tuple(sorted({name for name in above if name})),
                        size=size,
                        files=files,
                    )
                )
    return tuple(sorted(rows, key=lambda row: (-row.size, row.layer, row.package)))


def _packages(layer: Layer, inventory: Inventory) -> Iterator[tuple[str, str]]:
    """Yield the regular packages of a layer, with their folders."""
    for site in layer.site_dirs:
        prefix = f"{site}/" if site else ""
        for path in inventory.records.get(layer.name, {}):
            name, _, rest = path.removeprefix(prefix).partition("/")
            if path.startswith(prefix) and rest == "__init__.py" and name.isidentifier():
                yield name, f"{prefix}{name}/"


def _parts_of_shared(known: Distribution, names: Collection[str]) -> Iterator[str]:
    """Yield what a distribution has below packages that it shares, such as ``nvidia.cublas``."""
    site = posixpath.dirname(known.info_dir)
    prefix = f"{site}/" if site else ""
    seen = set()
    for path in known.files:
        first, _, rest = path.removeprefix(prefix).partition("/")
        second = rest.partition("/")[0].partition(".")[0]
        if second.isidentifier() and (first in names or not names) and first.isidentifier():
            seen.add(f"{first}.{second}")
    yield from sorted(seen)


def _unmentioned(
    candidates: Mapping[_Key, tuple[str, ...]], inventory: Inventory, read: ReadFile
) -> dict[_Key, tuple[str, ...]]:
    """Return the candidates of whose own parts no other distribution's code speaks."""
    left = dict(candidates)
    parts = {part: key for key, names in candidates.items() for part in names}
    if not parts:
        return left
    firsts = "|".join(sorted({re.escape(part.partition(".")[0]) for part in parts}))
    pattern = re.compile(rf"\b({firsts})(?:\.(\w+)|[ \t]+import[ \t]+([^\n]*))".encode())
    for record in inventory:
        if not is_code(record) or record.owner.kind is OwnerKind.RUNTIME:
            continue
        for match in pattern.finditer(bytes(read(record))):
            first = match[1].decode()
            words = re.findall(r"\w+", (match[2] or match[3]).decode(errors="replace"))
            for word in words:
                key = parts.get(f"{first}.{word}")
                if key is not None and key[1] != record.owner.name:
                    left.pop(key, None)
    return left


def _unrequired(
    going: set[_Key], found: Mapping[_Key, Distribution], requirements: Requirements
) -> set[_Key]:
    """Return the largest set of those that no distribution outside of the set requires."""
    while True:
        wanted = {key for key in going if requirements.on(found[key], going)}
        if not wanted:
            return going
        going = going - wanted


def _linked(
    going: set[_Key], found: Mapping[_Key, Distribution], inventory: Inventory, read: ReadFile
) -> set[_Key]:
    """Return those that hold a library which a native file of another distribution needs."""
    holding: dict[str, _Key] = {}
    for key in going:
        for path in found[key].files:
            name = posixpath.basename(path)
            if ".so" in name or name.endswith((".dylib", ".dll")):
                holding[name.lower()] = key
    linked: set[_Key] = set()
    for record in inventory if holding else ():
        if record.type is not EntryType.FILE or record.native is None:
            continue
        owner = (record.layer, record.owner.name)
        dynamic = read_any_dynamic(read(record)) if owner not in going else None
        for name in () if dynamic is None else dynamic.needed:
            holder = holding.get(posixpath.basename(name).lower())
            if holder is not None:
                linked.add(holder)
    return linked
