"""Facts about a whole stack: each graph is built when it is first asked for, and once a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

from slim.analysis import ReadFile
from slim.analysis.compiling import compiling_code
from slim.analysis.digest_lists import compares_digests
from slim.analysis.digests import DigestBook
from slim.analysis.families import Families, static_families
from slim.analysis.imports.modules import ModuleIndex
from slim.analysis.imports.proof import ImportProof
from slim.analysis.linkage.graph import Linkage, ReadDynamic
from slim.analysis.linkage.spoken import SpokenNames
from slim.analysis.linkage.virtual_tree import VirtualTree, Way
from slim.analysis.listed_files import ListedFiles
from slim.analysis.readings import Readings
from slim.analysis.section_readers import SectionReaders
from slim.analysis.stub_readers import stub_readers
from slim.analysis.unimportable.search import UnimportableModules
from slim.binaries import read_any_dynamic
from slim.inventory.load import LoadedStack
from slim.model.finding import Evidence
from slim.model.guided import Guidance
from slim.model.record import EntryType, FileKey, FileKind, FileRecord, Inventory
from slim.model.stack import Stack
from slim.system.free_memory import give_back

_ASKED_BY_PLANS: Final = (
    "checked_natives",
    "digests",
    "families",
    "imports",
    "listed_files",
    "section_readers",
    "spoken_names",
    "compiling_code",
    "stub_readers",
    "unimportable",
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A stack that was read, and what its files come to together.

    Passes, planner, static checks and repair of one run share it, so that every file is read once
    for each graph. None of it depends on what a plan removes: that is told to the graphs' methods.
    A new kind of knowledge is one more property here.

    ``read`` gives the bytes of a file; ``read_dynamic`` reads what a native file needs (tests have
    one of their own); ``readings`` are those of Python files, remembered from earlier runs where
    there is a cache. Not for several threads at a time.
    """

    stack: Stack
    inventory: Inventory
    read: ReadFile = field(repr=False)
    read_dynamic: ReadDynamic = field(default=read_any_dynamic, repr=False)
    readings: Readings = field(default_factory=Readings, repr=False)
    guidance: Guidance | None = field(default=None, repr=False)
    """What runs of the product used; None where nothing was traced."""

    @classmethod
    @contextmanager
    def of(cls, loaded: LoadedStack, guidance: Guidance | None = None) -> Iterator[Self]:
        """The facts of a stack that is open, during the block."""
        with Readings(loaded.context.cache, children=loaded.context.workers - 1) as readings:
            yield cls(
                stack=loaded.stack,
                inventory=loaded.inventory,
                read=loaded.read,
                readings=readings,
                guidance=guidance,
            )

    def let_go(self) -> None:
        """Give back the memory of what the plan asked, but for the library graph and the modules.

        It can be asked all the same, and is made again then.
        """
        for name in _ASKED_BY_PLANS:
            vars(self).pop(name, None)
        self.readings.forget()
        give_back()

    @cached_property
    def tree(self) -> VirtualTree:
        """The files by deployed path, as they are."""
        return VirtualTree(self.inventory)

    @cached_property
    def links(self) -> tuple[Way, ...]:
        """The ways of the symbolic links, of those that lead somewhere in the stack."""
        ways = (
            self.tree.way(record) for record in self.inventory if record.type is EntryType.SYMLINK
        )
        return tuple(way for way in ways if way is not None)

    @cached_property
    def digests(self) -> DigestBook:
        """The digests and signatures of files that other files hold."""
        return DigestBook(self.inventory, self.read, self.readings, lambda: self.links)

    @cached_property
    def families(self) -> Families:
        """The constant starts of module names that code puts together, with the places."""
        return static_families(self.inventory, self.module_index, self.read, self.readings)

    @cached_property
    def imports(self) -> ImportProof:
        """The import graph."""
        return ImportProof(
            self.stack,
            self.inventory,
            self.read,
            readings=self.readings,
            index=self.module_index,
        )

    @cached_property
    def module_index(self) -> ModuleIndex:
        """The modules, by file and by name."""
        return ModuleIndex(self.stack, self.inventory, self.read)

    @cached_property
    def listed_files(self) -> ListedFiles:
        """The folders that code lists, walks or copies."""
        return ListedFiles(self.stack, self.inventory, self.read, self.readings)

    @cached_property
    def checked_natives(self) -> Mapping[FileKey, Evidence]:
        """The native files that code lists which compares digests, each with what lists it."""

        def checks(record: FileRecord) -> bool:
            return record.kind is not FileKind.TESTS and compares_digests(bytes(self.read(record)))

        natives = [record for record in self.inventory if record.native is not None]
        return self.listed_files.among(natives, (), checks) if natives else {}

    @cached_property
    def compiling_code(self) -> Mapping[FileKey, Evidence]:
        """The Python files that compile C when they run, each with what shows it."""
        return compiling_code(self.inventory, self.read, self.readings)

    @cached_property
    def stub_readers(self) -> Mapping[FileKey, Evidence]:
        """The Python files that read stubs of modules which they find, each with what shows it."""
        return stub_readers(self.inventory, self.read, self.readings)

    @cached_property
    def section_readers(self) -> SectionReaders:
        """The Python code that reads symbol tables and debugging information of native files."""
        return SectionReaders(self.stack, self.inventory, self.read, self.readings)

    @cached_property
    def spoken_names(self) -> SpokenNames:
        """A search for what speaks of libraries that nothing links."""
        return SpokenNames(self.inventory, self.read)

    @cached_property
    def unimportable(self) -> UnimportableModules:
        """The modules that can't be imported, whoever tries."""
        return UnimportableModules(
            self.stack, self.inventory, self.module_index, self.read, self.readings
        )

    @cached_property
    def libraries(self) -> Linkage:
        """The library graph."""
        return Linkage.build(
            self.stack, self.inventory, self.read, self.read_dynamic, self.readings
        )
