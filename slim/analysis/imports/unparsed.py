"""Python files that can't be parsed here, such as those in a later version's syntax.

What such a file imports, names or reads isn't known, so its text counts for all that it may mean: a
scan of it finds what a scan of the syntax tree would find, and more. Lines that are comments for
certain are left out.
"""

from __future__ import annotations

import re
from dataclasses import replace

from slim.analysis.imports.halves import may_put_together
from slim.analysis.imports.path_scan import doubtful_paths
from slim.analysis.imports.scans import ANY_PACKAGE, Import, Scan, StringName, UnresolvedCall
from slim.analysis.imports.text_scan import DOTTED, TAILS, quoted_names, scan_lines
from slim.model.finding import Strength
from slim.system.fstrings import comments_in
from slim.system.syntax import declares_other_encoding

_UNRESOLVED = re.compile(
    rb"\b(?:import_module|__import__|run_module|iter_modules|walk_packages|files)\b"
    rb"(?!\s*\(\s*[rRuU]?[\"'][^\"'\n]*[\"']\s*[,)])"
)
_IN_PACKAGE = re.compile(rb"[\"']([A-Za-z_]\w*)[\w.]*:\w")
"""The package of a path such as ``"pkg:tests/data"``."""
_ADJACENT = re.compile(rb"([\"'])\s+\1")
"""Two string literals that make one."""
_ODD_STRING = re.compile(rb"\b[rR]?[fFtT][rR]?(?:\"\"\"|'''|[\"'][^\n]*(?:\"\"\"|'''))")
"""Strings after which what is in a string may be taken for code (PEP 701)."""


def scan_unparsed(source: bytes, problem: str) -> Scan:
    """Read a file's text for every name that it may import, list or open. Never raises."""
    found = scan_lines(source, problem)
    source = _without_comments(source)
    quoted = {(name, _line(source, offset)) for name, offset in quoted_names(source)}
    named = {
        StringName(match[0].decode("utf-8", "replace"), _line(source, match.start()), True)
        for match in DOTTED.finditer(source)
    }
    calls = {
        UnresolvedCall(match[0].decode(), _line(source, match.start()), True, match[0] == b"files")
        for match in _UNRESOLVED.finditer(source)
    }
    joined = scan_lines(_ADJACENT.sub(b"", source), problem)
    imports = (*found.imports, *(replace(item, line=0) for item in joined.imports))
    tops = {item.module.partition(".")[0] for item in imports if not item.level}
    tops.update(match.decode() for match in _IN_PACKAGE.findall(source))
    anchors = tuple(sorted(tops.union(name.partition(".")[0] for name, _ in quoted)))
    return replace(
        found,
        imports=(*imports, *_tails(source, problem)),
        listed=tuple(sorted(quoted, key=lambda item: (item[1], item[0]))),
        named=tuple(sorted(named)),
        exported=frozenset(name for name, _ in quoted),
        paths=tuple(doubtful_paths(source, anchors, put_together=may_put_together(source))),
        unresolved=tuple(sorted(calls, key=lambda call: call.line)),
    )


def _tails(source: bytes, problem: str) -> list[Import]:
    """Names behind a dot in a string: relative ones, and those that are put together."""
    found = {
        (match[1].decode("utf-8", "replace"), _line(source, match.start()))
        for match in TAILS.finditer(source)
    }
    return [
        Import(
            module=name,
            level=1,
            anchor=anchor,
            line=line,
            text=f'".{name}" in a string',
            strength=Strength.WEAK,
            kind="string",
            note=problem,
            whole=True,
        )
        for name, line in sorted(found)
        for anchor in (None, "__name__", ANY_PACKAGE)
    ]


def _line(source: bytes, offset: int) -> int:
    return source.count(b"\n", 0, offset) + 1


def _without_comments(source: bytes) -> bytes:
    """The source without the lines that hold nothing but a comment; other lines keep their number.

    As far as strings can be told from code: behind a quotation mark that ends nowhere, and with
    strings that only later versions read, what looks like a comment may be part of a string.
    """
    if _ODD_STRING.search(source):
        return source
    if not source.isascii() and declares_other_encoding(source):
        return source
    lines = source.splitlines(keepends=True)
    comments: set[int] = set()
    number, counted = 1, 0
    for start in comments_in(source):
        if not source[source.rfind(b"\n", 0, start) + 1 : start].strip():
            number += source.count(b"\n", counted, start)
            counted = start
            comments.add(number)
    if len(lines) != source.count(b"\n") + (not source.endswith(b"\n")):
        return source  # other line ends
    return b"".join(
        b"\n" if number in comments else line for number, line in enumerate(lines, start=1)
    )
