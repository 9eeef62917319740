"""Counts: ``python -m tests.corpus`` tries every case and prints how many ended as the table says.

Exit code 1 where one didn't. ``--list`` only prints the table: each case with how each command has
to end.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from tests.corpus.table import all_trials
from tests.corpus.trials import Trial, tried


def _try(number: int) -> dict[str, list[str]]:
    return tried(all_trials()[number])


def _list(trials: Iterable[Trial]) -> None:
    for trial in trials:
        codes = ", ".join(f"{name} {expected.code}" for name, expected in trial.expected.items())
        print(f"{trial.id}: {codes}")


def main() -> int:
    """Try everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the table; try nothing")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    said = parser.parse_args()
    trials = all_trials()
    if said.list:
        _list(trials)
        return 0
    cases: Counter[str] = Counter()
    commands: Counter[str] = Counter()
    right: Counter[str] = Counter()
    with ProcessPoolExecutor(said.jobs) as pool:
        for trial, found in zip(
            trials, pool.map(_try, range(len(trials)), chunksize=4), strict=True
        ):
            cases[trial.group] += 1
            commands[trial.group] += len(found)
            right[trial.group] += sum(not problems for problems in found.values())
            for name, problems in found.items():
                if problems:
                    print(f"{trial.id}: {name}: {'; '.join(problems)}", file=sys.stderr)
    print(f"{'group':<26}{'cases':>8}{'commands':>10}{'as expected':>13}")
    for group in cases:
        print(f"{group:<26}{cases[group]:>8}{commands[group]:>10}{right[group]:>13}")
    print(f"{'total':<26}{cases.total():>8}{commands.total():>10}{right.total():>13}")
    return int(right.total() != commands.total())


if __name__ == "__main__":
    sys.exit(main())
