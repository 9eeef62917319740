"""``[[budget]]`` tables: what they may say, and every mistake with its place, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from slim.cli import main
from slim.config.budget import parse_limit, read_budget_file
from slim.config.load import load_config
from slim.errors import ConfigError, StorageError
from slim.model.budget import Budget, Each, LimitKind
from slim.model.diff import Metric
from slim.passes import SCHEMAS

LIMITS = [
    (Metric.ARCHIVE, "42 MB", LimitKind.ABSOLUTE, 42_000_000),
    (Metric.ARCHIVE, "40MiB", LimitKind.ABSOLUTE, 40 << 20),
    (Metric.UNPACKED, "0", LimitKind.ABSOLUTE, 0),
    (Metric.DEPLOYED, "1.5 GB", LimitKind.ABSOLUTE, 1_500_000_000),
    (Metric.ARCHIVE, "+2%", LimitKind.GROWTH_SHARE, 20_000),
    (Metric.ARCHIVE, "+ 0.25 %", LimitKind.GROWTH_SHARE, 2_500),
    (Metric.ARCHIVE, "+0%", LimitKind.GROWTH_SHARE, 0),
    (Metric.UNPACKED, "+1 MB", LimitKind.GROWTH, 1_000_000),
    (Metric.FILES, "12000", LimitKind.ABSOLUTE, 12_000),
    (Metric.FILES, "+100", LimitKind.GROWTH, 100),
    (Metric.FILES, "+1%", LimitKind.GROWTH_SHARE, 10_000),
]


@pytest.mark.parametrize(("metric", "text", "kind", "value"), LIMITS)
def test_limits(metric: Metric, text: str, kind: LimitKind, value: int) -> None:
    limit = parse_limit(metric, text)
    assert (limit.kind, limit.value) == (kind, value)


WRONG_LIMITS = [
    (Metric.ARCHIVE, "2%", "write '+2%'"),
    (Metric.ARCHIVE, "-2%", "isn't a size"),
    (Metric.ARCHIVE, "42 MX", "isn't a size"),
    (Metric.ARCHIVE, "", "isn't a size"),
    (Metric.ARCHIVE, "+", "isn't a size"),
    (Metric.FILES, "42 MB", "isn't a number of files"),
    (Metric.FILES, "1.5", "isn't a number of files"),
]


@pytest.mark.parametrize(("metric", "text", "message"), WRONG_LIMITS)
def test_wrong_limits(metric: Metric, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        parse_limit(metric, text)


ALLOWED = [
    ("42 MB", None, 42_000_000),
    ("42 MB", 1, 42_000_000),
    ("+2%", 1_000_000, 1_020_000),
    ("+2%", None, None),
    ("+1 MB", 500, 1_000_500),
    ("+0.5%", 199, 199),
    ("+0.5%", 200, 201),
]


@pytest.mark.parametrize(("text", "before", "allowed"), ALLOWED)
def test_what_a_limit_allows(text: str, before: int | None, allowed: int | None) -> None:
    assert parse_limit(Metric.ARCHIVE, text).allowed(before) == allowed


def read(tmp_path: Path, text: str, name: str = "budgets.toml") -> tuple[Budget, ...]:
    file = tmp_path / name
    file.write_text(text)
    return read_budget_file(file)


def test_a_whole_file(tmp_path: Path) -> None:
    total, layers, numpy = read(
        tmp_path,
        """\
        schema = 1

        # what users download
        [[budget]]
        archive = ["42 MB", "+2%"]
        platform = "linux_*"

        [[budget]]
        name = "no layer is huge"
        each = "layer"
        layer = ["framework-*", "app-*"]
        deployed = "150 MB"
        files = 9000

        [[budget]]
        owner = "Num_Py"
        category = "tests"
        unpacked = 0
        """,
    )
    assert (total.name, total.line, total.place) == ("platform linux_*", 4, "budget[0]")
    assert [limit.kind for limit in total.limits] == [LimitKind.ABSOLUTE, LimitKind.GROWTH_SHARE]
    assert (layers.name, layers.line, layers.each) == ("no layer is huge", 8, Each.LAYER)
    assert layers.layers == ("framework-*", "app-*")
    assert {limit.metric: limit.value for limit in layers.limits} == {
        Metric.DEPLOYED: 150_000_000,
        Metric.FILES: 9000,
    }
    assert (numpy.owners, numpy.categories) == (("num-py",), ("tests",))
    assert numpy.name == "owner num-py, category tests"


def test_every_mistake_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(
            tmp_path,
            """\
            schema = 1
            stray = 1

            [[budget]]
            name = "a"
            archiv = "1 MB"

            [[budget]]
            name = "a"
            archive = ["2%", 1.5, "1 MB", "2 MB"]
            layer = []
            each = "layers"

            [[budget]]
            owner = "numpy"
            archive = "1 MB"

            [[budget]]
            category = "test"
            platform = "macos_arm64"
            unpacked = []
            """,
        )
    found = {problem.place: problem for problem in caught.value.problems}
    assert set(found) == {
        "stray",
        "budget[0].archiv",
        "budget[0]",
        "budget[1].name",
        "budget[1].archive[0]",
        "budget[1].archive[1]",
        "budget[1].archive[3]",
        "budget[1].layer",
        "budget[1].each",
        "budget[2].archive",
        "budget[3].category",
        "budget[3].platform",
        "budget[3].unpacked",
    }
    assert found["budget[0].archiv"].hint == "did you mean 'archive'?"
    assert found["budget[3].category"].hint == "did you mean 'tests'?"
    assert "owner or a category has no archive size" in found["budget[2].archive"].message


def test_the_configuration_holds_budgets_too(tmp_path: Path) -> None:
    slim = tmp_path / "slim.toml"
    slim.write_text('schema = 1\nprofile = "safe"\n\n[[budget]]\narchive = "1 MB"\n')
    assert load_config(SCHEMAS, file=slim).budgets[0].line == 4
    nested = tmp_path / "pyproject.toml"
    nested.write_text('[tool.slim]\nschema = 1\n[[tool.slim.budget]]\nname = "x"\nfiles = 3\n')
    (budget,) = load_config(SCHEMAS, file=nested).budgets
    assert (budget.name, budget.line, budget.place) == ("x", 3, "tool.slim.budget[0]")


def test_budgets_in_an_inline_array_have_no_line(tmp_path: Path) -> None:
    (budget,) = read(tmp_path, 'schema = 1\nbudget = [{archive = "1 MB"}]\n')
    assert budget.line is None


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        read_budget_file(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "text", ["budget = 1", "[budget]\na = 1", "schema = 2", "x = ", "schema = 1\nbudget = [1]"]
)
def test_other_shapes_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path, text)


def test_rules_check_reads_budgets_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is what the pre-commit hook runs."""
    own, slim = tmp_path / "budgets.toml", tmp_path / "slim.toml"
    own.write_text('schema = 1\n[[budget]]\narchive = "1 MB"\n')
    slim.write_text('schema = 1\n[[budget]]\narchive = "1 MB"\n[[budget]]\nfiles = 3\n')
    assert main(["rules", "check", str(own), str(slim)]) == 0
    assert "3 budgets: all is well" in capsys.readouterr().out
    own.write_text('schema = 1\n[[budget]]\narchive = "1 MX"\n')
    slim.write_text("schema = 1\n[[budget]]\nfile = 3\n")
    assert main(["rules", "check", str(own), str(slim)]) == 2
    told = capsys.readouterr().err
    assert "budgets.toml: budget[0].archive: '1 MX' isn't a size" in told
    assert "slim.toml: budget[0].file: unknown key (did you mean 'files'?)" in told
