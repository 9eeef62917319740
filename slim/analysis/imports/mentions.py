"""Candidates that one file imports or names, by what a scan of it gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.modules import Module, ModuleIndex, dotted, parents
from slim.analysis.imports.path_scan import TESTS_FOLDER
from slim.analysis.imports.scans import ANY_PACKAGE, Import, Scan
from slim.analysis.imports.text_files import TextNames
from slim.model.finding import Evidence, Strength
from slim.model.record import FileRecord, OwnerKind

_SETTINGS = (".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".xml", ".zcml", ".env")
MAX_REPEATS = 20
"""How often a file's evidence for one name is kept."""


@dataclass(frozen=True, slots=True)
class ModuleMention:
    """A module that a file names; with ``whole`` everything in that package may be meant.

    With ``parts`` what isn't called like a test may be: a framework that is told of a package
    imports the modules in it that it knows (``models``, ``tasks``).

    ``scattered`` says that the words of its name stand somewhere in compiled code, but nowhere as
    an import would have them; or that an installer's program would import it, which isn't there.
    """

    name: str
    evidence: Evidence
    whole: bool = False
    scattered: bool = False
    parts: bool = False


def mentions_in(
    record: FileRecord, module: Module, found: Scan, candidates: Candidates, index: ModuleIndex
) -> Iterator[ModuleMention]:
    """Candidates that a file names, under one of its own names.

    Of a name that it says many times, the first times of each strength are enough.
    """
    repeats: Counter[tuple[str, Strength]] = Counter()
    tops = _tops(module, found)
    for statement in filter(partial(_counts, record), found.imports):
        ending = "/" + statement.module.replace(".", "/")
        for name, text, strength in _imported(statement, module, candidates, index, tops):
            if name in candidates or candidates.is_folder(name):
                repeats[name, strength] += 1
                # Not what is around it. A package that is run may look for what lies in it.
                whole = (statement.whole or statement.runs) and f"/{name}".endswith(ending)
                if repeats[name, strength] > MAX_REPEATS and not whole:
                    continue
                note = f"{text}; {statement.note}" if statement.note else text
                evidence = _evidence(record, statement.line, note, strength, statement.kind)
                yield ModuleMention(name, evidence, whole)
    yield from _begun_or_within(record, found, candidates)
    yield from _parts_of_names(record, found, candidates)
    for text, line in found.strings:
        name = text.replace(".", "/")
        for each in (name, *parents(name)):
            if "/" in each and (each in candidates or candidates.is_folder(each)):
                evidence = _evidence(record, line, f'"{text}" in a string', Strength.WEAK, "string")
                whole = each == name and each not in candidates
                yield ModuleMention(each, evidence, whole, parts=each == name)
    if module.package and module.name in candidates.below:
        for text, line in found.listed:
            name = f"{module.name}/{text.replace('.', '/')}"
            if name in candidates and text.partition(".")[0] not in found.bound:
                yield ModuleMention(
                    name, _evidence(record, line, f'"{text}" in a list', Strength.WEAK, "string")
                )


def _begun_or_within(
    record: FileRecord, found: Scan, candidates: Candidates
) -> Iterator[ModuleMention]:
    """Candidates that a file names within longer strings, or by the beginnings of their names."""
    for named in found.named:
        name = named.name.replace(".", "/")
        if name.endswith(ANY_PACKAGE):
            package, _, begin = name[:-1].rpartition("/")
            for each in candidates.children.get(package, ()):
                if each.startswith(f"{package}/{begin}"):
                    text = f'"{named.name[:-1]}" begins a name'
                    evidence = _evidence(record, named.line, text, Strength.WEAK, "string")
                    yield ModuleMention(each, evidence)
            continue
        for each in (name, *parents(name)):
            if "/" in each and (each in candidates or candidates.is_folder(each)):
                text = f'"{named.name}" in a string'
                evidence = _evidence(record, named.line, text, Strength.WEAK, "string")
                whole = named.open or each not in candidates  # a folder of data
                yield ModuleMention(each, evidence, whole and each == name)


def _parts_of_names(
    record: FileRecord, found: Scan, candidates: Candidates
) -> Iterator[ModuleMention]:
    """The modules in any tests that a file says without their package: ``load("tests.helper")``.

    Which package stands before, another file may know.
    """
    relative = ((item.module, item.line) for item in found.imports if item.level)
    for text, line in sorted({*found.strings, *relative}):
        if text.startswith(f"{TESTS_FOLDER}."):
            for name in _endings(text, ("",), candidates):
                shown = f'"{text}" in a string, behind a name that only running tells'
                evidence = _evidence(record, line, shown, Strength.WEAK, "string")
                yield ModuleMention(name, evidence)


def _counts(record: FileRecord, statement: Import) -> bool:
    """False for command lines in the standard library: help, and how CPython was built."""
    return record.owner.kind is not OwnerKind.RUNTIME or not statement.text.startswith('"-m ')


def _evidence(record: FileRecord, line: int, text: str, strength: Strength, kind: str) -> Evidence:
    return Evidence(
        kind=kind, text=text, file=record.deployed_path, line=line or None, strength=strength
    )


def weakened(mention: ModuleMention, note: str) -> ModuleMention:
    """The mention as weak evidence, with the reason of its weakness."""
    old = mention.evidence
    text = f"{old.text}; {note}"
    return ModuleMention(
        mention.name,
        Evidence(kind=old.kind, text=text, file=old.file, line=old.line, strength=Strength.WEAK),
        mention.whole,
    )


def _tops(module: Module, found: Scan) -> frozenset[str]:
    """The top-level packages that a name put together may begin with, each with a slash behind it.

    That is the module's own; of a name of tests those that the file imports, too: the beginning may
    be a module's ``__name__``, or a class's ``__module__``.
    """
    return frozenset(
        f"{item.module.partition('.')[0]}/" for item in found.imports if not item.level
    ) | {module.name.partition("/")[0] + "/"}


def _imported(
    statement: Import,
    module: Module,
    candidates: Candidates,
    index: ModuleIndex,
    tops: frozenset[str] = frozenset(),
) -> Iterator[tuple[str, str, Strength]]:
    """Every name that an import brings in.

    That is the module, the packages around it, and the names that may be its submodules. ``tops``
    are the packages that a name may be of which only running tells the beginning.
    """
    anchor = (statement.anchor or "__name__").partition(".")[0]
    if anchor == ANY_PACKAGE or (anchor != "__name__" and anchor not in index.top_level):
        own = (module.name.partition("/")[0] + "/",)
        is_test = f".{TESTS_FOLDER}." in f".{statement.module}."
        for name in _endings(statement.module, tuple(tops) if is_test else own, candidates):
            yield name, statement.text, statement.strength
        return
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


def _endings(module: str, starts: tuple[str, ...], candidates: Candidates) -> Iterator[str]:
    """The candidates that end like a name put together, and begin like one of these."""
    ending = "/" + module.replace(".", "/")
    word = ending.rpartition("/")[2]
    for names in (candidates.by_word.get(word, ()), candidates.folders_by_word.get(word, ())):
        yield from (name for name in names if name.startswith(starts) and name.endswith(ending))


def own_members(
    record: FileRecord, modules: Iterable[Module], candidates: Candidates
) -> Iterator[ModuleMention]:
    """The modules of a package that lists what lies in it; its tests are no plug-ins."""
    for module in modules:
        for name in candidates.children.get(module.name, ()) if module.package else ():
            if name.rpartition("/")[2] != TESTS_FOLDER:
                text = "the package lists its own modules"
                yield ModuleMention(name, _evidence(record, 0, text, Strength.WEAK, "listing"))


def text_mentions(
    record: FileRecord, text: TextNames, candidates: Candidates, index: ModuleIndex
) -> Iterator[ModuleMention]:
    """Candidates that a text names which is no Python; all of it is weak."""
    for name in sorted(text.names):
        if name in candidates or candidates.is_folder(name):
            shown = f'"{dotted(name)}" in a text'
            evidence = _evidence(record, 0, shown, Strength.WEAK, "string")
            alone = not any(other.startswith(f"{name}/") for other in text.names)
            is_value = alone and record.path.lower().endswith(_SETTINGS)
            yield ModuleMention(name, evidence, parts=is_value)
    module = Module("/" + record.deployed_path, False)
    for statement in text.imports:
        for name, shown, _ in _imported(statement, module, candidates, index):
            if name in candidates:
                shown = f"{shown}; {statement.note}"
                yield ModuleMention(
                    name, _evidence(record, statement.line, shown, Strength.WEAK, "string")
                )


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
