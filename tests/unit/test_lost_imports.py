"""The check ``lost-imports``: what stays and what it imports, read apart from the planner."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from slim.model.plan import Plan, Remove
from slim.model.rule import Rule, Safety
from slim.verification.lost_imports.check import Losses, find_losses
from slim.verification.lost_imports.forgiveness import Forgiveness
from slim.verification.lost_imports.packages import package_of
from slim.verification.lost_imports.statements import Platform, imports_by_words, imports_of
from tests.support.virtual_stacks import Contents, VirtualStack, make_stack

PACKAGE: dict[str, Contents] = {
    "$site/pkg/__init__.py": "",
    "$site/pkg/tests/__init__.py": "",
    "$site/pkg/tests/helpers.py": "def run(): ...\n",
    "$site/pkg/_impl/__init__.py": "",
    "$site/pkg-1.0.dist-info/METADATA": "Name: pkg\n",
}
GONE = ("app/$site/pkg/tests",)


@pytest.mark.parametrize(
    ("source", "bound"),
    [
        ("def x(): ...\nfrom pkg import tests\n", {"x"}),
        ("def other(): ...\nfrom other import tests\n", {"other", "tests"}),
        ("x = 1\nfrom . import tests\n", {"x"}),
    ],
)
def test_a_package_binds_no_module_of_its_own(source: str, bound: set[str]) -> None:
    assert package_of("pkg", source.encode()).bound == bound


def look(
    virtual: VirtualStack, *gone: str, rules: tuple[Rule, ...] = (), rule: str = "tests"
) -> Losses:
    """Take files and folders away, and look at what is left."""
    keys = frozenset[tuple[str, str]]().union(*(virtual.keys_below(path) for path in gone))
    actions = {
        record.key: Remove(record=record, pass_name="tests", rule=rule)
        for record in virtual.inventory
        if record.key in keys
    }
    plan = Plan(actions=actions)
    return find_losses(
        virtual.stack,
        virtual.inventory,
        plan,
        virtual.read,
        original=virtual.read,
        rule_of=lambda record: actions[record.key].rule,
        forgives=Forgiveness(virtual.stack, plan, rules).why,
    )


def lost(source: str, name: str = "$site/pkg/mod.py", **more: str) -> tuple[int, str]:
    """Tell how many imports a module lost, and the remark about those that don't count."""
    files: dict[str, Contents] = {**PACKAGE, name: source, **more}
    found = look(make_stack({"app": files}), *GONE).check
    return len(found.failures), found.note


@pytest.mark.parametrize(
    "source",
    [
        "import pkg.tests.helpers",
        "import os, pkg.tests as t",
        "from pkg.tests.helpers import run",
        "from pkg.tests import helpers",
        "from pkg import tests",
        "from .tests import helpers",
        "from . import tests",
        "from . \\\n    import (  # a helper :)\n    _impl,\n    tests,\n)",
        "from\\\n  .tests.helpers import*",
        "def f():\n    from pkg.tests.helpers import run\n    return run()",
        "class A:\n    def f(self):\n        if self:\n            import pkg.tests; return pkg",
        "async def f():\n    async with x:\n        from .tests.helpers import run",
        "match x:\n    case 1:\n        from .tests import helpers",
        "try:\n    pass\nexcept ImportError:\n    from .tests import helpers",
        "try:\n    from .tests import helpers\nexcept ValueError:\n    pass",
        "try:\n    from .tests import helpers\nfinally:\n    pass",
        "import sys\nif sys.platform != 'win32':\n    from .tests import helpers",
        "import sys\nif sys.platform == 'win32':\n    pass\nelse:\n    from .tests import helpers",
        "import sys\nif sys.version_info >= (3, 9):\n    from .tests import helpers",
        "type X = int\ndef f():\n    from .tests import helpers",  # not in Python 3.11's syntax
        "with suppress(ValueError):\n    from .tests import helpers",
    ],
)
def test_an_import_at_any_depth_loses_what_went(source: str) -> None:
    failures, _ = lost(source)
    assert failures == 1


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("try:\n    import pkg.tests\nexcept ImportError:\n    pass", "its failure is caught"),
        ("try:\n    import pkg.tests\nexcept (KeyError, Exception):\n    pass", "caught"),
        ("try:\n    import pkg.tests\nexcept:\n    pass", "caught"),
        ("with contextlib.suppress(ImportError):\n    import pkg.tests", "caught"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pkg.tests", "never runs"),
        ("if not typing.TYPE_CHECKING:\n    pass\nelse:\n    import pkg.tests", "never runs"),
        ("if sys.platform == 'win32':\n    import pkg.tests", "never runs"),
        ("if sys.platform.startswith('win') and x:\n    import pkg.tests", "never runs"),
        ("if os.name == 'nt' or sys.platform in ('darwin', 'ios'):\n  import pkg.tests", "never"),
        ("if sys.version_info < (3,):\n    import pkg.tests", "never runs"),
        ("if 0:\n    import pkg.tests", "never runs"),
        ("RUNNER = 'pkg.tests.helpers:run'", "a string names it"),
        ("RUNNER = ['pkg.tests']", "a string names it"),
    ],
)
def test_what_may_fail_or_never_runs_is_a_remark(source: str, why: str) -> None:
    failures, note = lost(source)
    assert failures == 0
    assert why in note


@pytest.mark.parametrize(
    "source",
    [
        "",
        "'''\n    from pkg.tests import helpers\n'''",
        "# import pkg.tests",
        "import tests",  # the package's own isn't at the top
        "from ..tests import helpers",  # nor above it
        "from pkg.tests_more import helpers",
        "from other.tests import helpers",
        "import important.tests_",
        "type X = int\ndef f():\n    '''\n    from .tests import helpers\n    '''",
    ],
)
def test_what_imports_nothing_that_went_loses_nothing(source: str) -> None:
    assert lost(source) == (0, "")


@pytest.mark.parametrize(
    ("package", "failures", "why"),
    [
        ("", 1, ""),
        ("from pkg import tests", 2, ""),
        ("from . import tests", 2, ""),
        ("from ._impl import run as tests", 0, ""),
        ("def tests(): ...", 0, ""),
        ("tests = None", 0, ""),
        ("from ._impl import *", 0, "may have an attribute"),
        ("def __getattr__(name): ...", 0, "may have an attribute"),
    ],
)
def test_a_package_may_bind_the_name_itself(package: str, failures: int, why: str) -> None:
    found, note = lost("from pkg import tests", **{"$site/pkg/__init__.py": package})
    assert (found, why in note, bool(why)) == (failures, True, bool(note))


def test_a_star_import_asks_for_what_a_package_exports() -> None:
    exports = {"$site/pkg/__init__.py": "__all__ = ['tests']\n"}
    assert lost("from pkg import *", **exports)[0] == 1
    bound = {"$site/pkg/__init__.py": "__all__ = ['tests']\ntests = 1\n"}
    assert lost("from pkg import *", **bound)[0] == 0
    assert lost("from pkg import *")[0] == 0


def test_a_failure_tells_place_module_file_and_rule() -> None:
    files: dict[str, Contents] = {**PACKAGE, "$site/pkg/mod.py": "\nimport pkg.tests\n"}
    found = look(make_stack({"app": files}), *GONE)
    site = "app/lib/python3.13/site-packages"
    assert found.check.failures == (
        f"{site}/pkg/mod.py:2: pkg.tests is gone ({site}/pkg/tests/__init__.py, taken by tests)",
    )
    (evidence,) = found.gone.values()
    assert (evidence.file, evidence.line) == (f"{site}/pkg/mod.py", 2)


@pytest.mark.parametrize(
    ("path", "failures"),
    [
        ("bin/tool", 1),
        ("$site/start.pth", 1),
        ("$site/other/deep/down/mod.py", 1),
        ("share/script.py", 1),
        ("$site/pkg/tests/more.py", 0),
        ("$site/notes.txt", 0),
    ],
)
def test_everything_that_is_python_and_stays_is_read(path: str, failures: int) -> None:
    assert lost("#!/usr/bin/env python3\nimport pkg.tests\n", path)[0] == failures


def test_layers_see_what_is_below_them() -> None:
    use: dict[str, Contents] = {"$site/use.py": "from pkg.tests import helpers\n"}
    layers = {"framework-a": PACKAGE, "app-b": use}
    assert len(look(make_stack(layers), "framework-a/$site/pkg/tests").check.failures) == 1
    apart = make_stack(layers, requires={"app-b": ()})
    assert look(apart, "framework-a/$site/pkg/tests").check.passed
    twice = make_stack({"framework-a": PACKAGE, "app-b": {**PACKAGE, **use}})
    assert look(twice, "framework-a/$site/pkg/tests").check.passed


def test_folders_that_a_pth_file_adds_have_modules_too() -> None:
    files: dict[str, Contents] = {
        "$site/more.pth": "vendored\n",
        "$site/vendored/deep/__init__.py": "",
        "$site/vendored/deep/tests.py": "",
        "$site/use.py": "import deep.tests\n",
    }
    stack = make_stack({"app": files})
    assert len(look(stack, "app/$site/vendored/deep/tests.py").check.failures) == 1


def test_what_a_rule_or_the_user_allows_is_forgiven() -> None:
    files: dict[str, Contents] = {**PACKAGE, "$site/pkg/mod.py": "import pkg.tests\n"}
    stack = make_stack({"app": files})
    rule = Rule(
        id="tests",
        pass_name="tests",
        safety=Safety.STANDARD,
        reason="Tests",
        despite=("$site/pkg/mod.py",),
    )
    allowed = look(stack, *GONE, rules=(rule,)).check
    assert allowed.passed
    assert "its rule allows for it" in allowed.note
    dropped = look(stack, *GONE, rule="drop:pkg").check
    assert dropped.passed
    assert "the user drops it" in dropped.note


def test_a_source_that_is_made_to_be_costly_is_not_read_to_its_end() -> None:
    source = b"from a import (b,\n" * 100_000
    assert 0 < sum(len(found.names) for found in imports_by_words(source)) < 3_000_000


def test_words_find_all_that_the_syntax_tree_has() -> None:
    for path in sorted(Path(ast.__file__).parent.glob("[a-m]*.py")):
        source = path.read_bytes()
        words: dict[tuple[str, int], set[str]] = {}
        for found in imports_by_words(source):
            words.setdefault((found.module, found.level), set()).update(found.names)
        for one in imports_of(source, Platform()):
            assert set(one.names) <= words[one.module, one.level], (path, one)
