"""Modules and paths that other text than Python names: configuration, scripts, notebooks.

Sources: the Python documentation of ``logging.config`` and ``importlib.metadata`` (dotted names in
configuration), nbformat's documentation (code in JSON strings).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from slim.analysis.code_paths.scripts import words_of
from slim.analysis.imports.discovery import names_started
from slim.analysis.imports.modules import ModuleIndex
from slim.analysis.imports.path_scan import PathUse, paths_in_text
from slim.analysis.imports.scans import Import
from slim.analysis.imports.text_paths import (
    as_utf8,
    paths_in_bytes,
    paths_in_settings,
    unpacked,
    with_decoded_runs,
)
from slim.analysis.imports.text_scan import DOTTED, scan_lines
from slim.model.record import UNOWNED, EntryType, FileKind, FileRecord

_START = 4096
_TEST = b"test"
"""Part of the names of what rules for every package take."""
_NOT_READ = frozenset(
    {
        *(FileKind.METADATA, FileKind.LICENCE, FileKind.HEADERS, FileKind.SOURCES),
        *(FileKind.STUBS, FileKind.BYTECODE, FileKind.LINK, FileKind.LOCALE, FileKind.STATIC),
    }
)
_PAGES = (".html", ".htm")
_PROSE = (".md", ".rst")
_RUNNING = (b"{code-cell}", b"jupytext:")
"""What a notebook that is written as Markdown has near its start (MyST, Jupytext)."""
_LINKING = (
    *(".css", ".svg", ".html", ".htm", ".xhtml", ".scss", ".less"),
    *_PROSE,
)
_LINK = re.compile(
    rb"(?:=\s*[\"']?|\bsrcset\s*=\s*[\"'][^\"'<>]{0,400},\s*|\burl\(\s*[\"']?|"
    rb"[(\[{,:+]\s*[\"'`]|@import\s*[\"']|\b(?:import|from|include|extends)\s*[\"']|"
    rb"\]\(\s*<?|\]:\s+<?|\.\. [\w| -]+::\s+|^[ \t]+:\w+:[ \t]+)"
    rb"(?=(?!:)([^\s\"'`()<>=,]++)([^\s\"'`()<>]{0,400}+))",
    re.MULTILINE,
)
"""What an attribute, ``url()``, ``@import``, a string of a script or a directive of
reStructuredText leads to, and what is behind an equals sign or a comma in it."""
_TO_TESTS = re.compile(rb"tests/|(?<!\w)test_\w++\.py")
_TESTS_WORDS = (b"tests/", b"test_")
"""One of these is wherever :data:`_TO_TESTS` is, and is found sooner."""
_SKIPPED = (".map", ".css", ".svg", *_PAGES, *_PROSE)


@dataclass(frozen=True, slots=True)
class TextNames:
    """Names of modules of the stack that a text holds, what its lines import, and its paths."""

    names: frozenset[str]
    imports: tuple[Import, ...]
    paths: tuple[PathUse, ...]


_NO_NAMES = TextNames(frozenset(), (), ())
_TESTS = b"tests"
_ADDED = re.compile(rb"[\"'`]\s*\+\s*[\"'`]")
"""Between two strings that are added."""
_BUILD_FILES = ("setup.cfg", "tox.ini", "pytest.ini", "meson.build", "Makefile")
"""Files by which a distribution was built; a makefile of none is the product's own."""
_PROJECT = "pyproject.toml"
_TASKS = re.compile(
    rb"^\[tool\.(?:poe|taskipy|pdm\.scripts|rye\.scripts|pixi\.tasks|hatch\.envs\.[\w.-]+\.scripts)"
    rb"\b[^\n]*((?:\n(?!\[)[^\n]*)*)",
    re.MULTILINE,
)
"""Tables of ``pyproject.toml`` with commands that a program runs for its user, and what is in
them; the others are for those who build, check or install."""


def may_be_text(record: FileRecord, data: memoryview) -> bool:
    """True for a file that is neither Python nor native nor otherwise binary, and worth a look."""
    if record.type is not EntryType.FILE or record.native is not None or not record.size:
        return False
    own = record.owner == UNOWNED and record.path.endswith("Makefile")
    skipped = _SKIPPED if own else (*_SKIPPED, *_BUILD_FILES)
    start = bytes(data[:_START])
    runs = is_prose(record) and any(map(start.__contains__, _RUNNING))
    if record.kind in _NOT_READ or (record.path.endswith(skipped) and not runs):
        return False
    return b"\0" not in as_utf8(start)


def may_link(record: FileRecord) -> bool:
    """True for a page, a document, a style sheet or a drawing: only the links in it count."""
    return (
        record.type is EntryType.FILE
        and record.kind not in _NOT_READ - {FileKind.STATIC}
        and record.path.lower().endswith(_LINKING)
    )


def is_prose(record: FileRecord) -> bool:
    """True for a document in which names of files are mostly talk: Markdown, reStructuredText."""
    return record.path.lower().endswith(_PROSE)


def links_in_text(data: memoryview) -> TextNames:
    """Read the links of a page or a style sheet."""
    content = bytes(data)
    if not any(map(content.__contains__, _TESTS_WORDS)):
        return _NO_NAMES
    found = (match for match in _LINK.finditer(content) if _TO_TESTS.search(match[1]))
    links = b"\n".join(match[1] + match[2] for match in found)
    return TextNames(frozenset(), (), tuple(paths_in_text(links)))


def names_in_data(data: memoryview, index: ModuleIndex) -> TextNames:
    """Read data of moderate size, which may be compressed: a pickle names its classes' modules."""
    content = unpacked(bytes(data))
    names: set[str] = set()
    if _TEST in content:
        for run in set(DOTTED.findall(content)):
            name = run.decode("ascii", "replace")
            for possible in (name, name[1:]) if _TEST in run else ():  # behind an opcode or length
                names.update(index.known_prefixes(possible))
    return TextNames(frozenset(names), (), tuple(paths_in_bytes(content)))


def names_in_text(path: str, data: memoryview, index: ModuleIndex) -> TextNames:
    """Read a text of moderate size."""
    source = as_utf8(bytes(data))
    if path.endswith(_PROJECT):
        source = b"\n".join(_TASKS.findall(source))
    source = with_decoded_runs(source)
    names: set[str] = set()
    added = _ADDED.sub(b"", source) if _TESTS in source else b""
    for run in {*DOTTED.findall(source), *DOTTED.findall(added)}:
        name = run.decode("ascii", "replace")
        names.update(index.known_prefixes(name))
        if name[0] in "cm" and _TEST in run:  # behind the opcode of a pickle that is text, or -m
            names.update(index.known_prefixes(name[1:]))
    imports = tuple(
        item
        for item in scan_lines(source, "in text").imports
        if item.level or item.module.partition(".")[0] in index.top_folders
    )
    paths = (*paths_in_text(source), *paths_in_settings(path, source))
    if started := names_started(source):
        paths = (*paths, *(PathUse((each,), 0, anchors=started) for each in ("tests", "test_*.py")))
    if _TESTS in source:
        filled = "\n".join(words_of(path, source)).encode("utf-8", "replace")
        paths = (*paths, *paths_in_text(filled))
    return TextNames(frozenset(names), imports, paths)
