"""The platform of a stack that no manifest tells about."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from slim.binaries import describe
from slim.binaries.base import Buffer
from slim.binaries.elf.layout import MAGIC as ELF_MAGIC
from slim.formats.base import Content, Tree
from slim.model.stack import UNKNOWN_PLATFORM, Platform, Stack, System

_TAGS = {System.LINUX: "linux", System.MACOS: "macosx", System.WINDOWS: "win"}


def with_platform(stack: Stack, trees: Mapping[str, Tree]) -> Stack:
    """The stack with the platform of most of its native files, where no manifest tells one."""
    if all(layer.platform is not UNKNOWN_PLATFORM for layer in stack):
        return stack
    votes: Counter[tuple[System, str]] = Counter()
    for tree in trees.values():
        for member in tree.members.values():
            if member.content is None or not _may_be_native(member.path):
                continue
            info = describe(_enough(member.content))
            if info is not None and info.system is not System.UNKNOWN:
                votes[(info.system, info.machine)] += 1
    if not votes:
        return stack
    (system, machine), _ = max(votes.items(), key=lambda item: (item[1], item[0]))
    arch = {
        System.MACOS: {"aarch64": "arm64"},
        System.WINDOWS: {"x86_64": "amd64", "aarch64": "arm64"},
    }
    platform = Platform.parse(f"{_TAGS[system]}_{arch.get(system, {}).get(machine, machine)}")
    layers = tuple(
        replace(layer, platform=platform) if layer.platform is UNKNOWN_PLATFORM else layer
        for layer in stack
    )
    return replace(stack, platform=platform, layers=layers)


def _enough(content: Content) -> Buffer:
    """The part of a file that tells its system and machine.

    That is the beginning of an ELF file, whose header says both, and all of any other.
    """
    start = next(iter(content.chunks()), b"")
    return (
        start
        if bytes(start[: len(ELF_MAGIC)]) == ELF_MAGIC or len(start) == content.size
        else content.view()
    )


def _may_be_native(path: str) -> bool:
    """Only a filter for speed: whether the file is native is told by its magic."""
    name = posixpath.basename(path)
    return "." not in name or ".so" in name or name.endswith((".dylib", ".dll", ".pyd", ".exe"))
