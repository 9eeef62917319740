"""Modules and paths that other text than Python names: configuration, scripts, notebooks.

Sources: the Python documentation of ``logging.config`` and ``importlib.metadata`` (dotted names in
configuration), nbformat's documentation (code in JSON strings).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from slim.analysis.imports.modules import ModuleIndex
from slim.analysis.imports.path_scan import PathUse, parts_of
from slim.analysis.imports.scans import Import
from slim.analysis.imports.text_scan import DOTTED, scan_lines
from slim.model.record import EntryType, FileKind, FileRecord

_START = 4096
_NOT_READ = frozenset(
    {
        *(FileKind.METADATA, FileKind.LICENCE, FileKind.HEADERS, FileKind.SOURCES),
        *(FileKind.STUBS, FileKind.BYTECODE, FileKind.LINK, FileKind.LOCALE, FileKind.STATIC),
    }
)
_DOCUMENTS = (".md", ".rst", ".html", ".htm")
_SKIPPED = (".map", ".css", ".svg", *_DOCUMENTS)
_TEST_PATHS = (re.compile(rb"tests[/\\]"), re.compile(rb"test_\w+\.py\b"))
_BEFORE = re.compile(rb"[\w./*{}$-]*\Z")
_AFTER = re.compile(rb"[\w./\\*{}$-]*+")
_MAX_PATH = 200


@dataclass(frozen=True, slots=True)
class TextNames:
    """Names of modules of the stack that a text holds, what its lines import, and its paths."""

    names: frozenset[str]
    imports: tuple[Import, ...]
    paths: tuple[PathUse, ...]


_BUILD_FILES = ("setup.cfg", "pyproject.toml", "tox.ini", "pytest.ini", "meson.build", "Makefile")


def may_be_text(record: FileRecord, data: memoryview) -> bool:
    """True for a file that is neither Python nor native nor otherwise binary, and worth a look."""
    if record.type is not EntryType.FILE or record.native is not None or not record.size:
        return False
    if record.kind in _NOT_READ or record.path.endswith((*_SKIPPED, *_BUILD_FILES)):
        return False
    return b"\0" not in bytes(data[:_START])


def names_in_text(data: memoryview, index: ModuleIndex) -> TextNames:
    """Read a text of moderate size."""
    source = bytes(data)
    names: set[str] = set()
    for run in set(DOTTED.findall(source)):
        names.update(index.known_prefixes(run.decode("ascii", "replace")))
    imports = tuple(
        item
        for item in scan_lines(source, "in text").imports
        if item.level or item.module.partition(".")[0] in index.top_folders
    )
    return TextNames(frozenset(names), imports, tuple(_paths(source)))


def _paths(source: bytes) -> Iterator[PathUse]:
    for text in sorted(set(_test_paths(source))):
        for run in parts_of(text.decode("utf-8", "replace")):
            if len(run) > 1:  # "tests/" alone is said by texts about tests
                yield PathUse(run, 0)


def _test_paths(source: bytes) -> Iterator[bytes]:
    """Text like a path that has a folder called tests in it, or ends with a test file."""
    for pattern in _TEST_PATHS:
        for match in pattern.finditer(source):
            before = _BEFORE.search(source[max(0, match.start() - _MAX_PATH) : match.start()])
            after = _AFTER.match(source[match.end() : match.end() + _MAX_PATH])
            yield (before[0] if before else b"") + match[0] + (after[0] if after else b"")
