"""LIEF finds what slim's own oracles are told to overlook, and its accidents are borne."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import lief
import pytest

import slim
from slim.binaries.elf.edit import ElfEdit, plan_edit
from slim.errors import OutOfMemoryError
from slim.formats.base import BytesContent
from slim.formats.edited import EditedContent
from slim.model.recipe import Recipe
from slim.model.record import FileKey
from slim.passes import EDITORS
from slim.verification import oracles
from slim.verification.oracles import CHECK, Edit, Judgement, judge
from slim.verification.second_opinion import opinion as opinions
from slim.verification.second_opinion.facts import LAYOUT, differences
from slim.verification.second_opinion.opinion import Opinion, Question, SecondOpinion
from slim.verification.second_opinion.worker import READERS
from tests.support.elf_files import build as build_elf
from tests.support.macho_files import LIBRARY, build
from tests.support.native_headers import fat, pe
from tests.unit.test_binaries_oracle import TEXT as ELF_TEXT

ODD = "tests.support.odd_worker"
KEY = ("app-x", "x/liba.dylib")


@pytest.fixture(autouse=True)
def _tests_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture(scope="module")
def lief_child() -> Iterator[SecondOpinion]:
    """One child for all tests that ask LIEF itself."""
    with SecondOpinion() as second:
        yield second


# -- what LIEF finds -------------------------------------------------------------------------------

# LC_LOAD_DYLIB and LC_RPATH, as the description of a library has them.
_NEEDED = struct.pack("<4I", 24, 2, 0x10203, 0x10000) + b"/usr/lib/libz.dylib".ljust(24, b"\0")
_RPATH = struct.pack("<I", 12) + b"@loader_path/x".ljust(20, b"\0")
TEXT = f"{LIBRARY}command 12 {_NEEDED.hex()}\ncommand 2147483676 {_RPATH.hex()}\n"
ORIGINAL = build(TEXT)


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replace bytes that are there, where they are first there."""

    def change(data: bytes) -> bytes:
        assert old in data
        assert len(old) == len(new)
        return data.replace(old, new, 1)

    return change


def shifted(data: bytes) -> bytes:
    """Another place in the file for what is mapped as __DATA: the page before it."""
    at = data.index(b"__DATA\0\0") + 32
    (start,) = struct.unpack_from("<Q", data, at)
    return data[:at] + struct.pack("<Q", start - 0x1000) + data[at + 8 :]


SEEDED = [
    (shifted, "segments"),
    (swap(b"_malloc\0", b"_mallow\0"), "symbols"),
    (swap(b"_PyInit_sample\0", b"_PyInit_simple\0"), "symbols"),
    (swap(b"libz.dylib", b"libx.dylib"), "libraries"),
    (swap(struct.pack("<I", 0x10203), struct.pack("<I", 0x10303)), "libraries"),
    (swap(b"@loader_path/x", b"@loader_path/y"), "run paths"),
]


def edited(data: bytes = ORIGINAL) -> bytes:
    """What the editor makes of a file."""
    return EDITORS["macho-symbols"].edit(memoryview(data), {"level": "unneeded"}).whole(data)


def judged(
    original: bytes, changed: bytes, second: SecondOpinion, editor: str = "macho-symbols"
) -> Judgement:
    """The judgement about one edit."""
    edit = Edit(editor=editor, original=BytesContent(original), edited=BytesContent(changed))
    return judge({KEY: edit}, second)


def test_a_good_edit_passes(lief_child: SecondOpinion) -> None:
    found = judged(ORIGINAL, edited(), lief_child)
    assert found.refused == {}
    assert (found.check.name, found.check.tried, found.check.note) == (CHECK, 1, "")


@pytest.mark.parametrize(("damage", "about"), SEEDED)
def test_what_the_own_oracle_overlooks_lief_finds(
    damage: Callable[[bytes], bytes],
    about: str,
    lief_child: SecondOpinion,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = damage(edited())
    assert judged(ORIGINAL, bad, lief_child).refused[KEY].kind == "oracle"
    blind = replace(oracles.ORACLES["macho"], check=lambda original, changed: [])
    monkeypatch.setitem(oracles.ORACLES, "macho", blind)  # type: ignore[arg-type]
    found = judged(ORIGINAL, bad, lief_child)
    assert found.refused[KEY].kind == CHECK
    assert f"the {about} of the image for ARM64 0 differ" in found.refused[KEY].text
    assert found.check.passed  # a bad edit that isn't published is no failure
    assert "app-x/x/liba.dylib" in found.check.note


def test_one_image_out_of_a_universal_file_passes(lief_child: SecondOpinion) -> None:
    other = build(TEXT.replace("arm64", "x86_64"))
    whole = fat(other, ORIGINAL)
    recipe = EDITORS["macho-symbols"].edit(
        memoryview(whole), {"level": "unneeded", "machine": "aarch64"}
    )
    assert judged(whole, recipe.whole(whole), lief_child).refused == {}


def test_text_is_not_for_lief(lief_child: SecondOpinion) -> None:
    found = judged(b"Name: x\n\nLong", b"Name: x\n", lief_child, "metadata-description")
    assert found.refused == {}
    assert found.check.tried == 0


def test_an_alias_may_point_at_another_place_of_the_names(lief_child: SecondOpinion) -> None:
    assert "alias _reply _answer" in TEXT
    assert ORIGINAL.index(b"_answer\0", 0x8000) != edited().index(b"_answer\0", 0x8000)


def test_pe_files_are_read_as_well() -> None:
    lief.logging.disable()
    before = READERS["pe"](pe("b.dll", exports=("PyInit_a",)))
    after = READERS["pe"](pe("c.dll", exports=("PyInit_a",)))
    assert before is not None
    assert after is not None
    assert differences(before, before) == []
    assert any("imports" in problem for problem in differences(before, after))


def test_every_reader_that_an_oracle_names_is_there() -> None:
    named = {oracle.reader for oracle in oracles.ORACLES.values()} - {None}
    assert named <= READERS.keys()


def test_layout_problems_count_only_if_there_were_none() -> None:
    assert differences({"": {LAYOUT: ["a"]}}, {"": {LAYOUT: ["b"]}}) == []
    assert differences({"": {LAYOUT: []}}, {"": {LAYOUT: ["b"]}}) != []


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        ({"a": {"x": [1]}, "c": {}}, "there is an image for c, which is new"),
        ({}, "images are missing"),
        ({"a": {"x": [1, 2]}}, "number 0 was 3"),
        ({"a": {}}, "there were 2, there are 0; the first of the others is 3"),
    ],
)
def test_differences_are_told(
    after: Mapping[str, Mapping[str, list[object]]], problem: str
) -> None:
    before = {"a": {"x": [3, 2]}, "b": {"x": [1]}}
    if "x" in after.get("a", {}) and len(after) == 2:
        before["a"] = {"x": [1]}
    assert any(problem in found for found in differences(before, after))


def test_lief_is_loaded_in_the_child_only() -> None:
    code = "import sys, slim.cli.run, slim.pipeline.stages, slim.verification.oracles\n"
    code += "sys.exit('lief' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    for file in Path(slim.__file__).parent.rglob("*.py"):
        if file.parent.name != "second_opinion":
            assert "import lief" not in file.read_text("utf-8").split("lief_", 1)[0], file


# -- accidents -------------------------------------------------------------------------------------


def ask(second: SecondOpinion, *words: tuple[str, str]) -> tuple[Opinion, Callable[[int], FileKey]]:
    """Ask about files that say what happens when they are read, original and edited."""
    questions = {
        ("x", str(number)): Question(
            reader="elf",
            original=BytesContent(original.encode()),
            edited=BytesContent(changed.encode()),
        )
        for number, (original, changed) in enumerate(words)
    }
    return second.ask(questions), lambda number: ("x", str(number))


FINE = ("fine", "fine")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("crash", "it crashed (signal 6)"),
        ("exit", "it ended with exit code 3"),
        ("deaf", "it ended with exit code 0"),
        ("hang", "it took longer than 2 s"),
        ("unreadable", ""),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_accident_with_the_original_leaves_the_edit_to_the_own_oracle(
    word: str, reason: str
) -> None:
    with SecondOpinion(ODD, seconds=2) as second:
        found, key = ask(second, FINE, (word, "fine"), FINE)
    assert found.differing == {}
    assert found.judged == 2
    assert found.unjudged == {key(1): f"LIEF can't read the original: {reason}".removesuffix(": ")}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("crash", "not the edited file: it crashed"),
        ("unreadable", "not the edited file"),
        ("differs", "the imports differ: x"),
        ("nonsense", "can't be read"),
    ],
)
def test_an_accident_with_the_edited_file_alone_refuses_the_edit(word: str, reason: str) -> None:
    with SecondOpinion(ODD) as second:
        found, key = ask(second, FINE, ("fine", word), FINE)
    assert list(found.differing) == [key(1)]
    assert reason in found.differing[key(1)]
    assert (found.judged, found.unjudged) == (3, {})


def test_an_edited_file_that_hangs_is_waited_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opinions, "_PATIENCE", 0)
    with SecondOpinion(ODD, seconds=2) as second:
        found, key = ask(second, ("fine", "hang"))
    assert "it took longer than 2 s" in found.differing[key(0)]


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux")
def test_memory_is_limited() -> None:
    with SecondOpinion(ODD) as second:
        found, key = ask(second, ("eat", "fine"), FINE)
    assert found.unjudged == {key(0): "LIEF can't read the original: it needs too much memory"}


@pytest.mark.skipif(os.name != "posix", reason="needs setrlimit")
def test_processor_time_is_limited_for_a_child_without_a_parent() -> None:
    code = "import sys\nfrom slim.system.worker import limit\nlimit(0, 0)\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert done.returncode < 0


def test_what_the_library_prints_is_no_answer() -> None:
    with SecondOpinion(ODD) as second:
        found, _ = ask(second, ("print", "print"), FINE)
    assert (found.judged, found.differing) == (2, {})


def test_a_file_over_the_limit_is_left_to_the_own_oracle() -> None:
    with SecondOpinion(ODD, max_size=4) as second:
        found, key = ask(second, FINE, ("fine but long", "differs"))
    assert found.judged == 1
    assert found.unjudged == {key(1): "it has 13 bytes, more than the 4 that LIEF is given"}


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_child_that_the_system_kills_ends_the_run() -> None:
    """Whether an edit is published mustn't depend on how much memory there was."""
    with SecondOpinion(ODD) as second, pytest.raises(OutOfMemoryError, match="was killed"):
        ask(second, FINE, ("fine", "killed"), FINE)


def test_of_a_large_file_lief_is_given_the_headers_if_it_reads_them() -> None:
    questions = {
        ("x", str(number)): Question(
            reader="odd",
            headers=headers,
            original=BytesContent(b"x" * 9),
            edited=BytesContent(b"x"),
        )
        for number, headers in enumerate(["odd", None])
    }
    with SecondOpinion(ODD, max_size=4) as second:
        found = second.ask(questions)
    assert (found.judged, found.headers) == (1, [("x", "0")])
    assert list(found.unjudged) == [("x", "1")]


def test_lief_reads_the_headers_of_the_beginning_alone() -> None:
    elf = build_elf(ELF_TEXT)
    broken = bytearray(elf)
    broken[24] ^= 1  # e_entry
    with SecondOpinion(max_size=4) as second:
        for changed, differs in ((elf[:-1], False), (bytes(broken), True)):
            question = Question(
                reader="elf",
                headers="elf-headers",
                original=BytesContent(elf),
                edited=BytesContent(changed),
            )
            found = second.ask({KEY: question})
            assert (found.judged, found.headers, bool(found.differing)) == (1, [KEY], differs)


@pytest.mark.parametrize("broken", [False, True])
def test_the_headers_of_an_edited_file_are_joined_from_its_pieces(
    tmp_path: Path, broken: bool
) -> None:
    """The first piece of a stripped file is its header of 64 bytes alone."""
    elf = build_elf(ELF_TEXT)
    planned = plan_edit(elf, "unneeded")
    assert isinstance(planned, ElfEdit)
    recipe = planned.recipe
    assert len(recipe.parts[0]) == 64
    if broken:
        entry = bytes([elf[24] ^ 1])
        recipe = Recipe((*recipe.between(0, 24), entry, *recipe.between(25, recipe.size)))
    question = Question(
        reader="elf",
        headers="elf-headers",
        original=BytesContent(elf),
        edited=EditedContent(BytesContent(elf), recipe, recipe.size, tmp_path),
    )
    with SecondOpinion(max_size=4) as second:
        found = second.ask({KEY: question})
    assert (found.judged, found.headers, bool(found.differing)) == (1, [KEY], broken)


def test_after_too_many_accidents_lief_is_not_asked_any_more() -> None:
    with SecondOpinion(ODD) as second:
        found, key = ask(second, *[("exit", "fine")] * 12, FINE)
    assert found.judged == 0
    assert found.unjudged[key(12)] == "LIEF had 10 accidents with others before"


def test_where_lief_cannot_be_loaded_the_report_says_so(lief_child: SecondOpinion) -> None:
    with SecondOpinion("tests.support.no_such_module") as second:
        found = judged(ORIGINAL, edited(), second)
    assert found.refused == {}
    assert found.check.tried == 0
    reason = "LIEF can't be loaded: it ended with exit code 1"
    assert found.check.note == f"judged without LIEF: app-x/x/liba.dylib: {reason}"


def test_a_closed_opinion_answers_at_once() -> None:
    second = SecondOpinion(ODD)
    second.start()
    second.close()
    found, _ = ask(second, FINE)
    assert list(found.unjudged.values()) == ["LIEF can't be loaded: it was closed"]
