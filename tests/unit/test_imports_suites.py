"""Folders called tests that are data or API: what a generic rule leaves."""

from __future__ import annotations

import pytest

from slim.model.rule import PackageSpec
from slim.plan.suites import Suites, is_generic
from tests.support.pass_runs import rule
from tests.support.virtual_stacks import Contents, make_stack

TEST = "def test_it(): pass\n"

# The file asked about, the files beside it, and why it stays (empty: it goes).
TABLE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "a test": ("pkg/tests/test_a.py", (), ""),
    "a helper of deeper tests": ("pkg/sub/tests/tool.py", ("pkg/sub/tests/test_a.py",), ""),
    "data beside tests": ("pkg/sub/tests/data/a.sql", ("pkg/sub/tests/test_a.py",), ""),
    "test data in a package of data": ("pkg/data/tests/test_a.py", ("pkg/data/__init__.py",), ""),
    "SQL": ("pkg/include/project/tests/generic/a.sql", (), "data"),
    "YAML in a package": ("pkg/tests/a.yml", ("pkg/tests/__init__.py",), "data"),
    "a role's skeleton": ("pkg/galaxy/data/default/role/tests/test.yml.j2", (), "data"),
    "a template": (
        "pkg/templates/app/tests/test_a.py",
        ("pkg/templates/__init__.py", "pkg/templates/app/__init__.py"),
        "data",
    ),
    "a project template": ("pkg/conf/project_template/tests/test_a.py", (), "data"),
    "a placeholder": ("pkg/new/{{ name }}/tests/test_a.py", (), "data"),
    "a numbered sample": ("pkg/new/0000-rest/tests/conftest.py", (), "data"),
    "a template without a tests folder": ("pkg/skeleton/test_a.py", (), "data"),
    "a folder without code around": ("pkg/things/tests/test_a.py", (), "data"),
    "an import package's helper": ("pkg/tests/helper.py", ("pkg/tests/test_a.py",), "api"),
    "its __init__": ("pkg/tests/__init__.py", ("pkg/tests/test_a.py",), ""),
    "a namespace's package": (
        "space/pkg/tests/helper.py",
        ("space/pkg/__init__.py", "space/pkg/tests/test_a.py"),
        "api",
    ),
    "a test module": ("pkg/test_a.py", (), ""),
    "helpers for others": ("pkg/test_utils.py", (), "api"),
    "conftest": ("pkg/conftest.py", (), ""),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_a_generic_rule_leaves(case: str) -> None:
    path, others, reason = TABLE[case]
    files: dict[str, Contents] = dict.fromkeys((f"$site/{other}" for other in others), "")
    files |= {"$site/pkg/__init__.py": "", "$site/pkg/sub/__init__.py": "", f"$site/{path}": TEST}
    assert _reason(files, path) == reason


def _reason(files: dict[str, Contents], path: str) -> str:
    made = make_stack({"app-x": files})
    record = made.inventory.get(made.key(f"app-x/$site/{path}"))
    assert record is not None
    evidence = Suites(made.stack, made.inventory, made.read).why_no_test(record)
    return evidence.kind if evidence else ""


def test_a_module_called_test_without_tests_stays() -> None:
    files: dict[str, Contents] = {"$site/pkg/__init__.py": "", "$site/pkg/test_a.py": "X = 1\n"}
    assert _reason(files, "pkg/test_a.py") == "data"


def test_generic_rules_are_those_that_come_with_slim_and_name_no_package() -> None:
    assert is_generic(rule("tests"))
    assert is_generic(rule("tests", package=PackageSpec(name="*")))
    assert not is_generic(rule("tests", package=PackageSpec(name="pkg")))
    assert not is_generic(rule("tests", builtin=False))
    assert not is_generic(rule("docs"))
