"""Which distributions no code outside them mentions in an import.

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
class _Sought:
    """A top-level module, and the owners that bring it. ``string`` matches a string literal that names it."""

    string: re.Pattern[bytes]
    owners: frozenset[Owner]


def unused(stack: Stack, inventory: Inventory, read: ReadFile) -> tuple[UnusedDistribution, ...]:
    """Every distribution that nothing else mentions, the largest first."""
    names = {
        (layer, one.name): (one, frozenset(_top_level(one)))
        for layer, found in inventory.distributions.items()
        for one in found.values()
    }
    if len(names) < 2:
        return ()  # a wheel: there is nobody who could import it
    launched = {layer.launch_module.partition(".")[0] for layer in stack if layer.launch_module}
    sought = _sought(names.values(), launched)
    used = _used(inventory, read, sought)
    requirements = Requirements(stack, inventory)
    sizes = _sizes(inventory)
    result = []
    for (layer, _), (one, modules) in names.items():
        if not modules or one.owner in used or modules & launched:
            continue
        size, files = sizes.get((layer, one.owner), (0, 0))
        result.append(
            UnusedDistribution(
                layer=layer,
                owner=one.owner,
                size=size,
                files=files,
                commands=tuple(
                    sorted(point.name for point in one.entry_points if point.group in _COMMANDS)
                ),
                required_by=tuple(evidence.text for evidence in requirements.on(one, frozenset())),
            )
        )
    return tuple(sorted(result, key=lambda found: (-found.size, found.layer, found.owner)))


def _top_level(one: Distribution) -> Iterable[str]:
    """The first component of everything importable that a distribution installs into its site folder."""
    site = posixpath.dirname(one.info_dir)
    prefix = f"{site}/" if site else ""
    for path in one.files:
        if not path.startswith(prefix):
            continue
        first, slash, rest = path.removeprefix(prefix).partition("/")
        if slash and first.isidentifier() and rest.endswith((".py", ".so", ".pyd")):
            yield first
        elif not slash and (match := _MODULE.match(first)):
            yield match["name"]


def _sought(
    distributions: Iterable[tuple[Distribution, frozenset[str]]], launched: Iterable[str]
) -> dict[bytes, _Sought]:
    owners: dict[str, set[Owner]] = {}
    for one, modules in distributions:
        for name in modules - set(launched):
            owners.setdefault(name, set()).add(one.owner)
    found = {}
    for name, bringing in sorted(owners.items()):
        word = name.encode()
        found[word] = _Sought(string=re.compile(_STRING % word), owners=frozenset(bringing))
    return found


def _used(inventory: Inventory, read: ReadFile, sought: dict[bytes, _Sought]) -> set[Owner]:
    """The owners that some file of another owner mentions. A module is looked for until one of its owners is found.

    First in all imports, which tell nearly everything in one look at each file; then what is left
    in strings.
    """
    used: set[Owner] = set()

    def found(word: bytes) -> None:
        used.update(sought.pop(word).owners)
        for other in [other for other, one in sought.items() if one.owners <= used]:
            del sought[other]

    # What distributions and applications import is found soon there; the runtime, which imports
    # none of them, is last.
    code_files = [record for record in inventory if _is_code(record)]
    code_files.sort(key=lambda record: record.owner.kind is OwnerKind.RUNTIME)
    for find in (_imported, _in_strings):
        for record in code_files:
            if not sought:
                return used
            for word in find(bytes(read(record)), record.owner, sought):
                if word in sought:
                    found(word)
    return used


def _imported(code: bytes, owner: Owner, sought: Mapping[bytes, _Sought]) -> list[bytes]:
    """The modules in import statements, of owners other than the file's."""
    found = []
    for match in _FROM.finditer(code):
        if match[1] in sought and _begins_statement(code, match.start()):
            found.append(match[1])
    for match in _IMPORT.finditer(code):
        words = [word for word in _WORD.findall(match[1]) if word in sought]
        if words and _begins_statement(code, match.start()):
            found += words
    return [word for word in found if owner not in sought[word].owners]


def _in_strings(code: bytes, owner: Owner, sought: Mapping[bytes, _Sought]) -> list[bytes]:
    """The modules that string literals name, of owners other than the file's."""
    return [
        word
        for word, one in sought.items()
        if word in code and owner not in one.owners and one.string.search(code) is not None
    ]


def _begins_statement(code: bytes, position: int) -> bool:
    """Whether a statement can begin at a position: first in its line, or after ``;`` or ``:``."""
    before = code[code.rfind(b"\n", 0, position) + 1 : position].rstrip(b" \t")
    return not before or before.endswith((b";", b":"))


def _is_code(record: FileRecord) -> bool:
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


def _sizes(inventory: Inventory) -> Mapping[tuple[str, Owner], tuple[int, int]]:
    sums: dict[tuple[str, Owner], tuple[int, int]] = {}
    for record in inventory:
        size, files = sums.get((record.layer, record.owner), (0, 0))
        sums[(record.layer, record.owner)] = (size + record.size, files + 1)
    return sums
