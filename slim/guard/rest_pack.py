"""Rest packs: what a run took from a layer, as an archive to be unpacked over it.

Always ``tar.xz``, which the standard library of Python reads, compressed by default effort: its
SHA-256 stands in the guard's table of the layer, whose bytes mustn't depend on how hard the run
compresses. It is written below the layer's name, as the layer's own archive is.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from slim.formats import archive_stem, format_by_name, write_archive
from slim.formats.base import Content, Member, WriteOptions
from slim.formats.digests import digest_of, sha256_of, tree_digest
from slim.model.finding import Evidence
from slim.model.guard import REST_FOLDER
from slim.model.outcome import RestPack
from slim.model.plan import Plan, Remove, Rewrite
from slim.model.record import EntryType, FileKey
from slim.model.rule import Rule, Safety
from slim.model.settings import RestPolicy
from slim.model.stack import Layer
from slim.plan.planned import PlannedStack

FORMAT = format_by_name("tar.xz")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPack:
    """A rest pack of a layer, and the file in the staging folder that holds it."""

    layer: str
    pack: RestPack
    place: Path


def fuller(
    planned: PlannedStack,
    policy: RestPolicy,
    rules: Mapping[str, Rule],
    standard: Callable[[], Plan],
    edited: Callable[[Plan], PlannedStack],
) -> PlannedStack | None:
    """Return the stack as it is once its rest packs are unpacked, or None if nothing comes back.

    ``standard`` makes the plan of the profile ``standard``, where it is needed; ``edited`` carries
    a plan out.
    """
    if policy is RestPolicy.ALL and planned.plan.actions:
        plan = replace(planned.plan, actions={})
        return replace(planned, plan=plan, edited={}, additions=None)
    beyond = set(_beyond(planned.plan, rules)) if policy is RestPolicy.INFERRED else set()
    if not beyond:
        return None
    back = dict(_coming_back(planned.plan, standard(), beyond))
    if not back:
        return None
    why = (Evidence(kind="rest", text="its rest pack brings it back"),)
    fuller = replace(planned, additions=None).without(dict.fromkeys(back, why))
    rewrites = {key: action for key, action in back.items() if action is not None}
    return fuller.with_actions(edited(replace(planned.plan, actions=rewrites)))


def _beyond(plan: Plan, rules: Mapping[str, Rule]) -> Iterator[FileKey]:
    """Yield what rules beyond the profile ``standard`` took, or took because of traces."""
    for key, action in plan.actions.items():
        rule = rules.get(action.rule)
        bold = rule is not None and rule.safety > Safety.STANDARD
        if bold or any(piece.kind == "trace" for piece in action.evidence):
            yield key


def _coming_back(
    plan: Plan, standard: Plan, beyond: Container[FileKey]
) -> Iterator[tuple[FileKey, Rewrite | None]]:
    """Yield the files that a rest pack brings back, each with what ``standard`` does to it.

    Among them is what rules of ``standard`` could only take since what needed it went as well:
    matplotlib's backend for Tk holds ``tkinter``; once no run used it, ``tkinter`` goes, too.
    """
    for key, action in sorted(plan.actions.items()):
        plain = standard.actions.get(key)
        if isinstance(plain, Remove):
            continue
        same = plain is not None and isinstance(action, Rewrite) and action.edit == plain.edit
        if isinstance(action, Remove) or (key in beyond and not same):
            yield key, plain


def rest_members(planned: PlannedStack, full: PlannedStack, layer: str) -> tuple[Member, ...]:
    """Return what has to be unpacked over a layer of ``planned`` to make it that of ``full``.

    Sorted by name. A hard link becomes a file: its target need not be among them.
    """
    now = {member.path: member for member in planned.members_of(layer)}
    own, wanted = planned.digests(layer), full.digests(layer)
    members = full.members_of(layer)
    contents = {member.path: member.content for member in members}
    found = [
        _as_file(member, contents)
        for member in members
        if member.path and not _is_same(member, now.get(member.path), own, wanted)
    ]
    return tuple(sorted(found, key=lambda member: member.path))


def _is_same(
    member: Member, now: Member | None, own: Mapping[str, str], wanted: Mapping[str, str]
) -> bool:
    if now is None or now.type is not member.type:
        return False
    if member.type is EntryType.HARDLINK:
        target, other = member.link_target or "", now.link_target or ""
        return target == other and own.get(other) == wanted.get(target)
    return (now.mode, now.link_target, own.get(now.path)) == (
        member.mode,
        member.link_target,
        wanted.get(member.path),
    )


def _as_file(member: Member, contents: Mapping[str, Content | None]) -> Member:
    if member.type is not EntryType.HARDLINK:
        return member
    content = contents[member.link_target or ""]
    assert content is not None
    return replace(
        member, type=EntryType.FILE, link_target=None, content=content, size=content.size
    )


def write_packs(
    planned: PlannedStack,
    full: PlannedStack,
    folder: Path,
    options: WriteOptions,
    taken: Container[str] = (),
) -> tuple[WrittenPack, ...]:
    """Write the rest pack of each layer that has one into ``folder``.

    ``taken`` are paths below the set that packs of earlier runs have. Raises StorageError.
    """
    packs: list[WrittenPack] = []
    for layer in planned.loaded.stack:
        members = rest_members(planned, full, layer.name)
        if not members:
            continue
        place = folder / pack_name(layer, taken)
        machine = replace(options, machine=layer.platform.machine)
        write_archive(FORMAT, iter(members), layer.name, place, machine)
        pack = RestPack(
            archive=f"{REST_FOLDER}/{place.name}",
            size=place.stat().st_size,
            sha256=sha256_of(place),
            files=sum(member.type is not EntryType.DIRECTORY for member in members),
            unpacked=sum(member.size for member in members),
        )
        packs.append(WrittenPack(layer=layer.name, pack=pack, place=place))
    return tuple(packs)


def pack_name(layer: Layer, taken: Container[str] = ()) -> str:
    """Return the file name of a layer's rest pack: tags of the archive's name are in it."""
    stem = archive_stem(layer.archive.name) if layer.archive else layer.name
    names = (f"{stem}.rest{number}{FORMAT.suffixes[0]}" for number in chain([""], count(2)))
    return next(name for name in names if f"{REST_FOLDER}/{name}" not in taken)


def full_digest(full: PlannedStack, layer: str, added: Iterable[Member]) -> str:
    """Return the tree digest of a layer once its rest pack is unpacked; ``added`` is its guard."""
    added = tuple(added)
    digests = full.digests(layer)
    for member in added:
        if member.content is not None:
            digests[member.path] = digest_of(member.content).hex()
    paths = {member.path for member in added}
    rest = (member for member in full.members_of(layer) if member.path not in paths)
    return tree_digest((*rest, *added), digests)
