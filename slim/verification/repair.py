"""Try what is about to be published, and take back what broke it: the smallest set that helps.

Found by delta debugging. Nothing here knows of archives: the plan, the edited contents and the
members of the layers go in, and a plan without the culprits comes out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.model.finding import Evidence
from slim.model.outcome import Check
from slim.model.plan import Remove
from slim.model.record import FileKey
from slim.model.verify import Repair
from slim.passes.packages import DROP_PREFIX
from slim.plan.planned import PlannedStack
from slim.verification.dynamic.deploy import update
from slim.verification.dynamic.session import obstacle, sandbox_note, session
from slim.verification.dynamic.targets import find_targets
from slim.verification.search import search
from slim.verification.static_suite import StaticSuite

MAX_ROUNDS: Final = 5
"""How often the whole stack is verified again after something was taken back."""


@dataclass(frozen=True, kw_only=True)
class Proved:
    """Outcome: the plan without what had to be taken back, and the checks of the last round.

    ``untried`` are sentences about what couldn't be tried.
    """

    planned: PlannedStack
    checks: tuple[Check, ...] = ()
    repairs: tuple[Repair, ...] = ()
    notes: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()


def prove(
    planned: PlannedStack,
    config: Config,
    facts: Facts,
    *,
    repair: bool,
) -> Proved:
    """Deploy and check; with ``repair`` take back what broke something, until all passes.

    Gives up where nothing helps. The checks are those of the plan that is returned. Raises
    ConfigError for a command in an unknown layer, and StorageError.
    """
    loaded = planned.loaded
    progress = loaded.context.progress
    builtin = {rule.id for rule in config.rules if rule.builtin}
    dropped = {spec.name for layer in loaded.stack for spec in config.settings_for(layer.name).drop}
    targets = find_targets(
        loaded.stack, loaded.inventory, loaded.read, config.verify, dropped, planned.plan
    )
    static, planned = _repair_links(planned, facts) if repair else ([], planned)
    why_not = obstacle(loaded.stack, loaded.members)
    if why_not:
        return Proved(planned=planned, repairs=tuple(static), untried=(why_not,))
    meant = {
        key
        for key, action in planned.plan.actions.items()
        if isinstance(action, Remove)
        and (action.rule in builtin or action.rule.startswith(DROP_PREFIX))
    }
    with session(
        targets,
        loaded.members,
        planned.members,
        given_up=meant.__contains__,
        progress=progress,
        workers=loaded.context.workers,
    ) as suite:
        checks = suite.check_all()
        repairs = static
        notes: list[str] = []
        for _ in range(MAX_ROUNDS):
            broken = [one for check in checks for one in check.broken]
            if not broken or not repair or not all(one.reproducible for one in broken):
                break
            found, left = search(suite, planned, broken, progress)
            if left:
                notes.append(f"taking everything back doesn't help {left}: {left.after}")
                break
            repairs += found
            planned = planned.without(_evidence(found))
            progress.stage(
                "Deploying the repaired stack", total=len(loaded.stack.layers), unit="layers"
            )
            update(suite.after, planned.members, progress)
            checks = suite.check_all()
        notes += suite.notes
        untried = (*sandbox_note(suite), *suite.untried)
    return Proved(
        planned=planned,
        checks=checks,
        repairs=tuple(repairs),
        notes=tuple(notes),
        untried=untried,
    )


def _repair_links(planned: PlannedStack, facts: Facts) -> tuple[list[Repair], PlannedStack]:
    """Take back what a library that stays needs: known without running anything, on any host."""
    gone = [key for key, action in planned.plan.actions.items() if isinstance(action, Remove)]
    suite = StaticSuite(linkage=facts.libraries, gone=gone)
    broken = suite.broken()
    if not broken:
        return [], planned
    found, _ = search(suite, planned, broken, planned.loaded.context.progress)
    return found, planned.without(_evidence(found))


def _evidence(repairs: Iterable[Repair]) -> dict[FileKey, tuple[Evidence, ...]]:
    return {
        key: tuple(Evidence(kind="tried", text=f"without it, {one}") for one in repair.broken[:3])
        for repair in repairs
        for key in repair.files
    }
