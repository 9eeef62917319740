"""``slim rules``: what slim knows, rule by rule."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from slim.cli.options import (
    FILE,
    PROFILES,
    SectionCommand,
    SuggestingGroup,
    chosen_config,
    option,
    source_options,
)
from slim.cli.terminal import emit, style_for
from slim.config import CONFIG_NAMES
from slim.config.budget import is_budget_file, read_budget_file
from slim.config.load import load_config
from slim.errors import ConfigError, Problem
from slim.model.rule import Rule, RulePack, Safety
from slim.passes import SCHEMAS
from slim.reports.common.text import count
from slim.reports.rules.page import rule_page
from slim.rules.examples import check_examples
from slim.rules.loader import builtin_packs, load_packs
from slim.rules.tables import did_you_mean

_LIST_EXAMPLES = (
    ("slim rules list --pass tests --profile standard", "what that profile does about tests"),
)
_CHECK_EXAMPLES = (("slim rules check our-rules.toml slim.toml", "your own, before they are used"),)


@click.group("rules", cls=SuggestingGroup, short_help="List, show and check rules.")
def rules_group() -> None:
    """List, show and check the rules that say what may go."""


@rules_group.command(
    "list", cls=SectionCommand, short_help="List the rules.", examples=_LIST_EXAMPLES
)
@option(
    "--pass",
    "pass_name",
    type=click.Choice(sorted(SCHEMAS)),
    metavar="PASS",
    help=f"Only rules of this pass ({', '.join(sorted(SCHEMAS))}).",
)
@option("--safety", type=PROFILES, help="Only rules of exactly this level.")
@option("--profile", type=PROFILES, help="Only rules that this profile applies.")
@option("--json", "as_json", is_flag=True, help="As JSON, each rule whole.")
@source_options
def list_command(
    pass_name: str | None, safety: str | None, profile: str | None, as_json: bool, **said: Any
) -> None:
    """List the built-in rules, those of the configuration and those of each --pack."""
    reach = None if profile is None else Safety[profile.upper()]
    found = [
        rule
        for rule in chosen_config(Path.cwd(), said).rules
        if (pass_name is None or rule.pass_name == pass_name)
        and (safety is None or rule.safety.label == safety)
        and (reach is None or rule.safety <= reach)
    ]
    if as_json:
        from slim.reports.rules import json_v1

        emit(json_v1.render(found))
    elif found:
        from slim.reports.rules import terminal

        emit(terminal.render(found, style_for(sys.stdout)))
    else:
        emit("No rule is like that.\n")


@rules_group.command("show", cls=SectionCommand, short_help="Tell all about a rule.")
@click.argument("rule_ids", metavar="RULE...", nargs=-1, required=True)
@source_options
def show_command(rule_ids: tuple[str, ...], **said: Any) -> None:
    """Tell all about a rule: what it selects, why that may go, and where it is known from."""
    known = {rule.id: rule for rule in chosen_config(Path.cwd(), said).rules}
    missing = [rule_id for rule_id in rule_ids if rule_id not in known]
    if missing:
        hint = did_you_mean(missing[0], known) or "slim rules list names them all"
        raise ConfigError(f"there is no rule {missing[0][:80]!r}", hint=hint)
    rules = [known[rule_id] for rule_id in rule_ids]
    emit("\n".join(rule_page(rule, SCHEMAS.get(rule.pass_name)) for rule in rules))


@rules_group.command(
    "check", cls=SectionCommand, short_help="Check rule files.", examples=_CHECK_EXAMPLES
)
@click.argument("files", metavar="[FILE]...", nargs=-1, type=FILE)
def check_command(files: tuple[Path, ...]) -> None:
    """Check rule files: the syntax, the keys, and that each rule selects what its examples say.

    FILE is a rule pack, a configuration with [[rule]] and [[budget]] tables, or a file of budgets;
    without any, the built-in packs are checked.
    """
    packs, budgets, problems = _read(files) if files else (list(builtin_packs(SCHEMAS)), 0, [])
    rules = [rule for pack in packs for rule in pack.rules]
    problems += [problem for rule in rules for problem in check_examples(rule)]
    if problems:
        raise ConfigError(f"{count(len(problems), 'problem')} in the rules", problems=problems)
    tried = sum(_examples(rule) for rule in rules)
    told = f"{count(len(rules), 'rule')} in {count(len(packs), 'pack')}, {count(tried, 'example')}"
    if budgets:
        told += f", {count(budgets, 'budget')}"
    emit(f"{told}: all is well\n")


def _examples(rule: Rule) -> int:
    return len(rule.examples.match) + len(rule.examples.no_match)


def _read(files: Sequence[Path]) -> tuple[list[RulePack], int, list[Problem]]:
    """Read every file, count budgets, and collect what is wrong in any."""
    packs: list[RulePack] = []
    budgets = 0
    problems: list[Problem] = []
    for file in files:
        try:
            if file.name in CONFIG_NAMES:
                config = load_config(SCHEMAS, file=file)
                packs += [pack for pack in config.packs if pack.origin == str(file)]
                budgets += len(config.budgets)
            elif is_budget_file(file):
                budgets += len(read_budget_file(file))
            else:
                packs += load_packs([file], SCHEMAS)
        except ConfigError as error:
            problems += error.problems or [
                Problem(file=str(file), place=error.place or "", message=error.message)
            ]
    return packs, budgets, problems
