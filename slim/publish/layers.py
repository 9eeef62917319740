"""A layer's next state: checked before it is written, and read back afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from slim.formats.base import ReadOptions
from slim.formats.digests import tree_digest
from slim.model.context import RunContext
from slim.model.footprint import Footprint
from slim.model.outcome import Check
from slim.model.record import Inventory
from slim.model.stack import Layer
from slim.plan.accounts import footprints
from slim.plan.planned import PlannedStack
from slim.publish.publisher import NewLayer, WrittenLayer
from slim.verification.published import compare
from slim.verification.static import check_records


@dataclass(frozen=True, kw_only=True)
class NextLayer:
    """A layer as a plan leaves it.

    ``digests`` are the SHA-256 of every file by path, ``tree_sha256`` is the digest of the whole
    tree (both hexadecimal). ``before`` and ``after`` are its sizes. ``guarded`` is the number of
    modules that the run's guard in it knows.
    """

    new: NewLayer
    digests: dict[str, str]
    tree_sha256: str
    before: Footprint
    after: Footprint
    guarded: int = 0


def next_layer(planned: PlannedStack, layer: Layer) -> NextLayer:
    """A layer's members as the plan leaves them, their digests, and its sizes before and after."""
    loaded = planned.loaded
    tree = loaded.trees[layer.name]
    members = planned.members_of(layer.name)
    digests = planned.digests(layer.name)
    before, after = footprints(loaded.inventory, planned.plan, layer.name, planned.added_records)
    new = NewLayer(
        layer=layer,
        members=members,
        source=loaded.places[layer.name],
        source_format=tree.format,
        root=tree.root,
        digests=digests,
    )
    archived = layer.archive.size if layer.archive else 0
    return NextLayer(
        new=new,
        digests=digests,
        tree_sha256=tree_digest(members, digests),
        before=replace(before, archive=archived),
        after=after,
        guarded=planned.guarded.get(layer.name, 0),
    )


def true_records(layers: Iterable[NextLayer], inventory: Inventory) -> Check:
    """Check every RECORD of these layers against the files that are to be written.

    ``inventory`` is that of the original: rows that weren't true there need not be.
    """
    records = Check(name="record", tried=0)
    for layer in layers:
        name = layer.new.layer.name
        distributions = inventory.distributions[name].values()
        checked = check_records(
            name, layer.new.members, layer.digests, distributions, inventory.records[name]
        )
        records = replace(
            records,
            tried=records.tried + checked.tried,
            failures=(*records.failures, *checked.failures),
        )
    return records


def read_back(
    written: Sequence[WrittenLayer], layers: Sequence[NextLayer], context: RunContext
) -> list[Check]:
    """Read every written layer again and compare it with the plan; one check a layer."""
    context.progress.stage("Verifying layers", total=len(written))

    def check(copy: WrittenLayer, layer: NextLayer) -> tuple[int, tuple[str, ...]]:
        options = ReadOptions(
            spool_dir=context.spool_dir,
            limits=context.limits,
            platform=layer.new.layer.platform,
            anywhere=copy.place.is_dir(),
        )
        times = times_compared(copy)
        result = compare(copy.place, layer.new.members, layer.digests, options, times=times)
        context.progress.advance()
        return result

    with ThreadPoolExecutor(max_workers=context.workers) as pool:
        results = list(pool.map(check, written, layers))
    return [Check(name="published", tried=tried, failures=failures) for tried, failures in results]


def times_compared(written: WrittenLayer) -> bool:
    """Return whether the times of files count: what was published before has those of then."""
    return written.format.holds_times and not written.reused


def together(checks: Sequence[Check]) -> Check:
    """The checks of all layers as one."""
    return Check(
        name="published",
        tried=sum(check.tried for check in checks),
        failures=tuple(failure for check in checks for failure in check.failures),
    )
