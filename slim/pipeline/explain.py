"""``slim explain``: what happens to a file, why, and what else was considered."""

from __future__ import annotations

from slim.errors import ConfigError
from slim.inventory.locate import locate
from slim.model.outcome import Explanation
from slim.model.plan import Plan
from slim.model.progress import Progress, Silent
from slim.model.record import FileRecord, Inventory
from slim.pipeline.prepare import RunRequest, prepared
from slim.plan.planner import Planner
from slim.sources.fetch import fetched
from slim.system.workspace import workspace

__all__ = ["RunRequest", "explain"]


def explain(
    request: RunRequest, path: str, progress: Progress | None = None
) -> tuple[Explanation, ...]:
    """Explain the files at ``path``: a deployed path, a path in any layer, or the end of one.

    Raises ConfigError where no file is meant.
    """
    explanations: list[Explanation] = []
    with fetched(request.source) as source:
        for located in locate(source, platforms=request.platforms):
            with workspace() as spool:
                context = request.config.context(spool, progress or Silent())
                with prepared(request, located, context, asks_again=True) as (planned, planner):
                    records = _meant(planned.loaded.inventory, path)
                    explanations.extend(
                        _explain(planned.plan, planner, record) for record in records
                    )
    if not explanations:
        raise ConfigError(
            "no file of the stack has this path",
            file=path,
            hint="give LAYER/PATH, or PATH in a layer",
        )
    return tuple(explanations)


def _meant(inventory: Inventory, path: str) -> list[FileRecord]:
    path = path.removeprefix("./").rstrip("/")
    exact = [record for record in inventory if path in (record.deployed_path, record.path)]
    return exact or [record for record in inventory if record.deployed_path.endswith(f"/{path}")]


def _explain(plan: Plan, planner: Planner, record: FileRecord) -> Explanation:
    action = plan.actions.get(record.key)
    skipped = tuple(skip for skip in plan.skipped if skip.record.key == record.key)
    considered, out_of_reach = planner.rules_about(record)
    verdict = "kept"
    if action is not None:
        verdict = "removed" if plan.removes(record.key) else "rewritten"
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
