"""The second half of a run: what a plan makes of each layer is checked, written, read back and noted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from slim import __version__
from slim.accounts import footprints
from slim.apply import new_members, tree_digest
from slim.formats.base import ReadOptions
from slim.model.footprint import Footprint
from slim.model.outcome import Check, LayerOutcome
from slim.model.progress import Progress
from slim.model.stack import Layer
from slim.prepared import Prepared, RunRequest
from slim.verify.published import compare
from slim.verify.static import check_records
from slim.write.publisher import SLIM_KEY, NewLayer, Publisher, WrittenLayer


@dataclass(frozen=True, kw_only=True)
class NextLayer:
    """A layer's new state: what to write, the SHA-256 of every file by path, and the digest of the whole tree."""

    new: NewLayer
    digests: dict[str, str]
    tree_sha256: str
    before: Footprint
    after: Footprint


def _next_layer(ready: Prepared, layer: Layer, rules_sha256: str) -> NextLayer:
    tree = ready.opened.trees[layer.name]
    members = new_members(layer.name, tree, ready.plan, ready.edited)
    digests = {record.path: record.sha256 for record in ready.inventory.records[layer.name].values() if record.sha256}
    digests.update({key[1]: new.digest.hex() for key, new in ready.edited.items() if key[0] == layer.name})
    digests = {path: digest for path, digest in digests.items() if ready.plan.link_target((layer.name, path)) is None}
    tree_sha256 = tree_digest(members, digests)
    before, after = footprints(ready.inventory, ready.plan, layer.name)
    new = NewLayer(
        layer=layer,
        members=members,
        source=ready.opened.places[layer.name],
        source_format=tree.format,
        root=tree.root,
        carry=_carries(ready, layer, rules_sha256, tree_sha256),
    )
    archived = layer.archive.size if layer.archive else 0
    return NextLayer(
        new=new, digests=digests, tree_sha256=tree_sha256, before=replace(before, archive=archived), after=after
    )


def _carries(ready: Prepared, layer: Layer, rules_sha256: str, tree_sha256: str) -> bool:
    """Whether the source archive can stand as it is: nothing in it changes, and it may not change at all, or this
    very slim with these very rules wrote it."""
    if any(key[0] == layer.name for key in ready.plan.actions):
        return False
    if not ready.planner.may_change(layer.name):
        return True
    note = layer.entry.get(SLIM_KEY)
    return isinstance(note, dict) and (note.get("version"), note.get("rules_sha256"), note.get("tree_sha256")) == (
        __version__,
        rules_sha256,
        tree_sha256,
    )


def write_layers(
    request: RunRequest, ready: Prepared, publisher: Publisher | None, rules_sha256: str, spool: Path, watch: Progress
) -> tuple[tuple[LayerOutcome, ...], tuple[Check, ...]]:
    """Write and read back every layer (after a dry run: only count)."""
    stack = ready.opened.stack
    coming = [_next_layer(ready, layer, rules_sha256) for layer in stack]
    records = Check(name="record", tried=0)
    for one in coming:
        name = one.new.layer.name
        if not ready.planner.may_change(name):
            continue  # carried over as it is, with whatever its RECORDs say
        found = check_records(name, one.new.members, one.digests, ready.inventory.distributions[name].values())
        records = replace(records, tried=records.tried + found.tried, failures=(*records.failures, *found.failures))
    if publisher is None or not records.passed:
        return tuple(_outcome(one, None) for one in coming), (records,)
    written = publisher.write_layers(stack, [one.new for one in coming], workers=request.workers, progress=watch)
    published = _read_back(request, written, coming, spool, watch)
    outcomes = tuple(_outcome(one, done) for one, done in zip(coming, written, strict=True))
    if published.passed:
        notes = {
            one.new.layer.name: _note(request, one, outcome, rules_sha256)
            for one, outcome in zip(coming, outcomes, strict=True)
            if not one.new.carry
        }
        publisher.write_manifest(stack, written, notes)
    return outcomes, (records, published)


def _read_back(
    request: RunRequest, written: list[WrittenLayer], coming: list[NextLayer], spool: Path, watch: Progress
) -> Check:
    """Read every written layer again and compare it with the plan."""
    watch.stage("Verifying layers", total=len(written))

    def check(done: WrittenLayer, one: NextLayer) -> tuple[int, tuple[str, ...]]:
        options = ReadOptions(
            spool_dir=spool, limits=request.config.limits, platform=one.new.layer.platform, anywhere=done.place.is_dir()
        )
        # Formats other than tar can't hold every time; a carried archive wasn't written by us.
        times = not done.place.name.endswith(".zip")
        result = compare(done.place, one.new.members, one.digests, options, times=times)
        watch.advance()
        return result

    with ThreadPoolExecutor(max_workers=request.workers) as pool:
        results = list(pool.map(check, written, coming))
    return Check(
        name="published",
        tried=sum(tried for tried, _ in results),
        failures=tuple(failure for _, failures in results for failure in failures),
    )


def _outcome(one: NextLayer, done: WrittenLayer | None) -> LayerOutcome:
    archive = done.archive if done is not None else None
    return LayerOutcome(
        layer=one.new.layer,
        before=one.before,
        after=replace(one.after, archive=archive.size if archive else 0),
        archive_name=archive.name if archive else None,
        archive_sha256=archive.sha256 if archive else None,
        tree_sha256=one.tree_sha256,
        reused=one.new.carry,
    )


def _note(request: RunRequest, one: NextLayer, outcome: LayerOutcome, rules_sha256: str) -> dict[str, object]:
    """What goes into the manifest: enough to tell what was done, and that nothing has to be done again."""
    return {
        "version": __version__,
        "profile": request.config.settings_for(one.new.layer.name).profile.label,
        "rules_sha256": rules_sha256,
        "tree_sha256": one.tree_sha256,
        "archive_size": {"before": outcome.before.archive, "after": outcome.after.archive},
        "unpacked_size": {"before": outcome.before.unpacked, "after": outcome.after.unpacked},
        "deployed_size_estimate": {"before": outcome.before.deployed, "after": outcome.after.deployed},
    }
