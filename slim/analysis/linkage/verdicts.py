"""Verdicts on the use of libraries, from the library graph and the signals.

A library is a shared library that isn't an extension module. Every other native file is a *root*:
used, because somebody may run or import it. From the roots the use spreads: to what they need, to
what they name, and from there on.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from slim.analysis import ReadFile
from slim.analysis.linkage.graph import Linkage
from slim.analysis.linkage.loader import FoundBy
from slim.analysis.linkage.runtime_signals import Signals
from slim.binaries.base import Dynamic
from slim.model.finding import Evidence, Strength
from slim.model.record import FileKey, FileKind, FileRecord

MAX_EVIDENCE = 5
"""Pieces of evidence that a verdict gives; the C library of a big package would have hundreds."""


_EXTENSION_NAME = re.compile(
    r"\.(?:cpython-\d+[^/.]*|abi3|pypy\d+[^/.]*|graalpy\d+[^/.]*)\.so\Z|\.pyd\Z"
)


class LibraryStatus(StrEnum):
    """Proof of a library's use. The values are stable."""

    LINKED = "linked"
    SIGNALLED = "signalled"
    WEAK = "weak"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryVerdict:
    """A library, and the status of its use.

    ``evidence`` is what the status rests on, at most :data:`MAX_EVIDENCE` pieces; where the status
    is ``none``, there is none.
    """

    record: FileRecord
    status: LibraryStatus
    evidence: tuple[Evidence, ...] = ()


def is_candidate(record: FileRecord, dynamic: Dynamic | None) -> bool:
    """True if a native file is a shared library that must prove its use."""
    if dynamic is None or dynamic.kind != "shared" or record.kind is FileKind.EXTENSION:
        return False
    name = record.path.rpartition("/")[2]
    stem = name.partition(".")[0]
    if _EXTENSION_NAME.search(name):
        return False  # in any category: extension modules of tests are test files
    return not dynamic.python_inits & {f"PyInit_{stem}", f"PyInitU_{stem}"}


@dataclass(frozen=True, kw_only=True)
class LibraryJudge:
    """Gives verdicts for any set of removals; the files are read once.

    ``candidates`` are the libraries that must prove their use.
    """

    linkage: Linkage
    candidates: Mapping[FileKey, FileRecord]
    signals: Signals = field(repr=False)

    @classmethod
    def build(
        cls,
        linkage: Linkage,
        read: ReadFile,
        *,
        gone: Collection[FileKey] = frozenset(),
        roots: Collection[FileKey] = frozenset(),
    ) -> LibraryJudge:
        """Find the candidates and, unless all of them are linked, the signals that concern them.

        ``roots`` are used whoever names them.
        """
        candidates = {
            key: linkage.inventory.records[key[0]][key[1]]
            for key, dynamic in sorted(linkage.dynamics.items())
            if key not in roots
            and key not in gone
            and is_candidate(linkage.inventory.records[key[0]][key[1]], dynamic)
        }
        bare = cls(linkage=linkage, candidates=candidates, signals=Signals())
        if all(verdict.status is LibraryStatus.LINKED for verdict in bare.verdicts(gone).values()):
            return bare
        return replace(
            bare, signals=Signals.collect(linkage, tuple(candidates.values()), read, gone)
        )

    def verdicts(
        self, gone: Collection[FileKey] = frozenset(), staying: Collection[FileKey] = frozenset()
    ) -> Mapping[FileKey, LibraryVerdict]:
        """The verdict on every candidate that isn't gone. What is gone uses nothing.

        Candidates in ``staying`` stay whatever their own verdict is, so that what they need and
        name is used.
        """
        removed = frozenset(gone)
        spread = _Spread(self, removed, frozenset(staying))
        spread.strong()
        spread.weak()
        return {
            key: spread.verdict(record)
            for key, record in self.candidates.items()
            if key not in removed
        }


class _Spread:
    """Carries use from file to file: first along strong evidence alone, then along weak, too."""

    def __init__(
        self, judge: LibraryJudge, gone: frozenset[FileKey], staying: frozenset[FileKey]
    ) -> None:
        self._linkage = judge.linkage
        self._staying = staying
        self._candidates = judge.candidates
        self._gone = gone
        self._found: dict[FileKey, tuple[LibraryStatus, list[Evidence]]] = {}
        self._used: dict[FileKey, None] = {}
        self._pending: deque[FileKey] = deque()
        self._texts: list[tuple[FileKey, Evidence]] = []
        self._natives: dict[FileKey, list[tuple[FileKey, Evidence]]] = {}
        for signal in judge.signals.found:
            if signal.source not in gone:
                group = (
                    self._natives.setdefault(signal.source, []) if signal.native else self._texts
                )
                group.append((signal.target, signal.evidence))
        self._folders = judge.signals.folders

    def strong(self) -> None:
        """From the roots along what is needed and what is named in full."""
        roots = (
            key
            for key in sorted(self._linkage.dynamics)
            if (key not in self._candidates or key in self._staying) and key not in self._gone
        )
        self._pending.extend(roots)
        self._signals(self._texts, Strength.STRONG)
        while self._pending:
            source = self._pending.popleft()
            if source not in self._used:
                self._used[source] = None
                self._follow(source, LibraryStatus.LINKED)
                self._signals(self._natives.get(source, ()), Strength.STRONG)

    def weak(self) -> None:
        """Spread on along weak evidence.

        What only a weakly used library needs or names is weakly used too.
        """
        for source in self._used:
            self._signals(self._natives.get(source, ()), Strength.WEAK)
        self._signals(self._texts, Strength.WEAK)
        self._signals(self._folders.items(), Strength.WEAK)
        while self._pending:
            source = self._pending.popleft()
            if source not in self._used:
                self._used[source] = None
                self._follow(source, LibraryStatus.WEAK)
                natives = self._natives.get(source, ())
                self._signals(
                    [(key, replace(signal, strength=Strength.WEAK)) for key, signal in natives],
                    Strength.WEAK,
                )

    def _signals(self, signals: Iterable[tuple[FileKey, Evidence]], strength: Strength) -> None:
        status = LibraryStatus.SIGNALLED if strength is Strength.STRONG else LibraryStatus.WEAK
        for target, evidence in signals:
            if evidence.strength is strength:
                self._note(target, status, evidence)

    def _follow(self, source: FileKey, status: LibraryStatus) -> None:
        user = self._linkage.inventory.records[source[0]][source[1]]
        for resolution in self._linkage.needed(user, self._gone):
            if resolution.target is None:
                continue
            text = f"needs {resolution.name}"
            if resolution.found_by is FoundBy.SONAME:
                text += " (by soname, once it is loaded)"
            strength = Strength.STRONG
            if status is LibraryStatus.WEAK:
                text += ", and may itself be loaded"
                strength = Strength.WEAK
            evidence = Evidence(
                kind="needed", text=text, file=user.deployed_path, strength=strength
            )
            self._note(resolution.target.key, status, evidence)

    def _note(self, target: FileKey, status: LibraryStatus, evidence: Evidence) -> None:
        if target not in self._candidates or target in self._gone:
            return
        known = self._found.get(target)
        if known is None:
            self._found[target] = (status, [evidence])
            self._pending.append(target)
        elif known[0] is status and len(known[1]) < MAX_EVIDENCE and evidence not in known[1]:
            known[1].append(evidence)
        elif status is LibraryStatus.LINKED and known[0] is LibraryStatus.SIGNALLED:
            # A link says more than a string: it comes first, and the string stays as a further
            # witness.
            self._found[target] = (status, [evidence, *known[1]][:MAX_EVIDENCE])

    def verdict(self, record: FileRecord) -> LibraryVerdict:
        """The verdict on one library."""
        status, evidence = self._found.get(record.key, (LibraryStatus.NONE, []))
        return LibraryVerdict(record=record, status=status, evidence=tuple(evidence))
