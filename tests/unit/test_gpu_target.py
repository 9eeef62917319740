"""Which device can run which code, by NVIDIA's rules, and what stays for devices."""

from __future__ import annotations

import re

import pytest

from slim.model.gpu_cards import CARDS, card_names
from slim.model.gpu_target import (
    Capability,
    Code,
    CodeKind,
    Runs,
    Suffix,
    can_run,
    parse_target,
    what_stays,
)

YES, NO, UNSAID = Runs.YES, Runs.NO, Runs.UNSAID


def code(text: str, name: str = "") -> Code:
    """``sm_90a`` is a cubin, ``ptx_90`` PTX, anything else code of another kind."""
    kind, _, written = text.partition("_")
    digits = written.rstrip("af")
    return Code(
        {"sm": CodeKind.CUBIN, "ptx": CodeKind.PTX}.get(kind, CodeKind.OTHER),
        Capability(int(digits[:-1]), int(digits[-1])),
        Suffix(written.removeprefix(digits)),
        name,
    )


@pytest.mark.parametrize(
    ("device", "what", "expected"),
    [
        # cubins: same major, lower or equal minor
        ("8.6", "sm_86", YES),
        ("8.6", "sm_80", YES),
        ("8.9", "sm_86", YES),
        ("8.6", "sm_89", NO),
        ("8.0", "sm_86", NO),
        ("9.0", "sm_89", NO),
        ("7.5", "sm_70", YES),
        ("12.0", "sm_100", NO),
        ("12.1", "sm_120", YES),
        ("10.3", "sm_100", YES),
        # architecture-specific: this device alone
        ("9.0", "sm_90a", YES),
        ("10.0", "sm_100a", YES),
        ("10.3", "sm_100a", NO),
        ("12.1", "sm_120a", NO),
        # family-specific: the family, from this capability on
        ("10.0", "sm_100f", YES),
        ("10.3", "sm_100f", YES),
        ("10.0", "sm_103f", NO),
        ("12.1", "sm_120f", YES),
        ("12.0", "sm_100f", NO),
        ("12.2", "sm_120f", UNSAID),
        # Tegra's devices: NVIDIA promises nothing between them and others
        ("8.7", "sm_87", YES),
        ("8.7", "sm_86", UNSAID),
        ("8.9", "sm_87", UNSAID),
        ("8.6", "sm_87", NO),
        ("7.2", "sm_70", UNSAID),
        ("11.0", "sm_101", UNSAID),
        ("11.0", "sm_101a", UNSAID),
        # PTX: this capability and all later ones
        ("9.0", "ptx_80", YES),
        ("8.0", "ptx_90", NO),
        ("12.0", "ptx_90", YES),
        ("12.0", "ptx_90a", NO),
        ("9.0", "ptx_90a", YES),
        ("10.3", "ptx_100f", YES),
        ("12.0", "ptx_100f", NO),
        # of other kinds nothing is known
        ("9.0", "lto_80", UNSAID),
    ],
)
def test_what_a_device_can_run(device: str, what: str, expected: Runs) -> None:
    assert can_run(parse_target(device).capability, code(what)) is expected


@pytest.mark.parametrize(
    ("targets", "pieces", "kept"),
    [
        (["sm_90"], "sm_70 sm_80 sm_86 sm_90 ptx_90", "sm_90"),
        (["sm_90"], "sm_90 sm_90a ptx_90", "sm_90 sm_90a"),
        (["sm_86"], "sm_80 sm_86 sm_89", "sm_80 sm_86"),
        (["8.9"], "sm_70 sm_80 sm_90", "sm_80"),
        # PTX where nothing else runs
        (["sm_120"], "sm_80 sm_90 ptx_80 ptx_90", "ptx_80 ptx_90"),
        (["sm_86", "sm_120"], "sm_80 sm_90 ptx_90", "sm_80 ptx_90"),
        (["sm_86", "sm_120"], "sm_80 sm_120 ptx_90", "sm_80 sm_120"),
        (["sm_87"], "sm_86 ptx_80", "sm_86 ptx_80"),
        (["sm_80"], "sm_90 ptx_90", ""),
        # PTX where it was asked for
        (["8.6+ptx"], "sm_80 sm_86 sm_90 ptx_80", "sm_80 sm_86 ptx_80"),
        (["8.6+ptx"], "sm_86 sm_90 ptx_90", "sm_86 ptx_90"),
        (["8.6+ptx"], "sm_86 sm_90a ptx_90a", "sm_86"),
        (["sm_90+ptx"], "sm_90 ptx_90a", "sm_90 ptx_90a"),
        # LTO-IR and whatever else there is
        (["sm_90"], "sm_80 sm_90 lto_80", "sm_90 lto_80"),
    ],
)
def test_what_stays(targets: list[str], pieces: str, kept: str) -> None:
    written = pieces.split()
    stays = what_stays(list(map(code, written)), list(map(parse_target, targets)))
    assert [name for name, stay in zip(written, stays, strict=True) if stay] == kept.split()


def test_a_cubin_of_another_name_takes_no_place_of_ptx() -> None:
    """Pieces of one container may be of several sources."""
    pieces = [code("sm_90", "a.cu"), code("ptx_80", "b.cu"), code("ptx_80", "a.cu")]
    assert what_stays(pieces, [parse_target("sm_90")]) == [True, True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sm_86", "sm_86"),
        ("8.6", "sm_86"),
        ("8.6+ptx", "sm_86+ptx"),
        ("8.6+PTX", "sm_86+ptx"),
        ("compute_120", "sm_120"),
        ("12.1", "sm_121"),
        ("H100", "sm_90"),
        ("NVIDIA H100", "sm_90"),
        ("GeForce RTX 4090", "sm_89"),
        ("rtx 4090+ptx", "sm_89+ptx"),
        ("Tesla T4", "sm_75"),
        ("RTX 6000 Ada Generation", "sm_89"),
    ],
)
def test_how_devices_are_written(text: str, expected: str) -> None:
    target = parse_target(text)
    assert str(target) == expected
    assert parse_target(str(target)) == target


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sm_90a", "devices have no suffix"),
        ("9.0f", "devices have no suffix"),
        ("RTX 9999", "neither an architecture"),
        ("", "neither an architecture"),
        ("8.6+sass", "neither an architecture"),
        ("H100+sass", "neither an architecture"),
        ("sm_20", "no architecture of a CUDA device"),
        ("99.9", "no architecture of a CUDA device"),
        ("gfx90a", "neither an architecture"),
    ],
)
def test_what_is_no_device(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_target(text)


def test_the_names_of_cards_tell_them_apart() -> None:
    names = card_names()
    assert len(CARDS) == len(names)
    assert all(str(parse_target(name)).startswith("sm_") for name in names)
