"""Candidates that one file imports or names, by what a scan of it gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.modules import Module, ModuleIndex, parents
from slim.analysis.imports.scans import Import, Scan
from slim.model.finding import Evidence, Strength
from slim.model.record import FileRecord


@dataclass(frozen=True, slots=True)
class ModuleMention:
    """A module that a file names, and the evidence of it."""

    name: str
    evidence: Evidence


def mentions_in(
    record: FileRecord, module: Module, scan: Scan, candidates: Candidates, index: ModuleIndex
) -> Iterator[ModuleMention]:
    """Candidates that a file names, under one of its own names."""
    for statement in scan.imports:
        for name, text, strength in _imported(statement, module, candidates, index):
            if name in candidates:
                note = f"{text}; {statement.note}" if statement.note else text
                yield ModuleMention(
                    name, _evidence(record, statement.line, note, strength, statement.kind)
                )
    for text, line in scan.strings:
        name = text.replace(".", "/")
        if name in candidates:
            yield ModuleMention(
                name, _evidence(record, line, f'"{text}" in a string', Strength.WEAK, "string")
            )
    if module.package and module.name in candidates.below:
        for text, line in scan.listed:
            name = f"{module.name}/{text.replace('.', '/')}"
            if name in candidates and text.partition(".")[0] not in scan.bound:
                yield ModuleMention(
                    name, _evidence(record, line, f'"{text}" in a list', Strength.WEAK, "string")
                )


def _evidence(record: FileRecord, line: int, text: str, strength: Strength, kind: str) -> Evidence:
    return Evidence(kind=kind, text=text, file=record.deployed_path, line=line, strength=strength)


def weakened(mention: ModuleMention, note: str) -> ModuleMention:
    """The mention as weak evidence, with the reason of its weakness."""
    old = mention.evidence
    text = f"{old.text}; {note}"
    return ModuleMention(
        mention.name,
        Evidence(kind=old.kind, text=text, file=old.file, line=old.line, strength=Strength.WEAK),
    )


def _imported(
    statement: Import, module: Module, candidates: Candidates, index: ModuleIndex
) -> Iterator[tuple[str, str, Strength]]:
    """Every name that an import brings in.

    That is the module, the packages around it, and the names that may be its submodules.
    """
    target = _target(statement, module)
    if target is None:
        return
    text = statement.text
    if statement.names:
        more = ", ..." if len(statement.names) > 1 else ""
        text = f"{text} {statement.names[0]}{more}"
    is_from = statement.text.endswith(" import")
    named = [
        (f"{target}/{name}", f"{statement.text} {name}" if is_from else statement.text)
        for name in statement.names
    ]
    full = [(target, text if is_from else statement.text), *named]
    full.extend((parent, full[0][1]) for parent in parents(target))
    if statement.runs:
        full.append((f"{target}/__main__", statement.text))
    for name, shown in full:
        yield name, shown, statement.strength
    if "*" in statement.names:
        for name in candidates.exported.get(target, ()):
            yield name, f"{statement.text} *, and __all__ names it", statement.strength
    if not statement.level and target.partition("/")[0] not in index.top_level:
        for name, shown in full:
            yield from _elsewhere(name, shown, statement.strength, module, candidates)


def _target(statement: Import, module: Module) -> str | None:
    """The absolute name of the module that an import names.

    None where a relative one leads out of its package.
    """
    name = statement.module.replace(".", "/")
    if not statement.level:
        return name or None
    base = {None: module.container, "__name__": module.name}.get(statement.anchor)
    if base is None:
        base = (statement.anchor or "").replace(".", "/")
    for _ in range(statement.level - 1):
        base = base.rpartition("/")[0]
    if not base:
        return None
    return f"{base}/{name}" if name else base


def _elsewhere(
    name: str, text: str, strength: Strength, module: Module, candidates: Candidates
) -> Iterator[tuple[str, str, Strength]]:
    """Candidates that the importer reaches by changing ``sys.path``.

    For names that no search path provides. Such a candidate is a vendored package (its full dotted
    name ends a candidate's path and reaches into what is to go), or a module in the importer's own
    folder, which Python searches first where a file is run as a program.
    """
    if "/" in name:
        for candidate in candidates.by_word.get(name.rpartition("/")[2], ()):
            prefix = candidate[: -len(name)]
            if candidate.endswith("/" + name) and len(candidates.head(candidate)) > len(prefix):
                inside = module.name.startswith(prefix)
                yield candidate, f"{text}; by its path", strength if inside else Strength.WEAK
        return
    folder = module.name.rpartition("/")[0] if not module.package else module.name
    yield (
        f"{folder}/{name}",
        f"{text}; from its own folder",
        Strength.WEAK if module.rooted else strength,
    )
