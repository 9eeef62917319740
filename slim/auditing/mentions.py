"""Distributions that no code outside them mentions in an import.

A distribution counts as used as soon as one Python file outside it imports one of its top-level
modules, or holds the name of one as a string (``import_module("yaml")``). This is a quick look at
the text, not the proof that a run makes: what it reports deserves a person's eye, never a deletion.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.model.audit import UnusedDistribution
from slim.model.record import (
    Distribution,
    EntryType,
    FileKind,
    FileRecord,
    Inventory,
    Owner,
    OwnerKind,
)
from slim.model.stack import Stack
from slim.passes.packages import Requirements

_CODE = (".py", ".pyw", ".pth")
_MODULE = re.compile(r"(?P<name>[A-Za-z_]\w*)(\.[\w.-]+)?\.(py|so|pyd)\Z")
# Literal prefixes: re finds these ten times as fast as anything that begins with ^ or with a class
# of characters.
_IMPORT = re.compile(rb"import[ \t]([^\n]*)")
_FROM = re.compile(rb"from[ \t]+(\w+)")
_WORD = re.compile(rb"\w+")
_STRING = rb"[\"']%b[\"'.]"
_SCRIPT_KINDS = frozenset({FileKind.DATA, FileKind.EXECUTABLE})
_MAX_SCRIPT = 1 << 20
_COMMANDS = ("console_scripts", "gui_scripts")


@dataclass(frozen=True, kw_only=True)
class _SoughtModule:
    """A top-level module that somebody may mention."""

    string: re.Pattern[bytes]
    """Matches a string literal that names the module."""
    owners: frozenset[Owner]
    """Distributions that install it."""


def unused(stack: Stack, inventory: Inventory, read: ReadFile) -> tuple[UnusedDistribution, ...]:
    """Distributions that nothing else mentions, the largest first."""
    names = {
        (layer, distribution.name): (distribution, frozenset(top_level(distribution)))
        for layer, installed in inventory.distributions.items()
        for distribution in installed.values()
    }
    if len(names) < 2:
        return ()  # a wheel: there is nobody who could import it
    launched = {layer.launch_module.partition(".")[0] for layer in stack if layer.launch_module}
    sought = _sought(names.values(), launched)
    used = _used(inventory, read, sought)
    requirements = Requirements(stack, inventory)
    sizes = size_by_owner(inventory)
    result = []
    for (layer, _), (distribution, modules) in names.items():
        if not modules or distribution.owner in used or modules & launched:
            continue
        size, files = sizes.get((layer, distribution.owner), (0, 0))
        result.append(
            UnusedDistribution(
                layer=layer,
                owner=distribution.owner,
                size=size,
                files=files,
                commands=tuple(
                    sorted(
                        point.name
                        for point in distribution.entry_points
                        if point.group in _COMMANDS
                    )
                ),
                required_by=tuple(
                    evidence.text for evidence in requirements.on(distribution, frozenset())
                ),
            )
        )
    return tuple(sorted(result, key=lambda row: (-row.size, row.layer, row.owner)))


def top_level(distribution: Distribution) -> Iterable[str]:
    """Yield the top-level names of all that is importable from a distribution's site folder."""
    site = posixpath.dirname(distribution.info_dir)
    prefix = f"{site}/" if site else ""
    for path in distribution.files:
        if not path.startswith(prefix):
            continue
        first, slash, rest = path.removeprefix(prefix).partition("/")
        if slash and first.isidentifier() and rest.endswith((".py", ".so", ".pyd")):
            yield first
        elif not slash and (match := _MODULE.match(first)):
            yield match["name"]


def _sought(
    distributions: Iterable[tuple[Distribution, frozenset[str]]], launched: Iterable[str]
) -> dict[bytes, _SoughtModule]:
    owners: dict[str, set[Owner]] = {}
    for distribution, modules in distributions:
        for name in modules - set(launched):
            owners.setdefault(name, set()).add(distribution.owner)
    sought = {}
    for name, bringing in sorted(owners.items()):
        word = name.encode()
        sought[word] = _SoughtModule(string=re.compile(_STRING % word), owners=frozenset(bringing))
    return sought


def _used(inventory: Inventory, read: ReadFile, sought: dict[bytes, _SoughtModule]) -> set[Owner]:
    """Owners that some file of another owner mentions.

    First all imports are read, which tell nearly everything in one look at each file; then strings,
    for the modules that are left.
    """
    used: set[Owner] = set()

    def settle(word: bytes) -> None:
        used.update(sought.pop(word).owners)
        for other in [other for other, module in sought.items() if module.owners <= used]:
            del sought[other]

    # What distributions and applications import is found soon there; the runtime, which imports
    # none of them, is last.
    code_files = [record for record in inventory if is_code(record)]
    code_files.sort(key=lambda record: record.owner.kind is OwnerKind.RUNTIME)
    for find in (_imported, _in_strings):
        for record in code_files:
            if not sought:
                return used
            for word in find(bytes(read(record)), record.owner, sought):
                if word in sought:
                    settle(word)
    return used


def _imported(code: bytes, owner: Owner, sought: Mapping[bytes, _SoughtModule]) -> list[bytes]:
    """Modules in import statements, of owners other than the file's."""
    mentioned = []
    for match in _FROM.finditer(code):
        if match[1] in sought and _begins_statement(code, match.start()):
            mentioned.append(match[1])
    for match in _IMPORT.finditer(code):
        words = [word for word in _WORD.findall(match[1]) if word in sought]
        if words and _begins_statement(code, match.start()):
            mentioned += words
    return [word for word in mentioned if owner not in sought[word].owners]


def _in_strings(code: bytes, owner: Owner, sought: Mapping[bytes, _SoughtModule]) -> list[bytes]:
    """Modules that string literals name, of owners other than the file's."""
    return [
        word
        for word, module in sought.items()
        if word in code and owner not in module.owners and module.string.search(code) is not None
    ]


def _begins_statement(code: bytes, position: int) -> bool:
    """True if a statement can begin at a position: first in its line, or after ``;`` or ``:``."""
    before = code[code.rfind(b"\n", 0, position) + 1 : position].rstrip(b" \t")
    return not before or before.endswith((b";", b":"))


def is_code(record: FileRecord) -> bool:
    """Return whether a file's text may import: Python, ``.pth``, and small scripts."""
    if record.type is not EntryType.FILE or not record.size:
        return False
    name = record.path.rpartition("/")[2]
    if name.endswith(_CODE):
        return True
    return (
        "." not in name
        and record.kind in _SCRIPT_KINDS
        and record.native is None
        and record.size <= _MAX_SCRIPT
    )


def size_by_owner(inventory: Inventory) -> Mapping[tuple[str, Owner], tuple[int, int]]:
    """Bytes and number of the files of each owner, layer by layer."""
    sums: dict[tuple[str, Owner], tuple[int, int]] = {}
    for record in inventory:
        size, files = sums.get((record.layer, record.owner), (0, 0))
        sums[(record.layer, record.owner)] = (size + record.size, files + 1)
    return sums
