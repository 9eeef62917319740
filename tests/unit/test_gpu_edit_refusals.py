"""GPU code goes out of libraries: what is left, what is refused, and what the oracle sees."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import Any

import pytest

from slim.binaries.gpu.edit import GpuEdit, plan_gpu_edit
from slim.binaries.gpu.read import read_gpu_code
from slim.binaries.refusal import NotEditable
from slim.model.gpu_target import Target, parse_target
from slim.verification.native.gpu import check
from slim.verification.second_opinion import elf as second_opinion
from slim.verification.second_opinion.facts import differences
from tests.support.gpu_files import SPECIFIC, elf, entry, fatbin
from tests.support.gpu_libraries import Library, code

CONTAINERS = (code(80, 90), code(75, 86, 90), code(80))
LIBRARY = Library(containers=CONTAINERS)


def targets(*names: str) -> list[Target]:
    return [parse_target(name) for name in names]


def edit(data: bytes, *names: str, level: str = "none") -> GpuEdit:
    made = plan_gpu_edit(data, targets(*names), level)
    assert isinstance(made, GpuEdit), made
    return made


def edited(data: bytes, *names: str, level: str = "none") -> bytes:
    made = edit(data, *names, level=level)
    new = made.recipe.whole(data)
    assert len(new) == made.size_after < made.size_before == len(data)
    return new


def refusal(data: bytes, *names: str) -> str:
    made = plan_gpu_edit(data, targets(*names), "none")
    assert isinstance(made, NotEditable), made
    return made.reason


def entries(data: bytes) -> list[list[bytes]]:
    """Each container's entries, with their headers, as slim's reader has them."""
    found = read_gpu_code(data)
    assert found is not None
    assert not found.damage
    assert not any(section.gaps for section in found.sections)
    return [
        [data[one.offset : one.offset + one.bytes_in_file] for one in container.entries]
        for container in found.containers
    ]


def mapped(data: bytes) -> dict[int, int]:
    """The image that a loader makes of a file, by address, without what no file has."""
    image: dict[int, int] = {}
    phoff, phnum = struct.unpack_from("<Q", data, 32)[0], struct.unpack_from("<H", data, 56)[0]
    for number in range(phnum):
        kind, _, offset, address, _, size, _, align = struct.unpack_from(
            "<IIQQQQQQ", data, phoff + 56 * number
        )
        if kind == 1:
            assert offset % align == address % align
            image.update(enumerate(data[offset : offset + size], address))
    return image


@pytest.mark.parametrize("prelinked", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("align", [0x1000, 0x200000])
def test_what_devices_do_not_need_goes(last: bool, prelinked: bool, align: int) -> None:
    library = Library(containers=CONTAINERS, last=last, prelinked=prelinked, align=align)
    data = library.build()
    new = edited(data, "sm_90")
    before, after = entries(data), entries(new)
    assert after == [[before[0][1]], [before[1][2]], [before[2][0]]]
    assert check(data, new) == []
    image, now = mapped(data), mapped(new)
    start, size = library.places[".nv_fatbin"]
    wrappers, room = library.places[".nvFatBinSegment"]
    rela, rela_size = library.places[".rela.dyn"]
    own = {*range(64), *range(start, start + size), *range(wrappers, wrappers + room)}
    own |= {*range(rela, rela + rela_size), *range(64, 64 + 4 * 56)}
    assert {at: byte for at, byte in now.items() if at not in own} == {
        at: byte for at, byte in image.items() if at not in own
    }
    for number in range(len(CONTAINERS)):
        addend = bytes(now[rela + 24 * number + 16 + at] for at in range(8))
        container = int.from_bytes(addend, "little")
        assert bytes(now[container + at] for at in range(4)) == b"\x50\xed\x55\xba"
        slot = bytes(now[wrappers + 24 * number + 8 + at] for at in range(8))
        assert slot == (addend if prelinked else bytes(8))


def test_aarch64_is_edited_in_pages_of_64_kilobytes() -> None:
    """Its kernels may have such pages: nothing may be cut in smaller steps."""
    large = code(80, 90, size=200_000)
    data = Library(containers=[large, large], machine=183, align=0x10000).build()
    new = edited(data, "sm_90")
    assert check(data, new) == []
    assert (len(data) - len(new)) % 0x10000 == 0
    assert entries(new) == [one[1:] for one in entries(data)]
    assert mapped(new)


def test_whole_pages_are_won() -> None:
    data = Library(containers=CONTAINERS).build()
    made = edit(data, "sm_90")
    gone = sum(size for _, _, size in made.gone)
    assert gone - 2 * 4096 <= made.size_before - made.size_after <= gone
    names = ("sm_75 cubin", "sm_80 cubin", "sm_86 cubin")
    assert made.gone == tuple((name, 1, 9064) for name in names)


def test_a_container_keeps_something() -> None:
    """Where nothing fits, the smallest cubin stays: an empty container isn't documented."""
    small, large = entry(2, 75, b"s" * 5000), entry(2, 80, b"l" * 9000)
    data = Library(containers=[fatbin(large, small, entry(1, 100, b"ptx")), code(90)]).build()
    assert entries(edited(data, "sm_90"))[0] == [small]


def test_suffixes_stay_with_their_device() -> None:
    specific = entry(2, 90, b"a" * 9000, flags=0x11 | SPECIFIC)
    other = entry(2, 100, b"b" * 9000, flags=0x11 | SPECIFIC)
    data = Library(containers=[fatbin(specific, other)]).build()
    assert entries(edited(data, "sm_90")) == [[specific]]
    assert entries(edited(data, "sm_103"))[0] == [specific]  # nothing fits; both are as large


def test_symbols_go_first() -> None:
    data = Library(containers=CONTAINERS).build()
    made = edit(data, "sm_90", level="unneeded")
    new = made.recipe.whole(data)
    assert [name for name, _ in made.stripped] == [".comment", ".gnu.build.attributes"]
    assert check(data, new) == []
    assert b"GCC" not in new
    assert b"GCC" in edited(data, "sm_90")


def test_an_edited_file_has_nothing_left_to_go() -> None:
    new = edited(Library(containers=CONTAINERS).build(), "sm_90")
    assert refusal(new, "sm_90") == "no GPU code would go"


def test_an_edited_file_can_be_edited_for_fewer_devices() -> None:
    data = Library(containers=CONTAINERS).build()
    once = edited(data, "sm_86", "sm_90")
    twice = edited(once, "sm_90")
    assert entries(twice)[1] == entries(data)[1][2:]
    assert check(once, twice) == []


def test_code_at_the_start_that_nothing_points_at_stays() -> None:
    """What nvlink puts there may be found by other means; it keeps its place and its bytes."""
    first = code(75, 80, size=700)
    data = Library(containers=(first, *CONTAINERS), wrapped=(1, 2, 3)).build()
    new = edited(data, "sm_90")
    assert entries(new)[0] == entries(data)[0]
    assert entries(new)[1:] == [one[-1:] for one in entries(data)[1:3]] + [entries(data)[3]]
    start, _ = place(new, ".nv_fatbin")
    assert start == place(data, ".nv_fatbin")[0]
    assert check(data, new) == []
    assert check(data, changed(new, start + 100, b"?"))


RELOCATABLE = (code(80, 90, size=7000), code(75, 90, 120, size=11000))


def both(**fields: Any) -> Library:
    """A library with code that nvlink made, and with what it was made of."""
    return replace(LIBRARY, **{"relocatable": RELOCATABLE, "places": {}, **fields})


@pytest.mark.parametrize("prelinked", [False, True])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("align", [0x1000, 0x200000])
def test_relocatable_code_goes_as_well(last: bool, prelinked: bool, align: int) -> None:
    library = both(last=last, prelinked=prelinked, align=align)
    data = library.build()
    made = edit(data, "sm_90")
    new = edited(data, "sm_90")
    assert made.sections == (".nv_fatbin", "__nv_relfatbin")
    before = entries(data)
    assert entries(new) == [
        [before[0][1]],
        [before[1][1]],
        [before[2][1]],
        [before[3][2]],
        [before[4][0]],
    ]
    gone = sum(size for _, _, size in made.gone)
    assert gone - 5 * 4096 <= len(data) - len(new) <= gone
    assert check(data, new) == []
    own = {*range(64), *range(64, 64 + 4 * 56)}
    for name in (".nv_fatbin", "__nv_relfatbin", ".nvFatBinSegment", ".rela.dyn"):
        start, size = library.places[name]
        own |= {*range(start, start + size)}
    image, now = mapped(data), mapped(new)
    assert {at: byte for at, byte in now.items() if at not in own} == {
        at: byte for at, byte in image.items() if at not in own
    }
    twice = edited(edited(data, "sm_90", "sm_120"), "sm_90")
    assert entries(twice) == entries(new)


@pytest.mark.parametrize("level", ["none", "unneeded"])
@pytest.mark.parametrize("relocatable", [(), RELOCATABLE])
def test_lief_sees_the_same_library(level: str, relocatable: tuple[bytes, ...]) -> None:
    """It gives ``.bss`` the bytes that lie behind it in the file, which may go or move.

    What is never loaded may have an address, such as notes of compilers.
    """
    data = both(relocatable=relocatable).build()
    new = edited(data, "sm_90", level=level)
    old, now = second_opinion.read_gpu(data), second_opinion.read_gpu(new)
    assert old is not None
    assert now is not None
    assert differences(old, now) == []
    start, _ = place(new, ".rodata")
    other = second_opinion.read_gpu(changed(new, start, b"?"))
    assert other is not None
    assert differences(old, other)


def test_only_relocatable_code_may_go() -> None:
    data = both(containers=(code(90), code(90))).build()
    new = edited(data, "sm_90")
    assert entries(new)[2:] == entries(data)[2:]
    assert check(data, new) == []


def test_relocatable_code_that_wins_no_page_is_packed() -> None:
    """Its section ends earlier then, and zeros follow it."""
    data = both(relocatable=(code(80, 90, size=600), code(90, size=600))).build()
    new = edited(data, "sm_90")
    assert entries(new)[0] == entries(data)[0][1:]
    assert check(data, new) == []
    start, size = place(new, "__nv_relfatbin")
    assert size < place(data, "__nv_relfatbin")[1]
    assert place(new, "__nv_module_id")[0] == place(data, "__nv_module_id")[0]
    assert not any(new[start + size : place(new, "__nv_module_id")[0]])


@pytest.mark.parametrize("offset", [0, 5000])
def test_relocatable_code_that_more_points_at_stays(offset: int) -> None:
    library = both(pointers=[(0, 0)])
    library.build()
    target = library.places["__nv_relfatbin"][0] + offset
    data = both(pointers=[(0, target)]).build()
    made = edit(data, "sm_90")
    new = edited(data, "sm_90")
    assert made.sections == (".nv_fatbin",)
    assert entries(new)[:2] == entries(data)[:2]
    assert entries(new)[2] == entries(data)[2][1:]
    assert check(data, new) == []


@pytest.mark.parametrize("name", [".nv_fatbin", "__nv_relfatbin"])
@pytest.mark.parametrize("offset", [0, 4, 100, 3000, -1])
def test_the_oracle_sees_changes_in_either_section(name: str, offset: int) -> None:
    data = both().build()
    good = edited(data, "sm_90")
    start, size = place(good, name)
    at = start + offset % size
    assert check(data, changed(good, at, bytes([good[at] ^ 0x41])))


def test_the_oracle_sees_a_pointer_into_the_other_section() -> None:
    """A wrapper of linked code may not lead to relocatable code, nor the reverse."""
    data = both().build()
    good = edited(data, "sm_90")
    start, _ = place(good, ".rela.dyn")
    first, last = start + 16, start + 24 * len(CONTAINERS) + 16
    for at, other in ((first, last), (last, first)):
        found = check(data, changed(good, at, good[other : other + 8]))
        assert any("leads out of GPU code" in one for one in found), found


def two_wrappers_of_one() -> Library:
    return Library(containers=CONTAINERS[:2], wrapped=(0, 1, 1))


def test_two_wrappers_may_share_a_container() -> None:
    data = two_wrappers_of_one().build()
    assert check(data, edited(data, "sm_90")) == []


POINTING = replace(LIBRARY, pointers=[(0, 0)], places={})
POINTING.build()
CODE = POINTING.places[".nv_fatbin"][0]


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (replace(LIBRARY, kind=2), "a program"),
        (replace(LIBRARY, machine=22), "machines"),
        (replace(LIBRARY, pointers=[(0, CODE)]), "something other than a wrapper points"),
        (replace(LIBRARY, pointers=[(0, CODE + 5000)]), "something other than a wrapper points"),
        (replace(LIBRARY, wrapped=(0, 1)), "no wrapper points at the fat binary"),
        (replace(LIBRARY, tags=[(36, 0)]), "packed ones"),
        (replace(LIBRARY, tags=[(17, 0)]), "relocations without addends"),
        (replace(LIBRARY, containers=(*CONTAINERS[:2], b"else")), "something other than fat"),
        (
            replace(LIBRARY, containers=(*CONTAINERS[:2], CONTAINERS[2][:-100])),
            "a fat binary ends after the end of its section",
        ),
        (replace(LIBRARY, containers=[code(80, 90, size=600)]), "no whole page would go"),
        (replace(LIBRARY, containers=[code(90)]), "no GPU code would go"),
    ],
)
def test_what_is_left_alone(library: Library, reason: str) -> None:
    assert reason in refusal(library.build(), "sm_90")


def test_exported_code_is_left_alone() -> None:
    made = replace(LIBRARY, exports=[0])
    made.build()
    data = replace(made, exports=[made.places[".nv_fatbin"][0]]).build()
    assert "exports its GPU code" in refusal(data, "sm_90")


def test_a_segment_that_says_another_address_is_left_alone() -> None:
    """Found by fuzzing: the loader would look for it where it isn't."""
    data = LIBRARY.build()
    row = 64 + 2 * 56
    assert struct.unpack_from("<I", data, row) == (2,)
    (address,) = struct.unpack_from("<Q", data, row + 16)
    wrong = changed(data, row + 16, struct.pack("<Q", address + 0x80))
    assert "lies elsewhere than what is loaded" in refusal(wrong, "sm_90")


def test_files_without_gpu_code_are_left_alone() -> None:
    assert "program headers" in refusal(elf([(".nv_fatbin", CONTAINERS[0])]), "sm_90")
    assert isinstance(plan_gpu_edit(b"", targets("sm_90"), "none"), NotEditable)
    assert isinstance(plan_gpu_edit(b"\x7fELF", targets("sm_90"), "none"), NotEditable)


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def place(data: bytes, name: str) -> tuple[int, int]:
    """Offset and size of a section, by pyelftools."""
    import io

    from elftools.elf.elffile import ELFFile

    section = ELFFile(io.BytesIO(data)).get_section_by_name(name)
    return section["sh_offset"], section["sh_size"]


@pytest.mark.parametrize(
    ("section", "offset", "new", "problem"),
    [
        (".rodata", 5, b"X", "loaded bytes have changed"),
        (".eh_frame", 9, b"X", "loaded bytes have changed"),
        (".dynsym", 3, b"X", "loaded bytes have changed"),
        (".data", 0, b"X", "loaded bytes have changed"),
        (".rela.dyn", 18, b"\x02", "leads out of GPU code"),
        (".rela.dyn", 40, b"\x00", "container"),
        (".rela.dyn", 0, b"\x01", "relative relocations are lost"),
        (".nv_fatbin", 200, b"X", "holds code that it didn't hold"),
        (".nv_fatbin", 0, b"X", "no container lies at"),
        (".comment", 0, b"X", "section .comment"),
    ],
)
def test_the_oracle_sees_what_an_edit_must_not_do(
    section: str, offset: int, new: bytes, problem: str
) -> None:
    data = Library(containers=CONTAINERS).build()
    good = edited(data, "sm_90")
    start, _ = place(good, section)
    assert good[start + offset : start + offset + len(new)] != new
    found = check(data, changed(good, start + offset, new))
    assert any(problem in one for one in found), found


def test_the_oracle_sees_swapped_containers() -> None:
    """Each wrapper has to lead to the container that it led to."""
    data = Library(containers=CONTAINERS).build()
    good = edited(data, "sm_90")
    start, _ = place(good, ".rela.dyn")
    first, second = good[start + 16 : start + 24], good[start + 40 : start + 48]
    swapped = changed(changed(good, start + 16, second), start + 40, first)
    assert any("didn't hold" in one for one in check(data, swapped))


def test_the_oracle_sees_segments_that_cannot_be_mapped() -> None:
    data = Library(containers=CONTAINERS).build()
    good = edited(data, "sm_90")
    table = int.from_bytes(good[32:40], "little")
    for row in range(3):
        at = table + 56 * row + 8
        offset = int.from_bytes(good[at : at + 8], "little") + 8
        assert check(data, changed(good, at, offset.to_bytes(8, "little")))
        executable = changed(good, table + 56 * row + 4, b"\x07")
        assert any("otherwise" in one for one in check(data, executable))


def test_the_oracle_wants_some_code_in_each_container() -> None:
    data = Library(containers=CONTAINERS).build()
    good = edited(data, "sm_90")
    start, size = place(good, ".nv_fatbin")
    empty = struct.pack("<IHHQ", 0xBA55ED50, 1, 16, 0)
    found = check(data, changed(good, start, empty + bytes(size // 3 - 64)))
    assert any("is empty" in one for one in found)


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_file_is_refused_or_edited_well(seed: int) -> None:
    """Nothing raises, and what the editor makes of a damaged file its oracle accepts."""
    chance = random.Random(seed)
    library = Library(
        containers=CONTAINERS,
        last=seed % 2 == 0,
        prelinked=seed % 3 == 0,
        relocatable=RELOCATABLE if seed % 5 < 3 else (),
    )
    data = bytearray(library.build())
    spots = [(0, 64 + 4 * 56), *library.places.values(), (len(data) - 900, 900)]
    for _ in range(chance.randrange(1, 4)):
        start, size = chance.choice(spots)
        at = start + chance.randrange(max(min(size, 2000), 1))
        if at < len(data):
            data[at] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
    made = plan_gpu_edit(bytes(data), targets("sm_90"), chance.choice(("none", "unneeded")))
    if isinstance(made, GpuEdit):
        assert check(bytes(data), made.recipe.whole(bytes(data))) == []


def test_a_loaded_section_may_be_linked_to_one_that_goes() -> None:
    data = bytearray(Library(containers=CONTAINERS).build())
    table, size, count = (
        struct.unpack_from(form, data, place)[0]
        for form, place in (("<Q", 40), ("<H", 58), ("<H", 60))
    )
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + n * size) for n in range(count)]
    comment = next(n for n, one in enumerate(sections) if one[1] == 1 and not one[2] & 2)
    loaded = next(n for n, one in enumerate(sections) if one[1] == 1 and one[2] & 2)
    struct.pack_into("<I", data, table + loaded * size + 40, comment)
    original = bytes(data)
    assert check(original, edited(original, "sm_90", level="unneeded")) == []
