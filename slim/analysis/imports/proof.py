"""The import proof: a Python file goes only if no file that stays, in any layer, imports it.

Everything that stays counts as an importer: sources, ``.pth`` files, scripts, extension modules; so
do entry points, launch modules, and the interpreter itself. What is refused stays too, so its own
imports count, and the packages around it stay with it. A name that is imported anywhere counts for
every layer that provides it.

Strong evidence always refuses. Weak evidence (an import whose failure is caught, a name in a
string) refuses where the caller says so, and is shown where it doesn't.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

from slim.analysis import ReadFile
from slim.analysis.imports.candidates import Candidates
from slim.analysis.imports.entry_points import DeclaredPoint, PointLines, declared_points
from slim.analysis.imports.interpreter import INTERPRETER_IMPORTS, is_name_table
from slim.analysis.imports.mentions import ModuleMention
from slim.analysis.imports.modules import ModuleIndex, dotted, parents
from slim.analysis.imports.native_strings import CompiledReader
from slim.analysis.imports.neighbours import NeighbouringData
from slim.analysis.imports.other_systems import OtherSystems
from slim.analysis.imports.path_evidence import PathIndex
from slim.analysis.imports.programs import Programs, without_program
from slim.analysis.imports.reader import ImportReader
from slim.analysis.imports.weights import holds_unused, weight_of
from slim.analysis.readings import Readings
from slim.model.finding import Evidence, Strength
from slim.model.record import FileKey, FileRecord, Inventory
from slim.model.stack import Stack

MAX_EVIDENCE = 20
"""Pieces of evidence kept for a file, the strongest first: ``import torch`` has thousands."""

MAX_REPEATS = 3
"""How many files of one owner count that each mention everything in a folder."""

Accepts = Callable[[FileKey, FileRecord], bool]
"""Tells whether the user accepts that this file (second) imports that candidate (first).

Then the import doesn't hold the candidate.
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """Result of a proof: evidence by the file that it is about.

    ``refused`` is what has to stay, and who imports it; ``weak`` what goes although somebody may
    want it, or because its importers were accepted. Evidence is sorted, strong first, and limited
    to :data:`MAX_EVIDENCE` pieces a file.
    """

    refused: Mapping[FileKey, tuple[Evidence, ...]] = field(default_factory=dict)
    weak: Mapping[FileKey, tuple[Evidence, ...]] = field(default_factory=dict)


def _nobody(_candidate: FileKey, _importer: FileRecord) -> bool:
    return False


class ImportProof:
    """The import graph of a stack. Remembers what it has read, for many sets of candidates.

    ``read`` may be called from other threads as well. ``index``: its modules, where they are known.
    ``thorough`` parses every file; the answer is the same, which is what tests use it for.
    """

    def __init__(
        self,
        stack: Stack,
        inventory: Inventory,
        read: ReadFile,
        *,
        readings: Readings | None = None,
        index: ModuleIndex | None = None,
        thorough: bool = False,
    ) -> None:
        self._readings = readings or Readings()
        self._stack = stack
        self._inventory = inventory
        self._read = read
        self._index = index or ModuleIndex(stack, inventory, read)
        self._thorough = thorough

    @cached_property
    def _reader(self) -> ImportReader:
        return ImportReader(
            self._inventory, self._index, self._read, self._readings, thorough=self._thorough
        )

    @cached_property
    def _points(self) -> tuple[DeclaredPoint, ...]:
        return tuple(declared_points(self._inventory, self._read))

    @cached_property
    def _programs(self) -> Programs:
        return Programs(self._inventory)

    @cached_property
    def _systems(self) -> OtherSystems:
        return OtherSystems(self._stack, self._read)

    @cached_property
    def _compiled(self) -> CompiledReader:
        return CompiledReader(self._index, self._inventory, self._read, self._readings)

    def prove(
        self,
        removals: Collection[FileKey],
        *,
        weak_counts: Callable[[FileKey], bool],
        accepted: Accepts = _nobody,
        by_name: Collection[FileKey] = (),
        unnamed: Collection[FileKey] = (),
        unused: Collection[FileKey] = (),
        standing: Mapping[FileKey, Evidence] = MappingProxyType({}),
    ) -> Proof:
        """Find out which of the removals have to stay.

        ``weak_counts`` says for which files weak evidence is enough; ``accepted`` takes the weight
        from single importers. ``by_name`` are the removals that a rule for every package selects by
        their names, so that paths which lead to them count too; ``unnamed`` all that rules for
        every package select; ``unused`` those that go because no run used them: of weak evidence
        only import statements and names in compiled code count for them. ``standing`` are removals
        that are known to stay, each with the reason. Keys that are not in the inventory are
        ignored.
        """
        going = frozenset(removals)
        named = going.intersection(by_name)
        run = _ProofRun(
            self,
            going,
            weak_counts,
            accepted,
            by_name=named,
            unnamed=going.intersection(unnamed),
            unused=unused,
        )
        run.hold(standing)
        run.settle()
        return run.proof()

    def foresee(self, records: Iterable[FileRecord]) -> None:
        """Have other processes begin what a proof first reads of files that stay."""
        self._reader.foresee(records)

    def importers_of(self, key: FileKey) -> tuple[Evidence, ...]:
        """Evidence of every import of a file in the stack, the strongest first.

        Empty for a file that can't be imported.
        """
        return self.importers_of_each({key}).get(key, ())

    def importers_of_each(
        self, keys: Collection[FileKey], without: Collection[FileKey] = ()
    ) -> Mapping[FileKey, tuple[Evidence, ...]]:
        """Evidence of every import of each of some files; those that nothing imports are left out.

        The files count as importers of each other; files ``without`` which is asked don't.
        """
        run = _ProofRun(
            self,
            frozenset(keys),
            lambda _key: False,
            lambda _key, _importer: True,
            companions=False,
        )
        run.settle(without)
        return run.proof(limit=None).weak


class _ProofRun:
    """One proof.

    Evidence is collected from what stays, and what it refuses is added to what stays.
    """

    def __init__(
        self,
        owner: ImportProof,
        removals: frozenset[FileKey],
        weak_counts: Callable[[FileKey], bool],
        accepted: Accepts,
        *,
        companions: bool = True,
        by_name: Collection[FileKey] = (),
        unnamed: Collection[FileKey] = (),
        unused: Collection[FileKey] = (),
    ) -> None:
        self._stack = owner._stack
        self._inventory = owner._inventory
        self._index = owner._index
        self._reader = owner._reader
        self._compiled = owner._compiled
        self._systems = owner._systems
        self._points = owner._points
        self._programs = owner._programs
        self._read = owner._read
        self._removals = removals
        self._weak_counts = weak_counts
        self._accepted = accepted
        self._candidates = Candidates(
            self._index, removals, self._reader.exports_of, by_name, unnamed
        )
        self._paths = PathIndex(self._index, self._inventory, self._candidates.by_name)
        self._companions = companions
        self._unused = frozenset(unused)
        self._evidence: dict[FileKey, set[Evidence]] = {}
        self._refused: set[FileKey] = set()
        self._repeats: Counter[tuple[object, ...]] = Counter()
        self._active: set[FileKey] = set()
        self._waiting: list[FileRecord] = []

    def hold(self, standing: Mapping[FileKey, Evidence]) -> None:
        """Have removals stay for a reason of their own."""
        for key in sorted(self._removals & standing.keys()):
            self._refuse(key, standing[key])

    def settle(self, without: Collection[FileKey] = ()) -> None:
        """Look at every file that stays, until no more turn out to stay."""
        if not self._removals:
            return
        self._roots()
        for record in self._inventory:
            if record.key not in (self._removals if self._companions else without):
                self._waiting.append(record)
        while self._waiting:
            records, self._waiting = self._waiting, []
            read = iter(records)
            if self._candidates:
                self._compiled.read_ahead(records)
                read = self._reader.read_ahead(records, self._candidates, paths=bool(self._paths))
            for record in read:
                self._look_at(record)
        if self._companions:
            self._neighbouring_data()

    def _look_at(self, record: FileRecord) -> None:
        if is_name_table(record):
            return
        if self._candidates:
            self._imports(record)
        self._stub(record)
        if self._companions:
            self._packages_around(record)

    def _imports(self, record: FileRecord) -> None:
        """Note everything that a file which stays imports, names, or leads to by a path."""
        if self._reader.is_opaque(record):
            inside = self._reader.archives.bytecode_in(record)
            for mention in self._compiled.opaque(record, self._candidates, inside):
                self._note(mention, record)
        for mention in self._reader.mentions(record, self._candidates):
            self._note(mention, record)
        for mention in self._compiled.mentions(record, self._candidates):
            self._note(mention, record)
        if self._paths:
            paths, *packages = self._reader.paths(record, self._candidates)
            for use in (*paths, *self._compiled.paths(record)):
                evidence = Evidence(
                    kind="path",
                    text=f"the path {'/'.join(use.segments)} leads to it",
                    file=record.deployed_path,
                    line=use.line or None,
                    strength=Strength.WEAK,
                )
                for found in self._paths.reached(record, use, *packages):
                    if self._counts((id(found),), evidence, record):
                        for key in found:
                            self._hold(key, evidence, record)
            for key, evidence in self._paths.named_in_bytecode(record, self._read):
                self._hold(key, evidence, record)
        self._unresolved(record)

    def _unresolved(self, record: FileRecord) -> None:
        """Hold what a call may mean of which only running tells the name, in its own package."""
        found = self._reader.unresolved(record, self._candidates)
        if found is None or self._paths.runs_tests(record):
            return
        folder, calls = found
        for call in calls:
            evidence = Evidence(
                kind="listing",
                text=f"{call.text} may mean anything in its package",
                file=record.deployed_path,
                line=call.line,
                strength=Strength.WEAK,
            )
            identity = ("unresolved", folder, call.whole, call.reads, call.first)
            if self._counts(identity, evidence, record):
                for key in self._candidates.selected_in(folder, modules=not call.reads):
                    if key != record.key and call.may_mean(key[1][len(folder[1]) :]):
                        self._hold(key, evidence, record)

    def _stub(self, record: FileRecord) -> None:
        """Hold the stub that a lazy loader reads when it runs, since it was read as evidence."""
        if record.key in self._removals and record.key not in self._refused:
            return
        stub = self._reader.stub_of(record)
        if stub is not None and stub.key in self._removals:
            text = "a lazy loader reads this stub when it runs"
            evidence = Evidence(kind="stub", text=text, file=record.deployed_path)
            self._hold(stub.key, evidence, record)

    def proof(self, limit: int | None = MAX_EVIDENCE) -> Proof:
        """The evidence so far, in the order of layers and paths."""
        refused: dict[FileKey, tuple[Evidence, ...]] = {}
        weak: dict[FileKey, tuple[Evidence, ...]] = {}
        inside = {f"{layer}/{path}" for layer, path in self._removals}

        def weight(evidence: Evidence) -> tuple[object, ...]:
            # First what stays anyway: it is the cause, and what it holds back only follows.
            return (evidence.file in inside, *weight_of(evidence))

        for key in sorted(self._evidence):
            evidence = tuple(sorted(self._evidence[key], key=weight)[:limit])
            (refused if key in self._refused else weak)[key] = evidence
        return Proof(refused=refused, weak=weak)

    def _note(self, mention: ModuleMention, importer: FileRecord | None) -> None:
        """Add evidence for every candidate of that name, and refuse where it is enough."""
        for key in self._candidates.keys(mention.name):
            if importer is None or importer.key != key:
                self._hold(key, mention.evidence, importer, scattered=mention.scattered)
        keys: Iterable[FileKey]
        if mention.whole and self._counts(("whole", mention.name), mention.evidence, importer):
            keys, why = self._candidates.keys_in(mention.name), "may list or read all of it"
        elif mention.parts and self._counts(("parts", mention.name), mention.evidence, importer):
            keys, why = self._candidates.parts_of(mention.name), "may import what is in it"
        else:
            return
        evidence = replace(mention.evidence, text=f"{mention.evidence.text}, which {why}")
        for key in keys:
            if importer is None or importer.key != key:
                self._hold(key, evidence, importer)

    def _counts(
        self, meant: tuple[object, ...], evidence: Evidence, importer: FileRecord | None
    ) -> bool:
        """Return whether what holds many files at once is among the first to do so.

        Thousands of files may each mention a suite of thousands: a few of each owner say it all.
        """
        place = None if importer is None else (importer.layer, importer.owner)
        self._repeats[*meant, place, evidence.strength] += 1
        return self._repeats[*meant, place, evidence.strength] <= MAX_REPEATS

    def _hold(
        self,
        key: FileKey,
        evidence: Evidence,
        importer: FileRecord | None,
        *,
        scattered: bool = False,
    ) -> None:
        """Add evidence for a file, and refuse to remove it where that is enough.

        ``scattered`` is that of a mention: it doesn't hold what no run used, nor does an import
        that other systems run alone, nor the entry point of a program that isn't there.
        """
        if importer is not None and not self._index.connected(importer.layer, key[0]):
            return
        if (
            importer is not None
            and key in self._unused
            and (elsewhere := self._systems.only(importer, evidence)) is not None
        ):
            evidence, scattered = elsewhere, True
        if scattered and key in self._unused and evidence.kind == "entry-point":
            evidence = without_program(evidence)
        self._evidence.setdefault(key, set()).add(evidence)
        if importer is not None and self._accepted(key, importer):
            return
        if evidence.strength is Strength.STRONG:
            self._active.add(key)
        elif key in self._unused:
            if scattered or not holds_unused(evidence, importer):
                return
        elif not self._weak_counts(key):
            return
        self._refuse(key, evidence)

    def _refuse(self, key: FileKey, evidence: Evidence) -> None:
        self._evidence.setdefault(key, set()).add(evidence)
        record = self._inventory.get(key)
        if key not in self._refused and record is not None:
            self._refused.add(key)
            self._waiting.append(record)

    def _roots(self) -> None:
        """Note what is imported without any file saying so in Python."""
        for key in sorted(self._index.unnamed & self._removals):
            text = "too many links lead to it for all its names to be known"
            self._hold(key, Evidence(kind="link", text=text, strength=Strength.WEAK), None)
        for layer in self._stack:
            if layer.launch_module:
                name = layer.launch_module.replace(".", "/")
                text = f"{layer.launch_module} is the launch module of {layer.name}"
                evidence = Evidence(kind="launch-module", text=text)
                for each in (name, *parents(name), f"{name}/__main__"):
                    self._note(ModuleMention(each, evidence), None)
        for name in INTERPRETER_IMPORTS:
            text = f"the interpreter itself imports {dotted(name)}"
            self._note(ModuleMention(name, Evidence(kind="interpreter", text=text)), None)
        for mention, source in self._entry_points():
            self._note(mention, source)

    def _entry_points(self) -> Iterator[tuple[ModuleMention, FileRecord | None]]:
        lines = PointLines(self._read)
        for point, label, path, source in self._points:
            name = point.module.replace(".", "/")
            going = source is not None and source.key in self._removals
            if going or not self._candidates.near(name):
                continue
            evidence = Evidence(
                kind="entry-point",
                text=f"{point.group} {point.name} = {point.value} of {label}",
                file=path,
                line=lines.of(source, point.name) if source else None,
            )
            for mention in self._programs.mentions(point, evidence):
                yield mention, source

    def _packages_around(self, record: FileRecord) -> None:
        """A module that stays keeps the ``__init__`` of the packages around it."""
        for module in self._index.modules.get(record.key, ()):
            for name in parents(module.name):
                if not self._candidates.packages(name):
                    continue
                text = f"the package holds {dotted(module.name.rpartition('/')[2])}, which stays"
                evidence = Evidence(kind="parent", text=text, file=record.deployed_path)
                for key in self._candidates.packages(name):
                    if key[0] == record.layer:
                        self._refuse(key, evidence)

    def _neighbouring_data(self) -> None:
        """Keep data in the folder of a needed module which looks for files there."""
        search = NeighbouringData(self._index, self._inventory, self._read, self._candidates)
        for key, reason in search.needed_data(self._removals, self._refused, self._active):
            text = "lies beside a module that stays and looks for files at its own place"
            evidence = Evidence(kind="beside", text=text, file="/".join(reason))
            self._evidence.setdefault(key, set()).add(evidence)
            self._refused.add(key)
