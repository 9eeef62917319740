"""Command line of the field trial."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from slim.rules.evidence import EVIDENCE_FILE
from slim.rules.loader import packs_folder
from tests.field.report import (
    document,
    read_document,
    table,
    write_broken,
    write_evidence,
    write_page,
)
from tests.field.selecting import by_name, changed_rules, rule_tables, touched
from tests.field.trees import InstallError, Trees, read_locked, write_locked
from tests.field.trial import ROOT, GroupTrial, Plan, try_group
from tests.field.uses import Group, groups, read_given_up, read_suites, read_uses


def main(arguments: list[str] | None = None) -> int:
    """Run the trial; return 1 if anything broke that no promise gives up."""
    options = _parser().parse_args(arguments)
    trees = Trees(options.cache, options.python)
    every = groups(read_uses())
    locked = read_locked()
    chosen = _chosen(options, every)
    if options.list:
        for group in chosen:
            print(f"{group.name}: {', '.join(use.id for use in group.uses)}")
        return 0
    if options.lock:
        return _lock(trees, chosen, locked, {group.name for group in every})
    if options.read:
        trials = [trial for file in options.read for trial in read_document(file, every)]
        return _tell(options, trials)
    plan = Plan(
        profiles=tuple(options.profiles.split(",")),
        given_up=read_given_up(),
        suites={} if options.no_suites else read_suites(),
        whole_suites=options.whole_suites,
        scripts=not options.no_scripts,
        keep=options.keep,
    )

    def attempt(group: Group) -> GroupTrial:
        try:
            trial = try_group(trees, group, locked.get(group.name) or trees.lock(group), plan)
        except InstallError as error:
            trial = GroupTrial(group, error=str(error))
        bad = [item for item in trial.broken if not item.given_up]
        print(f"{group.name}: {len(trial.before)} before, {len(bad)} broken, "
              f"{trial.seconds:.0f} s", file=sys.stderr, flush=True)  # fmt: skip
        for item in bad:
            print(f"  {item.profile}: {item.use}: {item.error} [{item.file} {item.rule}]",
                  file=sys.stderr, flush=True)  # fmt: skip
        return trial

    with ThreadPoolExecutor(options.jobs) as pool:
        trials = list(pool.map(attempt, chosen))
    return _tell(options, trials)


def _tell(options: argparse.Namespace, trials: list[GroupTrial]) -> int:
    print(table(trials), end="")
    if options.json:
        options.json.write_text(document(trials), encoding="utf-8")
    if options.broken:
        write_broken(trials, options.broken)
    if options.write_evidence:
        write_evidence(trials, packs_folder() / EVIDENCE_FILE, rule_tables())
    if options.write_docs:
        write_page(trials, ROOT / "docs/field.md")
    return int(any(not item.given_up for trial in trials for item in trial.broken))


def _chosen(options: argparse.Namespace, every: tuple[Group, ...]) -> tuple[Group, ...]:
    uses = [use for group in every for use in group.uses]
    wanted = {use.id for use in by_name(uses, options.use, options.distribution)}
    without = set(options.without)
    wanted -= {use.id for use in uses if use.distributions & without}
    found = tuple(
        Group(group.name, group.requirements, kept)
        for group in every
        if (kept := tuple(use for use in group.uses if use.id in wanted))
    )
    rules = {}
    if options.changed:
        rules = changed_rules(options.changed)
    for name in options.rule:
        rules[name] = rule_tables()[name]
    if options.changed or options.rule:
        names = touched(rules, found)
        found = tuple(group for group in found if group.name in names)
    return found


def _lock(
    trees: Trees, chosen: tuple[Group, ...], locked: dict[str, list[str]], every: set[str]
) -> int:
    for group in chosen:
        try:
            locked[group.name] = trees.lock(group)
        except InstallError as error:
            print(f"{group.name}: {error}", file=sys.stderr)
    write_locked({name: lock for name, lock in locked.items() if name in every})
    return 0


def _parser() -> argparse.ArgumentParser:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slim-field"
    parser = argparse.ArgumentParser(prog="python -m tests.field", description=__doc__)
    parser.add_argument("use", nargs="*", help="IDs of uses, as globs [default: all]")
    add = parser.add_argument
    add("--distribution", action="append", default=[], help="uses that need this distribution")
    add("--without", action="append", default=[], help="no uses that need this distribution")
    add("--rule", action="append", default=[], help="trees with packages that this rule is about")
    add("--changed", metavar="REV", help="trees that rules changed since REV are about")
    add("--profiles", default="safe,standard", help="profiles [default: safe,standard]")
    add("--jobs", type=int, default=1, help="trees at a time")
    add("--cache", type=Path, default=cache, help=f"where trees are kept [default: {cache}]")
    add("--python", type=Path, help="prefix of the CPython 3.13 that is copied")
    add("--keep", action="store_true", help="keep the slimmed trees")
    add("--no-scripts", action="store_true", help="don't try console scripts")
    add("--no-suites", action="store_true", help="don't run removed test suites")
    add("--whole-suites", action="store_true", help="run them whole, not a sample")
    add("--lock", action="store_true", help="write locked.toml anew for the chosen uses")
    add("--list", action="store_true", help="list the chosen trees and their uses")
    add("--json", type=Path, metavar="FILE", help="write all outcomes")
    add("--read", type=Path, nargs="+", metavar="FILE", help="tell what --json wrote; run nothing")
    add("--broken", type=Path, metavar="FILE", help="write what broke, a line each")
    add("--write-docs", action="store_true", help="write the table into docs/field.md")
    add("--write-evidence", action="store_true", help="write rules/evidence.toml")
    return parser


if __name__ == "__main__":
    sys.exit(main())
