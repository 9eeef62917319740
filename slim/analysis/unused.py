"""Files that no traced run used: judged one by one, by what traces tell and what they can't.

A module that a run imported, or that anything read, is used. Of what is left, it may only go where
the traces would have seen it: its version was traced on this platform with the install step, no
computed import may mean it, and nobody listed its folder and read what lies there. Imports of what
stays are for the import proof.

Sources: the Python documentation of ``codecs`` (lookup by name) and ``importlib``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from slim.analysis.families import OpenFamily
from slim.analysis.imports.modules import Module, dotted
from slim.model.finding import Evidence
from slim.model.guided import Guidance
from slim.model.plan import SkipReason
from slim.model.record import FileKind, FileRecord, Owner, OwnerKind
from slim.model.stack import Layer
from slim.model.trace import Uses, layer_key, platform_key, traced_path

_CODECS = "encodings."
_MODULES = frozenset({FileKind.PYTHON, FileKind.EXTENSION, FileKind.TESTS})
_DATA = frozenset({FileKind.DATA, FileKind.LOCALE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """Verdict that nothing used a file. ``evidence`` says what the traces tell."""

    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """Verdict that an unused file stays, with the reason."""

    reason: SkipReason
    evidence: Evidence


Verdict = Unused | Stays | None
"""None for a file that was used, and for one that traces tell nothing about."""


@dataclass(frozen=True, kw_only=True)
class LayerUses:
    """Facts of one layer that traces tell.

    ``obstacle`` is why nothing in it may go, if anything is against that. ``uses`` are those of
    each owner; an owner that isn't there was never traced in this version. ``known`` are the
    versions that were traced, by name. ``families`` are the open starts of computed names, each
    with a place. ``natives`` says whether access times tell what native code read.
    """

    layer: Layer
    platform: str
    """Key of its platform in traces."""
    uses: Mapping[Owner, Uses] = field(default_factory=dict)
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    modules: Collection[str] = frozenset()
    """Dotted names of all modules that any run imported, in any layer."""
    families: Mapping[str, OpenFamily] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    needed: Collection[str] = frozenset()
    """Dotted names of modules that what the run itself adds to layers imports."""
    natives: bool = False
    obstacle: str | None = None
    runs: str = ""
    """Names of the runs, for people."""


def layer_uses(
    guidance: Guidance, layer: Layer, static: Mapping[str, OpenFamily] | None = None
) -> LayerUses:
    """Gather what traces tell of a layer. ``static`` are starts of computed names in its code."""
    trace, platform = guidance.trace, platform_key(layer.platform)
    name = layer_key(layer)
    uses = {owner: found for (key, owner), found in trace.uses.items() if key == name}
    known: dict[str, list[str]] = {}
    for owner in sorted(uses):
        known.setdefault(owner.name, []).append(owner.version)
    return LayerUses(
        layer=layer,
        platform=platform,
        uses=uses,
        known={owner: tuple(versions) for owner, versions in known.items()},
        modules=frozenset(module for found in trace.uses.values() for module in found.modules),
        families=known_families(guidance, static or {}),
        closed=guidance.closed,
        needed=guidance.needed,
        natives=trace.natives_known(platform),
        obstacle=_obstacle(guidance, layer, platform),
        runs=", ".join(sorted(trace.runs)),
    )


def known_families(
    guidance: Guidance, static: Mapping[str, OpenFamily]
) -> Mapping[str, OpenFamily]:
    """Return the open starts of computed names: those in code that stays, and those of the runs.

    What runs computed may be any name with that start, unless the code of each such place tells
    that it is one component, or lists the names, and runs imported nothing else there.
    """
    families = dict(static)
    listed = _listed_at(static)
    for prefix, computed in guidance.trace.families.items():
        known = static.get(prefix)
        places = [
            place
            for place, members in computed.items()
            if place not in listed or not listed[place].issuperset(members)
        ]
        if computed and not places:
            continue
        if known is None or (known.single and not known.single_places.issuperset(places)):
            text = f"runs computed names that start with {prefix}"
            families[prefix] = OpenFamily(evidence=Evidence(kind="family", text=text))
    return families


def _listed_at(static: Mapping[str, OpenFamily]) -> Mapping[str, frozenset[str]]:
    """Return the names that code lists at each place where it means nothing else."""
    found: dict[str, set[str]] = {}
    others: set[str] = set()
    for name, family in static.items():
        if name.endswith("."):
            others |= family.places
        else:
            for place in family.places:
                found.setdefault(place, set()).add(name)
    return {place: frozenset(names) for place, names in found.items() if place not in others}


def family_of(
    names: Collection[str], families: Mapping[str, OpenFamily], closed: tuple[str, ...]
) -> Evidence | None:
    """Return the longest open start that a module of these names may be meant by, as evidence."""
    for name in names:
        if name.startswith(closed):
            continue
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            prefix = ".".join(parts[:length]) + "."
            family = families.get(name if length == len(parts) else prefix)
            if family is not None and (not family.single or length >= len(parts) - 1):
                found = family.evidence
                if length == len(parts):
                    prefix = f"{name.rpartition('.')[0]}."
                text = f'{found.text}; [guided.families] "{prefix}" = "traced" keeps only what '
                return replace(found, text=f"{text}runs used")
    return None


def _obstacle(guidance: Guidance, layer: Layer, platform: str) -> str | None:
    trace = guidance.trace
    if platform not in trace.platforms:
        traced = ", ".join(sorted(trace.platforms)) or "none"
        return f"no run was traced on {platform} (the traces are of {traced})"
    if platform not in trace.installed_on():
        return f"the traces hold no install step on {platform}"
    if layer.name in guidance.unstarted:
        return "no [[verify.command]] starts every application that uses this layer"
    return None


def judge(record: FileRecord, modules: Collection[Module], layer: LayerUses) -> Verdict:
    """Judge one file of a layer, which can be imported as ``modules``."""
    data = record.kind in _DATA and record.owner.kind is OwnerKind.DISTRIBUTION
    names = tuple(dotted(module.name) for module in modules if module.rooted)
    if not data and (not names or record.kind not in _MODULES):
        return None
    if record.owner.kind is OwnerKind.UNOWNED:
        text = "it belongs to no distribution, so no version tells whether it was traced"
        return None if data else _stays(SkipReason.UNTRACED, text)
    if layer.obstacle is not None:
        return _stays(SkipReason.UNTRACED, layer.obstacle)
    uses = layer.uses.get(record.owner)
    if uses is None:
        versions = ", ".join(layer.known.get(record.owner.name, ())) or "none"
        text = f"{record.owner.label} was never traced in this layer (traced: {versions})"
        return _stays(SkipReason.UNTRACED, text)
    if _is_used(record, names, uses, layer):
        return None
    if any(name in layer.needed for name in names):
        return _stays(SkipReason.NEEDED, "the guard of the layers unpacks rest packs with it")
    against = _data(record, layer) if data else _against(record, names, uses, layer)
    if against is not None:
        return against
    text = (
        f"no traced run imported {names[0]} or read it ({layer.runs}); a run that does, traced "
        "again, or a keep glob keeps it"
    )
    return Unused(evidence=Evidence(kind="trace", text=text))


def never_loaded(record: FileRecord, layer: LayerUses) -> bool:
    """Return whether traces can vouch for a library of a distribution, and no run opened it."""
    path = traced_path(layer.layer, record.path)
    return (
        layer.natives
        and layer.obstacle is None
        and record.owner.kind is OwnerKind.DISTRIBUTION
        and record.owner in layer.uses
        and not any(
            path in uses.read or (layer.platform, path) in uses.natives
            for uses in layer.uses.values()
        )
    )


def _is_used(record: FileRecord, names: Collection[str], uses: Uses, layer: LayerUses) -> bool:
    path = traced_path(layer.layer, record.path)
    return (
        any(name in layer.modules for name in names)
        or path in uses.read
        or (layer.platform, path) in uses.natives
    )


def used_by(
    record: FileRecord, modules: Collection[Module], layer: Layer, guidance: Guidance
) -> Evidence | None:
    """Return which runs imported or read a file, as evidence; None where none did."""
    names = {dotted(module.name) for module in modules if module.rooted}
    path = traced_path(layer, record.path)
    platform = platform_key(layer.platform)
    imported: set[str] = set()
    read: set[str] = set()
    for (key, _), uses in guidance.trace.uses.items():
        for name in names:
            imported |= uses.modules.get(name, frozenset())
        if key == layer_key(layer):
            read |= uses.read.get(path, frozenset())
            read |= uses.natives.get((platform, path), frozenset())
    uses_of_runs = [
        f"{verb} by {', '.join(sorted(runs))}"
        for verb, runs in (("imported", imported), ("read", read))
        if runs
    ]
    if not uses_of_runs:
        return None
    return Evidence(kind="trace", text=f"traced runs: {'; '.join(uses_of_runs)}")


def _data(record: FileRecord, layer: LayerUses) -> Verdict:
    seen = "no traced run opened it, but" if layer.natives else "no trace has access times, and"
    return _stays(SkipReason.DATA, f"{seen} data is no module: only `drop` or a rule takes it")


def _against(
    record: FileRecord, names: Collection[str], uses: Uses, layer: LayerUses
) -> Stays | None:
    """Return what speaks against a module that no run used; None where nothing does."""
    if record.owner.kind is OwnerKind.DISTRIBUTION and not uses.modules:
        text = f"no run imported any of {record.owner.label}: list it under `drop`, or keep all"
        return _stays(SkipReason.WHOLE, text)
    if any(f"{name}.".startswith(_CODECS) for name in names):
        return _stays(SkipReason.FAMILY, "codecs are looked up by name")
    family = family_of(names, layer.families, layer.closed)
    if family is not None:
        return Stays(reason=SkipReason.FAMILY, evidence=family)
    folder = posixpath.dirname(traced_path(layer.layer, record.path))
    if folder in uses.folders and any(posixpath.dirname(path) == folder for path in uses.read):
        text = "a run listed its folder and read files there"
        return _stays(SkipReason.READ, text)
    if record.kind is FileKind.EXTENSION and not layer.natives:
        text = f"no trace on {layer.platform} has access times, which tell of native files"
        return _stays(SkipReason.UNTRACED, text)
    return None


def _stays(reason: SkipReason, text: str) -> Stays:
    return Stays(reason=reason, evidence=Evidence(kind="trace", text=text))
