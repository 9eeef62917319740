"""Drops of distributions whose libraries others link: plug-ins go along, users hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slim.config.settings import Config
from slim.model.plan import Plan, Remove
from slim.model.progress import Silent
from slim.model.settings import DropSpec
from slim.plan.planner import Planner
from tests.support.linked_elf import elf, linked_stack, read_fake
from tests.support.virtual_stacks import SITE, Contents, Link

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


INFO, LIBRARY = "big-1.dist-info/METADATA", "big/libbig.so"
THIRD = "$site/third-1.dist-info/METADATA"
USER = "$site/base/m.cpython-313-x86_64-linux-gnu.so"
PLUG, OF_PLUG = elf(NEEDS), elf("needed=libplug.so runpath=$ORIGIN")
TOGETHER: dict[str, tuple[dict[str, Contents], set[str]]] = {
    "a link to the library": (
        {"$site/base/libbig.so": Link("../big/libbig.so")},
        {"base/libbig.so"},
    ),
    "a link to its folder": ({"$site/base/all": Link("../big")}, {"base/all"}),
    "a second name of a plug-in": (
        {"$site/base/libplug.so": PLUG, "$site/base/libother.so": Link("libplug.so")},
        {"base/libplug.so", "base/libother.so"},
    ),
    "a plug-in that finds it through a link": (
        {
            "$site/base/libbig.so": Link("../big/libbig.so"),
            "$site/base/libplug.so": elf("needed=libbig.so runpath=$ORIGIN"),
        },
        {"base/libplug.so", "base/libbig.so"},
    ),
    "a third distribution's plug-in": (
        {THIRD: "Name: third\nVersion: 1\n\n", "$site/third/libplug.so": PLUG},
        {"third/libplug.so"},
    ),
    "an extra that wants it": (
        {THIRD: "Name: third\nVersion: 1\nRequires-Dist: big; extra == 'x'\n\n"},
        set(),
    ),
    "an import that may fail": (
        {"$site/base/__init__.py": "try:\n  import big\nexcept ImportError: pass\n"},
        set(),
    ),
    "a name of a library that nothing opens": (
        {"$site/base/__init__.py": "NAMES = ['libbig.so']\n"},
        set(),
    ),
    "a library whose name is longer": (
        {"$site/base/__init__.py": "ctypes.CDLL('notlibbig.so')\n"},
        set(),
    ),
}
HELD: dict[str, tuple[dict[str, Contents], str]] = {
    "what links its plug-in": ({USER: OF_PLUG, "$site/base/libplug.so": PLUG}, "needs libplug.so"),
    "a script": ({"$bin/tool": "#!/usr/bin/python\nimport big\n"}, "import big"),
    "a .pth file": ({"$site/base.pth": "import big\n"}, "import big"),
    "an import that waits": ({"$site/base/__init__.py": "def f():\n  import big\n"}, "import big"),
    "an entry point": (
        {"$site/base-1.dist-info/entry_points.txt": "[console_scripts]\nx = big:main\n"},
        "console_scripts x = big:main",
    ),
    "a requirement": (
        {THIRD: "Name: third\nVersion: 1\nRequires-Dist: big\n\n"},
        "third 1 requires big",
    ),
    "ctypes": (
        {"$site/base/__init__.py": "import ctypes\n\nctypes.CDLL('libbig.so')\n"},
        'opens libraries, and has "libbig.so" in a string',
    ),
    "ctypes, by its path": (
        {"$site/base/x.py": "cdll.LoadLibrary(os.path.join(site, 'big/libbig.so'))\n"},
        'has "libbig.so"',
    ),
    "cffi, without the version": (
        {"$site/base/x.py": 'ffi.dlopen("libplus.so")\n', "$site/big/libplus.so.2.1": elf()},
        'has "libplus.so"',
    ),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_what_only_served_a_drop_goes_with_it(case: str) -> None:
    files, too = TOGETHER[case]
    module = "big/__init__.py"
    assert gone(plan({f"$site/{module}": "", **files})) == {INFO, LIBRARY, module} | too


@pytest.mark.parametrize("case", HELD)
def test_what_needs_a_drop_holds_all_of_it_and_is_told(case: str) -> None:
    files, why = HELD[case]
    made = plan({"$site/big/__init__.py": "", **files})
    assert gone(made) == set()
    assert any(why in str(text) for held in made.skipped for text in held.evidence)


def test_code_that_opens_a_library_is_accepted_by_despite() -> None:
    files: dict[str, Contents] = {"$site/base/__init__.py": "ctypes.CDLL('libbig.so')\n"}
    assert gone(plan(files)) == set()
    assert gone(plan(files, "base")) == {INFO, LIBRARY}
