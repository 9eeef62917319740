"""Native files of wheels for machines and C libraries that this host hasn't, edited and judged."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from slim.binaries.elf.edit import ElfEdit, RefusalKind, plan_edit, read_dynamic
from slim.verification.native.elf import check

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.xdist_group("elf-wheels")]

WHEELS = [
    ("x86_64", "tokenizers", "musllinux_1_2_x86_64"),
    ("aarch64", "tokenizers", "musllinux_1_2_aarch64"),
    ("aarch64", "pillow", "manylinux_2_28_aarch64"),
    ("arm", "tokenizers", "manylinux2014_armv7l"),
    ("s390x", "tokenizers", "manylinux2014_s390x"),
    ("ppc64le", "tokenizers", "manylinux2014_ppc64le"),
    ("i686", "tokenizers", "manylinux2014_i686"),
]


def natives(folder: Path, package: str, platform: str) -> Iterator[tuple[str, bytes]]:
    """The ELF files of a wheel."""
    command = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "download",
        "-q",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    command += [
        "--only-binary=:all:",
        "--python-version",
        "3.13",
        "--platform",
        platform,
        "-d",
        str(folder),
        package,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"pip can't download {package} for {platform}: {done.stderr.strip()[-300:]}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        for info in opened.infolist():
            data = opened.read(info)
            if data[:4] == b"\x7fELF":
                yield info.filename, data


@dataclass(frozen=True)
class Mapped:
    """A segment as the loader maps it, read by pyelftools.

    ``header`` leaves the offset out, and ``data`` what holds it: the ELF header and the program
    headers, at the beginning of the file.
    """

    header: dict[str, object]
    offset: int
    data: bytes


def segments(data: bytes) -> list[Mapped]:
    elf = ELFFile(io.BytesIO(data))
    table = elf["e_phoff"] + elf["e_phnum"] * elf["e_phentsize"]
    assert elf["e_phoff"] == elf["e_ehsize"]
    return [
        Mapped(
            {key: value for key, value in one.header.items() if key != "p_offset"},
            one["p_offset"],
            one.data()[max(0, table - one["p_offset"]) :],
        )
        for one in elf.iter_segments()
        if one["p_type"] != "PT_PHDR"
    ]


@pytest.mark.parametrize(
    ("machine", "package", "platform"), WHEELS, ids=[platform for *_, platform in WHEELS]
)
def test_wheels_of_other_machines(
    tmp_path: Path, machine: str, package: str, platform: str
) -> None:
    edited = 0
    for name, data in natives(tmp_path / "wheels", package, platform):
        dynamic = read_dynamic(data)
        assert dynamic is not None and dynamic.machine == machine, name
        edit = plan_edit(data, "unneeded")
        if not isinstance(edit, ElfEdit):
            assert edit.kind is RefusalKind.NOTHING_GAINED, (name, edit)
            continue
        new = edit.data()
        assert check(data, new) == [], name
        assert read_dynamic(new) == dynamic, name
        pairs = list(zip(segments(data), segments(new), strict=True))
        page = max(int(str(before.header["p_align"])) for before, _ in pairs)
        for before, after in pairs:
            assert before.header == after.header, name
            assert before.data == after.data, (name, before.header)
            assert (before.offset - after.offset) % page == 0, (name, before.header)
        readelf = shutil.which("readelf")
        if readelf is not None:
            (tmp_path / "edited").write_bytes(new)
            done = subprocess.run(
                [readelf, "-hlSdW", tmp_path / "edited"], capture_output=True, text=True, check=True
            )
            assert "Warning" not in done.stderr + done.stdout, (name, done.stderr)
        edited += 1
    assert edited
