"""Whole runs over small stacks with files of macOS: copies become links, signatures, thinning."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from slim.cli import main
from tests.support.macho_files import LIBRARY, build
from tests.support.native_headers import macho, pe
from tests.support.published_stacks import (
    SITE,
    Content,
    LayerSpec,
    Link,
    distribution,
    merge,
    publish,
)

DYLIB = build(LIBRARY)
TOOL = macho(kind="executable", strings=("tool" * 2000,))
COPY = macho(name="@rpath/libcopy.1.dylib", strings=("copy" * 2000,))


def stack(folder: Path, platform: str = "macosx_arm64") -> Path:
    runtime: dict[str, Content | Link] = {
        "bin/python3.13": "#!/bin/sh\n",
        "lib/python3.13/os.py": "",
    }
    files = distribution(
        "natives",
        {
            "natives/__init__.py": "",
            "natives/sample.so": DYLIB,
            "natives/bin/tool": TOOL,
            "natives/bin/tool-1.0": TOOL,
            "natives/lib/libcopy.dylib": COPY,
            "natives/lib/libcopy.1.dylib": COPY,
            "natives/old/helper.dylib": macho(machine="x86_64"),
            "natives/old/helper.dll": pe(),
        },
    )
    layers = {
        "cpython3.13": LayerSpec("runtime", runtime),
        "framework-native": LayerSpec("framework", merge(files)),
    }
    publish(folder / "published", layers, platform=platform)
    return folder / "published"


def slim(source: Path, output: Path, *more: str) -> dict[str, object]:
    report = output.parent / f"{output.name}.json"
    arguments = [
        "run",
        str(source),
        "-o",
        str(output),
        "--no-config",
        "-q",
        "--report",
        f"json={report}",
        *more,
    ]
    assert main(arguments) == 0
    loaded: dict[str, object] = json.loads(report.read_text("utf-8"))["runs"][0]
    return loaded


def test_copies_become_links_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    source = stack(tmp_path)
    signing = tmp_path / "sign.txt"
    first = slim(source, tmp_path / "one", "--signing-list", str(signing))
    with tarfile.open(tmp_path / "one" / "framework-native.tar.xz") as archive:
        names = {
            info.name.removeprefix(f"framework-native/{SITE}/natives/"): info
            for info in archive.getmembers()
        }
        opened = archive.extractfile(f"framework-native/{SITE}/natives-1.0.dist-info/RECORD")
        assert opened is not None
        rows = opened.read().decode()
    link = names["lib/libcopy.1.dylib"]
    assert link.issym() and link.linkname == "libcopy.dylib"
    assert names["lib/libcopy.dylib"].isfile()
    assert names["bin/tool"].isfile() and names["bin/tool-1.0"].isfile()
    assert not any(name.startswith("old/") for name in names)
    digests = [row.split(",", 1)[1] for row in rows.splitlines() if "natives/lib/libcopy" in row]
    assert len(digests) == 2 and digests[0] == digests[1], (
        "through the link the same bytes are read"
    )
    changed = f"framework-native/{SITE}/natives/sample.so"
    assert signing.read_text("utf-8").splitlines() == [changed]
    assert first["signing"] == [
        {"layer": "framework-native", "path": f"{SITE}/natives/sample.so", "reason": "changed"}
    ]
    second = slim(tmp_path / "one", tmp_path / "two")
    assert second["actions"] == [] and second["signing"] == []
    for name in ("framework-native.tar.xz", "cpython3.13.tar.xz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_windows_layers_get_no_links(tmp_path: Path) -> None:
    found = slim(stack(tmp_path, "win_amd64"), tmp_path / "one")
    actions = found["actions"]
    assert isinstance(actions, list)
    assert "duplicates" not in {action["pass"] for action in actions}
    assert found["signing"] == []


@pytest.mark.parametrize("profile", ["safe", "standard"])
def test_the_sums_hold(tmp_path: Path, profile: str) -> None:
    found = slim(stack(tmp_path), tmp_path / "one", "--profile", profile)
    unpacked = found["totals"]["unpacked"]  # type: ignore[index]
    with tarfile.open(tmp_path / "one" / "framework-native.tar.xz") as archive:
        after = sum(info.size for info in archive.getmembers())
    with tarfile.open(tmp_path / "one" / "cpython3.13.tar.xz") as archive:
        after += sum(info.size for info in archive.getmembers())
    assert unpacked["after"] == after
