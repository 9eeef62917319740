"""Libraries by every name that opens them, and those that a mention may mean."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.library_names import (
    LIBRARY_SUFFIXES,
    WILDCARD,
    LibraryMention,
    MentionKind,
)
from slim.model.finding import Strength
from slim.model.record import FileRecord, NativeFormat, Owner, OwnerKind

_VERSION = re.compile(r"\.so(?:\.\w+)*\Z|(?:\.\d+)*\.dylib\Z|\.dll\Z", re.IGNORECASE)
_VARIABLE_RUN = re.compile(r"\A(?:lib)?|\.so[.\d]*|\.dylib|\.dll|[\d.]+\Z", re.IGNORECASE)
_SPECIFIC = 3
"""Letters that a part of a name must have to mean one library.

They count besides ``lib``, the suffix and version numbers.
"""


@dataclass(frozen=True, slots=True)
class _Alias:
    name: str
    record: FileRecord

    @property
    def stem(self) -> str:
        """``libfoo`` of ``libfoo.so.1``."""
        return _VERSION.sub("", self.name)


class NameIndex:
    """The candidates by every name that opens them.

    Those are their own names, those of links to them, and a soname that no file has (a library
    loaded earlier answers to it).
    """

    def __init__(self, linkage: Linkage, candidates: Iterable[FileRecord]) -> None:
        self._neighbours = _neighbours(linkage)
        self._exact: dict[str, list[FileRecord]] = {}
        self._stems: dict[str, list[FileRecord]] = {}
        self._aliases: list[_Alias] = []
        self._by_owner: dict[tuple[str, Owner], list[_Alias]] = {}
        self._patterns: dict[str, tuple[_Alias, ...]] = {}
        self.candidates = tuple(candidates)
        for record in self.candidates:
            names = {file.path.rpartition("/")[2] for file in (record, *linkage.links_to(record))}
            soname = (linkage.dynamics[record.key].soname or "").rpartition("/")[2]
            if soname and soname not in linkage.tree.names:
                names.add(soname)
            if record.native is NativeFormat.PE:
                names = {name.lower() for name in names}
            for name in sorted(names):
                self._add(_Alias(name, record))

    def _add(self, alias: _Alias) -> None:
        self._exact.setdefault(alias.name, []).append(alias.record)
        self._stems.setdefault(alias.stem, []).append(alias.record)
        self._aliases.append(alias)
        self._by_owner.setdefault((alias.record.layer, alias.record.owner), []).append(alias)

    def owned_by(self, source: FileRecord) -> list[FileRecord]:
        """The candidates of the distribution that a file belongs to."""
        return list(
            {
                a.record.key: a.record for a in self._by_owner.get((source.layer, source.owner), ())
            }.values()
        )

    def match(
        self, source: FileRecord, mention: LibraryMention
    ) -> Iterator[tuple[FileRecord, Strength]]:
        """The candidates that a mention in ``source`` may mean.

        Only layers that can share a process count.
        """
        near = self._neighbours.get(source.layer, frozenset())
        for record, strength in self._folded_match(source, mention):
            if record.layer in near and record.key != source.key:
                yield record, strength

    def _folded_match(
        self, source: FileRecord, mention: LibraryMention
    ) -> Iterator[tuple[FileRecord, Strength]]:
        """Names of DLLs are indexed, and looked for, in lower case."""
        yield from self._match(source, mention)
        lower = mention.text.lower()
        if lower != mention.text:
            for record, strength in self._match(source, replace(mention, text=lower)):
                if record.native is NativeFormat.PE:
                    yield record, strength

    def _match(
        self, source: FileRecord, mention: LibraryMention
    ) -> Iterator[tuple[FileRecord, Strength]]:
        text, kind = mention.text, mention.kind
        exact = Strength.WEAK if kind is MentionKind.TEXT else Strength.STRONG
        yield from ((record, exact) for record in self._exact.get(text, ()))
        if kind in (MentionKind.TEXT, MentionKind.SCRIPT):
            return
        if WILDCARD in text:
            for alias in self._matching(source, text):
                yield alias.record, Strength.WEAK
            return
        if kind is MentionKind.CALL:
            stems = dict.fromkeys((text, f"lib{text}"))
            yield from ((record, exact) for stem in stems for record in self._stems.get(stem, ()))
        elif kind is MentionKind.LITERAL:
            if text.startswith("lib"):
                yield from ((record, exact) for record in self._stems.get(text, ()))
            yield from ((alias.record, Strength.WEAK) for alias in self._with_part(text))
        else:
            # A string that runs into the one before it (they don't end in zero bytes everywhere).
            tail = text[text.rfind("lib") :] if "lib" in text else text
            yield from ((record, exact) for record in self._exact.get(tail, ()) if tail != text)
            if text.endswith((".dll", ".dylib")) and _is_specific(text):
                # The end of a name whose start is put before it: OpenCV's video library is known as
                # ``500_64.dll``.
                ends = (alias for alias in self._with_part(text) if alias.name.endswith(text))
                yield from ((alias.record, Strength.WEAK) for alias in ends)

    def _with_part(self, text: str) -> tuple[_Alias, ...]:
        """The aliases that begin or end with a literal which is meant to be completed."""
        if not _is_specific(text) or not (text.startswith("lib") or _has_suffix(text)):
            return ()
        if text not in self._patterns:
            self._patterns[text] = tuple(
                alias
                for alias in self._aliases
                if alias.name != text and (alias.name.startswith(text) or alias.name.endswith(text))
            )
        return self._patterns[text]

    def _matching(self, source: FileRecord, text: str) -> tuple[_Alias, ...]:
        """The aliases that a pattern fits.

        A pattern that fits nearly every name stays within its distribution.
        """
        runs = text.split(WILDCARD)
        if not any("lib" in run or _has_suffix(run) for run in runs):
            return ()
        if text not in self._patterns:
            pattern = re.compile(
                ".*".join(re.escape(run) for run in runs) + r"(?:\.\d+)*\Z", re.DOTALL
            )
            self._patterns[text] = tuple(
                alias for alias in self._aliases if pattern.match(alias.name)
            )
        if any(_is_specific(run) for run in runs):
            return self._patterns[text]
        if source.native is not None or source.owner.kind is OwnerKind.RUNTIME:
            # OpenSSL, linked into half of all wheels, has its ``lib%s.so``, and opens none of their
            # libraries. Nor does ctypes open those of the runtime.
            return ()
        group = (source.layer, source.owner)
        return tuple(a for a in self._patterns[text] if (a.record.layer, a.record.owner) == group)


def _has_suffix(text: str) -> bool:
    return any(suffix in text for suffix in LIBRARY_SUFFIXES)


def _is_specific(run: str) -> bool:
    return sum(char.isalnum() or char == "_" for char in _VARIABLE_RUN.sub("", run)) >= _SPECIFIC


def _neighbours(linkage: Linkage) -> dict[str, frozenset[str]]:
    """For each layer the layers that can share a process with it."""
    found: dict[str, set[str]] = {}
    for process in linkage.processes:
        for name in process.layers:
            found.setdefault(name, set()).update(process.layers)
    return {name: frozenset(layers) for name, layers in found.items()}
