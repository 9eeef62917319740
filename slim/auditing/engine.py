"""One audit: read, count, look for what stands out, and ask the planner what could go."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from slim import __version__
from slim.analysis.facts import Facts
from slim.auditing import measure, mentions, natives
from slim.auditing.floors import floors
from slim.auditing.gpu import gpu_code
from slim.auditing.orphans import orphans, shadowed
from slim.auditing.savings import plans, savings
from slim.auditing.why import Asker
from slim.config.settings import Config
from slim.inventory.load import LoadedStack, load
from slim.inventory.locate import locate
from slim.inventory.located import Located
from slim.model.audit import Audit
from slim.model.context import RunContext
from slim.model.gpu_audit import GpuAudit
from slim.model.progress import Progress, Silent
from slim.model.rule import UNTRACED_PROFILES, Safety
from slim.sources.fetch import fetched
from slim.system.workspace import workspace


@dataclass(frozen=True, kw_only=True)
class AuditRequest:
    """The thing that is audited, and how closely."""

    source: Path
    config: Config
    """The rules and limits; reports show the savings of its profile first."""
    platforms: tuple[str, ...] = ()
    """Platforms that are read; none for all."""
    why: tuple[str, ...] = ()
    """Globs of files that are explained."""
    prove: bool = False
    """Make the plans that a run would make, which takes longer, instead of estimates."""
    findings: bool = True
    """Look for more than sizes."""
    profiles: tuple[Safety, ...] = field(default=UNTRACED_PROFILES)
    """Profiles whose savings are told."""


def audit(request: AuditRequest, progress: Progress | None = None) -> tuple[Audit, ...]:
    """Audit anything with files in it. Returns one result for each manifest.

    Raises the errors of :mod:`slim.errors`.
    """
    with fetched(request.source) as source, workspace() as spool:
        stacks = locate(source, platforms=request.platforms, any_archive=True)
        context = request.config.context(spool, progress or Silent())
        return tuple(_audit_one(request, located, context) for located in stacks)


def _audit_one(request: AuditRequest, located: Located, context: RunContext) -> Audit:
    started = time.monotonic()
    with load(located, context, lenient=True) as loaded, Facts.of(loaded) as facts:
        return _result(request, loaded, facts, started)


def _result(request: AuditRequest, loaded: LoadedStack, facts: Facts, started: float) -> Audit:
    stack, inventory = loaded.stack, loaded.inventory
    progress = loaded.context.progress
    asker = Asker(facts)
    why = tuple(asker.ask(glob) for glob in request.why)
    planned, complaints = (
        plans(facts, request.config, progress, proved=request.prove, profiles=request.profiles)
        if request.findings
        else ({}, [])
    )
    progress.stage("Looking closer")
    unused = mentions.unused(stack, inventory, loaded.read) if request.findings else ()
    return Audit(
        stack=stack,
        inventory=inventory,
        layers=measure.by_layer(stack, inventory),
        by_owner=measure.by_label(inventory, lambda record: record.owner.label),
        by_category=measure.by_label(inventory, lambda record: record.kind.value),
        cells=measure.cells(inventory),
        largest=measure.largest(inventory),
        foreign=natives.foreign(stack, inventory, loaded.read) if request.findings else (),
        unstripped=natives.unstripped(inventory, loaded.read) if request.findings else (),
        unused=unused,
        orphans=orphans(stack, inventory, loaded.read, unused) if request.findings else (),
        shadowed=shadowed(stack, inventory) if request.findings else (),
        duplicates=measure.duplicates(inventory),
        unowned=measure.unowned(inventory),
        floors=floors(stack, inventory, loaded.read) if request.findings else (),
        gpu=gpu_code(inventory, loaded.read) if request.findings else GpuAudit(),
        savings=tuple(
            savings(stack, profile, plan, proved=request.prove) for profile, plan in planned.items()
        ),
        plans=planned,
        rules={rule.id: rule for rule in request.config.rules},
        why=why,
        warnings=(*inventory.warnings, *complaints),
        profile=_shown_first(request.config.profile),
        elapsed=time.monotonic() - started,
        slim_version=__version__,
    )


def _shown_first(profile: Safety) -> Safety:
    """Return the profile whose savings reports show first; an audit reads no traces."""
    return profile if profile in UNTRACED_PROFILES else Safety.STANDARD
