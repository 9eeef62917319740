"""Links in a plan: one that stays holds what it leads to, and some follow their target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from slim.config.settings import Config
from slim.model.plan import Plan, Remove, SkipReason
from slim.model.progress import Silent
from slim.model.rule import Rule, RulePack, Safety
from slim.model.settings import DropSpec
from slim.plan.planner import Planner
from tests.support.virtual_stacks import SITE, Contents, HardLink, Link, make_stack

Layers = Mapping[str, Mapping[str, Contents]]

TESTS = Rule(
    id="tests",
    pass_name="tests",
    reason="",
    safety=Safety.SAFE,
    globs=("**/tests/**", "**/*.md"),
    builtin=False,
)


def plan(layers: Layers, *drop: str, rule: Rule = TESTS) -> Plan:
    made = make_stack(layers)
    pack = RulePack(name="p", origin="p.toml", description="", rules=(rule,))
    config = Config(packs=(pack,), drop=tuple(DropSpec(name=name) for name in drop))
    return Planner(made.facts, config, Silent()).plan()


def gone(made: Plan) -> set[str]:
    return {"/".join(key) for key, action in made.actions.items() if isinstance(action, Remove)}


def held(made: Plan) -> dict[str, str | None]:
    """Files that stay for a link, with that link."""
    assert all(skipped.reason is SkipReason.REFERENCED for skipped in made.skipped)
    return {"/".join(held.record.key): held.evidence[0].file for held in made.skipped}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"p/api.txt": Link("tests/data.txt"), "p/tests/data.txt": ""}, ["p/tests/data.txt"]),
        (  # the link between goes by rule, but for the first
            {"a": Link("tests/b"), "tests/b": Link("../c"), "c": ""},
            ["tests/b"],
        ),
        (  # a folder: what the link's own name doesn't put among tests
            {"p/skeleton": Link("tests/case"), "p/tests/case/x.txt": "", "p/tests/y.txt": ""},
            ["p/tests/case/x.txt"],
        ),
        ({"p/other": Link("tests"), "p/tests/x.txt": ""}, ["p/tests/x.txt"]),
        ({"p/hard": HardLink("p/tests/x"), "p/tests/x": "x"}, ["p/tests/x"]),
    ],
)
def test_a_link_that_stays_holds_its_target(
    files: Mapping[str, Contents], expected: list[str]
) -> None:
    made = plan(
        {
            "plain": dict(
                sorted(files.items(), key=lambda item: isinstance(item[1], str), reverse=True)
            )
        }
    )
    assert sorted(held(made)) == [f"plain/{path}" for path in expected]
    assert not gone(made) & {f"plain/{path}" for path in expected}


@pytest.mark.parametrize(
    ("files", "stays"),
    [
        ({"tests/link": Link("../tests/x"), "tests/x": ""}, set()),
        # A file goes that the rule selects under both names, and the link with the folder.
        ({"q/tests": Link("../p/tests"), "p/tests/x": ""}, set()),
        ({"q": Link("p"), "p/tests/x": "", "p/y": ""}, {"q", "p/y"}),
        ({"lib64": Link("lib"), "lib/tests/x": "", "lib/y": ""}, {"lib64", "lib/y"}),
        ({"a": Link("nowhere"), "b": Link("b"), "tests/x": ""}, {"a", "b"}),
    ],
)
def test_what_goes_under_each_of_its_names(files: Mapping[str, Contents], stays: set[str]) -> None:
    assert {f"plain/{path}" for path in files} - gone(plan({"plain": files})) == {
        f"plain/{path}" for path in stays
    }


@pytest.mark.parametrize("marker", ["pyvenv.cfg", "setup.cfg"])
def test_a_virtual_environment_in_a_folder_has_its_lib64_for_a_second_name(marker: str) -> None:
    files = {
        f"opt/app/{marker}": "",
        "opt/app/lib64": Link("lib"),
        "opt/app/lib/tests/x": "",
        "opt/app/lib/y": "",
    }
    made = plan({"plain": files}, rule=replace(TESTS, globs=("opt/*/lib/tests/**",)))
    wanted = {"plain/opt/app/lib/tests/x"}
    assert (gone(made), set(held(made))) == (
        (wanted, set()) if marker == "pyvenv.cfg" else (set(), wanted)
    )


def test_venvstacks_own_links_follow_their_library() -> None:
    link = "share/venv/dynlib/libx.so"
    files = {"$site/p/tests/libx.so": "", link: Link(f"../../../{SITE}/p/tests/libx.so")}
    assert gone(plan({"framework-a": files})) == {
        f"framework-a/{SITE}/p/tests/libx.so",
        f"framework-a/{link}",
    }


def test_links_hold_across_layers_and_what_is_held_holds_its_imports() -> None:
    made = plan(
        {
            "framework-a": {
                "$site/p/__init__.py": "",
                "$site/p/tests/__init__.py": "",
                "$site/p/tests/run.py": "import p.tests.more\n",
                "$site/p/tests/more.py": "",
                "$site/p/tests/rest.py": "",
            },
            "app-b": {"$site/run.py": Link(f"../../../../framework-a/{SITE}/p/tests/run.py")},
        }
    )
    assert gone(made) == {f"framework-a/{SITE}/p/tests/rest.py"}
    assert [
        (held.record.path, held.reason.value, held.evidence[0].file)
        for held in made.skipped
        if held.record.path.endswith("run.py")
    ] == [(f"{SITE}/p/tests/run.py", "referenced", f"app-b/{SITE}/run.py")]


def test_links_to_a_dropped_distribution_go_with_it() -> None:
    files: dict[str, Contents] = {
        "$site/p-1.dist-info/METADATA": "Name: p\nVersion: 1\n\n",
        "$site/p/data.txt": "",
        "share/data": Link(f"../{SITE}/p/data.txt"),
    }
    assert "plain/share/data" in gone(plan({"plain": files}, "p"))
