"""Everything slim knows about a file: what happens to it, why, and what else was considered."""

from __future__ import annotations

from slim.errors import ConfigError
from slim.inventory.stack_reader import locate
from slim.model.outcome import Explanation
from slim.model.progress import Progress, Silent
from slim.model.record import FileRecord, Inventory
from slim.pipeline.prepare import Prepared, RunRequest, prepared
from slim.system.workspace import workspace

__all__ = ["RunRequest", "explain"]


def explain(
    request: RunRequest, path: str, progress: Progress | None = None
) -> tuple[Explanation, ...]:
    """Everything slim knows about the files at ``path``: a deployed path, a path in any layer, or the end of one.

    Raises ConfigError where no file is meant.
    """
    watch = progress or Silent()
    found: list[Explanation] = []
    for one in locate(request.source, platforms=request.platforms):
        with workspace() as spool, prepared(request, one, spool, watch) as ready:
            found.extend(_explain(ready, record) for record in _meant(ready.inventory, path))
    if not found:
        raise ConfigError(
            "no file of the stack has this path",
            file=path,
            hint="give LAYER/PATH, or PATH in a layer",
        )
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
