"""``slim explain``: what happens to a file, why, and what else was considered."""

from __future__ import annotations

import difflib
import posixpath

from slim.errors import ConfigError
from slim.inventory.locate import locate
from slim.model.outcome import Explanation
from slim.model.plan import Plan
from slim.model.progress import Progress, Silent
from slim.model.record import EntryType, FileRecord, Inventory
from slim.pipeline.prepare import RunRequest, prepared
from slim.plan.planner import Planner
from slim.sources.fetch import fetched
from slim.system.workspace import workspace

__all__ = ["RunRequest", "explain"]

_LONGEST = 80
"""Characters of a name that is compared with others."""


def explain(
    request: RunRequest, path: str, progress: Progress | None = None
) -> tuple[Explanation, ...]:
    """Explain the files at ``path``: a deployed path, a path in any layer, or the end of one.

    Raises ConfigError where no file is meant.
    """
    explanations: list[Explanation] = []
    sought = path.removeprefix("./").rstrip("/")
    hint = "give LAYER/PATH, or PATH in a layer"
    with fetched(request.source) as source:
        for located in locate(source, platforms=request.platforms):
            with workspace() as spool:
                context = request.config.context(spool, progress or Silent())
                with prepared(request, located, context, asks_again=True) as (planned, planner):
                    inventory = planned.loaded.inventory
                    records = _meant(inventory, sought)
                    hint = hint if records else _near(inventory, sought) or hint
                    explanations.extend(
                        _explain(planned.plan, planner, record) for record in records
                    )
    if not explanations:
        raise ConfigError("no file of the stack has this path", file=path, hint=hint)
    return tuple(explanations)


def _meant(inventory: Inventory, path: str) -> list[FileRecord]:
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


def _near(inventory: Inventory, path: str) -> str:
    """Return a hint at the file that may be meant; empty where no name is like it."""
    files = (record for record in inventory if record.type is not EntryType.DIRECTORY)
    paths = sorted(record.deployed_path for record in files)
    inside = [each for each in paths if f"/{path}/" in f"/{each}"]
    if inside:
        return f"it is a folder; give a file in it, such as {inside[0]}"
    names = {posixpath.basename(each): each for each in paths}
    close = difflib.get_close_matches(posixpath.basename(path)[:_LONGEST], names, n=1, cutoff=0.8)
    return f"did you mean {names[close[0]]}?" if close else ""
