"""The table of targets: one for each parser, with the seeds that lead into it.

A new parser is a line here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz import backups, containers, natives, seeds, texts, updates


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` raises for whatever breaks a promise. ``longest`` is the most bytes of an input."""

    name: str
    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    longest: int = 4096


TARGETS = (
    Target("tar", containers.tar, seeds.tars, 8192),
    Target("zip", containers.zip_, seeds.zips),
    Target("compression", containers.compression, seeds.streams),
    Target("elf", natives.elf, seeds.elves, 8192),
    Target("macho", natives.macho, seeds.machos, 1 << 17),
    Target("pe", natives.pe, seeds.pes),
    Target("gpu", natives.gpu, seeds.gpu_files),
    Target("gpu-edit", natives.gpu_edit, seeds.gpu_libraries, 1 << 16),
    Target("symbols", backups.symbols, seeds.debuggable, 8192),
    Target("pdb", backups.database, seeds.databases),
    Target("kept", backups.index, seeds.indexes),
    Target("delta", updates.package, updates.seeds, 8192),
    Target("record", texts.record, seeds.records),
    Target("manifest", texts.manifest, seeds.manifests),
    Target("report", texts.report, seeds.reports, 1 << 15),
    Target("glob", texts.glob, seeds.globs, 700),
    Target("config", texts.config, seeds.configs),
    Target("source", texts.source, seeds.sources),
)


def target(name: str) -> Target:
    """The target of that name; KeyError where there is none."""
    for one in TARGETS:
        if one.name == name:
            return one
    raise KeyError(name)


def mutated(data: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """One small damage, or a few.

    Bytes changed, cut out, doubled, set to extremes, or spliced with another input.
    """
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(8):
            case 0 | 1 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 2 if at < len(found):
                found[at] = chance.choice(
                    (0, 1, 0x7F, 0x80, 0xFF, 0x2E, 0x2F, 0x0A, chance.randrange(256))
                )
            case 3:
                del found[at : at + chance.choice((1, 2, 4, 16, 512))]
            case 4:
                found[at:at] = found[at : at + chance.choice((1, 4, 64, 512))]
            case 5:
                width = chance.choice((1, 2, 4, 8))
                value = chance.choice(
                    (0, 1, 0x7FFFFFFF, (1 << 8 * width) - 1, 1 << (8 * width - 1), len(found))
                )
                found[at : at + width] = (value % (1 << 8 * width)).to_bytes(
                    width, chance.choice(("little", "big"))
                )
            case 6:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                found[at : at + 64] = other[start : start + chance.choice((4, 64, 512))]
            case _:
                found[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice((1, 2, 8))))
    return bytes(found)
