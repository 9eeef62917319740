"""Readings of Python files as JSON, short and quick to read: a stack has tens of thousands.

Sets of words are one text with a line a word, and records are lists in the order of their fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from sys import intern
from typing import Any, Final

from slim.analysis.imports.path_scan import PathUse
from slim.analysis.imports.scans import Import, Scan, StringName, UnresolvedCall
from slim.analysis.imports.text_scan import Hints
from slim.analysis.list_words import MayList
from slim.analysis.remembering import Form
from slim.analysis.section_words import SectionsRead
from slim.analysis.summary import Described, SourceSummary
from slim.analysis.unimportable.lines import FileLines, ImportLine, Request
from slim.analysis.unimportable.names import Signals
from slim.model.finding import Strength

_NONE: Final[frozenset[bytes]] = frozenset()


def _packed_words(words: Iterable[bytes]) -> str | None:
    """Words without line ends as one text; None for no word at all, "" for an empty one."""
    found = sorted(words)
    return b"\n".join(found).decode("latin-1") if found else None


def _words(stored: str | None) -> frozenset[bytes]:
    return _NONE if stored is None else frozenset(stored.encode("latin-1").split(b"\n"))


def _packed_hints(hints: Hints) -> object:
    flags = (
        *(hints.relative, hints.star, hints.dynamic, hints.opaque, hints.listing, hints.paths),
        *(hints.lists_itself, hints.attaches_stub),
    )
    sets = (hints.words, hints.quoted, hints.dotted, hints.tails, hints.started)
    return [*map(_packed_words, sets), *flags]


def _hints(stored: Any) -> Hints:
    words, quoted, dotted, tails, started, *flags = stored
    relative, star, dynamic, opaque, listing, paths, lists_itself, attaches_stub = flags
    return Hints(
        words=_words(words),
        quoted=_words(quoted),
        relative=relative,
        star=star,
        dynamic=dynamic,
        opaque=opaque,
        dotted=_words(dotted),
        tails=_words(tails),
        started=_words(started),
        listing=listing,
        paths=paths,
        lists_itself=lists_itself,
        attaches_stub=attaches_stub,
    )


def _packed_scan(scan: Scan) -> object:
    return [
        [
            [
                *(item.module, item.line, item.text, item.level, item.names, item.anchor),
                *(item.strength.value, item.kind, item.note, item.runs, item.whole),
            ]
            for item in scan.imports
        ],
        scan.strings,
        scan.listed,
        sorted(scan.exported),
        sorted(scan.bound),
        scan.named,
        sorted(scan.opened),
        [[use.segments, use.line, use.own, use.anchors, use.doubtful] for use in scan.paths],
        scan.unresolved,
        scan.problem,
    ]


def _scan(stored: Any) -> Scan:
    imports, strings, listed, exported, bound, named, opened, paths, unresolved, problem = stored
    return Scan(
        imports=tuple(_import(*item) for item in imports),
        strings=tuple((name, line) for name, line in strings),
        listed=tuple((name, line) for name, line in listed),
        exported=frozenset(exported),
        bound=frozenset(bound),
        named=tuple(StringName(*item) for item in named),
        opened=frozenset(opened),
        paths=tuple(_path(*item) for item in paths),
        unresolved=tuple(UnresolvedCall(*item) for item in unresolved),
        problem=problem,
    )


def _import(
    module: str,
    line: int,
    text: str,
    level: int,
    names: list[str],
    anchor: str | None,
    strength: str,
    kind: str,
    note: str,
    runs: bool,
    whole: bool,
) -> Import:
    return Import(
        module=intern(module),
        line=line,
        text=intern(text),
        level=level,
        names=tuple(map(intern, names)),
        anchor=anchor,
        strength=Strength(strength),
        kind=kind,
        note=note,
        runs=runs,
        whole=whole,
    )


def _path(segments: list[str], line: int, own: bool, anchors: list[str], doubtful: bool) -> PathUse:
    return PathUse(tuple(segments), line, own, tuple(anchors), doubtful)


def _packed_summary(summary: SourceSummary) -> object:
    signals = summary.signals
    return [
        [
            [line.request.level, line.request.module, line.request.names, line.start, line.end]
            for line in summary.lines.always
        ],
        sorted(summary.lines.tops),
        [
            *(signals.path, sorted(signals.modules), sorted(signals.helpers)),
            *(signals.lazy, signals.finder, signals.computed),
        ],
        summary.builds,
        summary.named,
        summary.described.value,
        summary.lists.value,
        summary.sections.value,
    ]


def _summary(stored: Any) -> SourceSummary:
    always, tops, signals, builds, named, described, lists, sections = stored
    path, modules, helpers, lazy, finder, computed = signals
    return SourceSummary(
        lines=FileLines(
            tuple(
                ImportLine(Request(level, intern(module), tuple(map(intern, names))), start, end)
                for level, module, names, start, end in always
            ),
            frozenset(map(intern, tops)),
        ),
        signals=Signals(path, frozenset(modules), frozenset(helpers), lazy, finder, computed),
        builds=builds,
        named=tuple((intern(name), line) for name, line in named),
        described=Described(described),
        lists=MayList(lists),
        sections=SectionsRead(sections),
    )


HINTS: Final = Form("hints", _packed_hints, _hints)
SCAN: Final = Form("scan", _packed_scan, _scan)
SUMMARY: Final = Form("summary", _packed_summary, _summary)
