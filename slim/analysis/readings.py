"""Readings of Python files: what their bytes tell, whatever lies around them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slim.analysis.build_words import has_build_words
from slim.analysis.forms import HINTS, SCAN, SUMMARY
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.scans import Scan
from slim.analysis.imports.text_scan import Hints, text_hints
from slim.analysis.remembering import Remembering
from slim.analysis.summary import Described, SourceSummary, described_by, summary_of
from slim.model.record import FileRecord


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
    """Makes readings of Python files, and remembers them in a folder; None for not at all."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._summaries: dict[str, SourceSummary] = {}

    def scan(self, code: bytes | Code, *, expressions: bool, paths: bool) -> Scan:
        """Imports of a file; see :func:`slim.analysis.imports.ast_scan.scan`."""
        known = Code.of(code)
        return self.of_bytes(
            SCAN,
            known.sha256,
            known.size,
            lambda: scan(known.read(), expressions=expressions, paths=paths),
            f"{expressions:d}{paths:d}",
        )

    def hints(self, code: bytes | Code, *, undotted: bool) -> Hints:
        """Words of a file; see :func:`slim.analysis.imports.text_scan.text_hints`."""
        known = Code.of(code)
        return self.of_bytes(
            HINTS,
            known.sha256,
            known.size,
            lambda: text_hints(known.read(), undotted=undotted),
            f"{undotted:d}",
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

    def _known_summary(self, record: FileRecord, read: Callable[[], bytes]) -> SourceSummary | None:
        """A file's summary; None where it would have to be made for a part of it alone."""
        if self.remembers or record.sha256 in self._summaries:
            return self.summary(record, read)
        return None
