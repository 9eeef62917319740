"""The readings that another process can make: those that follow from a file's bytes alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slim.analysis.code_paths.reading import LISTINGS, listings_in
from slim.analysis.digest_words import STATED, stated_in
from slim.analysis.forms import HINTS, SCAN, SUMMARY
from slim.analysis.imports.ast_scan import scan
from slim.analysis.imports.native_names import NATIVE_NAMES, native_names
from slim.analysis.imports.text_scan import text_hints
from slim.analysis.remembering import Form
from slim.analysis.summary import summary_of


@dataclass(frozen=True, slots=True)
class Maker:
    """A form of readings, and what makes one of bytes and a variant."""

    form: Form[Any]
    make: Callable[[bytes, str], Any]
    max_size: int = 1 << 20
    """Bytes of the largest file that is sent to a child, which works within limits of memory."""


def scan_variant(*, expressions: bool, paths: bool) -> str:
    """Return what a scan depends on besides the file."""
    return f"{expressions:d}{paths:d}"


def hints_variant(*, undotted: bool) -> str:
    """Return what hints depend on besides the file."""
    return f"{undotted:d}"


def _scan(source: bytes, variant: str) -> object:
    expressions, paths = (flag == "1" for flag in variant)
    return scan(source, expressions=expressions, paths=paths)


MAKERS: Final[Mapping[str, Maker]] = {
    maker.form.name: maker
    for maker in (
        Maker(SCAN, _scan),
        Maker(HINTS, lambda source, variant: text_hints(source, undotted=variant == "1")),
        Maker(SUMMARY, lambda source, _variant: summary_of(source)),
        Maker(LISTINGS, listings_in),
        Maker(STATED, stated_in),
        Maker(NATIVE_NAMES, native_names, max_size=1 << 26),
    )
}
"""By the form's name."""
