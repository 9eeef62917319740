"""Several rules that want the same file: each is judged by itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slim.config.settings import Config
from slim.model.plan import Plan, SkipReason
from slim.model.progress import Silent
from slim.model.rule import RulePack
from slim.passes import SCHEMAS
from slim.plan.planner import Planner
from slim.rules.loader import parse_pack
from tests.support.virtual_stacks import SITE, Contents, make_stack

BUILT_IN = """
schema = 1
description = "Rules of every package"

[[rule]]
id = "folders"
pass = "tests"
safety = "standard"
reason = "Tests"
remove = ["$site/**/tests/**"]

[[rule]]
id = "modules"
pass = "tests"
safety = "standard"
reason = "Tests"
remove = ["$site/**/test_*.py"]
"""
OWN = """
schema = 1
description = "Our own"

[[rule]]
id = "ours"
pass = "leftovers"
safety = "standard"
reason = "We don't need it"
remove = ["$site/pkg/tests/**"]
"""
FILES: dict[str, Contents] = {
    "$site/pkg/__init__.py": "",
    "$site/pkg/tests/query.sql": "select 1",
    "$site/pkg/tests/table.sql": "select 2",
}
SQL = {"query.sql", "table.sql"}


def pack(text: str, *, builtin: bool) -> RulePack:
    found, problems = parse_pack(text, "test.toml", SCHEMAS)
    assert found is not None
    assert problems == []
    rules = (replace(rule, builtin=builtin) for rule in found.rules)
    return replace(found, rules=tuple(rules))


def plan(files: dict[str, Contents], *own: str, **settings: object) -> Plan:
    packs = (pack(BUILT_IN, builtin=True), *(pack(text, builtin=False) for text in own))
    config = Config(packs=packs, **settings)  # type: ignore[arg-type]
    return Planner(make_stack({"app-main": FILES | files}).facts, config, Silent()).plan()


def gone(made: Plan) -> dict[str, str]:
    """The rule that takes each file, by the file's name."""
    return {key[1].rpartition("/")[2]: action.rule for key, action in made.actions.items()}


@pytest.mark.parametrize("name", ["leftovers", "tests", "docs"])
def test_a_rule_of_ones_own_takes_what_the_built_in_one_leaves(name: str) -> None:
    own = OWN.replace('"leftovers"', f'"{name}"')
    assert gone(plan({})) == {}
    made = plan({}, own)
    assert gone(made) == dict.fromkeys(SQL, "ours")
    assert made.skipped == ()


def test_what_code_imports_stays_for_either_rule() -> None:
    files: dict[str, Contents] = {
        "$site/pkg/core.py": "from pkg.tests import test_it",
        "$site/pkg/tests/test_it.py": "def test(): pass",
    }
    made = plan(files, OWN)
    assert gone(made) == dict.fromkeys(SQL, "ours")
    held = {skipped.rule for skipped in made.skipped if skipped.reason is SkipReason.IMPORTED}
    assert held == {"ours", "folders"}


def test_a_refused_rule_of_ones_own_leaves_the_built_in_one_to_judge() -> None:
    """A unit is refused for one of its files; the built-in rule takes the others."""
    own = OWN.replace("remove =", "unit = true\nremove =")
    files: dict[str, Contents] = {
        "$site/pkg/core.py": "from pkg.tests import helper",
        "$site/pkg/tests/helper.py": "",
        "$site/pkg/tests/test_it.py": "def test(): pass",
    }
    made = plan(files, own)
    assert gone(made) == {"test_it.py": "folders"} | dict.fromkeys(SQL, "folders")
    kept = {skipped.record.path for skipped in made.skipped}
    assert kept == {f"{SITE}/pkg/tests/helper.py"}


def test_a_file_that_is_kept_is_refused_once_a_pass() -> None:
    made = plan({"$site/pkg/tests/test_it.py": ""}, keep=("**/test_it.py",))
    refused = [skipped.rule for skipped in made.skipped if skipped.record.path.endswith("it.py")]
    assert refused == ["folders"]
    assert {skipped.reason for skipped in made.skipped if skipped.rule == refused[0]} >= {
        SkipReason.KEPT
    }


def test_what_another_rule_takes_after_all_held_nothing() -> None:
    """A file is refused to a unit, and what it imports with it; then another rule takes it."""
    own = OWN.replace("remove =", "unit = true\nremove =")
    files: dict[str, Contents] = {
        "$site/pkg/core.py": "from pkg.tests import helper",
        "$site/pkg/tests/helper.py": "",
        "$site/pkg/tests/test_it.py": "from other.tests import test_that",
        "$site/other/__init__.py": "",
        "$site/other/tests/__init__.py": "",
        "$site/other/tests/test_that.py": "def test(): pass",
    }
    made = plan(files, own)
    assert gone(made)["test_it.py"] == "folders"
    assert gone(made)["test_that.py"] == "folders"
    kept = {skipped.record.path for skipped in made.skipped}
    assert kept == {f"{SITE}/pkg/tests/helper.py"}


NAMED = """
schema = 1
description = "A package that the rule knows"

[[rule]]
id = "known"
pass = "tests"
safety = "standard"
reason = "Its suite"
package = "pkg"
remove = ["$site/pkg/test/**"]
"""


def test_what_a_helper_opens_stays_though_the_rule_knows_the_package() -> None:
    files: dict[str, Contents] = {
        "$site/pkg-1.dist-info/METADATA": "Name: pkg\nVersion: 1\n",
        "$site/pkg/testing.py": "here = dirname(__file__)\nopen(join(here, 'test', 'a.crt'))",
        "$site/pkg/test/a.crt": "x",
        "$site/pkg/test/web.py": "def test(): open(join(dirname(__file__), 'b.crt'))",
        "$site/pkg/test/b.crt": "x",
    }
    config = Config(packs=(pack(NAMED, builtin=True),))
    made = Planner(make_stack({"app-main": files}).facts, config, Silent()).plan()
    assert gone(made) == dict.fromkeys(("web.py", "b.crt"), "known")
    (held,) = made.skipped
    assert (held.reason, held.evidence[0].kind) == (SkipReason.REFERENCED, "path")
