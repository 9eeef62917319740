"""``slim rules``: list, show and check what slim knows."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from slim import api
from slim.cli.groups import SuggestingGroup
from slim.cli.options import (
    FILE,
    PROFILES,
    LateChoice,
    SectionCommand,
    chosen_config,
    option,
    source_options,
)
from slim.cli.terminal import emit, style_for
from slim.errors import ConfigError

_LIST_EXAMPLES = (
    ("slim rules list --pass tests --profile standard", "what that profile does about tests"),
)
_CHECK_EXAMPLES = (("slim rules check our-rules.toml slim.toml", "your own, before they are used"),)


@click.group("rules", cls=SuggestingGroup)
def rules_group() -> None:
    """List, show and check the rules that say what may go."""


def pass_names() -> list[str]:
    """Return the names of all passes, sorted."""
    from slim.passes import SCHEMAS

    return sorted(SCHEMAS)


@rules_group.command(
    "list", cls=SectionCommand, short_help="List the rules.", examples=_LIST_EXAMPLES
)
@option(
    "--pass",
    "pass_name",
    type=LateChoice(pass_names),
    metavar="PASS",
    late_help=lambda: f"Only rules of this pass ({', '.join(pass_names())}).",
)
@option("--safety", type=PROFILES, help="Only rules of exactly this level.")
@option("--profile", type=PROFILES, help="Only rules that this profile applies.")
@option("--json", "as_json", is_flag=True, help="As JSON, each rule whole.")
@source_options
def list_command(
    pass_name: str | None, safety: str | None, profile: str | None, as_json: bool, **options: Any
) -> None:
    """List the built-in rules, those of the configuration and those of each --pack."""
    from slim.model.rule import Safety

    reach = None if profile is None else Safety[profile.upper()]
    found = [
        rule
        for rule in chosen_config([], options).rules
        if (pass_name is None or rule.pass_name == pass_name)
        and (safety is None or rule.safety.label == safety)
        and (reach is None or reach.applies(rule.safety))
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
def show_command(rule_ids: tuple[str, ...], **options: Any) -> None:
    """Tell all about a rule: what it selects, why that may go, and where it is known from."""
    from slim.passes import SCHEMAS
    from slim.reports.rules.page import rule_page
    from slim.system.toml_table import did_you_mean

    known = {rule.id: rule for rule in chosen_config([], options).rules}
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

    FILE is a rule pack, a configuration with [[rule]] and [[budget]] tables, a file of budgets, or
    one of evidence; without any, the built-in packs are checked.
    """
    from slim.reports.common.text import count

    checked = api.check_rules(files)
    counts = [
        count(len(checked.rules), "rule") + " in " + count(len(checked.packs), "pack"),
        count(checked.examples, "example"),
    ]
    if checked.budgets:
        counts.append(count(checked.budgets, "budget"))
    if checked.evidence:
        counts.append("evidence of " + count(checked.evidence, "rule"))
    emit(f"{', '.join(counts)}: all is well\n")
