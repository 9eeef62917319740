"""Code that reads the stubs of modules which it finds, whatever its file is called."""

from __future__ import annotations

import marshal

import pytest

from slim.analysis.python_code import MOST_BYTECODE
from slim.analysis.stub_readers import stub_readers
from tests.support.virtual_stacks import Contents, make_stack

FINDS = "import importlib.util, os\no = importlib.util.find_spec('p').origin\n"
SUFFIX = f"{FINDS}x = open(os.path.splitext(o)[0] + '.pyi')\n"


def compiled(source: str) -> bytes:
    return bytes(16) + marshal.dumps(compile(source, "m", "exec"))


CASES: dict[str, tuple[str, Contents, bool]] = {
    "a module": ("$site/m.py", SUFFIX, True),
    "a script": ("bin/tool", f"#!/usr/bin/env python3\n{SUFFIX}", True),
    "bytecode": ("$site/m.pyc", compiled(SUFFIX), True),
    "bytecode without": (
        "$site/m.pyc",
        bytes(16) + marshal.dumps(compile(FINDS, "m", "exec")),
        False,
    ),
    "bytecode that is too large": ("$site/m.pyc", b".pyi" + bytes(MOST_BYTECODE), True),
    "a letter more": ("$site/m.py", f"{FINDS}x = open(o + 'i')\n", True),
    "a letter more in braces": ("$site/m.py", f"{FINDS}x = open(f'{{o}}i')\n", True),
    "of a file": ("$site/m.py", "path = inspect.getfile(m)\nx = open(path + 'i')\n", True),
    "a letter for another": ("$site/m.py", f"{FINDS}x = number + 'i'\n", False),
    "another letter": ("$site/m.py", f"{FINDS}x = open(o + 'c')\n", False),
    "a text": ("share/m.txt", SUFFIX, False),
}


@pytest.mark.parametrize("case", CASES)
def test_who_reads_stubs_of_what_it_finds(case: str) -> None:
    path, content, is_found = CASES[case]
    made = make_stack({"app-x": {path: content}})
    assert bool(stub_readers(made.inventory, made.read)) is is_found
