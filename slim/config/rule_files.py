"""Checking rule files before they are used: packs, configurations, and files of budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slim.config import CONFIG_NAMES
from slim.config.budget import is_budget_file, read_budget_file
from slim.config.load import load_config
from slim.errors import ConfigError, Problem
from slim.model.rule import PassSchema, Rule, RulePack
from slim.rules.examples import check_examples
from slim.rules.loader import builtin_packs, load_packs


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRules:
    """Rule files in which nothing is wrong: their packs, and the number of their budgets."""

    packs: tuple[RulePack, ...]
    budgets: int = 0

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule of every pack."""
        return tuple(rule for pack in self.packs for rule in pack.rules)

    @property
    def examples(self) -> int:
        """Number of examples that were tried."""
        return sum(len(rule.examples.match) + len(rule.examples.no_match) for rule in self.rules)


def check_rule_files(files: Sequence[Path], schemas: Mapping[str, PassSchema]) -> CheckedRules:
    """Read every file, and try the examples of every rule; without a file, of the built-in ones.

    Raises ConfigError with everything that is wrong in any of them.
    """
    packs: list[RulePack] = [] if files else list(builtin_packs(schemas))
    budgets = 0
    problems: list[Problem] = []
    for file in files:
        try:
            if file.name in CONFIG_NAMES:
                config = load_config(schemas, file=file)
                packs += [pack for pack in config.packs if pack.origin == str(file)]
                budgets += len(config.budgets)
            elif is_budget_file(file):
                budgets += len(read_budget_file(file))
            else:
                packs += load_packs([file], schemas)
        except ConfigError as error:
            problems += error.problems or [
                Problem(file=str(file), place=error.place or "", message=error.message)
            ]
    checked = CheckedRules(packs=tuple(packs), budgets=budgets)
    problems += [problem for rule in checked.rules for problem in check_examples(rule)]
    if problems:
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        raise ConfigError(f"{count} in the rules", problems=problems)
    return checked
