"""Current wheels for macOS and Windows as layers, through the whole of slim on any host.

Nothing of them can be run here. What can be shown: every edited file passes the verifier, every
library that was found before is found after, signatures are told, and foreign code goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from slim.binaries import describe
from slim.config.load import load_config
from slim.formats import read_archive
from slim.formats.base import ReadOptions, Tree
from slim.model.outcome import RunResult, SigningReason
from slim.model.plan import Plan, Remove, Rewrite
from slim.model.progress import Silent
from slim.model.record import NativeFormat
from slim.passes import SCHEMAS
from slim.pipeline.stages import RunRequest, run
from slim.verification.native.macho import check, check_layout
from tests.support.native_headers import macho, pe
from tests.support.platform_wheels import installed
from tests.support.published_stacks import SITE, Content, LayerSpec, Link, publish

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.xdist_group("native-wheels")]

MACOS = [f"macosx_{version}_arm64" for version in ("14_0", "12_0", "11_0")]
UNIVERSAL = [f"macosx_{version}_universal2" for version in ("11_0", "10_13", "10_9")]


def slimmed(
    folder: Path, platform: str, files: Mapping[str, Content | Link], profile: str = "standard"
) -> RunResult:
    """Publish a stack of a runtime and one framework layer, and make it smaller."""
    runtime: dict[str, Content | Link] = {
        "bin/python3.13": macho("@executable_path/../lib/libpython3.13.dylib", kind="executable"),
        "bin/python": Link("python3.13"),
        "lib/libpython3.13.dylib": macho(name="@executable_path/../lib/libpython3.13.dylib"),
        "lib/python3.13/os.py": "",
    }
    if platform.startswith("win"):
        runtime = {
            "python.exe": pe("python313.dll", dll=False),
            "python313.dll": pe(),
            "Lib/os.py": "",
        }
    layers = {
        "cpython3.13": LayerSpec("runtime", runtime),
        "framework-native": LayerSpec("framework", files),
    }
    publish(folder / "published", layers, platform=platform, suffix=".tar")
    config = load_config(SCHEMAS, overrides={"profile": profile, "format": "tar"})
    request = RunRequest(
        source=folder / "published", output=folder / "slim", config=config, unverified=True
    )
    (result,) = run(request, Silent())
    return result


def after(folder: Path) -> Tree:
    """The new framework layer."""
    return read_archive(folder / "slim" / "framework-native.tar", ReadOptions(spool_dir=folder))


def edits(plan: Plan) -> dict[str, Rewrite]:
    """The Mach-O files that stay with other bytes, by path."""
    return {
        action.record.path: action
        for action in plan.actions.values()
        if isinstance(action, Rewrite)
        and action.record.native is NativeFormat.MACHO
        and action.link_target is None
    }


def test_a_macos_layer(tmp_path: Path) -> None:
    files = installed(
        tmp_path / "wheels", MACOS, "numpy", "pillow", "tokenizers", "pyyaml", "cryptography"
    )
    result = slimmed(tmp_path, "macosx_arm64", files)
    changed = edits(result.plan)
    assert len(changed) > 30
    with after(tmp_path) as tree:
        for path, action in changed.items():
            original, content = files[path], tree.members[path].content
            assert isinstance(original, bytes) and content is not None
            new = bytes(content.view())
            assert check(original, new) == []
            assert len(new) == action.size_after < len(original)
        for path, member in tree.members.items():
            if (
                member.content is not None
                and describe(member.content.view())
                and path.endswith((".so", ".dylib"))
            ):
                assert check_layout(member.content.view()) == [], path
    assert result.verification.passed
    saved = sum(action.saved for action in changed.values())
    native = sum(len(files[path]) for path in changed)  # type: ignore[arg-type]
    assert saved > native // 20
    assert {item.path for item in result.signing if item.reason is SigningReason.CHANGED} == set(
        changed
    )


def test_libraries_of_repaired_macos_wheels_stay(tmp_path: Path) -> None:
    files = installed(tmp_path / "wheels", MACOS, "numpy", "pillow", "scipy")
    result = slimmed(tmp_path, "macosx_arm64", files, "aggressive")
    gone = {
        action.record.path for action in result.plan.actions.values() if isinstance(action, Remove)
    }
    libraries = {path for path in files if "/.dylibs/" in path}
    assert len(libraries) > 10
    assert not libraries & gone


def test_universal_wheels_are_thinned(tmp_path: Path) -> None:
    files = installed(tmp_path / "wheels", UNIVERSAL, "charset-normalizer", "regex", "lxml")
    result = slimmed(tmp_path, "macosx_arm64", files)
    with after(tmp_path) as tree:
        machines = {
            info.machines
            for member in tree.members.values()
            if member.content is not None and (info := describe(member.content.view())) is not None
        }
    assert machines == {("aarch64",)}
    assert all("slice x86_64" in action.evidence[0].text for action in edits(result.plan).values())
    assert result.after.unpacked < result.before.unpacked * 0.6


def test_foreign_code_in_a_macos_layer_goes(tmp_path: Path) -> None:
    files = installed(tmp_path / "wheels", MACOS, "pyyaml")
    package = next(path for path in files if path.endswith("yaml/__init__.py")).rpartition("/")[0]
    record = next(path for path in files if path.endswith(".dist-info/RECORD"))
    foreign = {
        f"{package}/lib/x64/helper.dll": pe(),
        f"{package}/lib/old/helper.dylib": macho(machine="x86_64"),
    }
    rows = "".join(f"{path.removeprefix(SITE + '/')},,\n" for path in foreign)
    old = files[record]
    assert isinstance(old, bytes)
    result = slimmed(tmp_path, "macosx_arm64", {**files, **foreign, record: old + rows.encode()})
    assert {a.record.path for a in result.plan.actions.values() if a.pass_name == "foreign"} == set(
        foreign
    )


def test_a_windows_layer(tmp_path: Path) -> None:
    names = ("numpy", "pillow", "sentencepiece", "cryptography", "setuptools")
    files = installed(tmp_path / "wheels", ["win_amd64"], *names, site="Lib/site-packages")
    result = slimmed(tmp_path, "win_amd64", files)
    actions = {action.record.path: action for action in result.plan.actions.values()}
    native = {path for path, action in actions.items() if action.record.native is NativeFormat.PE}
    launchers = {path for path in native if path.endswith(".exe")}
    assert not [path for path in native - launchers if not isinstance(actions[path], Remove)]
    assert {path.rpartition("/")[2] for path in launchers} == {
        "cli-32.exe", "cli-arm64.exe", "gui-32.exe", "gui-arm64.exe",
    }  # fmt: skip
    assert not [path for path in native if ".libs/" in path or path.endswith(".dll")]
    assert [path for path in actions if path.endswith(".lib")]
    assert result.signing == ()
