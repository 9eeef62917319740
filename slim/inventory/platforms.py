"""The platform of a stack that no manifest tells about.

Sources: PyPA "Binary distribution format" (WHEEL) and "Platform compatibility tags".
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from slim.binaries import describe
from slim.binaries.base import Buffer
from slim.binaries.elf.layout import MAGIC as ELF_MAGIC
from slim.formats.base import Content, Tree
from slim.model.stack import UNKNOWN_PLATFORM, Platform, Stack, System

_PYTHON = re.compile(r"(?:lib)?python3?(?:\.?\d+)?t?(?:\.exe|\.dll|\.dylib|\.so[\d.]*)?\Z")
_TAG = re.compile(rb"^Tag: *[^-\s]+-[^-\s]+-(\S+)", re.MULTILINE)
_BEGINNINGS = {
    "linux": System.LINUX,
    "manylinux": System.LINUX,
    "musllinux": System.LINUX,
    "macosx": System.MACOS,
    "win": System.WINDOWS,
}
_ENDINGS = {
    "x86_64": ("x86_64",),
    "amd64": ("x86_64",),
    "aarch64": ("aarch64",),
    "arm64": ("aarch64",),
    "universal2": ("x86_64", "aarch64"),
}
_MOST_OF_WHEEL = 1 << 16
"""Bytes of a WHEEL file that are looked at."""

_TAGS = {System.LINUX: "linux", System.MACOS: "macosx", System.WINDOWS: "win"}


def with_platform(stack: Stack, trees: Mapping[str, Tree]) -> Stack:
    """The stack with the platform of most of its native files, where no manifest tells one.

    It stays unknown where layers for several platforms lie beside each other: then nothing is
    another system's.
    """
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
    if not votes or _is_for_several(trees):
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


def _is_for_several(trees: Mapping[str, Tree]) -> bool:
    """True if no one platform can load all wheels and Pythons of these trees."""
    common: frozenset[tuple[System, str]] | None = None
    for tree in trees.values():
        for some in _loadable(tree):
            common = some if common is None else common & some
            if not common:
                return True
    return False


def _loadable(tree: Tree) -> Iterator[frozenset[tuple[System, str]]]:
    """Yield the platforms of each wheel and each Python of a tree, where it is made for some."""
    for path, member in tree.members.items():
        if member.content is None:
            continue
        if path.endswith(".dist-info/WHEEL"):
            start = next(iter(member.content.chunks()), b"")
            yield from _of_wheel(bytes(start[:_MOST_OF_WHEEL]))
        elif _PYTHON.match(posixpath.basename(path)):
            info = describe(_enough(member.content))
            if info is not None and info.system in (System.LINUX, System.WINDOWS):
                yield frozenset([(info.system, info.machine)])
            elif info is not None and info.system is System.MACOS:
                # A universal file is for both machines.
                yield frozenset((System.MACOS, machine) for machine in ("x86_64", "aarch64"))


def _of_wheel(text: bytes) -> Iterator[frozenset[tuple[System, str]]]:
    found: set[tuple[System, str]] = set()
    for tag in _TAG.findall(text):
        for name in tag.decode("ascii", "replace").split("."):
            system = _BEGINNINGS.get(re.split(r"[_\d]", name, maxsplit=1)[0])
            if system is None:
                return
            ends = next((ends for end, ends in _ENDINGS.items() if name.endswith(end)), (name,))
            found.update((system, machine) for machine in ends)
    if found:
        yield frozenset(found)


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
