"""Budgets against measurements: selecting, allowing, refusing, and writing back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.config.budget import read_budget_file
from slim.config.budget_edit import rewritten, starting_budgets, suggested, updates
from slim.errors import ConfigError
from slim.model.budget import PPM, Budget, Status
from slim.model.diff import Metric
from slim.sizes.budget import check, selected
from tests.golden.verdicts import after, before

Read = Callable[[str], tuple[Budget, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def parse(text: str) -> tuple[Budget, ...]:
        file = tmp_path / "budgets.toml"
        file.write_text(f"schema = 1\n{text}")
        return read_budget_file(file)

    return parse


SELECTED = [
    ('unpacked = "1 B"', 20_329_100),
    ('layer = "app-*"\nunpacked = "1 B"', 35_000),
    ('layer = "app-*"\narchive = "1 B"', 130_000),
    ('archive = "1 B"', 6_230_000),
    ('owner = "pandas"\nunpacked = "1 B"', 3_294_100),
    ('owner = ["pandas", "num*"]\nunpacked = "1 B"', 20_294_100),
    ('owner = "pandas"\ncategory = "tests"\nunpacked = "1 B"', 1_200_000),
    ('category = ["tests", "other data"]\nfiles = 0', 3),
    ('owner = "six"\ndeployed = "1 B"', 74_000),
]


@pytest.mark.parametrize(("text", "actual"), SELECTED)
def test_what_a_budget_selects(read: Read, text: str, actual: int) -> None:
    (result,) = check((after(),), read(f"[[budget]]\n{text}\n")).results
    (limit,) = result.limits
    assert (limit.actual, limit.status) == (actual, Status.EXCEEDED)
    assert limit.over == actual - (limit.allowed or 0)


def test_each_splits_the_whole_without_remainder(read: Read) -> None:
    snapshot = after()
    for word in ("layer", "owner", "category"):
        results = check(
            (snapshot,), read(f'[[budget]]\neach = "{word}"\nunpacked = "1 GB"\n')
        ).results
        assert sum(result.limits[0].actual or 0 for result in results) == snapshot.total.unpacked
        assert len({result.subject for result in results}) == len(results) > 1


def test_a_category_without_files_is_nothing_and_no_mistake(read: Read) -> None:
    """The best that can become of a budget for tests is that there are none."""
    text = '[[budget]]\nowner = "numpy"\ncategory = "tests"\nunpacked = "1 MB"\nfiles = "+0"\n'
    (result,) = check((after(),), read(text), baseline=(before(),)).results
    assert [(item.actual, item.status) for item in result.limits] == [
        (0, Status.WITHIN),
        (0, Status.WITHIN),
    ]
    (result,) = check(
        (before(),), read('[[budget]]\neach = "owner"\ncategory = "tests"\nfiles = 0\n')
    ).results
    assert (result.subject, result.limits[0].actual) == ("", 0)


def test_at_the_limit_is_within(read: Read) -> None:
    budgets = read('[[budget]]\nlayer = "app-main"\nunpacked = 35000\nfiles = 2\n')
    assert check((after(),), budgets).passed
    assert not check((after(),), read('[[budget]]\nlayer = "app-main"\nunpacked = 34999\n')).passed


NOTHING = [
    ('layer = "app-mian"\narchive = "1 MB"', "did you mean 'app-main'?"),
    ('owner = "panda"\nunpacked = "1 MB"', "did you mean 'pandas'?"),
    ('owner = "zzz"\nunpacked = "1 MB"', "owners are numpy"),
    (
        'layer = "app-*"\nowner = "numpy"\nunpacked = "1 MB"',
        "the owner has nothing in these layers",
    ),
    ('platform = "win_*"\narchive = "1 MB"', "there is: linux_x86_64"),
]


@pytest.mark.parametrize(("text", "hint"), NOTHING)
def test_a_budget_that_matches_nothing_is_an_error(read: Read, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check((after(),), read(f"[[budget]]\n{text}\n"))
    (problem,) = caught.value.problems
    assert hint in (problem.hint or "")
    assert problem.place == "budget[0]"


def test_no_budget_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError, match="there is no budget"):
        check((after(),), ())


def test_platforms_are_checked_apart(read: Read) -> None:
    mac = replace(before(), platform="macosx_arm64")
    budgets = read(
        '[[budget]]\nname = "all"\narchive = "4 MB"\n'
        '[[budget]]\nname = "mac"\nplatform = "macosx_*"\narchive = "1 MB"\n'
        '[[budget]]\nname = "windows"\nplatform = "win_*"\narchive = "1 MB"\n'
    )
    verdict = check((after(), mac), budgets)
    statuses = [(result.title, result.platform, result.status.value) for result in verdict.results]
    assert statuses == [
        ("all", "linux_x86_64", "exceeded"),
        ("all", "macosx_arm64", "within"),
        ("mac", "macosx_arm64", "exceeded"),
    ]
    assert [budget.name for budget in verdict.elsewhere] == ["windows"]


def test_the_baseline_is_that_of_the_platform(read: Read) -> None:
    mac = replace(before(), platform="macosx_arm64")
    verdict = check((after(),), read('[[budget]]\narchive = "+1 MB"\n'), baseline=(mac,))
    assert verdict.results[0].status is Status.UNCHECKED
    assert verdict.warnings == (
        "the baseline has no stack for linux_x86_64, only for macosx_arm64",
    )
    verdict = check(
        (after(), mac), read('[[budget]]\narchive = "+1 MB"\n'), baseline=(mac, before())
    )
    assert [result.status for result in verdict.results] == [Status.EXCEEDED, Status.WITHIN]


def test_growth_of_what_is_new_is_all_of_it(read: Read) -> None:
    verdict = check(
        (after(),),
        read('[[budget]]\ncategory = "tests"\nunpacked = "+1 MB"\n'),
        baseline=(before(),),
    )
    (limit,) = verdict.results[0].limits
    assert (limit.before, limit.allowed, limit.actual, limit.over) == (
        0,
        1_000_000,
        1_200_000,
        200_000,
    )
    assert [(cause.name, cause.versions_before) for cause in limit.causes] == [
        ("pandas", ("3.1.0",))
    ]


def test_archives_of_a_dry_run_are_unchecked(read: Read) -> None:
    dry = replace(after(), archive_known=False)
    (result,) = check((dry,), read('[[budget]]\narchive = "1 B"\n')).results
    assert (result.status, result.limits[0].actual) == (Status.UNCHECKED, None)
    verdict = check((after(),), read('[[budget]]\narchive = "+1%"\n'), baseline=(dry,))
    assert verdict.results[0].limits[0].note == "the baseline's archives weren't measured"


def test_selected_parts_have_the_files_that_they_count(read: Read) -> None:
    (budget,) = read('[[budget]]\nowner = "pandas"\ncategory = "tests"\nunpacked = "1 MB"\n')
    part = selected(after(), budget)
    assert part is not None
    assert (
        sum(record.size for record in (part.records or {}).values())
        == part.total.unpacked
        == 1_200_000
    )


# Writing budgets


SUGGESTED = [
    (Metric.ARCHIVE, 41_234_567, "42 MB", (42_100_000, "42.1 MB")),
    (Metric.ARCHIVE, 41_234_567, "40MiB", (42_048_880, "40.2 MiB")),
    (Metric.ARCHIVE, 999, "", (1_020, "1.02 kB")),
    (Metric.ARCHIVE, 100, "", (102, "102 B")),
    (Metric.ARCHIVE, 0, "", (0, "0 B")),
    (Metric.ARCHIVE, 123_456_789, "130000 kB", (126_000_000, "126000 kB")),
    (Metric.UNPACKED, 1_000_000, "2000000", (1_020_000, "1020000")),
    (Metric.FILES, 12_345, "13000", (12_600, "12600")),
]


@pytest.mark.parametrize(("metric", "actual", "like", "expected"), SUGGESTED)
def test_suggestions(metric: Metric, actual: int, like: str, expected: tuple[int, str]) -> None:
    value, text = suggested(metric, actual, 2 * PPM // 100, like)
    assert text == expected[1]
    assert abs(value - expected[0]) <= 110_000  # binary units aren't round in bytes


@given(
    st.sampled_from(list(Metric)),
    st.integers(0, 10**14),
    st.integers(0, PPM),
    st.sampled_from(["", "1 MB", "3 GiB", "5 kB", "7"]),
)
def test_a_suggestion_always_leaves_room(
    metric: Metric, actual: int, headroom: int, like: str
) -> None:
    from slim.config.budget import parse_limit

    value, text = suggested(metric, actual, headroom, like)
    assert value >= actual
    assert parse_limit(metric, text).value == value
    assert value <= (actual + actual * headroom // PPM) * 1.01 + 1


FILE = """\
schema = 1  # of budgets

# What users download. Raise it only with a reason.
[[budget]]
name    = "download"
archive = [ "9 MB",   "+2%" ]   # ours, and growth
files   = 9_000 # plain

[[budget]]
each = "layer"
deployed = '21 MB'
"""


def test_the_ratchet_keeps_comments_and_layout(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "slim.toml"
    file.write_text(FILE)
    budgets = read_budget_file(file)
    changes = updates(budgets, check((after(),), budgets))
    assert [(one.name, one.metric.value, one.old, one.new) for one in changes] == [
        ("download", "archive", "9 MB", "6.36 MB"),
        ("download", "files", "9000", "8"),
        ("each layer", "deployed", "21 MB", "20.8 MB"),
    ]
    text = rewritten(FILE, changes, file="slim.toml", nested=False)
    expected = (
        FILE.replace('"9 MB"', '"6.36 MB"').replace("9_000", "8").replace("'21 MB'", '"20.8 MB"')
    )
    assert text == expected
    file.write_text(text)
    again = read_budget_file(file)
    assert updates(again, check((after(),), again)) == []


def test_the_ratchet_only_raises_when_asked_to(read: Read) -> None:
    budgets = read('[[budget]]\narchive = "1 MB"\nunpacked = "20.4 MB"\n')
    verdict = check((after(),), budgets)
    assert updates(budgets, verdict) == []
    raised = updates(budgets, verdict, allow_raise=True)
    assert [(one.old, one.new) for one in raised] == [("1 MB", "6.36 MB")]


def test_limits_in_nested_tables(tmp_path: Path) -> None:
    text = '[tool.slim]\nschema = 1\n\n[[tool.slim.budget]]\narchive = "9 MB" # x\n'
    budgets = (replace(_one(tmp_path, 'archive = "9 MB"'), place="tool.slim.budget[0]"),)
    changes = updates(budgets, check((after(),), budgets))
    assert rewritten(text, changes, file="pyproject.toml", nested=True) == text.replace(
        "9 MB", "6.36 MB"
    )


def _one(tmp_path: Path, text: str) -> Budget:
    file = tmp_path / "one.toml"
    file.write_text(f"schema = 1\n[[budget]]\n{text}\n")
    return read_budget_file(file)[0]


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    budgets = (_one(tmp_path, 'archive = "9 MB"'),)
    changes = updates(budgets, check((after(),), budgets))
    with pytest.raises(ConfigError, match="can't be written"):
        rewritten("schema = 1\n", changes, file="x", nested=False)


@pytest.mark.parametrize("several", [False, True])
def test_starting_budgets_hold_what_they_were_made_from(tmp_path: Path, several: bool) -> None:
    stacks = (after(), replace(before(), platform="macosx_arm64")) if several else (after(),)
    file = tmp_path / "start.toml"
    file.write_text("schema = 1\n\n" + starting_budgets(stacks, headroom=PPM // 50, nested=False))
    budgets = read_budget_file(file)
    assert len(budgets) == 3 * len(stacks)
    assert check(stacks, budgets).passed
    assert updates(budgets, check(stacks, budgets)) == []
