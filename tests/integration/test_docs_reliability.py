"""The page about reliability against the tables that it speaks of."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from slim.config.schema import KEYS
from slim.formats.links import MAX_LINKS
from slim.formats.names import MAX_COMPONENT
from slim.formats.tar.parse import MAX_EXTENDED
from slim.inventory.manifest import LARGEST, MOST_LAYERS
from slim.model.limits import MIB
from slim.rules.glob import MAX_EXPANSIONS, MAX_GLOBSTARS, MAX_LENGTH, MAX_STARS
from slim.sizes.measure import LARGEST_REPORT
from slim.system.toml_table import MAX_TOML_SIZE
from tests.corpus.table import all_trials
from tests.fuzz.targets import TARGETS

TEXT = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables of a section."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in found if not set(row[0]) <= set(" -")]


def test_counts_of_cases() -> None:
    cases = Counter(trial.group for trial in all_trials())
    commands: Counter[str] = Counter()
    for trial in all_trials():
        commands[trial.group] += len(trial.expected)
    told = {row[0]: tuple(map(int, row[1:4])) for row in rows("Cases")[1:]}
    assert told.pop("total") == (cases.total(), commands.total(), commands.total())
    assert told == {group: (cases[group], commands[group], commands[group]) for group in cases}


def test_every_target() -> None:
    names = {one.name for one in TARGETS}
    promised = {name for row in rows("Fuzzing") for name in re.findall(r"`([a-z-]+)`", row[0])}
    assert promised == names
    measured = {
        row[0] for row in rows("Fuzzing") if len(row) == 5 and row[1].replace(",", "").isdecimal()
    }
    assert measured == names


def test_fixed_bounds() -> None:
    values = {row[0]: row[1] for row in rows("Limits")[1:]}
    assert values == {
        "one extended header or long name of a tar file": f"{MAX_EXTENDED // MIB} MiB",
        "links followed in one walk, as in Linux": str(MAX_LINKS),
        "one component of a path": f"{MAX_COMPONENT} bytes",
        "a manifest": f"{LARGEST // MIB} MiB, {MOST_LAYERS:,} layers",
        "a report as a baseline": f"{LARGEST_REPORT // MIB} MiB",
        "a configuration or rule file": f"{MAX_TOML_SIZE // MIB} MiB",
        "a glob": f"{MAX_LENGTH} characters, {MAX_EXPANSIONS} patterns after braces, "
        f"{MAX_GLOBSTARS} `**`, {MAX_STARS} `*`",
    }
    assert "limits" in KEYS
