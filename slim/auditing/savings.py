"""Savings of a run under each profile, by the very planner that a run uses."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace

from slim.analysis.facts import Facts
from slim.config.settings import Config
from slim.errors import SlimError
from slim.formats import is_archive_name
from slim.model.audit import ProfileSavings
from slim.model.footprint import FootprintDelta
from slim.model.plan import Action, Plan, Remove, Rewrite
from slim.model.progress import Progress
from slim.model.record import FileKey
from slim.model.rule import UNTRACED_PROFILES, Safety
from slim.model.stack import Stack, StackKind
from slim.passes.base import Proposal
from slim.plan.planner import Planner
from slim.rules.match import RememberingMatcher, RuleMatcher


def plans(
    facts: Facts,
    config: Config,
    progress: Progress,
    *,
    proved: bool,
    profiles: Iterable[Safety] = UNTRACED_PROFILES,
) -> tuple[dict[Safety, Plan], list[str]]:
    """The plan for each profile, and complaints about those that can't be made.

    The plans share one reading of the stack's imports and libraries.
    """
    matcher = RuleMatcher(config.rules)
    remembering = {
        layer.name: RememberingMatcher(matcher.for_layer(layer)) for layer in facts.stack
    }
    remembered: dict[tuple[FileKey, str], Proposal | None] = {}
    made: dict[Safety, Plan] = {}
    complaints: list[str] = []
    for profile in profiles:
        own = replace(config, profile=profile)
        try:
            planner = Planner(
                facts,
                own,
                progress,
                proved=proved,
                remembered=remembered,
                matchers={
                    layer.name: remembering[layer.name].only(
                        rule.id for rule in own.rules_for(layer)
                    )
                    for layer in facts.stack
                },
            )
            made[profile] = planner.plan()
        except SlimError as error:
            complaints.append(
                f"what profile {profile.label} saves can't be told: {error.where}: {error.message}"
            )
    return made, complaints


def savings(stack: Stack, profile: Safety, plan: Plan, *, proved: bool) -> ProfileSavings:
    """Sums of a plan, and its rules, the largest saving first."""
    actions = plan.actions.values()
    return ProfileSavings(
        profile=profile,
        proved=proved,
        removed=sum(action.saved for action in actions if isinstance(action, Remove)),
        shrunk=sum(action.saved for action in actions if not isinstance(action, Remove)),
        files=len(plan.actions),
        by_rule=by_rule(plan),
        command=_command(stack, profile, idle=not actions),
    )


def by_rule(plan: Plan) -> tuple[FootprintDelta, ...]:
    """Savings of each rule, the largest first. ``before`` counts only what the rule touches."""
    groups: dict[str, list[Action]] = {}
    for action in plan.actions.values():
        groups.setdefault(action.rule, []).append(action)
    rows = [_rule_row(rule, actions) for rule, actions in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.saved, row.label)))


def _rule_row(rule: str, actions: Sequence[Action]) -> FootprintDelta:
    removed = [action for action in actions if isinstance(action, Remove)]
    rewritten = [action for action in actions if isinstance(action, Rewrite)]
    return FootprintDelta(
        label=rule,
        before=sum(action.record.size for action in actions),
        removed=sum(action.saved for action in removed),
        shrunk=sum(action.saved for action in rewritten),
        files=len(actions),
        files_removed=len(removed),
        files_rewritten=len(rewritten),
    )


def _command(stack: Stack, profile: Safety, *, idle: bool) -> str:
    """Command line that makes these savings.

    Empty where a run couldn't, or wouldn't change anything but how a folder is packed.
    """
    source = stack.source
    if idle and stack.kind in (StackKind.ARCHIVE, StackKind.FOLDER):
        return ""
    if stack.kind is StackKind.ARCHIVE and not is_archive_name(source):
        return ""
    return f"slim run {shlex.quote(source)} -o OUT --profile {profile.label}"
