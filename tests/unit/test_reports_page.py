"""The data of the page of ``--report html``, without a browser."""

from __future__ import annotations

from slim.model.finding import Evidence
from slim.model.plan import Plan, Remove
from slim.reports.html.content import Page, View
from slim.reports.html.data import page_data
from tests.support.virtual_stacks import make_stack

PATH = "lib/python3.13/site-packages/x.py"


def page(size: int, *, goes: bool) -> Page:
    """A stack of one file, which an audit would remove or leave."""
    made = make_stack({"app-x": {PATH: "x" * size}})
    record = made.inventory.records["app-x"][PATH]
    evidence = (Evidence(kind="format", text="for the test"),)
    remove = Remove(record=record, pass_name="leftovers", rule="r", evidence=evidence)
    plan = Plan(actions={record.key: remove} if goes else {})
    return Page(
        stack=made.stack,
        records={"app-x": (record,)},
        layers=(),
        views=(View(name="safe", proved=True, plan=plan),),
        rules={},
    )


def test_stacks_for_the_same_platform_are_apart() -> None:
    """Both hold a file of the same layer and path, and only that of the second one goes."""
    data = page_data([page(10, goes=False), page(20, goes=True)], default_view=0)
    stacks = [name for name, kind in zip(data["names"], data["kinds"], strict=True) if kind == "s"]
    tag = stacks[1].removesuffix(" (2)")
    assert stacks == ["everything", f"{tag} (2)", f"{tag} (1)"]
    assert data["sizes"] == [20, 10]
    ((node, state, *_),) = data["views"][0]["rows"]
    assert (data["names"][node], data["names"].index("x.py"), state) == ("x.py", node, 1)


def test_a_stack_alone_has_no_name_above_its_layers() -> None:
    data = page_data([page(10, goes=True)], default_view=0)
    assert data["names"][:2] == ["everything", "app-x"]
