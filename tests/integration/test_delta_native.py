"""Deltas of what a compiler makes of two versions of a source: smaller with moves, bit for bit."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from slim.delta import patch as patches
from slim.delta.apply import ApplyRequest, apply
from slim.delta.create import MakeRequest, make
from slim.formats import format_by_name, write_archive
from slim.formats.base import WriteOptions
from tests.support.elf_files import compile_c
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
    old, new = tmp_path / "old.tar", tmp_path / "new.tar"
    sizes = []
    for name in ("with", "without"):
        delta, output = tmp_path / name, tmp_path / f"{name}.tar"
        (made,) = make(MakeRequest(old=old, new=new, output=delta))
        sizes.append(made.layers[0].delta.download)
        apply(ApplyRequest(old=old, delta=delta, output=output))
        assert output.read_bytes() == new.read_bytes()
        monkeypatch.setattr(patches, "may_move", lambda beginning: False)
    assert sizes[0] < 0.7 * sizes[1], sizes
