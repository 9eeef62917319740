"""LIEF on real ELF files: silent about what slim edits, and not about edits with a seeded fault."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import lief
import pytest

from slim.formats.base import BytesContent
from slim.passes import EDITORS
from slim.verification import oracles
from slim.verification.oracles import CHECK, Edit, judge
from slim.verification.second_opinion.opinion import SecondOpinion
from tests.support.elf_files import compile_c, patchelf_three_times

KEY = ("app-x", "lib.so")
SOURCE = """
#include <math.h>
static int table[4000] = {1, 2, 3};
static int hidden(int x) { return x * table[1]; }
int answer(int x) { return hidden(x); }
double root(double x) { return sqrt(x); }
"""
FLAGS = ("-Wl,--no-as-needed", "-Wl,-soname,libsample.so.1", "-Wl,-rpath,$ORIGIN/a", "-lm")


@pytest.fixture(scope="module")
def lief_child() -> Iterator[SecondOpinion]:
    with SecondOpinion() as second:
        yield second


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with symbols to drop, imports, exports and a run path."""
    folder = tmp_path_factory.mktemp("library")
    return compile_c(folder, "libsample.so", SOURCE, "-shared", "-fPIC", "-g", *FLAGS)


def edited(data: bytes) -> bytes:
    return EDITORS["elf-symbols"].edit(memoryview(data), {"level": "unneeded"}).whole(data)


def edit(original: bytes, changed: bytes) -> dict[tuple[str, str], Edit]:
    content = BytesContent(changed)
    return {KEY: Edit(editor="elf-symbols", original=BytesContent(original), edited=content)}


@pytest.mark.parametrize("grafted", [False, True], ids=["plain", "patchelf"])
@pytest.mark.parametrize("bits", [64, 32])
def test_a_good_edit_passes(
    tmp_path: Path, lief_child: SecondOpinion, grafted: bool, bits: int
) -> None:
    """After patchelf symbols lie amid the image, and segments move when they are taken out."""
    flags = FLAGS if bits == 64 else ("-m32", "-nostdlib")
    source = SOURCE if bits == 64 else "int answer(int x) { return x; }"
    built = compile_c(tmp_path, "libsample.so", source, "-shared", "-fPIC", "-g3", *flags)
    if grafted:
        patchelf_three_times(built)
    data = built.read_bytes()
    found = judge(edit(data, edited(data)), lief_child)
    assert found.refused == {}
    assert (found.check.tried, found.check.note) == (1, "")


def header_offset(data: bytes, kind: int) -> int:
    """Where the last program header of a kind is, in a file with 64 bits."""
    (start,) = struct.unpack_from("<Q", data, 0x20)
    (count,) = struct.unpack_from("<H", data, 0x38)
    rows = [start + 56 * number for number in range(count)]
    return max(row for row in rows if struct.unpack_from("<I", data, row)[0] == kind)


def put(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def shifted(data: bytes) -> bytes:
    """A segment that is mapped from one page earlier in the file."""
    at = header_offset(data, 1) + 8
    (offset,) = struct.unpack_from("<Q", data, at)
    return put(data, at, struct.pack("<Q", offset - 0x1000))


def lost_page(data: bytes) -> bytes:
    """A segment of which a page is mapped less."""
    at = header_offset(data, 1) + 32
    (size,) = struct.unpack_from("<Q", data, at)
    return put(data, at, struct.pack("<Q", size - 8))


def renamed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Another name in the table of dynamic strings."""

    def change(data: bytes) -> bytes:
        at = data.index(b"\0" + old + b"\0") + 1
        return put(data, at, new)

    return change


def changed_tag(data: bytes) -> bytes:
    """Another address of the initialisers (DT_INIT is 12) in the dynamic section."""
    (start,) = struct.unpack_from("<Q", data, header_offset(data, 2) + 8)
    at = next(
        at for at in range(start, len(data), 16) if data[at : at + 8] == struct.pack("<Q", 12)
    )
    return put(data, at + 8, struct.pack("<Q", 0x40))


SEEDED = [
    (shifted, "segments"),
    (lost_page, "segments"),
    (renamed(b"sqrt", b"sqrl"), "imports"),
    (renamed(b"answer", b"answes"), "exports"),
    (renamed(b"libm.so.6", b"libn.so.6"), "libraries and run paths"),
    (renamed(b"$ORIGIN/a", b"$ORIGIN/b"), "libraries and run paths"),
    (changed_tag, "dynamic tags"),
]


@pytest.mark.parametrize(("damage", "about"), SEEDED)
def test_what_the_own_oracle_overlooks_lief_finds(
    damage: Callable[[bytes], bytes],
    about: str,
    library: Path,
    lief_child: SecondOpinion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = library.read_bytes()
    bad = damage(edited(data))
    assert judge(edit(data, bad), lief_child).refused[KEY].kind == "oracle"
    blind = replace(oracles.ORACLES["elf"], check=lambda original, changed: [])
    monkeypatch.setitem(oracles.ORACLES, "elf", blind)  # type: ignore[arg-type]
    found = judge(edit(data, bad), lief_child)
    assert found.refused[KEY].kind == CHECK
    told = found.refused[KEY].text
    assert "LIEF reads another file than before" in told
    lief.logging.disable()
    from slim.verification.second_opinion import elf
    from slim.verification.second_opinion.facts import differences

    before, after = elf.read(data), elf.read(bad)
    assert before is not None
    assert after is not None
    assert any(f"the {about} differ" in problem for problem in differences(before, after))


def test_an_edited_file_that_is_none_any_more_is_refused(
    library: Path, lief_child: SecondOpinion, monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = replace(oracles.ORACLES["elf"], check=lambda original, changed: [])
    monkeypatch.setitem(oracles.ORACLES, "elf", blind)  # type: ignore[arg-type]
    data = library.read_bytes()
    found = judge(edit(data, b"\x7fELF"), lief_child)
    assert found.refused[KEY].text == "LIEF can read the original, but not the edited file"
