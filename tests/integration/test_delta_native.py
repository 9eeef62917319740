"""Deltas of what a compiler makes of two versions of a source: smaller with moves, bit for bit.

And those of wheels for other machines; what LLVM reads in code for ARM64.
"""

from __future__ import annotations

import random
import re
import struct
import subprocess
from pathlib import Path

import pytest

from slim.delta import patch as patches
from slim.delta.apply import ApplyRequest, apply
from slim.delta.arm64 import arm64_references
from slim.delta.create import MakeRequest, make
from slim.delta.fields import LOW12, PAGE
from slim.formats import format_by_name, write_archive
from slim.formats.base import WriteOptions
from tests.support.elf_files import compile_c, tool
from tests.support.moving_natives import ARM64, library
from tests.support.platform_wheels import download, members
from tests.support.raw_archives import file

HIDDEN = ("-fvisibility=hidden",)
"""Functions that are called by their distance, as those of most extension modules are."""


def source(functions: int, *, more: str = "") -> str:
    """C of functions that call each other, branch by tables, and are named in a table.

    ``more`` is a statement of the twentieth.
    """
    chance, code = random.Random(1), ["#include <stdio.h>", "static int counter;"]
    code += [f"int f{number}(int, const char *);" for number in range(functions)]
    for number in range(functions):
        code.append(f"int f{number}(int x, const char *text) {{")
        code += [more] * (number == 20)
        code.append(f'counter += x; if (x > {chance.randrange(99)}) puts("case {number}");')
        for _ in range(chance.randrange(3, 12)):  # no two functions are alike
            step = chance.choice(("x = x * {0} ^ text[{1}];", "counter ^= x >> {1} | {0};"))
            code.append(step.format(chance.randrange(10**6), chance.randrange(30)))
        code.append("switch (x) {")
        for case in range(7):
            calls = [chance.randrange(functions) for _ in range(2)]
            code.append(f"case {case}: return f{calls[0]}(x - 1, text) * f{calls[1]}(x / 2, text);")
        code.append(f"default: return counter + {chance.randrange(10**6)}; }} }}")
    names = ", ".join(f"f{number}" for number in range(functions))
    code.append(f"int (*const table[])(int, const char *) = {{ {names} }};")
    code.append("int main(void) { return table[0](3, 0); }")
    return "\n".join(code)


@pytest.mark.parametrize("flags", [("-shared", "-fPIC"), ("-no-pie", "-fno-pie"), ("-pie", "-s")])
def test_two_versions_of_a_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    more = 'printf("%d %s of a new version\\n", x, text);'
    for side, text in (("old", source(150)), ("new", source(150, more=more))):
        native = compile_c(tmp_path, f"{side}.so", text, "-O1", "-fno-inline", *HIDDEN, *flags)
        members = iter([file("m.so", native.read_bytes())])
        write_archive(
            format_by_name("tar"), members, "app", tmp_path / f"{side}.tar", WriteOptions()
        )
    sizes = with_and_without_moves(tmp_path, monkeypatch)
    assert sizes[0] < 0.7 * sizes[1], sizes


def with_and_without_moves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the delta from ``old.tar`` to ``new.tar``, after it was applied."""
    old, new = folder / "old.tar", folder / "new.tar"
    sizes = []
    for name in ("with", "without"):
        delta, output = folder / name, folder / f"{name}.tar"
        (made,) = make(MakeRequest(old=old, new=new, output=delta))
        sizes.append(made.layers[0].delta.download)
        apply(ApplyRequest(old=old, delta=delta, output=output))
        assert output.read_bytes() == new.read_bytes()
        monkeypatch.setattr(patches, "may_be_native", lambda beginning: False)
    return sizes


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(
    ("platform", "name"),
    [
        ("manylinux_2_28_aarch64", "_multiarray_umath.cpython"),
        ("macosx_14_0_arm64", "_generator.cpython"),
        ("macosx_14_0_x86_64", "_generator.cpython"),
        ("win_amd64", "_generator.cp"),
    ],
)
def test_two_wheels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, name: str
) -> None:
    for side, version in (("old", "2.3.2"), ("new", "2.3.3")):
        (wheel,) = download(tmp_path / side, [platform], f"numpy=={version}")
        files = [file(path, data) for path, data in members(wheel) if name in path]
        archive = tmp_path / f"{side}.tar"
        write_archive(format_by_name("tar"), iter(files), "app", archive, WriteOptions())
    sizes = with_and_without_moves(tmp_path, monkeypatch)
    assert sizes[0] < 0.7 * sizes[1], sizes


def test_code_for_arm64_is_read_as_llvm_reads_it(tmp_path: Path) -> None:
    """Branches, pages, and the instructions that add to a page, with any registers and numbers."""
    chance = random.Random(7)
    tops = [0x14, 0x17, 0x94, 0x96, 0x54, 0x34, 0x35, 0xB4, 0xB5, 0x90, 0xB0, 0xD0, 0xF0]
    words = [chance.choice(tops) << 24 | chance.randrange(1 << 24) for _ in range(2000)]
    adding = [0x91000000, 0x39400000, 0x79400000, 0xB9400000, 0xF9400000, 0x3D400000, 0x3DC00000]
    adding += [0xF9000000, 0x7D400000, 0xBD400000, 0xFD400000]
    for _ in range(2000):
        register, other = chance.sample(range(31), 2)
        words.append(0x90000000 | chance.randrange(1 << 19) << 5 | register)
        words.append(chance.choice(adding) | chance.randrange(256) << 10 | register << 5 | other)
    code = struct.pack(f"<{len(words)}I", *words)
    image = bytearray(library(1 + len(code) // 128, machine=ARM64))
    image[0x200 : 0x200 + len(code)] = code
    native = tmp_path / "a.so"
    native.write_bytes(image)
    base = 0x200000000
    command = [
        tool("llvm-objdump-19"),
        "-d",
        "--print-imm-hex",
        f"--adjust-vma={base}",
        str(native),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    start = 0x200
    found = {
        position: (form, target)
        for position, form, _, target in arm64_references(
            bytes(image), start, start + len(code), base + start, 0, 1 << 40
        )
    }
    compared = 0
    for line in printed.splitlines():
        match = re.match(r" *([0-9a-f]+): [0-9a-f]{8} *\t(\S+)\t([^<]*)", line)
        position = int(match[1], 16) - base if match else -1
        if match is None or position not in found:
            continue
        form, target = found.pop(position)
        (number,) = re.findall(r"0x([0-9a-f]+)", match[3])[-1:] or ["0"]
        if form >= LOW12:
            assert target & 0xFFF == int(number, 16) & 0xFFF, line
        else:
            shown = target & ~0xFFF if form == PAGE else target
            assert shown == int(number, 16), line
        compared += 1
    assert compared > 5000
