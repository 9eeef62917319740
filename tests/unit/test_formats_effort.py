"""The encoders' numbers for each effort and memory budget."""

from __future__ import annotations

import pytest

from slim.formats import encoders, format_by_name
from slim.formats.compression.memory import DEFAULT_MEMORY
from slim.formats.compression.xz.container import Branch, dictionary_size
from slim.formats.compression.xz.settings import settings as xz_settings
from slim.formats.compression.zstd import parameters as zstd_parameters
from slim.model.limits import MIB, Limits
from slim.model.settings import MIN_MEMORY, Effort, Level

BUDGETS = (MIN_MEMORY, 700_000_000, 1_000_000_000, DEFAULT_MEMORY, 8_000_000_000)


def xz_memory(dictionary: int) -> float:
    """Bytes that liblzma's encoder takes (liblzma 5.4, lz_encoder_mf.c).

    bt4 takes two 32-bit links a position, hashes, and the window with some more.
    """
    return 11.5 * dictionary


@pytest.mark.parametrize(
    ("machine", "native", "arm64", "branch"),
    [
        ("x86_64", True, False, Branch.X86),
        ("x86_64", False, False, Branch.NONE),
        ("aarch64", True, False, Branch.NONE),
        ("aarch64", True, True, Branch.ARM64),
        ("aarch64", False, True, Branch.NONE),
        ("riscv64", True, True, Branch.NONE),
        ("", True, True, Branch.NONE),
    ],
)
def test_branch_filters(machine: str, native: bool, arm64: bool, branch: Branch) -> None:
    assert xz_settings(Effort(xz_arm64=arm64), machine, native=native).branch is branch


@pytest.mark.parametrize("level", Level)
def test_readers_need_no_more_than_slim_itself_allows(level: Level) -> None:
    effort = Effort(level=level)
    assert dictionary_size(xz_settings(effort, "x86_64", native=True).dictionary)[0] <= 64 * MIB
    assert zstd_parameters(effort).window_log <= Limits().zstd_window.bit_length() - 1


@pytest.mark.parametrize("level", Level)
def test_the_default_budget_limits_no_level(level: Level) -> None:
    """So the machine's memory, which decides where nothing is asked for, can't change a byte."""
    asked, least = Effort(level=level), Effort(level=level, memory=DEFAULT_MEMORY)
    assert xz_settings(asked, "", native=False) == xz_settings(least, "", native=False)
    assert zstd_parameters(asked).window_log == zstd_parameters(least).window_log == 27


@pytest.mark.parametrize("memory", BUDGETS)
@pytest.mark.parametrize("level", Level)
def test_encoders_have_room_in_the_budget(level: Level, memory: int) -> None:
    effort = Effort(level=level, memory=memory)
    dictionary = xz_settings(effort, "", native=False).dictionary
    count = encoders(64, effort, format_by_name("tar.xz"))
    assert 1 <= count <= 64
    assert count * xz_memory(dictionary) < memory - 200_000_000
    window = 1 << zstd_parameters(effort).window_log
    assert encoders(64, effort, format_by_name("tar.zst")) * window < memory


def test_more_memory_means_more_encoders_and_never_more_than_workers() -> None:
    counts = [
        encoders(64, Effort(memory=memory), format_by_name("tar.xz"))
        for memory in (DEFAULT_MEMORY, 4 * 10**9, 16 * 10**9)
    ]
    assert counts == sorted(set(counts))
    assert encoders(2, Effort(memory=16 * 10**9), format_by_name("tar.xz")) == 2
    assert encoders(7, Effort(memory=MIN_MEMORY), format_by_name("zip")) == 7


def test_a_small_budget_shrinks_dictionary_and_window_where_it_has_to() -> None:
    for level, shrinks in ((Level.FAST, False), (Level.DEFAULT, False), (Level.MAX, True)):
        small, large = (
            Effort(level=level, memory=MIN_MEMORY),
            Effort(level=level, memory=DEFAULT_MEMORY),
        )
        dictionaries = [
            xz_settings(effort, "", native=False).dictionary for effort in (small, large)
        ]
        assert (dictionaries[0] < dictionaries[1]) == shrinks
    assert zstd_parameters(Effort(level=Level.MAX, memory=MIN_MEMORY)).window_log < 27
