"""Drops of distributions whose libraries others link: plug-ins go along, users hold."""

from __future__ import annotations

from dataclasses import replace

from slim.config.settings import Config
from slim.model.plan import Plan, Remove
from slim.model.progress import Silent
from slim.model.settings import DropSpec
from slim.plan.planner import Planner
from tests.support.linked_elf import elf, linked_stack, read_fake
from tests.support.virtual_stacks import SITE, Contents

BIG: dict[str, Contents] = {
    "$site/big-1.dist-info/METADATA": "Name: big\nVersion: 1\n\n",
    "$site/big/libbig.so": elf(),
    "$site/base-1.dist-info/METADATA": "Name: base\nVersion: 1\n\n",
    "$site/base/__init__.py": "",
}
NEEDS = "needed=libbig.so runpath=$ORIGIN/../big:$ORIGIN"


def plan(files: dict[str, Contents], *despite: str) -> Plan:
    made = linked_stack({"framework-a": BIG | files})
    facts = replace(made.facts, read_dynamic=read_fake)
    drop = (DropSpec(name="big", despite=frozenset(despite)),)
    return Planner(facts, Config(drop=drop), Silent()).plan()


def gone(made: Plan) -> set[str]:
    return {
        key[1].removeprefix(f"{SITE}/")
        for key, action in made.actions.items()
        if isinstance(action, Remove)
    }


def test_plug_ins_that_only_served_what_is_dropped_go_with_it() -> None:
    """So does what only a plug-in links that can't be loaded any more."""
    made = plan(
        {
            "$site/base/libplug.so": elf(NEEDS),
            "$site/base/libsecond.so": elf("needed=libplug.so runpath=$ORIGIN"),
            "$site/base/libother.so": elf(),
        }
    )
    assert gone(made) == {
        *("big-1.dist-info/METADATA", "big/libbig.so"),
        *("base/libplug.so", "base/libsecond.so"),
    }
    assert {action.rule for action in made.actions.values()} == {"drop:big"}


def test_an_extension_module_holds_what_it_links_unless_the_user_says_despite() -> None:
    files: dict[str, Contents] = {"$site/base/m.cpython-313-x86_64-linux-gnu.so": elf(NEEDS)}
    made = plan(files)
    assert gone(made) == set()
    told = {held.reason.value: [str(text) for text in held.evidence] for held in made.skipped}
    assert told == {
        "linked": [
            "needs libbig.so, which goes with big "
            f"(framework-a/{SITE}/base/m.cpython-313-x86_64-linux-gnu.so)"
        ]
    }
    assert "big/libbig.so" in gone(plan(files, "base"))
