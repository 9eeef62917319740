"""Python files that can't be parsed here, such as those in a later version's syntax.

What such a file imports, names or reads isn't known, so its text counts for all that it may mean: a
scan of it finds what a scan of the syntax tree would find, and more. Comments and documentation are
left out, as far as it is certain what they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import replace

from slim.analysis.imports.halves import may_put_together
from slim.analysis.imports.path_scan import doubtful_paths
from slim.analysis.imports.scans import ANY_PACKAGE, Import, Scan, StringName, UnresolvedCall
from slim.analysis.imports.text_scan import DOTTED, TAILS, quoted_names, scan_lines
from slim.model.finding import Strength
from slim.system.literals import without_idle
from slim.system.syntax import declares_other_encoding

_UNRESOLVED = re.compile(
    rb"\b(?:import_module|__import__|run_module|iter_modules|walk_packages|files)\b"
    rb"(?!\s*\(\s*[rRuU]?[\"'][^\"'\n]*[\"']\s*[,)])"
)
_IN_PACKAGE = re.compile(rb"[\"']([A-Za-z_]\w*+)[\w.]*+:\w")
"""The package of a path such as ``"pkg:tests/data"``."""
_ESCAPED = re.compile(rb"\\[nrt]")
_ADJACENT = re.compile(rb"([\"'])\s+\1")
"""Two string literals that make one."""


def scan_unparsed(source: bytes, problem: str) -> Scan:
    """Read a file's text for every name that it may import, list or open. Never raises."""
    if source.isascii() or not declares_other_encoding(source):
        source = without_idle(source) or source
    found = scan_lines(source, problem)
    lines = _Lines(source)
    quoted = {(name, lines.at(offset)) for name, offset in quoted_names(source)}
    named = {
        StringName(match[0].decode("utf-8", "replace"), lines.at(match.start()), True)
        for match in DOTTED.finditer(_ESCAPED.sub(b"  ", source))
    }
    calls = {
        UnresolvedCall(match[0].decode(), lines.at(match.start()), True, match[0] == b"files")
        for match in _UNRESOLVED.finditer(source)
    }
    joined = scan_lines(_ADJACENT.sub(b"", source), problem)
    imports = (*found.imports, *(replace(item, line=0) for item in joined.imports))
    tops = {item.module.partition(".")[0] for item in imports if not item.level}
    tops.update(match.decode() for match in _IN_PACKAGE.findall(source))
    anchors = tuple(sorted(tops.union(name.partition(".")[0] for name, _ in quoted)))
    return replace(
        found,
        imports=(*imports, *_tails(source, lines, problem)),
        listed=tuple(sorted(quoted, key=lambda item: (item[1], item[0]))),
        named=tuple(sorted(named)),
        exported=frozenset(name for name, _ in quoted),
        paths=tuple(doubtful_paths(source, anchors, put_together=may_put_together(source))),
        unresolved=tuple(sorted(calls, key=lambda call: call.line)),
    )


def _tails(source: bytes, lines: _Lines, problem: str) -> list[Import]:
    """Names behind a dot in a string: relative ones, and those that are put together."""
    found = {
        (match[1].decode("utf-8", "replace"), lines.at(match.start()))
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


class _Lines:
    """Lines of a source: where each ends is looked for once, however many are asked for."""

    def __init__(self, source: bytes) -> None:
        self._ends = [match.start() for match in re.finditer(rb"\n", source)]

    def at(self, offset: int) -> int:
        """Number of the line that an offset in bytes lies in, from 1."""
        return bisect_left(self._ends, offset) + 1
