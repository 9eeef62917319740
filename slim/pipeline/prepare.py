"""The first half of a run: a stack is read, scanned, planned, and edited in memory. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.inventory.load import LoadedStack, load
from slim.inventory.located import Located
from slim.inventory.unchanged import unchanged
from slim.model.context import RunContext
from slim.model.finding import Evidence
from slim.model.plan import Plan, Rewrite, SkipReason
from slim.model.progress import Progress
from slim.model.stack import Layer
from slim.plan.apply import edit_files
from slim.plan.draft import withdraw
from slim.plan.planned import PlannedStack
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

    def context(self, spool_dir: Path, progress: Progress) -> RunContext:
        """How the run reads and writes."""
        return RunContext(
            spool_dir=spool_dir,
            limits=self.config.limits,
            workers=self.workers,
            progress=progress,
        )


@contextmanager
def prepared(
    request: RunRequest, located: Located, context: RunContext
) -> Iterator[tuple[PlannedStack, Planner]]:
    """Read, scan, plan and edit a stack, which has to stay as it is during the block."""
    with unchanged(located), load(located, context) as loaded:
        only = _only(request, loaded.stack.layers)
        planner = Planner(Facts.of(loaded), request.config, context.progress, only=only)
        plan = planner.plan()
        context.progress.stage("Editing", total=None)
        yield _edited(loaded, planner, plan), planner


def _only(request: RunRequest, layers: Iterable[Layer]) -> frozenset[str]:
    return frozenset(
        layer.name
        for layer in layers
        if layer.name in request.layers or layer.layer_name in request.layers
    )


def _edited(loaded: LoadedStack, planner: Planner, plan: Plan) -> PlannedStack:
    """Do the rewrites, have them checked independently, and take back what fails."""
    edited, failed = edit_files(plan, loaded.trees)
    refused = {key: Evidence(kind="oracle", text=text) for key, text in failed.items()}
    refused.update(
        refused_edits(
            {
                key: Edit(
                    editor=action.edit.editor,
                    original=loaded.read(action.record),
                    edited=edited[key].content,
                )
                for key, action in plan.actions.items()
                if key in edited and isinstance(action, Rewrite)
            }
        )
    )
    if refused:
        plan = withdraw(
            plan,
            {key: (SkipReason.UNSAFE_TO_EDIT, (why,)) for key, why in refused.items()},
        )
        edited = {key: new for key, new in edited.items() if key not in refused}
    layers = tuple(layer.name for layer in loaded.stack if planner.may_change(layer.name))
    return PlannedStack(loaded=loaded, plan=plan, edited=edited, layers=layers).with_records()
