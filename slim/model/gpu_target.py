"""Devices that GPU code is kept for, and which code each of them can run.

Source: NVIDIA, "CUDA C++ Programming Guide", "Compute Capabilities" and "Binary Compatibility";
"NVCC", "GPU Feature List" (suffixes ``a`` and ``f``); "Blackwell Compatibility Guide".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from slim.model.gpu_cards import CARDS, card_key


class Suffix(StrEnum):
    """Suffixes of architectures that code is made for."""

    NONE = ""
    ARCHITECTURE = "a"
    """For devices of exactly this capability."""
    FAMILY = "f"
    """For devices of the same family, of this capability and later ones."""


class CodeKind(StrEnum):
    """Kinds of code for CUDA devices."""

    CUBIN = "cubin"
    PTX = "ptx"
    OTHER = "other"
    """Code of which slim doesn't know who runs it, such as LTO-IR."""


class Runs(Enum):
    """Answers to whether a device can run some code."""

    YES = "yes"
    NO = "no"
    UNSAID = "unsaid"
    """NVIDIA doesn't say: the code stays, and nothing goes because it is there."""


@dataclass(frozen=True, slots=True, order=True)
class Capability:
    """Compute capability of a device, or of what code is made for: 8.6 is ``sm_86``.

    ``major`` and ``minor`` are its two numbers.
    """

    major: int
    minor: int

    def __str__(self) -> str:
        return f"sm_{self.major}{self.minor}"


@dataclass(frozen=True, slots=True)
class Code:
    """One piece of code among several for the same kernels."""

    kind: CodeKind
    """What it is."""
    capability: Capability
    """What it is made for."""
    suffix: Suffix = Suffix.NONE
    """How far beyond that it runs."""
    name: str = ""
    """Name of what it was compiled from, where several pieces for one device lie together."""


@dataclass(frozen=True, slots=True)
class Target:
    """A device of some ``capability`` that code is kept for.

    ``ptx``: PTX for it and for later devices stays as well.
    """

    capability: Capability
    ptx: bool = False

    def __str__(self) -> str:
        return f"{self.capability}{'+ptx' if self.ptx else ''}"


_TEGRA: Final = frozenset(
    {
        Capability(5, 3),
        Capability(6, 2),
        Capability(7, 2),
        Capability(8, 7),
        Capability(10, 1),
        Capability(11, 0),
    }
)
"""Devices of Jetson and DRIVE. "Binary compatibility between desktop and Tegra is not supported"
(CUDA C++ Programming Guide), yet some such code runs."""

_FAMILIES: Final = (
    frozenset({Capability(10, 0), Capability(10, 3)}),
    frozenset({Capability(10, 1), Capability(11, 0)}),
    frozenset({Capability(12, 0), Capability(12, 1)}),
)
"""Families of devices. 11.0 is what CUDA 13 calls the device that was 10.1 in CUDA 12."""
_RENAMED: Final = frozenset({Capability(10, 1), Capability(11, 0)})

_WRITTEN: Final = re.compile(
    r"(?:(?:sm|compute)_(?P<digits>[0-9]{2,3})|(?P<major>[0-9]{1,2})\.(?P<minor>[0-9]))"
    r"(?P<suffix>[af]?)(?P<ptx>\+ptx)?",
    re.IGNORECASE | re.ASCII,
)
_OLDEST: Final = Capability(3, 0)
_LATEST_MAJOR: Final = 19


def parse_target(text: str) -> Target:
    """Read a device: ``sm_86``, ``8.6``, either with ``+ptx``, or the name of a card.

    Raises ValueError with a message for people.
    """
    written = text.strip()
    found = _WRITTEN.fullmatch(written)
    if found is None:
        name, plus, rest = written.partition("+")
        card = CARDS.get(card_key(name))
        if card is None or (plus and rest.strip().lower() != "ptx"):
            raise ValueError(
                f"{text[:80]!r} is neither an architecture, such as sm_86 or 8.6+ptx, nor the "
                "name of a card that slim knows"
            )
        return Target(Capability(*card), ptx=bool(plus))
    if found["suffix"]:
        raise ValueError(
            f"{text[:80]!r}: devices have no suffix; without it, code with one stays, too"
        )
    digits = found["digits"]
    capability = (
        Capability(int(digits[:-1]), int(digits[-1]))
        if digits
        else Capability(int(found["major"]), int(found["minor"]))
    )
    if not _OLDEST <= capability <= Capability(_LATEST_MAJOR, 9):
        raise ValueError(f"{text[:80]!r} is no architecture of a CUDA device")
    return Target(capability, ptx=found["ptx"] is not None)


def can_run(device: Capability, code: Code) -> Runs:
    """Return whether a device can run some code, by NVIDIA's rules."""
    match code.kind:
        case CodeKind.CUBIN:
            return _runs_cubin(device, code)
        case CodeKind.PTX:
            return _runs_ptx(device, code)
        case _:
            return Runs.UNSAID


def _runs_cubin(device: Capability, code: Code) -> Runs:
    made_for = code.capability
    if device == made_for:
        return Runs.YES
    if {device, made_for} == _RENAMED:
        return Runs.UNSAID
    if code.suffix is Suffix.ARCHITECTURE:
        return Runs.NO
    if device.major != made_for.major or device.minor < made_for.minor:
        return Runs.NO
    if device in _TEGRA or made_for in _TEGRA:
        return Runs.UNSAID
    return _in_family(device, made_for) if code.suffix is Suffix.FAMILY else Runs.YES


def _runs_ptx(device: Capability, code: Code) -> Runs:
    made_for = code.capability
    if device == made_for:
        return Runs.YES
    if {device, made_for} == _RENAMED:
        return Runs.UNSAID
    if code.suffix is Suffix.ARCHITECTURE or device < made_for:
        return Runs.NO
    return _in_family(device, made_for) if code.suffix is Suffix.FAMILY else Runs.YES


def _in_family(device: Capability, made_for: Capability) -> Runs:
    """Return whether a later device is of the family of an earlier one."""
    for family in _FAMILIES:
        if made_for in family and device in family:
            return Runs.YES
        if made_for in family and any(device.major == known.major for known in family):
            return Runs.UNSAID
    return Runs.NO if device.major != made_for.major else Runs.UNSAID


def what_stays(pieces: Sequence[Code], targets: Iterable[Target]) -> list[bool]:
    """Return for each piece of code for the same kernels whether it stays for the targets.

    A cubin stays that a target can run. PTX stays where a target can run it and surely no cubin of
    the same name, and where it was asked for: then PTX for later devices stays as well. Code of
    other kinds stays.
    """
    chosen = tuple(targets)
    return [_stays(piece, pieces, chosen) for piece in pieces]


def _stays(piece: Code, pieces: Sequence[Code], targets: Sequence[Target]) -> bool:
    match piece.kind:
        case CodeKind.CUBIN:
            return any(can_run(one.capability, piece) is not Runs.NO for one in targets)
        case CodeKind.PTX:
            return any(_needs_ptx(target, piece, pieces) for target in targets)
        case _:
            return True


def _needs_ptx(target: Target, ptx: Code, pieces: Sequence[Code]) -> bool:
    if target.ptx and ptx.suffix is Suffix.NONE:
        return True
    if can_run(target.capability, ptx) is Runs.NO:
        return False
    return target.ptx or not any(
        piece.kind is CodeKind.CUBIN
        and piece.name == ptx.name
        and can_run(target.capability, piece) is Runs.YES
        for piece in pieces
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSettings:
    """The ``[gpu]`` table: what may be done to code for GPUs."""

    targets: tuple[Target, ...] = ()
    """Devices that code is kept for; none means that all of it stays."""
    recompress: bool = False
    """True if code that is stored plain or as LZ4 becomes Zstandard."""
    nvidia_licence_allows: bool = False
    """True if the user says that NVIDIA's licence lets them change its own distributions."""
