"""The only module that knows the order of the stages: read, inventory, analyse, plan, apply, verify, write, report."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from slim import __version__
from slim.accounts import account, footprints
from slim.analysis.linkage import Linkage
from slim.apply import Edited, edit_files, new_members, tree_digest, update_records
from slim.errors import ConfigError, RefusedError
from slim.formats.base import ReadOptions
from slim.inventory.scan import scan
from slim.inventory.stack_reader import Located, OpenStack, check_archives, locate, open_stack
from slim.model.finding import Evidence
from slim.model.footprint import Footprint
from slim.model.outcome import Check, Explanation, LayerOutcome, RunResult, Verification
from slim.model.plan import Plan, SkipReason
from slim.model.progress import Progress, Silent
from slim.model.record import FileKey, FileRecord, Inventory
from slim.model.settings import Config
from slim.model.stack import Layer
from slim.planner import Planner, withdraw
from slim.repair import Planned, prove
from slim.rules.loader import rules_digest
from slim.signing import to_sign
from slim.verify.published import compare
from slim.verify.static import broken_edits, check_licences, check_links, check_records
from slim.write.publisher import SLIM_KEY, NewLayer, Publisher, WrittenLayer
from slim.write.staging import check_target, publish, staging


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What to run on. ``output`` may be None for a dry run only. ``platforms`` and ``layers`` limit what is read and
    what is changed; empty means all. ``verify``: try the result before it is published; ``repair``: take back what
    broke it, instead of refusing."""

    source: Path
    output: Path | None
    config: Config
    platforms: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    dry_run: bool = False
    force: bool = False
    verify: bool = False
    repair: bool = True

    @property
    def workers(self) -> int:
        """How many threads compress and read; never influences a byte of the result."""
        return self.config.jobs or available_cpus()


def available_cpus() -> int:
    """Processors this process may run on (``sched_getaffinity(2)`` where there is such a thing)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(kw_only=True)
class Prepared:
    """A stack that was read, planned and edited in memory; nothing is written yet."""

    opened: OpenStack
    inventory: Inventory
    planner: Planner
    plan: Plan
    edited: dict[FileKey, Edited] = field(default_factory=dict)

    def read(self, record: FileRecord) -> memoryview:
        """The original bytes of a file."""
        return _read(self.opened, record)


def run(request: RunRequest, progress: Progress | None = None) -> tuple[RunResult, ...]:
    """Make a smaller stack, or with ``dry_run`` tell what would be done. One result for each manifest.

    Raises the errors of :mod:`slim.errors`; when it does, nothing was published. Nothing is either where trying the
    result (``verify``) failed: then the results say so.
    """
    watch = progress or Silent()
    started = time.monotonic()
    located = locate(request.source, platforms=request.platforms)
    _check_layers(request, located)
    if request.dry_run:
        with tempfile.TemporaryDirectory(prefix="slim-") as spool:
            return tuple(_run_one(request, one, Path(spool), None, watch) for one in located)
    if request.output is None:
        raise ConfigError("no output folder", hint="give one with -o, or use --dry-run")
    check_target(request.output, request.source, force=request.force)
    with staging(request.output) as folder:
        spool_dir = folder / "spool"
        spool_dir.mkdir()
        publisher = Publisher(request.output, folder / "set", format_name=request.config.format)
        results = tuple(_run_one(request, one, spool_dir, publisher, watch) for one in located)
        if not all(result.verification.passed for result in results):
            return results
        watch.stage("Publishing")
        publish(publisher.staged(), request.output, force=request.force)
    return tuple(replace(result, elapsed=time.monotonic() - started) for result in results)


def explain(request: RunRequest, path: str, progress: Progress | None = None) -> tuple[Explanation, ...]:
    """Everything slim knows about the files at ``path``: a deployed path, a path in any layer, or the end of one.

    Raises ConfigError where no file is meant.
    """
    watch = progress or Silent()
    found: list[Explanation] = []
    for one in locate(request.source, platforms=request.platforms):
        with tempfile.TemporaryDirectory(prefix="slim-") as spool, _prepared(request, one, Path(spool), watch) as ready:
            found.extend(_explain(ready, record) for record in _meant(ready.inventory, path))
    if not found:
        raise ConfigError("no file of the stack has this path", file=path, hint="give LAYER/PATH, or PATH in a layer")
    return tuple(found)


def _meant(inventory: Inventory, path: str) -> list[FileRecord]:
    path = path.removeprefix("./").rstrip("/")
    exact = [record for record in inventory if path in (record.deployed_path, record.path)]
    return exact or [record for record in inventory if record.deployed_path.endswith(f"/{path}")]


def _explain(ready: Prepared, record: FileRecord) -> Explanation:
    planner = ready.planner
    action = ready.plan.actions.get(record.key)
    skipped = tuple(skip for skip in ready.plan.skipped if skip.record.key == record.key)
    considered, out_of_reach = planner.rules_about(record)
    verdict = "kept"
    if action is not None:
        verdict = "removed" if ready.plan.removes(record.key) else "rewritten"
    elif skipped:
        verdict = "refused"
    return Explanation(
        record=record,
        verdict=verdict,
        action=action,
        skipped=skipped,
        considered=considered,
        out_of_reach=out_of_reach,
        facts=planner.facts_about(record),
    )


def _check_layers(request: RunRequest, located: Iterable[Located]) -> None:
    known = {layer.name: layer.layer_name for one in located for layer in one.stack}
    names = {*known, *known.values()}
    wrong = [name for name in request.layers if name not in names]
    wrong += [name for name in request.config.unknown_layers(names)]
    if wrong and request.source.is_dir():
        raise ConfigError(
            f"no layer called {', '.join(sorted(set(wrong)))}", file=request.source, hint=f"there is {', '.join(known)}"
        )


@contextmanager
def _prepared(request: RunRequest, one: Located, spool_dir: Path, watch: Progress) -> Iterator[Prepared]:
    """Read, scan, plan and edit a stack."""
    check_archives(one, watch)
    limits = request.config.limits
    with open_stack(one, spool_dir=spool_dir, limits=limits, workers=request.workers, progress=watch) as opened:
        inventory = scan(opened, watch)
        planner = Planner(
            opened.stack,
            inventory,
            request.config,
            lambda record: _read(opened, record),
            watch,
            only=_only(request, opened.stack.layers),
        )
        plan = planner.plan()
        ready = Prepared(opened=opened, inventory=inventory, planner=planner, plan=plan)
        watch.stage("Editing", total=None)
        _edit(ready)
        yield ready


def _only(request: RunRequest, layers: Iterable[Layer]) -> frozenset[str]:
    return frozenset(
        layer.name for layer in layers if layer.name in request.layers or layer.layer_name in request.layers
    )


def _read(opened: OpenStack, record: FileRecord) -> memoryview:
    content = opened.trees[record.layer].members[record.path].content
    return memoryview(b"") if content is None else content.view()


def _edit(ready: Prepared) -> None:
    """Do the rewrites, have them checked independently, and take back what fails."""
    edited, failed = edit_files(ready.plan, ready.opened.trees)
    broken = broken_edits(
        {
            key: (ready.read(ready.plan.actions[key].record), new.content)
            for key, new in edited.items()
            if ready.plan.actions[key].record.native is not None
        }
    )
    failed.update(broken)
    if failed:
        ready.plan = withdraw(
            ready.plan,
            {key: (SkipReason.UNSAFE_TO_EDIT, (Evidence(kind="oracle", text=text),)) for key, text in failed.items()},
        )
        edited = {key: new for key, new in edited.items() if key not in failed}
    layers = [layer.name for layer in ready.opened.stack if ready.planner.may_change(layer.name)]
    ready.plan, ready.edited = update_records(ready.plan, ready.inventory, ready.opened.trees, edited, layers)


def _run_one(
    request: RunRequest, one: Located, spool_dir: Path, publisher: Publisher | None, watch: Progress
) -> RunResult:
    started = time.monotonic()
    with _prepared(request, one, spool_dir, watch) as ready:
        digest = rules_digest(request.config.rules)
        tried = _tried(request, ready, watch) if request.verify else Verification()
        publisher = publisher if tried.passed else None
        layers, checks = _layers(request, ready, publisher, digest, spool_dir, watch)
        static = Verification(checks=(*_static_checks(ready), *checks))
        if not static.passed and tried.passed:
            raise _refused(static)
        verification = replace(tried, checks=(*static.checks, *tried.checks))
        return RunResult(
            stack=ready.opened.stack,
            plan=ready.plan,
            accounts=account(ready.inventory, ready.plan),
            layers=layers,
            verification=verification,
            profile=request.config.profile,
            rules={rule.id: rule for rule in request.config.rules},
            rules_sha256=digest,
            output=str(request.output) if publisher is not None else None,
            dry_run=request.dry_run,
            elapsed=time.monotonic() - started,
            slim_version=__version__,
            inventory=ready.inventory,
            signing=to_sign(ready.opened.stack, ready.inventory, ready.plan),
        )


def _tried(request: RunRequest, ready: Prepared, watch: Progress) -> Verification:
    """Deploy and try what would be published; take back what broke it."""
    planned = Planned(
        stack=ready.opened.stack,
        inventory=ready.inventory,
        trees=ready.opened.trees,
        plan=ready.plan,
        edited=ready.edited,
        layers=tuple(layer.name for layer in ready.opened.stack if ready.planner.may_change(layer.name)),
    )
    proved = prove(planned, request.config, ready.read, repair=request.repair, progress=watch, workers=request.workers)
    ready.plan, ready.edited = proved.planned.plan, dict(proved.planned.edited)
    return Verification(checks=proved.checks, repairs=proved.repairs, notes=proved.notes)


def _static_checks(ready: Prepared) -> Iterator[Check]:
    linkage = Linkage.build(ready.opened.stack, ready.inventory, ready.read)
    yield check_links(linkage, ready.inventory, ready.plan)
    yield check_licences(ready.inventory, ready.plan)


@dataclass(frozen=True, kw_only=True)
class _Next:
    """A layer's new state: what to write, the SHA-256 of every file by path, and the digest of the whole tree."""

    new: NewLayer
    digests: dict[str, str]
    tree_sha256: str
    before: Footprint
    after: Footprint


def _next_layer(ready: Prepared, layer: Layer, rules_sha256: str) -> _Next:
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
    return _Next(
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


def _layers(
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
    request: RunRequest, written: list[WrittenLayer], coming: list[_Next], spool: Path, watch: Progress
) -> Check:
    """Read every written layer again and compare it with the plan."""
    watch.stage("Verifying layers", total=len(written))

    def check(done: WrittenLayer, one: _Next) -> tuple[int, tuple[str, ...]]:
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


def _outcome(one: _Next, done: WrittenLayer | None) -> LayerOutcome:
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


def _note(request: RunRequest, one: _Next, outcome: LayerOutcome, rules_sha256: str) -> dict[str, object]:
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


def _refused(verification: Verification) -> RefusedError:
    failures = [failure for check in verification.checks for failure in check.failures]
    shown = "\n  ".join(failures[:10])
    more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
    return RefusedError(
        f"verification refused the result, nothing was published:\n  {shown}{more}",
        hint="take the rule that did it back with --disable, and report it as a bug in slim",
    )
