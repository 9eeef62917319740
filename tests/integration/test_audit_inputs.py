"""Container layers, venvs, wheels and applications, made by the tools that make them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from slim.errors import ConfigError, SlimError
from tests.support.audits import adds_up, audit_of, by_du


def tar_sizes(archive: Path) -> int:
    """Bytes of all regular files, by the size column of ``tar -tv``."""
    listing = subprocess.run(
        ["tar", "--list", "--verbose", "--file", archive],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sum(int(line.split()[2]) for line in listing.splitlines() if line.startswith("-"))


def container_layer(path: Path) -> Path:
    """A layer of container tools: absolute links, whiteouts, set-user-id programs, devices."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:

        def add(name: str, data: bytes = b"", **more: object) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in more.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data) if data else None)

        add("usr", type=tarfile.DIRTYPE, mode=0o755)
        add("usr/lib/python3/dist-packages/a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n")
        add("usr/lib/python3/dist-packages/a-1.dist-info/RECORD", b"a.py,,\n")
        add("usr/lib/python3/dist-packages/a.py", b"x = 1\n" * 100)
        add("usr/bin/passwd", b"#!" * 30, mode=0o4755)
        add("etc/alternatives/python", type=tarfile.SYMTYPE, linkname="/usr/bin/python3")
        add("bin", type=tarfile.SYMTYPE, linkname="../../../usr/bin")
        add("usr/share/.wh.doc")
        add("usr/lib/.wh..wh..opq")
        add("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)
        add("run/pipe", type=tarfile.FIFOTYPE)
        add("usr/bin/other", type=tarfile.LNKTYPE, linkname="usr/bin/passwd")
    return path


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar isn't installed")
def test_a_container_layer_is_read_with_all_its_links(tmp_path: Path) -> None:
    layer = container_layer(tmp_path / "layer.tar")
    found = audit_of(layer)
    assert adds_up(found) == tar_sizes(layer)
    warned = "\n".join(found.warnings)
    assert "dev/null" in warned
    assert "run/pipe" in warned
    assert "etc/alternatives/python" in warned
    assert {row.label for row in found.by_owner} >= {"a 1", "(unowned)"}


def test_a_run_still_refuses_what_an_audit_reads(tmp_path: Path) -> None:
    from slim.config.load import load_config
    from slim.passes import SCHEMAS
    from slim.pipeline.stages import RunRequest, run

    layer = container_layer(tmp_path / "layer.tar")
    config = load_config(SCHEMAS)
    with pytest.raises(SlimError):
        run(RunRequest(source=layer, output=None, config=config, dry_run=True))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_folder_with_a_fifo_and_a_socket(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"abc")
    found = audit_of(tmp_path)
    assert adds_up(found) == 3
    assert any("pipe" in text for text in found.warnings)


@pytest.mark.slow
def test_a_real_venv_is_counted_like_du_does(tmp_path: Path) -> None:
    if shutil.which("du") is None:
        pytest.skip("du isn't installed")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    found = audit_of(tmp_path / "venv")
    assert adds_up(found) == by_du(tmp_path / "venv")
    entries = [
        path for path in (tmp_path / "venv").rglob("*") if path.is_symlink() or path.is_file()
    ]
    assert found.total.files == len(entries)
    pip = next(row for row in found.by_owner if row.label.startswith("pip "))
    assert pip.size.unpacked > 1_000_000
    assert [one.owner.name for one in found.unused][:1] in ([], ["pip"])


def test_a_wheel_is_read_by_its_content(tmp_path: Path) -> None:
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("thing/__init__.py", "x = 1\n" * 40)
        archive.writestr("thing-1.0.dist-info/METADATA", "Name: thing\nVersion: 1.0\n")
        archive.writestr(
            "thing-1.0.dist-info/RECORD", "thing/__init__.py,,\nthing-1.0.dist-info/METADATA,,\n"
        )
    found = audit_of(wheel)
    with zipfile.ZipFile(wheel) as archive:
        assert adds_up(found) == sum(info.file_size for info in archive.infolist())
    assert next(row for row in found.by_owner if row.label == "thing 1.0").size.files == 3
    assert found.total.archive == wheel.stat().st_size
    assert {one.command for one in found.savings} == {""}  # slim run writes no wheels


def test_an_application_bundle(tmp_path: Path) -> None:
    resources = tmp_path / "Thing.app/Contents/Resources"
    packages = resources / "app_packages"
    (packages / "dep-2.dist-info").mkdir(parents=True)
    (packages / "dep-2.dist-info/METADATA").write_text("Name: dep\nVersion: 2\n")
    (packages / "dep").mkdir()
    (packages / "dep/core.py").write_text("x = 1\n")
    with zipfile.ZipFile(resources / "python313.zip", "w") as stdlib:
        stdlib.writestr("os.py", "import sys\n" * 99)
    (resources / "current").symlink_to("/Library/Frameworks/Python.framework")
    found = audit_of(tmp_path / "Thing.app")
    os.link(
        packages / "dep/core.py", resources / "twin.py"
    )  # the same bytes under two names are there once
    assert (
        adds_up(audit_of(tmp_path / "Thing.app")) == adds_up(found) == by_du(tmp_path / "Thing.app")
    )
    assert next(row for row in found.by_owner if row.label == "dep 2").size.files == 2


def test_a_frozen_application(tmp_path: Path) -> None:
    """An application as PyInstaller lays it out.

    The interpreter lies beside the packages, and a RECORD names what stayed behind.
    """
    inside = tmp_path / "hello/_internal"
    for path, content in {
        "numpy/core.so": "c" * 50,
        "numpy.libs/libblas.so": "b" * 70,
        "numpy-2.dist-info/METADATA": "Name: numpy\nVersion: 2\n",
        "numpy-2.dist-info/RECORD": "../../../bin/f2py,,\n"
        "numpy/core.so,,\nnumpy.libs/libblas.so,,\n",
        "libpython3.13.so.1.0": "p" * 90,
        "python3.13/lib-dynload/_json.so": "j" * 10,
        "base_library.zip": "z",
        "libz.so.1": "s" * 5,
    }.items():
        (inside / path).parent.mkdir(parents=True, exist_ok=True)
        (inside / path).write_text(content)
    (tmp_path / "hello/hello").write_text("start")
    found = audit_of(tmp_path / "hello")
    assert adds_up(found) == by_du(tmp_path / "hello")
    sizes = {row.label: row.size.unpacked for row in found.by_owner}
    assert sizes.pop("numpy 2") == 50 + 70 + sum(
        path.stat().st_size for path in inside.glob("numpy-2*/*")
    )
    assert sizes == {"cpython 3.13": 101, "(unowned)": 10}


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x7fELF"])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.bin").write_bytes(content)
    with pytest.raises(ConfigError, match="neither"):
        audit_of(tmp_path / "file.bin")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert adds_up(audit_of(tmp_path)) == 0
