"""Tables of removed modules: written by slim, read by the guard in a layer."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import slim.guard
from slim.config.settings import LayerSettings
from slim.guard.table import RemovedModule, RemovedModules, render_table
from slim.model.finding import Finding
from slim.model.guided import Guidance
from slim.model.plan import Plan, Remove
from slim.model.record import UNOWNED
from slim.model.settings import BytecodePolicy
from slim.model.trace import Trace, Uses
from slim.passes.base import Context
from slim.passes.traced_bytecode import TracedBytecode
from slim.plan.accounts import account, footprints
from tests.support.traces import small_trace
from tests.support.virtual_stacks import SITE, STDLIB, VirtualStack, make_stack
from tests.unit.test_compile_traced import SCRIPT


def payload(name: str) -> ModuleType:
    """A module of the guard, as a layer's Python imports it."""
    place = Path(slim.guard.__file__).parent / "payload/slim_guard" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"payload_{name}", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def removing(stack: VirtualStack, *paths: str) -> Plan:
    keys = sorted({key for path in paths for key in stack.keys_below(path)})
    return Plan(
        actions={
            key: Remove(record=stack.inventory.records[key[0]][key[1]], pass_name="p", rule="gone")
            for key in keys
        }
    )


STACK = {
    "cpython3.13": {"$stdlib/wave.py": "x", "$stdlib/lib2to3/__init__.py": "", "$stdlib/os.py": ""},
    "framework-maths": {
        "$site/maths/__init__.py": "",
        "$site/maths/core.py": "",
        "$site/maths/tests/__init__.py": "",
        "$site/maths/tests/test_core.py": "",
        "$site/maths/tests/data.csv": "1",
        "$site/maths/space/one.py": "",
        "$site/maths/space/deep/two.py": "",
        "$site/maths/_fast.cpython-313-x86_64-linux-gnu.so": "x",
        "$site/single.py": "",
    },
}


@pytest.mark.parametrize(
    ("paths", "rows"),
    [
        (["framework-maths/$site/maths/core.py"], ["maths.core 0."]),
        (["framework-maths/$site/single.py"], ["single 0."]),
        (["framework-maths/$site/maths/tests"], ["maths.tests 0/"]),
        (
            # data is left: Python sees an empty package, and misses what was in it
            [
                "framework-maths/$site/maths/tests/__init__.py",
                "framework-maths/$site/maths/tests/test_core.py",
            ],
            ["maths.tests 0/", "maths.tests.test_core 0."],
        ),
        (["framework-maths/$site/maths/space"], ["maths.space 0/"]),
        (["framework-maths/$site/maths/space/deep"], ["maths.space.deep 0/"]),
        (["framework-maths/$site/maths"], ["maths 0/"]),
        (
            ["framework-maths/$site/maths/_fast.cpython-313-x86_64-linux-gnu.so"],
            ["maths._fast 0/maths/_fast.cpython-313-x86_64-linux-gnu.so"],
        ),
        (["framework-maths/$site/maths/tests/data.csv"], []),
        ([], []),
    ],
)
def test_a_row_stands_for_each_module_that_python_would_ask_for(
    paths: list[str], rows: list[str]
) -> None:
    stack = make_stack(STACK)
    removed = RemovedModules(stack.facts.module_index, stack.inventory, removing(stack, *paths))
    found = removed.rows("framework-maths")
    assert [f"{row.name} {row.place}" for row in found] == rows
    assert not removed.rows("cpython3.13")


def test_the_guard_finds_what_the_table_has_and_names_the_glob_that_keeps_it() -> None:
    stack = make_stack(STACK)
    index = stack.facts.module_index
    plan = removing(
        stack,
        "cpython3.13/$stdlib/wave.py",
        "cpython3.13/$stdlib/lib2to3",
        "framework-maths/$site/maths/core.py",
        "framework-maths/$site/maths/space",
        "framework-maths/$site/maths/_fast.cpython-313-x86_64-linux-gnu.so",
    )
    removed = RemovedModules(index, stack.inventory, plan)
    wanted = {
        "cpython3.13": {"wave": f"{STDLIB}/wave.py", "lib2to3": f"{STDLIB}/lib2to3/**"},
        "framework-maths": {
            "maths.core": f"{SITE}/maths/core.py",
            "maths.space": f"{SITE}/maths/space/**",
            "maths._fast": f"{SITE}/maths/_fast.cpython-313-x86_64-linux-gnu.so",
        },
    }
    for layer, globs in wanted.items():
        text = render_table(layer, SITE, index.roots[layer], removed.rows(layer), {"pack": "ab 12"})
        table = payload("_tables").Table(f"/somewhere/{layer}/{SITE}", text)
        assert table.layer == layer
        assert table.folder == f"/somewhere/{layer}"
        assert table.header["pack"] == ["ab 12"]
        assert table.modules() == sorted(globs)
        for name, glob in globs.items():
            assert table.find(name) == ("gone", glob)
        for name in ("maths", "core", "mathsXcore", "maths.core.more", "layer", "wave\t0", ""):
            assert table.find(name) is None


def test_names_that_a_line_can_not_hold_have_no_row() -> None:
    rows = (RemovedModule(name="a", rule="r", place="0."),)
    assert render_table("l", "s", ["s"], rows, {}).endswith(b"\n\na\t0\t0.\n")
    stack = make_stack({"framework-maths": {"$site/odd\tname.py": "", "$site/fine.py": ""}})
    plan = removing(stack, "framework-maths/$site")
    found = RemovedModules(stack.facts.module_index, stack.inventory, plan).rows("framework-maths")
    assert [row.name for row in found] == ["fine"]


def test_files_that_a_run_adds_reconcile() -> None:
    stack = make_stack(STACK)
    plan = removing(stack, "framework-maths/$site/maths/tests")
    added = [stack.inventory.records["framework-maths"][f"{SITE}/maths/core.py"]]
    accounts = account(stack.inventory, plan, added)
    saved = sum(row.saved for row in accounts.by_layer)
    assert saved == sum(row.saved for row in accounts.by_pass)
    before, after = footprints(stack.inventory, plan, "framework-maths", added)
    assert before.unpacked - after.unpacked == saved
    cells = [cell for cell in accounts.cells if cell.layer == "framework-maths"]
    assert sum(cell.after.files for cell in cells) == after.files


@pytest.mark.parametrize("guarded", [False, True])
def test_what_starts_a_guard_is_compiled_where_only_traced_modules_are(guarded: bool) -> None:
    """The install step leaves out other modules; every start of Python imports this one."""
    stack = make_stack({"framework-maths": {"postinstall.py": SCRIPT, "$site/server.py": ""}})
    guidance = Guidance(
        trace=Trace(
            runs=small_trace().runs,
            uses={("framework-maths", UNOWNED): Uses(modules={"server": frozenset({"self-test"})})},
        ),
        guarded=guarded,
    )
    context = Context(
        facts=replace(stack.facts, guidance=guidance),
        rules=(),
        select=lambda _name, _record: (),
        settings=lambda _layer: LayerSettings(bytecode=BytecodePolicy.TRACED),
    )
    (finding,) = TracedBytecode().propose(context)
    assert isinstance(finding, Finding) and finding.edit is not None
    own = (f"{SITE}/slim_guard/__init__.py".removeprefix("lib/"),) if guarded else ()
    assert finding.edit.options["modules"] == ("python3.13/site-packages/server.py", *own)
    assert "(files: 1)" in finding.evidence[0].text
