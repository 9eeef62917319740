"""Checking rule files before they are used: packs, configurations, budgets, and evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slim.config import CONFIG_NAMES
from slim.config.budget import is_budget_file, read_budget_file
from slim.config.load import load_config
from slim.errors import ConfigError, Problem
from slim.model.rule import PassSchema, Rule, RulePack
from slim.rules.evidence import is_evidence_file, read_evidence
from slim.rules.examples import check_examples
from slim.rules.loader import builtin_packs, load_packs
from slim.system.toml_table import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRules:
    """Rule files in which nothing is wrong: their packs, and the number of their budgets.

    ``evidence`` is the number of rules that files of evidence tell of.
    """

    packs: tuple[RulePack, ...]
    budgets: int = 0
    evidence: int = 0

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
    evidence: dict[Path, Collection[str]] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            if file.name in CONFIG_NAMES:
                config = load_config(schemas, file=file)
                packs += [pack for pack in config.packs if pack.origin == str(file)]
                budgets += len(config.budgets)
            elif is_budget_file(file):
                budgets += len(read_budget_file(file))
            elif is_evidence_file(file):
                evidence[file] = read_evidence(file)
            else:
                packs += load_packs([file], schemas)
        except ConfigError as error:
            problems += error.problems or [
                Problem(file=str(file), place=error.place or "", message=error.message)
            ]
    tried = sum(map(len, evidence.values()))
    checked = CheckedRules(packs=tuple(packs), budgets=budgets, evidence=tried)
    if evidence:
        known = {rule.id for pack in (*packs, *builtin_packs(schemas)) for rule in pack.rules}
        problems += _of_no_rule(evidence, known)
    problems += [problem for rule in checked.rules for problem in check_examples(rule)]
    if problems:
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        raise ConfigError(f"{count} in the rules", problems=problems)
    return checked


def _of_no_rule(
    evidence: Mapping[Path, Collection[str]], known: Collection[str]
) -> Iterator[Problem]:
    """Yield a problem for each rule that evidence tells of and that isn't there."""
    for file, rules in evidence.items():
        for rule in sorted(set(rules).difference(known)):
            hint = did_you_mean(rule, known) or "the field trial writes the file anew"
            yield Problem(
                file=str(file), place=rule, message=f"there is no rule {rule[:80]!r}", hint=hint
            )
