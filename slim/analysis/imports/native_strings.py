"""Modules that compiled code names.

Extension modules import Python modules too, and say so only in strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from slim.analysis import ReadFile
from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.mentions import ModuleMention
from slim.analysis.imports.modules import Module, ModuleIndex, as_bytes, dotted, parents
from slim.model.finding import Evidence, Strength
from slim.model.record import EntryType, FileRecord, OwnerKind

_RUN = re.compile(rb"\w+(?:\.\w+)*")
_DELIMITERS = frozenset(b"\0\"'`")
_COMMON = frozenset(
    (
        "test",
        "tests",
        "testing",
        "conftest",
        "doc",
        "docs",
        "example",
        "examples",
        "benchmark",
        "benchmarks",
        "scripts",
    )
)
"""Top-level names that stand in every program, so that finding them says nothing."""


@dataclass(frozen=True, slots=True)
class Searches:
    """Names to look for in compiled code.

    ``packages`` are the first components of dotted candidates, ``top_level`` candidates that are
    top-level themselves.
    """

    packages: frozenset[str]
    top_level: tuple[str, ...]


def name_searches(candidates: Candidates, index: ModuleIndex) -> Searches:
    """Derive the searches from the candidates.

    Only the outermost matter, what lies in them comes along.
    """
    packages: set[str] = set()
    top_level: set[str] = set()
    for name in candidates.names:
        if name.startswith("/"):
            continue
        first = name.partition("/")[0]
        if "/" in name:
            packages.add(first)
        elif name not in _COMMON and name not in index.standard:
            top_level.add(name)
    return Searches(packages=frozenset(packages), top_level=tuple(sorted(top_level)))


def names_in_binary(
    record: FileRecord,
    read: ReadFile,
    candidates: Candidates,
    searches: Searches,
    index: ModuleIndex,
) -> Iterator[ModuleMention]:
    """Candidates that a compiled file names.

    An extension module is searched for modules of its own top-level package (the interpreter
    itself: of the standard library), and for removed top-level modules of any distribution. A
    dotted name of the own package that is a whole string is strong evidence, all else is weak.
    Bytecode without a source is searched in the same way, and for the bare names of its neighbours,
    since its relative imports hold nothing more.
    """
    modules = index.modules.get(record.key, ())
    bytecode = bool(modules) and record.path.endswith(".pyc")
    runtime = not modules and record.owner.kind is OwnerKind.RUNTIME
    if (
        record.type is not EntryType.FILE
        or not (bytecode or record.native is not None)
        or not (modules or runtime)
    ):
        return
    own = {module.name.partition("/")[0] for module in modules if module.rooted} or index.standard
    data = read(record)
    for package in sorted(own & searches.packages):
        for match in re.finditer(re.escape(as_bytes(package) + b"."), data):
            run = _RUN.match(data, match.start())
            if run is not None:
                strong = _delimited(data, run.start(), run.end())
                yield from _run(
                    record, run[0], Strength.STRONG if strong else Strength.WEAK, candidates
                )
    for package in searches.top_level:
        if package in own:
            continue
        for match in re.finditer(b"\0" + re.escape(as_bytes(package)), data):
            run = _RUN.match(data, match.start() + 1)
            if run is not None and _delimited(data, run.start(), run.end()):
                yield from _run(record, run[0], Strength.WEAK, candidates)
    if bytecode:
        for module in modules:
            yield from _neighbours(record, bytes(data), module, candidates)


def _delimited(data: memoryview, start: int, end: int) -> bool:
    """True if a name is a whole string, and no part of a sentence or of a longer one."""
    return (
        start > 0
        and end < len(data)
        and data[start - 1] in _DELIMITERS
        and data[end] in _DELIMITERS
    )


def _run(
    record: FileRecord, text: bytes, strength: Strength, candidates: Candidates
) -> Iterator[ModuleMention]:
    name = text.decode("utf-8", "replace").replace(".", "/")
    for each in (name, *parents(name)):
        if each in candidates:
            yield ModuleMention(each, _named(record, dotted(each), strength))


def _neighbours(
    record: FileRecord, data: bytes, module: Module, candidates: Candidates
) -> Iterator[ModuleMention]:
    package = module.name.partition("/")[0]
    for name in candidates.names:
        if name.startswith(package + "/") and as_bytes(name.rpartition("/")[2]) in data:
            yield ModuleMention(name, _named(record, name.rpartition("/")[2], Strength.WEAK))


def _named(record: FileRecord, text: str, strength: Strength) -> Evidence:
    return Evidence(
        kind="string",
        text=f'"{text}" in compiled code',
        file=record.deployed_path,
        line=None,
        strength=strength,
    )
