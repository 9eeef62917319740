"""The first half of a run: a stack is read, scanned, planned, and edited in memory. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from slim.analysis.facts import Facts
from slim.errors import SlimError
from slim.inventory.scan import scan
from slim.inventory.stack_reader import Located, OpenStack, check_archives, open_stack
from slim.inventory.unchanged import Seal
from slim.model.finding import Evidence
from slim.model.plan import Plan, Rewrite, SkipReason
from slim.model.progress import Progress
from slim.model.record import FileKey, FileRecord, Inventory
from slim.model.settings import Config
from slim.model.stack import Layer
from slim.plan.apply import Edited, edit_files, update_records
from slim.plan.draft import withdraw
from slim.plan.planner import Planner
from slim.system.cpus import available_cpus
from slim.verification.oracles import Edit, refused_edits


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What to run on. ``output`` may be None for a dry run only. ``platforms`` and ``layers`` limit what is read and
    what is changed; empty means all. ``verify``: try the result before it is published; ``repair``:
    take back what broke it, instead of refusing. ``keep_removed`` is the archive that the originals
    of what is removed and rewritten go to, ``symbols`` the folder that what debuggers need of
    stripped files is added to. ``previous`` is what was published before: a folder or a
    manifest."""

    source: Path
    output: Path | None
    config: Config
    platforms: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    dry_run: bool = False
    force: bool = False
    verify: bool = False
    repair: bool = True
    keep_removed: Path | None = None
    symbols: Path | None = None
    previous: Path | None = None

    @property
    def workers(self) -> int:
        """How many threads compress and read; never influences a byte of the result."""
        return self.config.jobs or available_cpus()


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
        return read_file(self.opened, record)


@contextmanager
def prepared(
    request: RunRequest, one: Located, spool_dir: Path, watch: Progress
) -> Iterator[Prepared]:
    """Read, scan, plan and edit a stack."""
    seal = Seal(one)
    check_archives(one, watch)
    with _opened(request, one, seal, spool_dir, watch) as opened:
        inventory = scan(opened, watch, workers=request.workers)
        facts = Facts(
            stack=opened.stack,
            inventory=inventory,
            read=lambda record: read_file(opened, record),
        )
        only = _only(request, opened.stack.layers)
        planner = Planner(facts, request.config, watch, only=only)
        plan = planner.plan()
        ready = Prepared(opened=opened, inventory=inventory, planner=planner, plan=plan)
        watch.stage("Editing", total=None)
        _edit(ready)
        yield ready
        seal.check()  # what is carried over is read a second time


def _opened(
    request: RunRequest, one: Located, seal: Seal, spool_dir: Path, watch: Progress
) -> OpenStack:
    limits = request.config.limits
    try:
        opened = open_stack(
            one, spool_dir=spool_dir, limits=limits, workers=request.workers, progress=watch
        )
    except SlimError:
        seal.check()  # if it changed meanwhile, that is what is wrong with it
        raise
    try:
        seal.check()
    except BaseException:
        opened.resources.close()
        raise
    return opened


def _only(request: RunRequest, layers: Iterable[Layer]) -> frozenset[str]:
    return frozenset(
        layer.name
        for layer in layers
        if layer.name in request.layers or layer.layer_name in request.layers
    )


def read_file(opened: OpenStack, record: FileRecord) -> memoryview:
    """The original bytes of a file; none where it is a folder or a link."""
    content = opened.trees[record.layer].members[record.path].content
    return memoryview(b"") if content is None else content.view()


def _edit(ready: Prepared) -> None:
    """Do the rewrites, have them checked independently, and take back what fails."""
    edited, failed = edit_files(ready.plan, ready.opened.trees)
    refused = {key: Evidence(kind="oracle", text=text) for key, text in failed.items()}
    refused.update(
        refused_edits(
            {
                key: Edit(
                    editor=action.edit.editor,
                    original=ready.read(action.record),
                    edited=edited[key].content,
                )
                for key, action in ready.plan.actions.items()
                if key in edited and isinstance(action, Rewrite)
            }
        )
    )
    if refused:
        ready.plan = withdraw(
            ready.plan,
            {key: (SkipReason.UNSAFE_TO_EDIT, (why,)) for key, why in refused.items()},
        )
        edited = {key: new for key, new in edited.items() if key not in refused}
    layers = [layer.name for layer in ready.opened.stack if ready.planner.may_change(layer.name)]
    ready.plan, ready.edited = update_records(
        ready.plan, ready.inventory, ready.opened.trees, edited, layers
    )
