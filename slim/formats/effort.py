"""From how hard to compress, and with how much memory, to the numbers that encoders take.

Bytes depend on the level and on a memory budget that was asked for, never on how many threads there
are (those are only as many as have room), nor on the machine: what it has by default is enough for
every level.
"""

from __future__ import annotations

import lzma
import os
from dataclasses import replace
from typing import Final

import zstandard

from slim.formats.xz.container import Branch, Settings
from slim.model.limits import MIB
from slim.model.settings import Effort, Level

DEFAULT_MEMORY: Final = 2_000_000_000
"""Bytes: the least that a run may take where no budget was asked for."""

_OWN: Final = 250_000_000
"""What a run takes besides its encoders: the interpreter, what is known of every file, decoders, buffers."""

_XZ: Final = {
    Level.FAST: Settings(block_size=24 * MIB, dictionary=8 * MIB, preset=2),
    Level.DEFAULT: Settings(block_size=128 * MIB, dictionary=16 * MIB, preset=6, nice_length=32),
    Level.MAX: Settings(
        block_size=128 * MIB, dictionary=64 * MIB, preset=6 | lzma.PRESET_EXTREME, nice_length=273
    ),
}
"""A block starts with nothing to refer back to, so few of them are best; against that, a block is what one thread
compresses. liblzma's presets 6 to 9 differ in nothing but the dictionary, which is given here.

The default is where a further percent begins to cost much: on an assistant's stack (x86-64 Linux,
198 MB), a dictionary of 24 MiB gives 0.5 % fewer bytes for 11 % more of the encoder's time; one of
8 MiB, 1.6 % more bytes for 10 % less."""

_XZ_FACTOR: Final = 11.5
"""liblzma's encoder takes so many times its dictionary, with the binary tree match finder of these levels."""

_XZ_EXTRA: Final = 32 * MIB
"""Besides: hash tables, what came out, mapped pages of what goes in."""

_ZSTD: Final = {Level.FAST: 3, Level.DEFAULT: 19, Level.MAX: 22}

_ZSTD_WINDOW: Final = 27
"""128 MiB: as far back as ``zstd -d`` goes without being asked to."""

_ZSTD_JOB: Final = 64 * MIB
"""What one of libzstd's threads compresses at a time."""

_ZSTD_OVERLAP: Final = 7
"""How much of what came before a job sees, beside long distances: a quarter of the window."""


def xz_settings(effort: Effort, machine: str, *, native: bool) -> Settings:
    """The settings for the blocks of one section, which holds machine code for ``machine`` or none."""
    wanted = _XZ[effort.level]
    dictionary = wanted.dictionary
    while dictionary > MIB and _xz_memory(dictionary) > _room(effort):
        dictionary //= 2
    return replace(
        wanted, dictionary=dictionary, branch=_branch(effort, machine) if native else Branch.NONE
    )


def _branch(effort: Effort, machine: str) -> Branch:
    if machine == "x86_64":
        return Branch.X86
    return Branch.ARM64 if machine == "aarch64" and effort.xz_arm64 else Branch.NONE


def _xz_memory(dictionary: int) -> int:
    return int(dictionary * _XZ_FACTOR) + _XZ_EXTRA


def zstd_parameters(effort: Effort, threads: int = 1) -> zstandard.ZstdCompressionParameters:
    """The parameters of a frame: a window, and long-distance matching, as large as there is room for.

    Without a thread of its own, libzstd gives other bytes than with one or more; and where the size
    of its jobs isn't given, each split of the input into calls may, too. So both are.
    """
    window = _ZSTD_WINDOW
    while window > 20 and _zstd_memory(effort.level, window) > _room(effort):
        window -= 1
    return zstandard.ZstdCompressionParameters.from_level(
        _ZSTD[effort.level],
        window_log=window,
        enable_ldm=True,
        write_checksum=True,
        write_content_size=False,
        threads=max(threads, 1),
        job_size=_ZSTD_JOB,
        overlap_log=_ZSTD_OVERLAP,
    )


def _zstd_memory(level: Level, window: int) -> int:
    """Match tables as libzstd counts them; and what it doesn't count: the window, what waits to be compressed, and the
    table for long distances."""
    plain = zstandard.ZstdCompressionParameters.from_level(_ZSTD[level], window_log=window)
    return (
        int(plain.estimated_compression_context_size())
        + 2 * _ZSTD_JOB
        + (1 << window)
        + (1 << window - 4)
    )


def encoders(workers: int, effort: Effort, format_name: str) -> int:
    """How many threads may compress at a time: as many as there are ``workers`` and as have room; at least one."""
    if format_name == "tar.xz":
        each = _xz_memory(xz_settings(effort, "", native=False).dictionary)
    elif format_name == "tar.zst":
        each = _zstd_memory(effort.level, zstd_parameters(effort).window_log)
    else:
        return workers
    return max(1, min(workers, _room(effort) // each))


def _room(effort: Effort) -> int:
    """Bytes for all encoders together."""
    return (effort.memory or _machine_memory()) - _OWN


def _machine_memory() -> int:
    """A quarter of the machine's memory (sysconf(3)), and at least :data:`DEFAULT_MEMORY`."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows, or not known
        memory = 0
    return max(DEFAULT_MEMORY, memory // 4)
