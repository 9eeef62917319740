"""The order in which members are written, and which of them are machine code."""

from __future__ import annotations

import random

import pytest

from slim.formats.order import for_compression, is_native
from tests.support.raw_archives import directory, file, hardlink, symlink

MEMBERS = [
    (False, directory("")),
    (False, directory("b")),
    (False, directory("b/c")),
    (False, file("z")),
    (False, file("a.json", b"{}")),
    (False, file("b/c/z.json", b"[]")),
    (False, file("a.py", b"MZ")),
    (False, file("b/A.PY", b"import os")),
    (True, file("b/c.so", b"\x7fELF" + bytes(60))),
    (True, file("b/c/b.dylib", b"\xcf\xfa\xed\xfe")),
    (True, file("lib.a", b"!<arch>\n")),
    (True, file("setup.exe", b"MZ\x90\0")),
    (False, hardlink("b/hard", "z")),
    (False, symlink("a", "z")),
]


def test_folders_then_files_by_ending_then_machine_code_then_links() -> None:
    wanted = [(native, member.path) for native, member in MEMBERS]
    wanted[-2:] = wanted[:-3:-1]  # links by name
    for seed in range(5):
        mixed = [member for _, member in MEMBERS]
        random.Random(seed).shuffle(mixed)
        assert [(native, member.path) for native, member in for_compression(mixed)] == wanted


@pytest.mark.parametrize("head", [b"", b"\x7fEL", b"\x7felf", b"#!/bin/sh", b"PK\3\4\0\0"])
def test_what_only_looks_like_machine_code(head: bytes) -> None:
    assert not is_native(file("lib.so", head))
