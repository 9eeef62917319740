"""Words, numbers and names in reports for people; sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slim.model.finding import Evidence
from slim.model.plan import Skipped, SkipReason
from slim.model.record import UNOWNED, EntryType, FileKind, FileRecord
from slim.model.rule import Safety
from slim.model.size import format_size, parse_size
from slim.reports.common.style import TerminalStyle
from slim.reports.common.text import (
    common_place,
    duration,
    evidence_text,
    percent,
    printable,
    unverified_words,
)
from slim.reports.run import markdown, terminal
from slim.reports.run.grouping import group_refusals
from tests.golden import samples


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (0, 0, ""),
        (0, 5, ""),
        (100, 100, "0%"),
        (100, 59, "-41%"),
        (100, 103, "+3%"),
        (1000, 997, "-0.3%"),
        (10**9, 10**9 - 1, "-<0.1%"),
        (10**9, 10**9 + 1, "+<0.1%"),
        (10**9, 1, "->99%"),
        (100, 0, "-100%"),
        (1, 12, "+1100%"),
    ],
)
def test_percent(before: int, after: int, text: str) -> None:
    assert percent(before, after) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185.2, "3 min 05 s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lib/a b.py", "lib/a b.py"),
        ("naïve/数据", "naïve/数据"),
        ("a\nb", "a\\x0ab"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b1m", "\\x9b1m"),
        ("\udcff\udc80", "\\xff\\x80"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u2028b", "a\\u2028b"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(st.text(st.characters(categories=None)))
def test_printable_is_one_harmless_line(name: str) -> None:
    shown = printable(name)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("paths", "place"),
    [
        (["a/b.py"], "a/b.py"),
        (["a/x/b.py", "a/x/c.py"], "a/x/"),
        (["a/x/b.py", "a/xy/c.py"], "a/"),
        (["a/b.py", "c/b.py"], "(several places)"),
        (["a", "a/b"], "(several places)"),
    ],
)
def test_common_place(paths: list[str], place: str) -> None:
    assert common_place(paths) == place


@pytest.mark.parametrize(
    ("file", "line", "text"),
    [
        (None, None, "seen"),
        ("a/b.py", 12, "seen (a/b.py:12)"),
        ("a/b.py", None, "seen (a/b.py)"),
        ("me.so", None, "seen"),
        ("me.so", 3, "seen (me.so:3)"),
    ],
)
def test_evidence_text(file: str | None, line: int | None, text: str) -> None:
    assert (
        evidence_text(Evidence(kind="x", text="seen", file=file, line=line), about="me.so") == text
    )


def _skipped(
    path: str, size: int, reason: SkipReason, layer: str = "a", rule: str = "r"
) -> Skipped:
    record = FileRecord(
        layer=layer,
        path=path,
        type=EntryType.FILE,
        kind=FileKind.DATA,
        owner=UNOWNED,
        size=size,
        mode=0o644,
    )
    proof = Evidence(kind="import", text="imported", file="x.py", line=1)
    return Skipped(record=record, pass_name="p", rule=rule, reason=reason, evidence=(proof,))


def test_refusals_are_grouped_the_largest_first() -> None:
    items = [
        _skipped("x/a", 1, SkipReason.IMPORTED),
        _skipped("x/b", 2, SkipReason.IMPORTED),
        _skipped("x/c", 4, SkipReason.LINKED),
        _skipped("x/a", 8, SkipReason.IMPORTED, layer="b"),
        _skipped("x/d", 2, SkipReason.IMPORTED, rule="other"),
    ]
    groups = group_refusals(items)
    assert groups == group_refusals(reversed(items))
    assert [(group.place, group.reason, group.files, group.held) for group in groups] == [
        ("b/x/a", SkipReason.IMPORTED, 1, 8),
        ("a/x/c", SkipReason.LINKED, 1, 4),
        ("a/x/", SkipReason.IMPORTED, 2, 3),
        ("a/x/d", SkipReason.IMPORTED, 1, 2),
    ]
    assert [len(group.evidence) for group in groups] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (33_782_944, "33.8 MB"),
        (-5_000, "-5.0 kB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_format_size(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("12", 12),
        ("12 B", 12),
        (" 40 MB ", 40_000_000),
        ("40mb", 40_000_000),
        ("1.5GiB", 3 << 29),
        ("0.0001 kB", 0),
    ],
)
def test_parse_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "MB", "-1", "1e3", "1,5 MB", "5 XB", "٣ MB", "1" * 40, "1..5 kB", "5 MBB"]
)
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="isn't a size"):
        parse_size(text)


@given(st.integers(0, 10**15))
def test_a_written_size_reads_back_nearly(size: int) -> None:
    assert abs(parse_size(format_size(size)) - size) <= max(size * 0.05, 0)


def test_evidence_from_outside_the_group_comes_first() -> None:
    def seen(file: str | None) -> Evidence:
        return Evidence(kind="import", text="seen", file=file, line=1)

    items = [
        replace(_skipped("x/a", 1, SkipReason.IMPORTED), evidence=(seen("a/x/b"), seen("a/y"))),
        replace(
            _skipped("x/b", 1, SkipReason.IMPORTED),
            evidence=(seen("a/x/a"), seen(None), seen("a/y")),
        ),
    ]
    (group,) = group_refusals(items)
    assert [fact.file for fact in group.evidence] == ["a/y", None, "a/x/b", "a/x/a"]


def test_an_unverified_result_names_the_rules_that_inferred_under_another_profile() -> None:
    assert unverified_words(samples.unverified()) == (
        "not verified: profile aggressive removes by inference, and nothing tried the result"
    )
    result = samples.enabled()
    (name,) = (name for name, rule in result.rules.items() if rule.safety is Safety.AGGRESSIVE)
    words = unverified_words(result)
    assert words == (
        f"not verified: rules of the profile aggressive remove by inference ({name}), "
        "and nothing tried the result"
    )
    assert words in " ".join(terminal.render([result], TerminalStyle(width=200)).split())
    assert words in markdown.render([result])
