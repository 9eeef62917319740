"""The way back from a run: guards in layers that lose modules, and rest packs beside the set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from slim.analysis.facts import Facts
from slim.errors import ConfigError, SlimError
from slim.formats.base import WriteOptions
from slim.formats.digests import sha256_of
from slim.guard.canary import CanaryFiles
from slim.guard.files import GuardFiles
from slim.guard.rest_pack import full_digest, fuller, write_packs
from slim.inventory.located import Located
from slim.model.context import RunContext
from slim.model.guard import REST_FOLDER
from slim.model.outcome import RestPack
from slim.model.rule import Safety
from slim.model.settings import RestPolicy
from slim.model.stack import Layer, Stack, StackKind
from slim.pipeline.prepare import RunRequest, edited_stack
from slim.plan.planned import PlannedStack
from slim.plan.planner import Planner
from slim.publish.notes import SLIM_KEY
from slim.traces.risk import leave_one_out, risk_sentences

PACKS_KEY = "rest_packs"
"""Key of the note in the manifest that names a layer's rest packs."""


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """A planned stack with its guards, and its rest packs by layer.

    ``files`` are those packs where they lie now, by their paths below the set.
    """

    planned: PlannedStack
    packs: Mapping[str, tuple[RestPack, ...]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


def check_way_back(request: RunRequest, located: Located) -> None:
    """Raise ConfigError for rest packs of a stack without a manifest to name them."""
    if request.canary and (request.keep_removed is not None or request.symbols is not None):
        raise ConfigError(
            "a canary removes nothing that could be kept",
            hint="leave out --keep-removed and --symbols",
        )
    if request.config.rest_pack not in (None, RestPolicy.NONE) and not _can_name(located.stack):
        raise ConfigError(
            "rest packs are named in a manifest, and this stack has none",
            file=request.source,
            hint="--keep-removed keeps originals of any folder or archive",
        )


def _can_name(stack: Stack) -> bool:
    """Return whether a stack has a manifest, which can name rest packs."""
    return stack.kind in (StackKind.PUBLISHED, StackKind.EXPORT) and stack.manifest_name is not None


def with_guards(request: RunRequest, planned: PlannedStack, facts: Facts) -> PlannedStack:
    """Return the stack with guards in the layers that lose modules, where they are wanted.

    For a canary nothing goes, and the layers watch what would have gone.
    """
    if request.canary:
        watching = CanaryFiles(index=facts.module_index, plan=planned.plan)
        plan = replace(planned.plan, actions={})
        return replace(planned, plan=plan, edited={}, checks=(), additions=watching)
    if facts.guidance is not None and request.config.is_guided:
        notes = risk_sentences(leave_one_out(facts.guidance.trace))
        planned = replace(planned, plan=replace(planned.plan, notes=(*planned.plan.notes, *notes)))
    if not request.config.has_guard:
        return planned
    return replace(planned, additions=GuardFiles(index=facts.module_index))


def with_rest_packs(
    request: RunRequest, planned: PlannedStack, planner: Planner, context: RunContext
) -> WayBack:
    """Write the rest packs that are wanted, and find those of earlier runs.

    Raises StorageError.
    """
    stack = planned.loaded.stack
    policy = request.config.rest_packs if _can_name(stack) else RestPolicy.NONE
    earlier = {layer.name: tuple(_earlier(layer, stack)) for layer in stack}
    packs = {name: tuple(pack for pack, _ in found) for name, found in earlier.items()}
    files = {pack.archive: place for found in earlier.values() for pack, place in found}
    rules = {rule.id: rule for rule in request.config.rules}
    full = fuller(
        planned,
        policy,
        rules,
        standard=lambda: planner.plan_up_to(Safety.STANDARD),
        edited=lambda plan: edited_stack(planned.loaded, plan, planned.layers),
    )
    if full is not None:
        context.progress.stage("Writing rest packs", total=None)
        folder = Path(tempfile.mkdtemp(prefix="rest.", dir=context.spool_dir))
        with ThreadPoolExecutor(max_workers=context.workers) as pool:
            options = WriteOptions(executor=pool, workers=context.workers)
            written = write_packs(planned, full, folder, options, taken=files)
        if isinstance(planned.additions, GuardFiles):
            hashes = {one.layer: f"{one.pack.sha256} {one.pack.size}" for one in written}
            planned = replace(planned, additions=replace(planned.additions, packs=hashes))
        for one in written:
            digest = full_digest(full, one.layer, planned.added.get(one.layer, ()))
            pack = replace(one.pack, tree_sha256=digest)
            packs[one.layer] = (pack, *packs[one.layer])
            files[pack.archive] = one.place
    return WayBack(
        planned=_with_warnings(planned, files),
        packs={name: found for name, found in packs.items() if found},
        files=files,
    )


def pack_note(packs: tuple[RestPack, ...]) -> dict[str, object]:
    """Part of the note in the manifest about a layer's rest packs; empty without any."""
    if not packs:
        return {}
    return {
        PACKS_KEY: [
            {
                "archive": pack.archive,
                "size": pack.size,
                "sha256": pack.sha256,
                "files": pack.files,
                "unpacked_size": pack.unpacked,
                "tree_sha256": pack.tree_sha256,
            }
            for pack in packs
        ]
    }


def _earlier(layer: Layer, stack: Stack) -> Iterator[tuple[RestPack, Path]]:
    """Yield rest packs that the layer's note names and that lie beside the stack, unchanged."""
    note = layer.entry.get(SLIM_KEY)
    named = note.get(PACKS_KEY) if isinstance(note, dict) else None
    for row in named if isinstance(named, list) else ():
        pack = _parsed(row)
        if pack is None:
            continue
        place = Path(stack.source, pack.archive)
        try:
            is_same = place.is_file() and sha256_of(place) == pack.sha256
        except SlimError:
            is_same = False
        if is_same:
            yield pack, place


def _parsed(row: object) -> RestPack | None:
    """Return a rest pack as a note names it; None for anything that slim doesn't write."""
    if not isinstance(row, dict):
        return None
    archive, sha256, digest = row.get("archive"), row.get("sha256"), row.get("tree_sha256")
    sizes = [row.get(key) for key in ("size", "files", "unpacked_size")]
    folder, _, name = archive.partition("/") if isinstance(archive, str) else ("", "", "")
    if (
        folder != REST_FOLDER
        or not name
        or "/" in name
        or "\\" in name
        or name in (".", "..")
        or not isinstance(sha256, str)
        or not isinstance(digest, str)
        or not all(type(size) is int for size in sizes)
    ):
        return None
    size, files, unpacked = (int(str(size)) for size in sizes)
    return RestPack(
        archive=f"{folder}/{name}",
        size=size,
        sha256=sha256,
        files=files,
        unpacked=unpacked,
        tree_sha256=digest,
    )


def _with_warnings(planned: PlannedStack, files: Mapping[str, Path]) -> PlannedStack:
    """Return the stack with a warning for each rest pack of an earlier run that isn't there."""
    missing = [
        f"{layer.name}: its note names a rest pack that isn't beside the stack as it was written: "
        f"{row['archive']}"
        for layer in planned.loaded.stack
        for row in _noted(layer)
        if str(row["archive"]) not in files
    ]
    if not missing:
        return planned
    plan = replace(planned.plan, warnings=(*planned.plan.warnings, *missing))
    return replace(planned, plan=plan)


def _noted(layer: Layer) -> Iterator[Mapping[str, object]]:
    note = layer.entry.get(SLIM_KEY)
    named = note.get(PACKS_KEY) if isinstance(note, dict) else None
    for row in named if isinstance(named, list) else ():
        if isinstance(row, dict) and isinstance(row.get("archive"), str):
            yield row
