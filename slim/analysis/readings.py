"""Readings of Python files: what their bytes tell, whatever lies around them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from slim.analysis.forms import HINTS, SCAN, SUMMARY
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.scans import Scan
from slim.analysis.imports.text_scan import Hints, text_hints
from slim.analysis.remembering import Form, Remembering, T
from slim.analysis.summary import SourceSummary, summary_of
from slim.model.record import FileRecord


class Readings(Remembering):
    """Makes readings of Python files, and remembers them in a folder; None for not at all."""

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self._summaries: dict[str, SourceSummary] = {}

    def scan(
        self, source: bytes, *, expressions: bool, paths: bool, sha256: str | None = None
    ) -> Scan:
        """Imports of a file; see :func:`slim.analysis.imports.ast_scan.scan`.

        ``sha256`` spares the hashing where it is known.
        """
        return self._reading(
            SCAN,
            source,
            sha256,
            lambda: scan(source, expressions=expressions, paths=paths),
            f"{expressions:d}{paths:d}",
        )

    def hints(self, source: bytes, *, undotted: bool, sha256: str | None = None) -> Hints:
        """Words of a file; see :func:`slim.analysis.imports.text_scan.text_hints`."""
        return self._reading(
            HINTS, source, sha256, lambda: text_hints(source, undotted=undotted), f"{undotted:d}"
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

    def _reading(
        self,
        form: Form[T],
        source: bytes,
        sha256: str | None,
        make: Callable[[], T],
        variant: str,
    ) -> T:
        known = hashlib.sha256(source).hexdigest() if sha256 is None else sha256
        return self.of_bytes(form, known, len(source), make, variant)
