"""The field trial's own judgement: groups, what a failure is blamed on, tables, evidence."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from slim.passes import SCHEMAS
from slim.rules.loader import builtin_packs
from tests.field.opened import missing, opened
from tests.field.report import (
    BEGIN,
    END,
    document,
    read_document,
    table,
    write_evidence,
    write_page,
)
from tests.field.selecting import rule_tables
from tests.field.trees import read_locked
from tests.field.trial import Broken, GroupTrial, Slimmed, blamed
from tests.field.uses import LARGEST_GROUP, Group, Use, groups, read_given_up, read_uses


def use(name: str, *needs: str, alone: bool = False) -> Use:
    return Use(id=name, code="pass", needs=needs, report="", alone=alone)


def test_uses_share_trees_but_those_that_have_to_be_alone_do_not() -> None:
    found = groups([use("a", "numpy"), use("b", "numpy", "pandas"), use("c", "numpy", alone=True)])
    assert {group.name: [one.id for one in group.uses] for group in found} == {
        "numpy+pandas": ["a", "b"],
        "numpy-alone": ["c"],
    }


def test_trees_of_many_needs_have_names_that_file_systems_take() -> None:
    needs = [f"distribution-{number}" for number in range(40)]
    found = groups([use("a", *needs, alone=True), use("b", *needs[1:], alone=True)])
    assert len({group.name for group in found}) == 2
    assert max(len(group.name) for group in found) < 255


def test_groups_stay_small_and_hold_every_use_once() -> None:
    uses = read_uses()
    found = groups(uses)
    assert sorted(one.id for group in found for one in group.uses) == sorted(u.id for u in uses)
    assert len({group.name for group in found}) == len(found)
    largest = max(len(one.needs) for one in uses)
    assert all(len(group.requirements) <= max(LARGEST_GROUP, largest) for group in found)


def test_locks_and_what_is_given_up_name_what_is_there() -> None:
    uses = read_uses()
    assert set(read_locked()) <= {group.name for group in groups(uses)}
    given_up = {
        name
        for name, _ in read_given_up()
        if not name.startswith("data ") and not name.endswith(" --help")
    }
    assert given_up <= {one.id for one in uses}
    page = (Path(__file__).parents[2] / "docs/field.md").read_text(encoding="utf-8")
    rows = {f"| `{name}` | {reason} |" for (name, _), reason in read_given_up().items()}
    assert rows <= set(page.splitlines())


def test_a_failure_is_blamed_on_the_removed_file_that_it_names() -> None:
    site = "lib/python3.13/site-packages"
    removed = {f"{site}/a/tests/__init__.py": "r1", f"{site}/a/data.json": "r2"}
    assert blamed("No module named 'a.tests'", removed) == f"{site}/a/tests/__init__.py"
    error = f"No such file: '/cache/tree/{site}/a/data.json'"
    assert blamed(error, removed) == f"{site}/a/data.json"
    assert blamed("assert 1 == 2", removed) == ""


def trial(tmp_path: Path) -> GroupTrial:
    slimmed = Slimmed(
        bytes_before=3_000_000,
        bytes_after=1_000_000,
        saved={"tests-folders": {"a": 2_000_000}, "numpy-stubs": {"a": 5}},
    )
    found = GroupTrial(
        Group("a", ("a",), (use("one", "a"), use("two", "a"))),
        versions={"a": "1.0"},
        before=["one", "two", "x --help"],
        after={"standard": ["one", "x --help"]},
        tests={"standard": {"a": (9, 9)}},
        data={"standard": 7},
        slimmed={"standard": slimmed},
    )
    found.broken.append(Broken("two", "standard", "gone", "a/b.py", "numpy-stubs"))
    return found


def test_the_table_counts_what_passed_and_tells_what_broke(tmp_path: Path) -> None:
    text = table([trial(tmp_path)])
    assert "| a | 1.0 | standard | 1/2 | 1/1 | 9/9 | 7 | 2.0 MB | 1 |" in text
    assert "- `two` (standard): `gone`; removed `a/b.py` by rule `numpy-stubs`" in text


def test_evidence_leaves_out_rules_that_broke_something(tmp_path: Path) -> None:
    file = tmp_path / "evidence.toml"
    known = [rule.id for pack in builtin_packs(SCHEMAS) for rule in pack.rules]
    write_evidence([trial(tmp_path)], file, known)
    assert tomllib.loads(file.read_text()) == {
        "tests-folders": {"uses": 2, "tests": 9, "saved": 2_000_000, "tried": {"a": ["1.0"]}}
    }


def test_evidence_of_other_distributions_stays(tmp_path: Path) -> None:
    file = tmp_path / "evidence.toml"
    file.write_text("[tests-folders]\nuses = 5\ntests = 1\nsaved = 7\ntried = { b = ['2'] }\n")
    write_evidence([trial(tmp_path)], file, ["tests-folders"])
    found = tomllib.loads(file.read_text())["tests-folders"]
    assert found["tried"] == {"a": ["1.0"], "b": ["2"]}
    assert (found["uses"], found["tests"]) == (5, 9)


@pytest.mark.parametrize(("version", "uses"), [("1.0", 538), ("0.9", 2)])
def test_fewer_uses_of_the_same_version_take_nothing_back(
    tmp_path: Path, version: str, uses: int
) -> None:
    file = tmp_path / "evidence.toml"
    old = f"[tests-folders]\nuses = 538\ntests = 1\nsaved = 7\ntried = {{ a = ['{version}'] }}\n"
    file.write_text(old)
    write_evidence([trial(tmp_path)], file, ["tests-folders"])
    found = tomllib.loads(file.read_text())["tests-folders"]
    assert (found["uses"], found["saved"], found["tried"]) == (uses, 2_000_000, {"a": ["1.0"]})


def test_outcomes_that_were_written_are_read_again(tmp_path: Path) -> None:
    before = trial(tmp_path)
    file = tmp_path / "outcomes.json"
    file.write_text(document([before]), encoding="utf-8")
    assert table(read_document(file, [before.group])) == table([before])
    assert read_document(file, []) == []


def test_the_table_goes_between_its_marks_in_a_page(tmp_path: Path) -> None:
    page = tmp_path / "field.md"
    page.write_text(f"# A\n\n{BEGIN}\nold\n{END}\n\n## B\n")
    write_page([trial(tmp_path)], page)
    text = page.read_text()
    assert text.startswith(f"# A\n\n{BEGIN}\n\n| distributions |")
    assert "old" not in text
    assert text.endswith(f"{END}\n\n## B\n")


def test_own_uses_name_the_rules_that_they_are_for() -> None:
    known = set(rule_tables())
    for one in read_uses():
        if one.id.startswith("own-"):
            named = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)+", one.report))
            assert named, one.id
            assert named <= known, one.id


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("Path(__file__).parent / 'data' / 'x.json'", "data/x.json"),
        ("Path(__file__).parent / 'data/x.json'", "data/x.json"),
        ("os.path.join(os.path.dirname(__file__), 'data', 'x.json')", "data/x.json"),
        ("files('pkg').joinpath('data').joinpath('x.json')", "data/x.json"),
        ("pkgutil.get_data('pkg', 'data/x.json')", "data/x.json"),
        ("pkgutil.get_data('pkg.data', 'x.json')", "data/x.json"),
        ("join(here, 'data', name)", ""),
        ("join(here, 'data', 'other.json')", ""),
        ("'data/x.json'", ""),
    ],
)
def test_data_files_that_code_opens_by_a_literal_name(tmp_path: Path, code: str, path: str) -> None:
    package = tmp_path / "lib/python3.13/site-packages/pkg"
    for name, text in (("sub/mod.py", code), ("data/x.json", "{}"), ("data/__init__.py", "")):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    files = opened(tmp_path)
    names = {name.partition("/pkg/")[2] for name in files}
    assert names == ({path} if path else set())
    slimmed = tmp_path / "slimmed"
    assert missing(files, slimmed) == {}
    module = slimmed / "lib/python3.13/site-packages/pkg/sub/mod.py"
    module.parent.mkdir(parents=True)
    module.touch()
    assert missing(files, slimmed) == {path: places[0] for path, places in files.items()}


def test_data_that_a_removed_module_opens_too_is_still_missed(tmp_path: Path) -> None:
    package = tmp_path / "lib/python3.13/site-packages/pkg"
    there = {
        "helper.py": "Path(__file__).parent / 'test' / 'x.crt'",
        "a_test/a.py": "Path(__file__).parent.parent / 'test' / 'x.crt'",
        "test/x.crt": "",
    }
    for name, text in there.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    files = opened(tmp_path)
    (package / "test/x.crt").unlink()
    (package / "a_test/a.py").unlink()
    lost = missing(files, tmp_path)
    assert {name.partition("/pkg/")[2] for name in lost} == {"test/x.crt"}
    assert all(place.endswith("helper.py:1") for place in lost.values())
