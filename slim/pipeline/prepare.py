"""The first half of a run: a stack is read, scanned, planned, and edited in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.inventory.load import LoadedStack, load
from slim.inventory.located import Located
from slim.inventory.unchanged import unchanged
from slim.model.context import RunContext
from slim.model.finding import Evidence
from slim.model.plan import Plan, Rewrite, SkipReason
from slim.model.stack import Layer
from slim.pipeline.guess import Guess
from slim.pipeline.request import RunOrder
from slim.plan.apply import edit_files
from slim.plan.draft import withdraw
from slim.plan.guidance import guidance_for
from slim.plan.origins import origin_warnings
from slim.plan.planned import PlannedStack
from slim.plan.planner import Planner
from slim.verification.lost_imports.hold import without_losses
from slim.verification.oracles import Edit, judge, second_opinion

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunRequest(RunOrder):
    """An order with the configuration of the run."""

    config: Config


@contextmanager
def prepared(
    request: RunRequest,
    located: Located,
    context: RunContext,
    guess: Guess | None = None,
    *,
    asks_again: bool = False,
) -> Iterator[tuple[PlannedStack, Planner]]:
    """Read, scan, plan and edit a stack, which has to stay as it is during the block.

    ``guess`` is told early what is likely. ``asks_again`` has the analyses stay in memory, for
    whoever asks the facts or the planner for more than modules and libraries. Raises IntegrityError
    where the stack doesn't stay as it is, and the errors of reading.
    """
    with (
        unchanged(located),
        load(located, context) as loaded,
        Facts.of(loaded, guidance_for(request.config, loaded.stack)) as facts,
        guess or nullcontext(),
    ):
        only = _only(request, loaded.stack.layers)
        early = None if guess is None else partial(guess.begin, loaded)
        planner = Planner(facts, request.config, context.progress, only=only, early=early)
        plan = planner.plan()
        facts.readings.rest()  # editing and writing need the memory and the processors
        if not asks_again:
            facts.let_go()
        context.progress.stage("Editing", total=None)
        layers = tuple(layer.name for layer in loaded.stack if planner.may_change(layer.name))
        planned = without_losses(edited_stack(loaded, plan, layers), request.config)
        planned = _with_origins(planned)
        _log(planned.plan)
        yield planned, planner


def _log(plan: Plan) -> None:
    _LOG.info("%d files go or change, %d are refused", len(plan.actions), len(plan.skipped))
    for skipped in plan.skipped:
        _LOG.debug(
            "%s is refused to %s: %s",
            skipped.record.deployed_path,
            skipped.rule,
            "; ".join((skipped.reason.value, *(fact.text for fact in skipped.evidence))),
        )


def _only(request: RunRequest, layers: Iterable[Layer]) -> frozenset[str]:
    return frozenset(
        layer.name
        for layer in layers
        if layer.name in request.layers or layer.layer_name in request.layers
    )


def edited_stack(loaded: LoadedStack, plan: Plan, layers: tuple[str, ...]) -> PlannedStack:
    """Do the rewrites of a plan, have them checked independently, and take back what fails.

    ``layers`` are those that may change.
    """
    rewrites = {key: action for key, action in plan.actions.items() if isinstance(action, Rewrite)}
    with second_opinion({action.edit.editor for action in rewrites.values()}) as second:
        edited, failed = edit_files(plan, loaded.trees, loaded.context.spool_dir)
        edits = {
            key: Edit(
                editor=action.edit.editor,
                original=loaded.content(action.record),
                edited=edited[key].content,
            )
            for key, action in rewrites.items()
            if key in edited
        }
        judgement = judge(edits, second)
    refused = {key: Evidence(kind="oracle", text=text) for key, text in failed.items()}
    refused.update(judgement.refused)
    if refused:
        plan = withdraw(
            plan,
            {key: (SkipReason.UNSAFE_TO_EDIT, (why,)) for key, why in refused.items()},
        )
        edited = {key: new for key, new in edited.items() if key not in refused}
    return PlannedStack(
        loaded=loaded, plan=plan, edited=edited, layers=layers, checks=(judgement.check,)
    ).with_records()


def _with_origins(planned: PlannedStack) -> PlannedStack:
    """The same with warnings about files that lead into the folder that was read."""
    plan, loaded = planned.plan, planned.loaded
    warnings = (*plan.warnings, *origin_warnings(loaded, plan))
    return replace(planned, plan=replace(plan, warnings=warnings))
