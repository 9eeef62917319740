"""The search for what to take back, over deployments that are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from slim.formats.base import BytesContent, Member, Tree
from slim.inventory.load import LoadedStack
from slim.model.context import RunContext
from slim.model.plan import Plan, Remove
from slim.model.progress import Silent
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory, Owner, OwnerKind
from slim.model.stack import Layer, LayerKind, Platform, Stack, StackKind
from slim.model.verify import Broken, Subject
from slim.plan.planned import PlannedStack
from slim.verification.search import group_actions, search

LAYER = "app"
SITE = "lib/python3.13/site-packages"
Needs = Callable[[set[str]], bool]


class FakeDeployment:
    """A deployment and its suite: what is broken follows from which files were put back."""

    def __init__(
        self,
        needs: Mapping[str, Needs],
        texts: Mapping[str, Callable[[set[str]], str]] | None = None,
    ) -> None:
        self.needs = needs
        self.texts = texts or {}
        self.there: set[str] = set()
        self.operations = 0
        self.rounds = 0

    @property
    def after(self) -> FakeDeployment:
        return self

    def put(self, member: Member, layer: str) -> None:
        assert member.path not in self.there
        self.there.add(member.path)
        self.operations += 1

    def take_back(self, key: FileKey) -> None:
        self.there.remove(key[1])
        self.operations += 1

    def still_broken(self, broken: Sequence[Broken]) -> list[Broken]:
        self.rounds += 1
        return [
            self.broken(one.subject.name)
            for one in broken
            if not self.needs[one.subject.name](self.there)
        ]

    def broken(self, name: str) -> Broken:
        text = self.texts.get(name, lambda there: "it failed")(self.there)
        return Broken(
            subject=Subject(check="launch", layer=LAYER, name=name), before="worked", after=text
        )


def planned(removed: Mapping[str, tuple[str, str]]) -> PlannedStack:
    """A plan that removes files, each by a rule and owned by a distribution."""
    actions, members = {}, {}
    for path, (rule, owner) in removed.items():
        record = FileRecord(
            layer=LAYER,
            path=path,
            type=EntryType.FILE,
            kind=FileKind.DATA,
            owner=Owner(kind=OwnerKind.DISTRIBUTION, name=owner, version="1"),
            size=1,
            mode=0o644,
        )
        actions[record.key] = Remove(record=record, pass_name="leftovers", rule=rule)
        members[path] = Member(
            path=path, type=EntryType.FILE, mode=0o644, mtime=0, size=1, content=BytesContent(b"x")
        )
    layer = Layer(
        name=LAYER,
        layer_name=LAYER,
        kind=LayerKind.APPLICATION,
        platform=Platform.parse("linux_x86_64"),
    )
    loaded = LoadedStack(
        stack=Stack(kind=StackKind.FOLDER, source="x", platform=layer.platform, layers=(layer,)),
        trees={LAYER: Tree(root="", format="tar", members=members)},
        places={},
        warnings=(),
        context=RunContext(spool_dir=Path()),
    )
    loaded.inventory = Inventory(records={LAYER: {}})
    return PlannedStack(
        loaded=loaded,
        plan=Plan(actions=actions),
        edited={},
        layers=(LAYER,),
    )


def find(fake: FakeDeployment, plan: PlannedStack) -> tuple[list[list[str]], Broken | None]:
    broken = [fake.broken(name) for name in fake.needs]
    repairs, left = search(cast(Any, fake), plan, broken, Silent())
    assert fake.there == set()  # the deployment is as it was
    return [[path for _, path in repair.files] for repair in repairs], left


def crowd(packages: int = 100, files: int = 100) -> dict[str, tuple[str, str]]:
    return {
        f"{SITE}/p{package:03}/d/f{number:03}": (f"rule-{number % 4}", f"p{package:03}")
        for package in range(packages)
        for number in range(files)
    }


def test_one_of_ten_thousand_takes_few_rounds() -> None:
    culprit = f"{SITE}/p037/d/f042"
    fake = FakeDeployment({"command": lambda there: culprit in there})
    assert find(fake, planned(crowd())) == ([[culprit]], None)
    assert fake.rounds < 60


def test_two_that_only_help_together() -> None:
    one, two = f"{SITE}/p001/d/f001", f"{SITE}/p099/d/f098"
    fake = FakeDeployment({"command": lambda there: {one, two} <= there})
    assert find(fake, planned(crowd())) == ([[one, two]], None)
    assert fake.rounds < 250


def test_either_of_two_is_enough_and_only_one_is_taken() -> None:
    one, two = f"{SITE}/p001/d/f001", f"{SITE}/p099/d/f098"
    fake = FakeDeployment({"command": lambda there: bool({one, two} & there)})
    found, _ = find(fake, planned(crowd()))
    assert found in ([[one]], [[two]])


def test_what_a_later_finding_makes_unnecessary_is_dropped() -> None:
    """The first command is content with either; the second needs b: then a isn't needed."""
    removed = {"a/x": ("rule-a", "a"), "b/x": ("rule-b", "b")}
    fake = FakeDeployment(
        {"1": lambda there: bool(there & {"a/x", "b/x"}), "2": lambda there: "b/x" in there}
    )
    assert find(fake, planned(removed)) == ([["b/x"]], None)


def test_messages_lead_the_way() -> None:
    """Each error names the next missing file: no set has to be guessed."""
    wanted = [f"{SITE}/p050/d/f{number:03}" for number in range(0, 40, 4)]

    def text(there: set[str]) -> str:
        missing = [path for path in wanted if path not in there]
        return (
            f"FileNotFoundError: {missing[0].rpartition('/')[0]}/{missing[0].rpartition('/')[2]}"
            if missing
            else ""
        )

    names = {
        path: (rule, owner)
        for path, (rule, owner) in crowd().items()
        if "/p050/" in path or "f09" in path
    }
    fake = FakeDeployment({"command": lambda there: set(wanted) <= there}, {"command": text})
    assert find(fake, planned(names)) == ([wanted], None)


def test_a_module_comes_back_with_its_packages() -> None:
    paths = [
        f"{SITE}/a/__init__.py",
        f"{SITE}/a/b/__init__.py",
        f"{SITE}/a/b/c.py",
        f"{SITE}/a/d/__init__.py",
    ]
    fake = FakeDeployment({"command": lambda there: f"{SITE}/a/b/c.py" in there})
    assert find(fake, planned(dict.fromkeys(paths, ("rule", "a")))) == ([paths[:3]], None)


def test_where_nothing_helps_it_says_what() -> None:
    fake = FakeDeployment({"command": lambda there: False})
    found, left = find(fake, planned(crowd(5, 5)))
    assert found == []
    assert left is not None and left.subject.name == "command"


def test_two_faults_are_two_findings() -> None:
    removed = {"a/x": ("rule-a", "a"), "a/y": ("rule-a", "a"), "b/x": ("rule-b", "b")}
    fake = FakeDeployment({"1": lambda there: "a/x" in there, "2": lambda there: "b/x" in there})
    assert find(fake, planned(removed)) == ([["a/x"], ["b/x"]], None)


@pytest.mark.parametrize("packages", [1, 3])
def test_groups_are_rule_by_distribution(packages: int) -> None:
    groups = group_actions(planned(crowd(packages, 8)).plan)
    assert [(group.rule, group.owner) for group in groups] == sorted(
        (f"rule-{number}", f"p{package:03} 1") for package in range(packages) for number in range(4)
    )
    assert all(len(group.files) == 2 for group in groups)
