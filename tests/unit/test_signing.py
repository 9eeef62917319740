"""What has to be signed after a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slim.errors import ConfigError
from slim.model.finding import EditSpec
from slim.model.footprint import Footprint
from slim.model.outcome import Accounts, RunResult, SigningReason, ToSign, Verification
from slim.model.plan import LINK_EDITOR, Action, Plan, Remove, Rewrite, Skipped, SkipReason
from slim.model.rule import Safety
from slim.plan.signing import to_sign
from slim.reports.run import SIGNING_LIST
from tests.support.native_headers import macho, pe
from tests.support.virtual_stacks import VirtualStack, make_stack

CODE_RESOURCES = "_CodeSignature/CodeResources"
FILES = {
    "lib/a.dylib": macho(),
    "lib/b.dylib": macho(),
    "lib/copy.dylib": macho(),
    "lib/c.dylib": macho(),
    "lib/gone.dylib": macho(),
    "lib/data.txt": "text",
    "Qt.framework/Qt": macho(),
    "Qt.framework/Resources/info.txt": "info",
    f"Qt.framework/{CODE_RESOURCES}": "seal",
    f"Other.framework/{CODE_RESOURCES}": "seal",
    "lib/x.dll": pe(),
}


def rewrite(made: VirtualStack, path: str, editor: str = "macho-symbols") -> Action:
    record = made.inventory.by_deployed_path[path]
    edit = EditSpec(editor=editor, options={"target": "a.dylib"})
    return Rewrite(record=record, pass_name="p", rule="r", edit=edit, size_after=1)


def remove(made: VirtualStack, path: str) -> Action:
    return Remove(record=made.inventory.by_deployed_path[path], pass_name="p", rule="r")


def signing(platform: str) -> list[tuple[str, str]]:
    made = make_stack({"app-x": FILES}, platform=platform)
    actions = [
        rewrite(made, "app-x/lib/a.dylib"),
        rewrite(made, "app-x/lib/copy.dylib", LINK_EDITOR),
        rewrite(made, "app-x/lib/data.txt", "text"),
        remove(made, "app-x/lib/gone.dylib"),
        remove(made, "app-x/Qt.framework/Resources/info.txt"),
    ]
    signed = made.inventory.by_deployed_path["app-x/lib/c.dylib"]
    plan = Plan(
        actions={action.record.key: action for action in actions},
        skipped=(Skipped(record=signed, pass_name="p", rule="r", reason=SkipReason.SIGNED),),
    )
    return [
        (one.deployed_path, one.reason.value) for one in to_sign(made.stack, made.inventory, plan)
    ]


def test_changed_files_identities_and_broken_seals() -> None:
    assert signing("macosx_arm64") == [
        ("app-x/Qt.framework", "sealed-folder"),
        ("app-x/lib/a.dylib", "changed"),
        ("app-x/lib/c.dylib", "identity-signed"),
    ]


@pytest.mark.parametrize("platform", ["linux_x86_64", "win_amd64"])
def test_other_systems_sign_nothing(platform: str) -> None:
    assert signing(platform) == []


def result(*paths: str) -> RunResult:
    made = make_stack({"app-x": {}}, platform="macosx_arm64")
    return RunResult(
        stack=made.stack,
        plan=Plan(actions={}),
        accounts=Accounts(),
        layers=(),
        verification=Verification(),
        profile=Safety.STANDARD,
        signing=tuple(
            ToSign(layer="app-x", path=path, reason=SigningReason.CHANGED) for path in paths
        ),
    )


def test_the_list_is_sorted_paths_and_nothing_else() -> None:
    both = [result("lib/é b.dylib", "lib/a.dylib"), replace(result("lib/a.dylib"))]
    assert SIGNING_LIST.render(both) == "app-x/lib/a.dylib\napp-x/lib/é b.dylib\n"
    assert SIGNING_LIST.render([result()]) == ""
    assert result().before == Footprint()


@pytest.mark.parametrize("path", ["a\nb", "a\rb", "a\udcff"])
def test_a_path_that_is_no_line_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="can't hold"):
        SIGNING_LIST.render([result(path)])
