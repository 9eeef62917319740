"""Published folders that an installer worked on: archives unpacked in place and removed, or gone.

What is there is slimmed as what it is, and starts as before.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from slim.cli import main
from tests.integration.test_products_more import RUNTIME, small, started, tried, write
from tests.support import elf_files
from tests.support.deployed_stacks import unpack
from tests.support.macho_files import LIBRARY, build
from tests.support.published_stacks import SITE, Files, distribution, publish, write_json

ELF = elf_files.build(
    "elf 64 little x86_64 shared\nload 0x10000 align 0x1000\n"
    "section .text progbits 200 alloc\nend\n"
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the small layers start through a shell script"
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def in_place(tag: str = "") -> Path:
    """What ``for f in *.tar.xz; do tar -xf $f; rm $f; done`` leaves of a published folder."""
    publish(Path("stack"), small(), tag=tag)
    unpack(Path("stack"), Path("unpacked").resolve())
    for layer in Path("unpacked").iterdir():
        shutil.move(layer, "stack")
    for archive in Path("stack").glob("*.tar.xz"):
        archive.unlink()
    return Path("stack")


@pytest.mark.parametrize("tag", ["", "-linux_x86_64"])
def test_archives_that_were_unpacked_in_place_and_removed(tag: str) -> None:
    in_place(tag)
    result = tried("stack", started)
    assert any(row["action"] == "remove" for row in result["actions"])
    written = Path("out-standard/__venvstacks__")
    manifest = json.loads((written / f"venvstacks{tag}.json").read_text("utf-8"))
    entries = {
        entry["install_target"]: entry
        for entries in manifest["layers"].values()
        for entry in entries
    }
    assert not [key for entry in entries.values() for key in entry if key.startswith("archive_")]
    metadata = json.loads((written / f"env_metadata/{RUNTIME}{tag}.json").read_text("utf-8"))
    assert metadata == entries[RUNTIME]


def test_some_archives_removed_and_some_left(capsys: pytest.CaptureFixture[str]) -> None:
    made = in_place()
    (made / f"{RUNTIME}.tar.xz").write_bytes(b"")
    assert main(["run", "stack", "-o", "out", "-q"]) == 6
    assert "the archive of layer 'framework-maths' is missing" in capsys.readouterr().err


def test_archives_of_another_platform_that_arent_there(capsys: pytest.CaptureFixture[str]) -> None:
    for tag in ("linux_x86_64", "macosx_arm64"):
        publish(Path("stack"), small(), tag=f"-{tag}", platform=tag)
    (Path("stack") / f"{RUNTIME}-macosx_arm64.tar.xz").unlink()
    assert main(["run", "stack", "-o", "out", "-q"]) == 6
    assert "--platform" in capsys.readouterr().err
    assert main(["run", "stack", "-o", "out", "-q", "--platform", "linux_x86_64"]) == 0


def test_the_folder_of_the_manifests_is_no_stack(capsys: pytest.CaptureFixture[str]) -> None:
    publish(Path("stack"), small())
    assert main(["run", "stack/__venvstacks__", "-o", "out", "-q"]) == 2
    assert "give the folder that holds it: stack" in capsys.readouterr().err


def test_other_files_beside_the_manifests() -> None:
    """What macOS leaves on foreign file systems, and what a product writes there itself."""
    in_place()
    for folder in ("__venvstacks__", "__venvstacks__/env_metadata"):
        Path("stack", folder, "._venvstacks.json").write_bytes(b"\0\5\x16\7")
        Path("stack", folder, "build-info.json").write_text('{"build": 3}')
    tried("stack", started)


def test_hidden_files_beside_what_was_built() -> None:
    manifest = json.loads((in_place() / "__venvstacks__/venvstacks.json").read_text("utf-8"))
    shutil.rmtree("stack/__venvstacks__")
    for entry in (entry for entries in manifest["layers"].values() for entry in entries):
        name = entry["layer_name"]
        write_json(Path(f"stack/{name}.last-build.json"), {"layer_details": entry})
        Path(f"stack/._{name}.last-build.json").write_bytes(b"\0\5\x16\7")
    result = tried("stack", started)
    assert len(result["layers"]) == 3


def test_a_manifest_that_is_damaged_is_not_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    publish(Path("stack"), small())
    Path("stack/__venvstacks__/venvstacks-macosx_arm64.json").write_text('{"layer": {}}')
    assert main(["run", "stack", "-o", "out", "-q"]) == 3
    assert "no layers" in capsys.readouterr().err


def made_for(tag: str, package: str, library: bytes, name: str) -> Files:
    """A package with an extension module, as a wheel of this platform installs it."""
    made = distribution(
        package,
        {f"{package}/__init__.py": "", f"{package}/{name}": library},
        more={"WHEEL": f"Wheel-Version: 1.0\nTag: cp313-cp313-{tag}\n"},
    )
    return dict(made)


@pytest.mark.parametrize("side_by_side", [True, False])
def test_layers_for_several_platforms_in_one_plain_folder(side_by_side: bool) -> None:
    """A folder of releases: what the other platform's layers hold isn't another system's there.

    A wheel of one platform that brings a library of another still loses it.
    """
    linux, macos = "manylinux_2_28_x86_64", "macosx_11_0_arm64"
    for name in ("fast", "more"):
        write(Path("dist/linux"), made_for(linux, name, ELF, "_fast.abi3.so"))
    tag = macos if side_by_side else linux
    write(Path("dist/macos"), made_for(tag, "other", build(LIBRARY), "_fast.cpython-313-darwin.so"))
    assert main(["run", "dist", "-o", "out", "-q"]) == 0
    kept = Path("out/macos", SITE, "other/_fast.cpython-313-darwin.so")
    assert kept.exists() is side_by_side
