"""Readings of Python files: what their bytes tell, whatever lies around them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

from slim.analysis import ReadFile
from slim.analysis.ahead.crew import Crew, Key, Packed, Wanted
from slim.analysis.ahead.makers import MAKERS, hints_variant, scan_variant
from slim.analysis.build_words import has_build_words
from slim.analysis.forms import HINTS, SCAN, SUMMARY
from slim.analysis.imports.scans import Scan
from slim.analysis.imports.text_scan import Hints
from slim.analysis.list_words import MayList, may_list_folders
from slim.analysis.remembering import Form, Remembering
from slim.analysis.section_words import SectionsRead, sections_read
from slim.analysis.summary import Described, SourceSummary, described_by, summary_of
from slim.model.record import FileRecord

T = TypeVar("T")

_LEAST_WORK: Final = 4 << 20
"""Bytes of files that are worth starting other processes for."""
_LEAST_SHARED: Final = 1 << 16
"""Bytes of files that are worth sharing with processes that were started before."""
_SAMPLE: Final = 64
"""Readings that are looked for to find out whether most are remembered."""


@dataclass(frozen=True, slots=True)
class Code:
    """Python code that is read when it has to be."""

    read: Callable[[], bytes]
    sha256: str
    """SHA-256 in hexadecimal; empty where it isn't known, so that nothing is remembered."""
    size: int

    @classmethod
    def of(cls, source: bytes | Code) -> Code:
        """Code that is at hand already, or is to be read."""
        if isinstance(source, Code):
            return source
        return cls(lambda: source, hashlib.sha256(source).hexdigest(), len(source))


class Readings(Remembering):
    """Makes readings of Python files, and remembers them in a folder; None for not at all.

    Up to ``children`` other processes help with many.
    """

    def __init__(self, folder: Path | None = None, *, children: int = 0) -> None:
        super().__init__(folder)
        self._summaries: dict[str, SourceSummary] = {}
        self._crew = Crew(children, _made)

    def close(self) -> None:
        """Write what is new, and end the children."""
        self.rest()
        super().close()

    def rest(self) -> None:
        """End the children, and forget what they made in vain."""
        self._crew.close()
        self._crew = Crew(0, _made)

    def forget(self) -> None:
        """Give back the memory of summaries; one that is asked for again is made again."""
        self._summaries.clear()

    @property
    def has_help(self) -> bool:
        """True if other processes make readings ahead."""
        return self._crew.works

    def ahead(self, wanted: Iterable[Wanted]) -> None:
        """Have other processes begin readings that will be asked for, where that pays."""
        if not self.has_help:
            return
        fit = list(filter(_fits, wanted))
        if not any(map(self._is_missing, fit[:: max(1, len(fit) // _SAMPLE)])):
            return  # nor are nearly all, and asking for each takes as long as what is left
        missing = list(filter(self._is_missing, fit))
        least = _LEAST_SHARED if self._crew.started else _LEAST_WORK
        if sum(each.size for each in missing) >= least:
            self._crew.begin(missing)

    def foresee(
        self, records: Sequence[FileRecord], wanted: Callable[[FileRecord], Wanted | None]
    ) -> None:
        """Have other processes begin readings that are likely to be asked for some time.

        ``wanted`` tells that of a file; None for a file of which none is wanted. It is asked as
        soon as there is nothing else to do, by this thread.
        """
        sample = map(wanted, records[:: max(1, len(records) // _SAMPLE)])
        if (
            self.has_help
            and sum(record.size for record in records) >= _LEAST_WORK
            and any(each is not None and self._is_missing(each) for each in sample)
        ):
            fitting = (each for each in map(wanted, records) if each is not None and _fits(each))
            self._crew.foresee(filter(self._is_missing, fitting))

    def _is_missing(self, wanted: Wanted) -> bool:
        """Return whether a reading is neither remembered nor begun."""
        return not (self._crew.has_begun(wanted.key) or self._is_known(*wanted.key))

    def has_begun(self, wanted: Wanted) -> bool:
        """Return whether a reading was begun ahead, and not yet asked for."""
        return self._crew.has_begun(wanted.key)

    def summaries_ahead(self, records: Iterable[FileRecord], read: ReadFile) -> None:
        """Begin the summaries of Python files that will be asked for; see :meth:`ahead`."""
        self.ahead(filter(None, (self._summary_wanted(record, read) for record in records)))

    def foresee_summaries(self, records: Iterable[FileRecord], read: ReadFile) -> None:
        """Begin the summaries of Python files some time; see :meth:`foresee`."""
        self.foresee(list(records), lambda record: self._summary_wanted(record, read))

    def _summary_wanted(self, record: FileRecord, read: ReadFile) -> Wanted | None:
        if record.sha256 in self._summaries:
            return None
        return Wanted.of(SUMMARY.name, "", record, read)

    def of_bytes(
        self, form: Form[T], sha256: str, size: int, make: Callable[[], T], variant: str = ""
    ) -> T:
        """The reading of some bytes; see :meth:`Remembering.of_bytes`."""
        key = (form.name, variant, sha256)
        if self._crew.has_begun(key):
            make = partial(self._result, form, key, make)
        return super().of_bytes(form, sha256, size, make, variant)

    def _result(self, form: Form[T], key: Key, make: Callable[[], T]) -> T:
        """A reading that was begun; ``make`` makes it where it was left undone."""
        found = self._crew.result(key)
        if found is None:
            return make()
        if not isinstance(found, Packed):
            return cast("T", found)
        try:
            return form.unpack(json.loads(found.text))
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return make()

    def scan(self, code: bytes | Code, *, expressions: bool, paths: bool) -> Scan:
        """Imports of a file; see :func:`slim.analysis.imports.ast_scan.scan`."""
        return self._of_code(SCAN, code, scan_variant(expressions=expressions, paths=paths))

    def hints(self, code: bytes | Code, *, undotted: bool) -> Hints:
        """Words of a file; see :func:`slim.analysis.imports.text_scan.text_hints`."""
        return self._of_code(HINTS, code, hints_variant(undotted=undotted))

    def _of_code(self, form: Form[T], code: bytes | Code, variant: str) -> T:
        known, make = Code.of(code), MAKERS[form.name].make
        return self.of_bytes(
            form, known.sha256, known.size, lambda: make(known.read(), variant), variant
        )

    def summary(self, record: FileRecord, read: Callable[[], bytes]) -> SourceSummary:
        """The import statements of a Python file, and what else its text tells at a glance.

        See :func:`slim.analysis.summary.summary_of`. It is kept in memory: many searches ask.
        """
        if record.sha256 not in self._summaries:
            summary = self.of_record(SUMMARY, record, lambda: summary_of(read()))
            if not record.sha256:
                return summary
            self._summaries[record.sha256] = summary
        return self._summaries[record.sha256]

    def builds(self, record: FileRecord, read: Callable[[], bytes]) -> bool:
        """True if a Python file has words of code that compiles C."""
        known = self._known_summary(record, read)
        return has_build_words(read()) if known is None else known.builds

    def described(self, record: FileRecord, read: Callable[[], bytes]) -> Described:
        """The distributions of which a Python file may show the long description."""
        known = self._known_summary(record, read)
        return described_by(read()) if known is None else known.described

    def lists(self, record: FileRecord, read: Callable[[], bytes]) -> MayList:
        """The folders that a Python file may list."""
        known = self._known_summary(record, read)
        return may_list_folders(read()) if known is None else known.lists

    def sections(self, record: FileRecord, read: Callable[[], bytes]) -> SectionsRead:
        """The sections of native files that a Python file may read, and no loader does."""
        known = self._known_summary(record, read)
        return sections_read(read()) if known is None else known.sections

    def _known_summary(self, record: FileRecord, read: Callable[[], bytes]) -> SourceSummary | None:
        """A file's summary; None where it would have to be made for a part of it alone."""
        begun = self._crew.has_begun((SUMMARY.name, "", record.sha256))
        if self.remembers or begun or record.sha256 in self._summaries:
            return self.summary(record, read)
        return None


def _fits(wanted: Wanted) -> bool:
    """Return whether other processes may make a reading."""
    return 0 < wanted.size <= MAKERS[wanted.form].max_size and bool(wanted.sha256)


def _made(wanted: Wanted) -> object:
    return MAKERS[wanted.form].make(wanted.read(), wanted.variant)
