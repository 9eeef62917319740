"""The pass ``duplicates``: copies become relative links."""

from __future__ import annotations

import pytest

from slim.model.plan import LINK_EDITOR, SkipReason
from slim.passes.duplicates import Duplicates
from tests.support.native_headers import macho
from tests.support.pass_runs import findings, propose, refusals, rule
from tests.support.virtual_stacks import SITE, Contents, HardLink, make_stack

NATIVES = rule("duplicates", "natives", options={"smallest": 1})
DATA = rule("duplicates", "data", options={"natives": False, "smallest": 10})
P = f"{SITE}/p"
X = macho(name="@rpath/libx.1.dylib")


def links(
    files: dict[str, Contents], *rules: object, platform: str = "macosx_arm64", **more: object
) -> dict[str, object]:
    made = make_stack({"app-x": files}, platform=platform)
    found = propose(Duplicates(), made, *rules, **more)  # type: ignore[arg-type]
    for one in findings(found).values():
        assert one.edit is not None
        assert (one.edit.editor, one.size_after, one.evidence[0].kind) == (
            LINK_EDITOR,
            0,
            "duplicate",
        )
    return {
        path: one.edit.options["target"]
        for path, one in findings(found).items()
        if one.edit is not None
    }


def test_the_copy_that_is_linked_stays_a_file() -> None:
    files: dict[str, Contents] = {
        f"{P}/m.so": macho("@loader_path/libx.1.dylib"),
        f"{P}/libx.dylib": X,
        f"{P}/libx.1.dylib": X,
        f"{P}/libx.1.2.dylib": X,
    }
    assert links(files, NATIVES) == {
        f"app-x/{P}/libx.dylib": "libx.1.dylib",
        f"app-x/{P}/libx.1.2.dylib": "libx.1.dylib",
    }


def test_two_copies_that_are_opened_stay_two() -> None:
    files: dict[str, Contents] = {
        f"{P}/m.so": macho("@loader_path/liba.dylib", "@loader_path/liba.1.dylib"),
        f"{P}/liba.dylib": X,
        f"{P}/liba.1.dylib": X,
    }
    made = make_stack({"app-x": files}, platform="macosx_arm64")
    found = propose(Duplicates(), made, NATIVES)
    assert findings(found) == {}
    held = refusals(found)
    assert sorted(held) == [f"app-x/{P}/liba.1.dylib", f"app-x/{P}/liba.dylib"]
    assert {one.reason for one in held.values()} == {SkipReason.REFERENCED}
    assert held[f"app-x/{P}/liba.dylib"].evidence[0].file == f"app-x/{P}/liba.1.dylib"


def test_a_library_named_by_code_counts_as_opened() -> None:
    files: dict[str, Contents] = {
        f"{P}/load.py": "import ctypes\nctypes.CDLL('liba.dylib')\nctypes.CDLL('liba.1.dylib')\n",
        f"{P}/liba.dylib": X,
        f"{P}/liba.1.dylib": X,
    }
    assert links(files, NATIVES) == {}


def test_extension_modules_are_each_opened_and_programs_may_look_at_their_path() -> None:
    module = macho(kind="bundle", inits=("PyInit_a", "PyInit_b"))
    tool = macho(kind="executable")
    files: dict[str, Contents] = {
        f"{P}/a.so": module,
        f"{P}/b.so": module,
        f"{P}/protoc": tool,
        f"{P}/protoc-1.0": tool,
    }
    assert links(files, NATIVES) == {}


@pytest.mark.parametrize(
    ("names", "string"),
    [
        (("liba.dylib", "libb.dylib"), "plug-ins of one build, each with its own state"),
        (("liba.dylib", "liba.1.dylib"), "_NSGetExecutablePath"),
        (("liba.dylib", "liba.1.dylib"), "/proc/self/exe"),
    ],
)
def test_libraries_that_stay_two(names: tuple[str, str], string: str) -> None:
    library = macho(strings=(string,))
    assert links({f"{P}/{name}": library for name in names}, NATIVES) == {}


def test_native_files_are_joined_within_a_folder_only_data_anywhere() -> None:
    files: dict[str, Contents] = {
        f"{P}/a/libx.dylib": X,
        f"{P}/b/libx.dylib": X,
        f"{P}/a/model.bin": "model" * 10,
        f"{P}/model.bin": "model" * 10,
        f"{P}/deep/er/copy.bin": "model" * 10,
    }
    assert links(files, NATIVES, DATA) == {
        f"app-x/{P}/a/model.bin": "../model.bin",
        f"app-x/{P}/deep/er/copy.bin": "../../model.bin",
    }


@pytest.mark.parametrize("platform", ["win_amd64", "any"])
def test_where_links_are_a_privilege_nothing_happens(platform: str) -> None:
    assert links({"a.bin": "data" * 10, "b.bin": "data" * 10}, DATA, platform=platform) == {}


def test_what_is_not_joined() -> None:
    files: dict[str, Contents] = {
        "small": "x",
        "small2": "x",
        "empty": "",
        "empty2": "",
        "bin/one": "the same bytes, but executable",
        "two": "the same bytes, but executable",
        "first": "a file that a hard link names",
        "hard": HardLink("first"),
        "third": "a file that a hard link names",
    }
    assert links(files, DATA) == {}


def test_what_is_gone_is_no_target_and_what_is_held_stays_a_file() -> None:
    files: dict[str, Contents] = {"x": "data" * 10, "bb": "data" * 10, "ccc": "data" * 10}
    gone = frozenset({("app-x", "x")})
    assert links(files, DATA, gone=gone) == {"app-x/ccc": "bb"}
    assert links(files, DATA, held=lambda record: record.path == "ccc") == {
        "app-x/x": "ccc",
        "app-x/bb": "ccc",
    }
