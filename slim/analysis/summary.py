"""A Python file's text at a glance: what every search of all files asks for, read at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from slim.analysis.build_words import has_build_words
from slim.analysis.list_words import MayList, may_list_folders
from slim.analysis.section_words import SectionsRead, sections_read
from slim.analysis.unimportable.lines import FileLines, read_lines
from slim.analysis.unimportable.names import Signals, signals_of
from slim.analysis.vocabulary import AnyOf, vocabulary

MAX_SOURCE = 8 << 20
"""A Python file of more bytes than this isn't read."""
_NAMED = re.compile(rb"\.py['\"]")
_BEGIN = re.compile(rb"[\w*-]*\Z")
_LONGEST = 80


_METADATA = re.compile(rb"importlib[._]metadata|from importlib import metadata|pkg_resources")
_METADATA_WORDS = AnyOf(b"metadata", b"pkg_resources", b"dist-info")
_DESCRIPTION = re.compile(
    rb"get_payload\s*\(|as_string\s*\(|[\"']Description[\"']|\.json\b[^\n]*[\"']description[\"']|"
    rb"(?:read_text|get_metadata)\s*\(\s*[\"'](?:METADATA|PKG-INFO)[\"']"
)
_DESCRIPTION_OF_ONE = re.compile(
    rb"[\"'](?:METADATA|PKG-INFO)[\"']|-info[/\\](?:METADATA|PKG-INFO)\b"
    rb"|\b(?:str|print|repr|dict)\s*\(\s*(?:\w+\.){0,3}metadata\s*\("
    rb"|\bmetadata\s*\([^()\n]*\)\s*\.(?:items|values)\s*\("
)
"""Words by which code reads all that is known of a distribution, which it names somewhere."""


class Described(StrEnum):
    """The distributions of which code may show the long description."""

    NONE = ""
    NAMED = "named"
    """Those that its strings name, and its own."""
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """Facts that a Python file's text tells without a parser."""

    lines: FileLines
    """Its import statements."""
    signals: Signals
    """What it does to the import system."""
    builds: bool
    """True if it has words of code that compiles C."""
    named: tuple[tuple[str, int], ...]
    """The names of Python files that its strings end in, each with the first line (from 1)."""
    described: Described
    """The distributions of which it may show the long description."""
    lists: MayList
    """The folders that it may list."""
    sections: SectionsRead
    """What it may read of native files that no loader reads."""


def summary_of(source: bytes) -> SourceSummary:
    """Read a file of at most :data:`MAX_SOURCE` bytes. Never raises for what is in it."""
    return SourceSummary(
        lines=read_lines(source),
        signals=signals_of(source),
        builds=has_build_words(source),
        named=tuple(named_sources(source).items()),
        described=described_by(source),
        lists=may_list_folders(source),
        sections=sections_read(source),
    )


def described_by(source: bytes) -> Described:
    """Return the distributions of which code may show the long description."""
    if not _METADATA_WORDS.within(source):
        return Described.NONE
    if _METADATA.search(source) is not None and _DESCRIPTION.search(source) is not None:
        return Described.EVERY if b"distributions(" in source else Described.NAMED
    return Described.NONE if _DESCRIPTION_OF_ONE.search(source) is None else Described.NAMED


def named_sources(source: bytes) -> Mapping[str, int]:
    """The names of Python files that strings of a text end in, each with its first line."""
    found: dict[str, int] = {}
    if b".py" not in vocabulary(source):
        return found
    for match in _NAMED.finditer(source):
        begin = _BEGIN.search(source, max(0, match.start() - _LONGEST), match.start())
        name = begin[0].decode() + ".py" if begin else ".py"
        if name not in found:
            found[name] = source.count(b"\n", 0, match.start()) + 1
    return found
