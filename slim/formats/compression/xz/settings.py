"""Settings of .xz blocks: liblzma's numbers for an effort and a memory budget."""

from __future__ import annotations

import lzma
from dataclasses import replace
from typing import Final

from slim.formats.compression.memory import room
from slim.formats.compression.xz.container import Branch, Settings
from slim.model.limits import MIB
from slim.model.settings import Effort, Level

_LEVELS: Final = {
    Level.FAST: Settings(block_size=24 * MIB, dictionary=8 * MIB, preset=2),
    Level.DEFAULT: Settings(block_size=128 * MIB, dictionary=16 * MIB, preset=6, nice_length=64),
    Level.MAX: Settings(
        block_size=128 * MIB, dictionary=64 * MIB, preset=6 | lzma.PRESET_EXTREME, nice_length=273
    ),
}
"""A block starts with nothing to refer back to, so few of them are best; against that, a block is
what one thread compresses. liblzma's presets 6 to 9 differ in nothing but the dictionary, which is
given here.

The default is where a further percent begins to cost much: on an assistant's stack (x86-64 Linux,
198 MB), a dictionary of 24 MiB gives 0.5 % fewer bytes for 11 % more of the encoder's time; one of
8 MiB, 1.6 % more bytes for 10 % less."""

_NICE_NATIVE: Final = 48
_DEPTH_NATIVE: Final = 24
"""Bytes of a match in machine code that is long enough to look no further, at the default level,
and how many places are looked at for one.

Three layers' libraries are 0.2 % to 0.3 % smaller so than with matches up to 32 and liblzma's 32
places, in the same time of the encoder. The 64 of other files (in 48 places) would make a
framework's libraries 0.5 % smaller than 32 do, for 18 % more of that time; sources are 2.5 %
smaller with 64 than with 32, for 22 %."""

_FACTOR: Final = 11.5
"""liblzma's encoder takes so many times its dictionary, with these levels' match finder (a binary
tree)."""

_EXTRA: Final = 32 * MIB
"""Bytes besides: hash tables, what came out, mapped pages of what goes in."""


def settings(effort: Effort, machine: str, *, native: bool) -> Settings:
    """Settings of a section's blocks.

    ``native`` says that the section holds machine code, which is for ``machine``.
    """
    wanted = _LEVELS[effort.level]
    dictionary = wanted.dictionary
    while dictionary > MIB and _memory_of(dictionary) > room(effort):
        dictionary //= 2
    branch = _branch(effort, machine) if native else Branch.NONE
    if native and effort.level is Level.DEFAULT:
        wanted = replace(wanted, nice_length=_NICE_NATIVE, depth=_DEPTH_NATIVE)
    return replace(wanted, dictionary=dictionary, branch=branch)


def _branch(effort: Effort, machine: str) -> Branch:
    if machine == "x86_64":
        return Branch.X86
    return Branch.ARM64 if machine == "aarch64" and effort.xz_arm64 else Branch.NONE


def memory(effort: Effort) -> int:
    """Bytes that each thread takes."""
    return _memory_of(settings(effort, "", native=False).dictionary)


def _memory_of(dictionary: int) -> int:
    return int(dictionary * _FACTOR) + _EXTRA
