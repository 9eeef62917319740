"""Code that reads symbol tables or debugging information of native files, and of which files.

Code of a distribution reads that distribution's files; code of none is the product's own, and may
read any file of the layers that it can share a process with. The standard library and test suites
don't count, nor does what only offers the means: such a distribution has no native files.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, partial

from slim.analysis import ReadFile
from slim.analysis.compiling import is_command
from slim.analysis.python_code import is_lone_bytecode, strings_as_source
from slim.analysis.readings import Readings
from slim.analysis.section_words import SectionsRead, may_read_sections, sections_read
from slim.analysis.summary import MAX_SOURCE
from slim.model.finding import Evidence
from slim.model.record import (
    UNOWNED,
    EntryType,
    FileKey,
    FileKind,
    FileRecord,
    Inventory,
    OwnerKind,
)
from slim.model.stack import Stack

_SOURCES = (".py", ".pyw")


@dataclass(frozen=True, slots=True)
class SectionReader:
    """Code that reads what no loader does, and what it may read."""

    record: FileRecord
    reads: SectionsRead

    @property
    def evidence(self) -> Evidence:
        """The evidence that a report prints."""
        what = "symbol tables" if self.reads is SectionsRead.SYMBOLS else "debugging information"
        return Evidence(
            kind="reads-sections",
            text=f"reads {what} of native files",
            file=self.record.deployed_path,
        )


class SectionReaders:
    """A search for such code in a whole stack, made when it is first asked for."""

    def __init__(
        self, stack: Stack, inventory: Inventory, read: ReadFile, readings: Readings | None = None
    ) -> None:
        self._stack = stack
        self._inventory = inventory
        self._read = read
        self._readings = readings or Readings()

    def of(self, record: FileRecord, gone: Collection[FileKey]) -> SectionReader | None:
        """Return the code that stays and reads most of a native file; None where none does."""
        found = [
            reader
            for reader in self._found
            if reader.record.owner in (UNOWNED, record.owner)
            and reader.record.key not in gone
            and self._stack.share_process(reader.record.layer, record.layer)
        ]
        most = (reader for reader in found if reader.reads is SectionsRead.DEBUGGING)
        return next(most, found[0] if found else None)

    @cached_property
    def _found(self) -> tuple[SectionReader, ...]:
        may_count = list(filter(self._may_count, self._inventory))
        sources = (record for record in may_count if not is_lone_bytecode(record))
        self._readings.summaries_ahead(sources, self._read)
        reads = ((one, self._read_by(one)) for one in may_count)
        return tuple(SectionReader(one, what) for one, what in reads if what)

    def _read_by(self, record: FileRecord) -> SectionsRead:
        if is_lone_bytecode(record):
            content = self._content(record)
            if not may_read_sections(content):
                return SectionsRead.NOTHING
            return sections_read(strings_as_source(content))
        return self._readings.sections(record, partial(self._content, record))

    def _content(self, record: FileRecord) -> bytes:
        return bytes(self._read(record))

    def _may_count(self, record: FileRecord) -> bool:
        return (
            record.type is EntryType.FILE
            and record.size <= MAX_SOURCE
            and record.owner.kind is not OwnerKind.RUNTIME
            and record.kind is not FileKind.TESTS
            and (
                record.path.endswith(_SOURCES)
                or is_lone_bytecode(record)
                or is_command(record, self._read)
            )
        )
